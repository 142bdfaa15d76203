"""Nulls that were drawn, kept for whoever needs the same: other layers, targets and dissectors of a run, other runs."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import Generic, Protocol, TypeVar

import torch

from mcd.scoring.calibration.null import Drawn

__all__ = ["KeptNulls", "NullStore"]

KeptT = TypeVar("KeptT", Drawn, torch.Tensor)
_MOST_BYTES = 2**25
"""32 MiB: nulls of 763 concepts and 4,000 draws take 38 kB each, the evidence of random rankings takes 3 MB."""


class NullStore(Protocol):
    """Where nulls outlive a process."""

    def find(self, key: str) -> Drawn | None:
        """Return what was drawn under a key; None where nothing was."""

    def put(self, key: str, drawn: Drawn) -> None:
        """Keep what was drawn."""


class _Recent(Generic[KeptT]):
    """Values by key, of which the least recently used go beyond a number of bytes."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._kept: OrderedDict[str, KeptT] = OrderedDict()

    def find(self, key: str) -> KeptT | None:
        if key in self._kept:
            self._kept.move_to_end(key)
        return self._kept.get(key)

    def put(self, key: str, value: KeptT) -> None:
        self._kept[key] = value
        self._kept.move_to_end(key)
        while len(self._kept) > 1 and sum(one.nbytes for one in self._kept.values()) > self._most:
            self._kept.popitem(last=False)


class KeptNulls:
    """The nulls of a run, by digests of all that decides them; see `mcd.scoring.nulls.Nulls`.

    Parameters
    ----------
    store
        Where those of other runs are looked for and these are left; None for nowhere.
    most_bytes
        Of nulls, and as much of the evidence of random rankings; the least recently used go beyond it.
    """

    def __init__(self, store: NullStore | None = None, most_bytes: int = _MOST_BYTES) -> None:
        self._store = store
        self._drawn, self._evidence = _Recent[Drawn](most_bytes), _Recent[torch.Tensor](most_bytes)

    def find(self, key: str) -> Drawn | None:
        """Return what was drawn under a key so far; whoever draws more adds to it."""
        found = self._drawn.find(key)
        if found is None and self._store is not None and (found := self._store.find(key)) is not None:
            self._drawn.put(key, found)
        return found

    def put(self, key: str, drawn: Drawn) -> None:
        """Keep what was drawn."""
        self._drawn.put(key, drawn)
        if self._store is not None and len(drawn.highest):
            self._store.put(key, drawn)

    def evidence(self, key: str, make: Callable[[], torch.Tensor]) -> torch.Tensor:
        """Return the evidence of random rankings, made where nobody has it."""
        found = self._evidence.find(key)
        if found is None:
            found = make()
            self._evidence.put(key, found)
        return found
