"""How many processes decode images: as many as cores, memory and shared memory allow."""

from __future__ import annotations

import math
import shutil
from collections.abc import Callable
from pathlib import Path

from mcd.extraction.parallel import cores, memory, startable
from mcd.options import MOST_WORKERS

__all__ = ["PREFETCHED", "default_workers", "fitting", "free_shared_memory"]

PREFETCHED = 2
"""Batches that each worker makes ahead of the models."""

_FEW = 64
"""Images that are decoded before processes have started."""

_MEMORY = 2**30
"""Of one worker, in bytes: libraries, and a whole mammogram several times over in float64."""


def default_workers(images: int) -> int:
    """Return how many worker processes pay off: none for a handful of images, else about as many as there are cores."""
    if images < _FEW:
        return 0
    # On large machines one core in sixteen is left to the run itself, which feeds the device and writes; on small ones
    # none: there it mostly waits for images.
    return max(1, min(cores() - cores() // 16, memory() // _MEMORY, MOST_WORKERS))


def free_shared_memory(folder: Path = Path("/dev/shm")) -> int | None:  # noqa: S108 -- it is measured
    """Return how many bytes of shared memory are free; None where the system does not keep it in a folder."""
    try:
        return shutil.disk_usage(folder).free
    except OSError:
        return None


def fitting(
    asked: int | None,
    images: int,
    batch_bytes: Callable[[int], int],
    free: Callable[[], int | None] = free_shared_memory,
) -> tuple[int, str]:
    """Return how many workers to start, and what is to be said of shared memory, through which they hand over batches.

    Parameters
    ----------
    asked
        What the user asked for, which is kept where processes can be started; None chooses.
    images
        How many are decoded.
    batch_bytes
        Is given how many bytes of a batch are surely no problem, and returns how many the largest takes. An upper
        bound will do while it is not larger than what it is given.
    free
        Returns the bytes of shared memory that are free, or None where they are not known.
    """
    wanted = default_workers(images) if asked is None else asked
    count = startable(wanted)
    if count < wanted:
        return count, "processes cannot be started here (is there no /dev/shm?): images are decoded in this process"
    room = free() if count else None
    if room is None:
        return count, ""
    size = batch_bytes(room // _in_flight(count))
    if size * _in_flight(count) <= room:
        return count, ""
    fits = max(0, (room // size - 1) // PREFETCHED)
    needed = f"{size * _in_flight(count) / 1e9:,.2g} GB of shared memory, of which {room / 1e9:,.2g} GB are free"
    shared = f"docker run --shm-size={math.ceil(size * _in_flight(count) / 1e9) + 1}g"
    if asked is None:
        done = {0: "images are decoded in this process", 1: "1 process decodes images"}
        chosen = done.get(fits, f"{fits} processes decode images")
        return fits, f"{chosen}: {count} would need {needed}. For more: a smaller --batch-size, or {shared}"
    return count, (
        f"--workers {count} may need {needed}: a worker that finds none ends the run. Safe are --workers {fits}, a "
        f"smaller --batch-size, or {shared}"
    )


def _in_flight(workers: int) -> int:
    """Return how many batches lie in shared memory at most: those made ahead, and the one that the models see."""
    return PREFETCHED * workers + 1
