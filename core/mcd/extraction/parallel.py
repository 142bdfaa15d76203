"""One function on many items, in worker processes that share what is large."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from typing import TypeVar, cast

from mcd.errors import DataError
from mcd.host.importing import ImportedFiles

__all__ = ["in_processes"]

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
        How many processes; None takes one a core, 0 works in this one.

    Raises
    ------
    DataError
        When a worker is killed. What ``function`` raises is raised here.
    """
    work = list(items)
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    count = min(len(work), cores) if workers is None else workers
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
        raise DataError(
            "a worker process was killed, perhaps for want of memory",
            "give fewer: --workers 1; the same command continues from here",
        ) from None
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


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
