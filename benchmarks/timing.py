"""How long something takes: processor time, so that load beside it matters less, in alternating rounds."""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Callable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from mcd.plugins import isolated

Work = Callable[[], object]
Clock = Callable[[], float]


def seconds(work: Work, clock: Clock = time.process_time) -> float:
    """Return the seconds that work takes, of this process with all its threads."""
    start = clock()
    work()
    return clock() - start


def with_children() -> float:
    """Return the processor seconds of this process and those that it waited for."""
    return sum(os.times()[:4])


def _of_helper() -> float:
    clock: Callable[[], NDArray[np.float64]] = time.process_time  # type: ignore[assignment]  # what returns is an array
    return float(isolated(clock).item())


def with_helper() -> float:
    """Return the processor seconds of this process and of the helper that decodes for it."""
    return time.process_time() + _of_helper()


def in_turn(works: Mapping[str, Work], rounds: int, clock: Clock = time.process_time) -> Mapping[str, Sequence[float]]:
    """Return the seconds of each in every round; each runs once before, unmeasured."""
    for work in works.values():
        work()
    found: dict[str, list[float]] = {name: [] for name in works}
    for _ in range(rounds):
        for name, work in works.items():
            found[name].append(seconds(work, clock))
    return found


def ratio(ours: Sequence[float], theirs: Sequence[float]) -> float:
    """Return the median of the ratios of the rounds."""
    return statistics.median(one / other for one, other in zip(ours, theirs, strict=True))
