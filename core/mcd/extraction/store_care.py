"""What lies in the store that runs share, and its care: what is in it, what is removed, what is damaged."""

from __future__ import annotations

import contextlib
import hashlib
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from mcd.errors import amount
from mcd.extraction.shared_store import KINDS, SharedStore, StoredFile
from mcd.files import open_regular, size_text

__all__ = ["Kept", "contents", "keep_limit", "prune", "verify_store"]

_DAY = 24 * 3600


@dataclass(frozen=True)
class Kept:
    """What a store keeps of one kind.

    Parameters
    ----------
    what
        The kind; ``all`` for the sum.
    entries, files, size
        How many keys, how many files, and their bytes.
    only_here
        Bytes of the files that no run folder holds too: what removing them frees.
    used
        When any of it was last used, in seconds since 1970; 0 where there is none.
    """

    what: str
    entries: int
    files: int
    size: int
    only_here: int
    used: float


def contents(store: SharedStore) -> list[Kept]:
    """Return what a store keeps, by kind, then in all."""
    files = list(store.files())
    return [*(_kept(kind, [one for one in files if one.kind == kind]) for kind in KINDS), _kept("all", files)]


def _kept(what: str, files: Sequence[StoredFile]) -> Kept:
    return Kept(
        what,
        len({(one.kind, one.key) for one in files}),
        len(files),
        sum(one.size for one in files),
        sum(one.size for one in files if not one.shared),
        max((one.used for one in files), default=0.0),
    )


def prune(
    store: SharedStore, *, keep_days: float | None = None, limit: int | None = None, only_here: bool = False
) -> list[StoredFile]:
    """Remove entries: those not used for so many days, then those not used for longest until the rest is small enough.

    Run folders keep their files. A run that is on computes what vanishes under it, or did take it already.

    Parameters
    ----------
    keep_days
        How long an entry stays that nothing uses; None removes none for its age.
    limit
        Bytes that the store may have; None for any number.
    only_here
        Leave alone, and do not count, what run folders hold too: to remove it frees nothing.

    Returns
    -------
    list of StoredFile
        What was removed.
    """
    entries: dict[tuple[str, str], list[StoredFile]] = {}
    for one in store.files():
        if not (only_here and one.shared):
            entries.setdefault((one.kind, one.key), []).append(one)
    oldest = sorted(entries.values(), key=lambda files: (files[0].used, files[0].key))
    total, now = sum(one.size for files in oldest for one in files), time.time()
    removed: list[StoredFile] = []
    for files in oldest:
        # none is kept for no days, whatever a file server's clock says
        aged = keep_days is not None and (keep_days == 0 or now - files[0].used >= keep_days * _DAY)
        if aged or (limit is not None and total > limit):
            gone = list(_removed(store, files))
            removed += gone
            total -= sum(one.size for one in gone)
    return removed


def _removed(store: SharedStore, files: Iterable[StoredFile]) -> Iterable[StoredFile]:
    for one in files:
        with contextlib.suppress(OSError):  # open elsewhere, on Windows
            store.remove(one)
            yield one


def keep_limit(store: SharedStore, limit: int) -> str:
    """Remove what was not used for longest and no run folder holds, until such files have ``limit`` bytes at most.

    Returns
    -------
    str
        The remark about what was removed; empty where nothing was.
    """
    removed = prune(store, limit=limit, only_here=True)
    if not removed:
        return ""
    return (
        f"the store {store.folder} had more than {limit / 1e9:g} GB that no run folder holds: "
        f"{amount(len(removed), 'file')}, "
        f"{size_text(sum(one.size for one in removed))}, that were not used for longest are removed; MCD_STORE_LIMIT "
        "is the limit in GB"
    )


def verify_store(store: SharedStore) -> tuple[int, list[StoredFile]]:
    """Hold every file of a store against its digest; remove those that are not what was written.

    Returns
    -------
    tuple of int and list of StoredFile
        How many files there are, and which were removed: they are computed again when a run needs them.
    """
    count, damaged = 0, []
    for one in store.files():
        with contextlib.suppress(FileNotFoundError):  # pruned just now
            count += 1
            if not _sound(one):
                damaged.append(one)
                store.remove(one)
    return count, damaged


def _sound(file: StoredFile) -> bool:
    try:
        with open_regular(file.path) as opened:
            return hashlib.file_digest(opened, "sha256").hexdigest() == file.digest
    except FileNotFoundError:
        raise
    except OSError:
        return False
