"""What happens in a run, as frozen records. The engine emits them; progress bars and logs observe them."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from mcd.errors import MCDError

__all__ = [
    "Clock",
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
    """A stage ended after ``seconds``, of which models ``waited`` for decoded images."""

    stage: str
    seconds: float
    waited: float = 0.0


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


class Clock:
    """Times stages, and notifies observers of them."""

    def __init__(self, emit: Callable[[Event], None]) -> None:
        self.emit, self.seconds, self.warnings = emit, dict[str, float](), list[str]()

    @contextlib.contextmanager
    def stage(self, name: str, total: int, unit: str) -> Iterator[Callable[[int], None]]:
        """Open a stage of ``total`` units; yields what is to be called with the number of units done."""
        self.emit(StageStarted(name, total, unit))
        start = time.perf_counter()
        yield lambda count: self.emit(StageAdvanced(name, count))
        self.seconds[name] = time.perf_counter() - start
        self.emit(StageFinished(name, self.seconds[name]))

    @contextlib.contextmanager
    def run(self, title: str) -> Iterator[None]:
        """Open a run; observers hear when it ends early. The caller says when it ends well."""
        self.emit(RunStarted(title))
        try:
            yield
        except MCDError as error:
            self.emit(RunFailed(error.summary))
            raise
        except BaseException as error:  # an interrupt ends it too
            self.emit(RunFailed(type(error).__name__))
            raise

    def warn(self, message: str) -> None:
        """Say and keep something that a reader of the results should know."""
        self.warnings.append(message)
        self.emit(Warned(message))
