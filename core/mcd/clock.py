"""Stages of a run: timed, and told to observers."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator

from mcd.events import Event, StageAdvanced, StageFinished, StageStarted, Warned

__all__ = ["Clock"]


class Clock:
    """Times stages, and tells observers about them."""

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

    def warn(self, message: str) -> None:
        """Say and keep something that a reader of the results should know."""
        self.warnings.append(message)
        self.emit(Warned(message))
