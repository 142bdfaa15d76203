"""Nulls in the store that runs share: whoever scores the same activations again does not draw again."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import safetensors
import torch
from safetensors.torch import load, save

from mcd.extraction.keys import arithmetic
from mcd.extraction.shared_store import Entry, SharedStore
from mcd.files import digest_of, read_regular
from mcd.scoring.calibration.null import Drawn
from mcd.scoring.kept_nulls import KeptNulls

__all__ = ["StoredNulls", "kept_nulls"]

_LARGEST = 2**28
"""Bytes of the largest file of a null."""


def kept_nulls(shared: SharedStore | None, say: Callable[[str], None]) -> KeptNulls:
    """Return the nulls that a run draws and shares: with other runs too where there is a store; see `StoredNulls`."""
    return KeptNulls(None if shared is None else StoredNulls(shared, say))


@dataclass(frozen=True)
class StoredNulls:
    """Nulls as files of a store, each numbered by how many draws it holds.

    Parameters
    ----------
    shared
        The store.
    say
        Hears of damaged files.
    """

    shared: SharedStore
    say: Callable[[str], None]

    def find(self, key: str) -> Drawn | None:
        """Return what most draws are kept of; None where there are none, or the file is damaged: it is then removed."""
        entry = self._entry(key)
        number = entry.last()
        found = None if number is None else entry.find(number)
        if number is None or found is None:
            return None
        try:
            data = read_regular(found[0], _LARGEST)
        except OSError:  # it has just been removed
            return None
        drawn = _drawn(data, number) if digest_of(data) == found[1] else None
        if drawn is None:
            entry.drop(number)
            self.say("a file of the store was damaged and is removed; its null is drawn again")
        else:
            entry.took()
        return drawn

    def put(self, key: str, drawn: Drawn) -> None:
        """Keep what was drawn."""
        parts = {"mean": drawn.mean, "sd": drawn.sd, "highest": torch.from_numpy(drawn.highest)}
        self._entry(key).write(len(drawn.highest), save(parts))

    def _entry(self, key: str) -> Entry:
        # Nulls are computed on the processor, wherever models run.
        return self.shared.entry("nulls", key, arithmetic(torch.device("cpu")))


def _drawn(data: bytes, draws: int) -> Drawn | None:
    """Return what a file holds; None where that is no null of so many draws."""
    try:
        parts = load(data)
        mean, sd, highest = (parts[name] for name in ("mean", "sd", "highest"))
    except (KeyError, ValueError, safetensors.SafetensorError):
        return None
    fits = mean.ndim == 1 and mean.shape == sd.shape and highest.shape == (draws,)
    known = mean.dtype == sd.dtype == torch.float32 and highest.dtype == torch.float64
    return Drawn(mean, sd, highest.numpy()) if fits and known else None
