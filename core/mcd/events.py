"""What happens in a run, as frozen records. The engine emits them; progress bars and logs observe them."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = [
    "Event",
    "LayerScored",
    "RunFailed",
    "RunFinished",
    "RunStarted",
    "StageAdvanced",
    "StageFinished",
    "StageStarted",
    "Warned",
]


@dataclass(frozen=True)
class Event:
    """Base of all events."""


@dataclass(frozen=True)
class RunStarted(Event):
    """A run begins. ``title`` says in one line what is dissected with what."""

    title: str


@dataclass(frozen=True)
class StageStarted(Event):
    """A stage begins: ``total`` units of work, of which ``done`` are already there from an earlier run."""

    stage: str
    total: int
    unit: str
    done: int = 0


@dataclass(frozen=True)
class StageAdvanced(Event):
    """``count`` more units of the stage are done."""

    stage: str
    count: int = 1


@dataclass(frozen=True)
class StageFinished(Event):
    """A stage ended after ``seconds``."""

    stage: str
    seconds: float


@dataclass(frozen=True)
class LayerScored(Event):
    """All neurons of a layer have their scores."""

    target: str
    layer: str
    neurons: int
    labelled: int


@dataclass(frozen=True)
class Warned(Event):
    """Something a reader of the results should know. Also recorded in the manifest."""

    message: str


@dataclass(frozen=True)
class RunFinished(Event):
    """The run ended well. ``folder`` is empty when nothing was asked to be kept."""

    folder: str
    seconds: float


@dataclass(frozen=True)
class RunFailed(Event):
    """The run ended early; what was stored so far stays. ``reason`` is one line."""

    reason: str
