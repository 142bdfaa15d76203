"""The store that runs share, as a command uses it: opened, what is to be said of it, kept small."""

from __future__ import annotations

from pathlib import Path

import torch

from mcd.api.remark import Remark
from mcd.extraction.keys import arithmetic
from mcd.extraction.shared_store import SharedStore, store_folder, store_limit
from mcd.extraction.store_care import keep_limit

__all__ = ["damaged_warning", "kept_small", "not_kept_warning", "shared_store"]


def shared_store(asked: Path | None, device: torch.device) -> SharedStore | None:
    """Return the store that runs share, or None where there is to be none.

    Parameters
    ----------
    asked
        ``--store``; see `mcd.extraction.shared_store.store_folder`.
    device
        Where models run.

    Raises
    ------
    UsageError
        When it cannot be a folder, somebody else could put numbers into it, or its limit is no number.
    """
    folder = store_folder(asked)
    if folder is None:
        return None
    found = SharedStore(folder, arithmetic(device))
    found.check()
    store_limit()
    return found


def damaged_warning(store: SharedStore | None) -> str:
    """Return the remark about files that were not what they are called after; empty where there were none."""
    damaged = store.damaged if store is not None else 0
    return Remark("{count} files of the store were damaged and are removed; they are computed again", damaged)


def not_kept_warning(store: SharedStore | None) -> str:
    """Return the remark about what the file system refused; empty while all is well."""
    if store is None or not store.problem:
        return ""
    return f"what was computed is not kept for other runs: {store.problem}"


def kept_small(store: SharedStore | None) -> str:
    """Keep a store below its limit where something was added to it; return the remark about what was removed."""
    return keep_limit(store, store_limit()) if store is not None and store.added else ""
