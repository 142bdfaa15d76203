"""One function on many items, in worker processes that share what is large."""

from __future__ import annotations

import functools
import multiprocessing
import os
import signal
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from typing import Generic, TypeVar, cast

from mcd.errors import worker_killed
from mcd.host.importing import ImportedFiles

__all__ = ["Pool", "cores", "in_processes", "memory", "startable"]

SharedT = TypeVar("SharedT")
ItemT = TypeVar("ItemT")
ResultT = TypeVar("ResultT")


def in_processes(
    function: Callable[[SharedT, ItemT], ResultT], shared: SharedT, items: Iterable[ItemT], workers: int | None = None
) -> Iterator[tuple[ItemT, ResultT]]:
    """Yield every item with ``function(shared, item)``, in the order in which they get done.

    Parameters
    ----------
    function
        Of a module: it is looked up by name in the workers.
    shared
        Sent to each worker once.
    workers
        How many processes; None takes one a core, 0 works in this one, as where none can be started.

    Raises
    ------
    DataError
        When a worker is killed. What ``function`` raises is raised here.
    """
    work = list(items)
    count = startable(min(len(work), cores()) if workers is None else workers)
    if count == 0:
        for item in work:
            yield item, function(shared, item)
        return
    pool = ProcessPoolExecutor(count, initializer=_begin, initargs=(ImportedFiles(), function, shared))
    try:
        futures: dict[Future[object], ItemT] = {pool.submit(_run, item): item for item in work}
        for future in as_completed(futures):
            yield futures[future], cast("ResultT", future.result())  # what _begin bound returns it
    except BrokenProcessPool:
        raise worker_killed() from None
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def startable(wanted: int) -> int:
    """Return so many processes, or 0 where processes cannot have locks in common: some containers have no /dev/shm."""
    return wanted if wanted and _has_locks() else 0


@functools.cache
def _has_locks() -> bool:
    try:
        multiprocessing.Lock()
    except (OSError, ImportError):
        return False
    return True


def cores() -> int:
    """Return how many processors this process may use: of the machine, or of the container that it runs in."""
    found = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    share = _limits("cpu.max")  # so many microseconds of each period of so many
    return max(1, min(found, -(-share[0] // share[1]))) if len(share) == 2 else found


def memory() -> int:
    """Return how many bytes of memory this process may use: of the machine, or of the container that it runs in."""
    known = hasattr(os, "sysconf") and "SC_PHYS_PAGES" in os.sysconf_names
    return min([os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") if known else 2**63, *_limits("memory.max")])


def _limits(name: str, folder: Path = Path("/sys/fs/cgroup")) -> list[int]:
    """Return the numbers in a file of the control group, none where there is no limit."""
    try:
        return [int(one) for one in (folder / name).read_text(encoding="ascii").split()]
    except (OSError, ValueError):  # no such file, or "max"
        return []


class Pool(Generic[SharedT, ItemT, ResultT]):
    """Worker processes that are started when the first items come, and give results in the order of the items.

    Parameters
    ----------
    function, shared
        As in `in_processes`; the function takes a list of items and returns as many results.
    size
        How many processes at most; 0 where none can be started.
    """

    def __init__(
        self, function: Callable[[SharedT, Sequence[ItemT]], Sequence[ResultT]], shared: SharedT, size: int
    ) -> None:
        self.size, self._begun = startable(size), (ImportedFiles(), function, shared)
        self._pool: ProcessPoolExecutor | None = None

    @property
    def is_busy(self) -> bool:
        """Whether processes have been started."""
        return self._pool is not None

    def results(self, chunks: Iterable[Sequence[ItemT]]) -> Iterator[Sequence[ResultT]]:
        """Begin with lists of items; return what yields their results, in order.

        Raises
        ------
        DataError
            While it yields: when a worker is killed.
        """
        chunks = list(chunks)
        if self._pool is None:
            self._pool = ProcessPoolExecutor(
                max(1, min(self.size, len(chunks))), initializer=_begin, initargs=self._begun
            )
        try:
            return map(_finished, [self._pool.submit(_run, one) for one in chunks])
        except BrokenProcessPool:
            raise worker_killed() from None

    def close(self) -> None:
        """End the processes; what they have not begun is dropped."""
        if self._pool is not None:
            self._pool.shutdown(wait=True, cancel_futures=True)


def _finished(future: Future[object]) -> Sequence[ResultT]:
    try:
        return cast("Sequence[ResultT]", future.result())
    except BrokenProcessPool:
        raise worker_killed() from None


_here: list[Callable[[object], object]] = []
"""What a worker process runs, with what is shared bound to it."""


def _begin(_files: ImportedFiles, function: Callable[[SharedT, ItemT], ResultT], shared: SharedT) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches all processes; the first one answers for them
    if "torch" in sys.modules:  # a forked process has none of the threads that torch believes in, and waits for them
        import torch

        torch.set_num_threads(1)
    _here.append(lambda item: function(shared, item))  # type: ignore[arg-type]  # the items are those of the same call


def _run(item: object) -> object:
    return _here[-1](item)
