"""Rankings of images by activation, and random ones to compare them with."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    import torch
    from numpy.typing import NDArray

__all__ = ["Ties", "ascending", "ordered_top_k", "random_rankings", "random_subsets", "rows_in"]

_CHUNK = 2**20
"""Values whose ties are broken at once."""


@dataclass(frozen=True, eq=False)
class Ties:
    """Breaks ties between images by seeded chance, in every column by itself.

    The order of equal values follows from a hash of the seed, the image's id and all values of the column. It does not
    depend on where images or columns stand: with rows (and their ids) or columns permuted, so is the result. Row order
    would not do: rows come in folders, and columns that share their ties would be shown the same images.

    Parameters
    ----------
    keys
        ``(images,)`` uint64: a random number for each image.
    """

    keys: NDArray[np.uint64]

    @classmethod
    def of(cls, ids: Sequence[str], seed: int) -> Ties:
        """Return what breaks ties between images of these ids, which differ."""
        import numpy as np

        start = hashlib.blake2b(f"{seed}:".encode(), digest_size=8)

        def key(name: str) -> bytes:
            own = start.copy()
            own.update(name.encode("utf-8", "surrogatepass"))
            return own.digest()

        return cls(np.frombuffer(b"".join(map(key, ids)), dtype="<u8").astype(np.uint64))

    def among(self, rows: NDArray[np.int64]) -> Ties:
        """Return what breaks ties between some of the images, ``(some,)``."""
        return Ties(self.keys[rows])

    @cached_property
    def order(self) -> NDArray[np.int64]:
        """The images in an order that does not depend on where they stand, ``(images,)`` row numbers."""
        import numpy as np

        return np.argsort(self.keys, kind="stable")

    def digests(self, columns: torch.Tensor) -> NDArray[np.uint64]:
        """Return a hash of each column ``(images, columns)`` float32 that no order of rows changes, ``(columns,)``."""
        import numpy as np
        import torch

        step = max(1, _CHUNK // max(1, len(columns)))
        parts = [self._digests(_bits(part.T)) for part in torch.split(columns, step, dim=1)]
        return np.concatenate(parts) if parts else np.zeros(0, dtype=np.uint64)

    def chances(self, columns: torch.Tensor) -> NDArray[np.uint64]:
        """Return a random number for each image and column, ``(columns, images)``, given ``columns`` of that shape."""
        return _mixed(self.keys ^ _mixed(self._digests(_bits(columns)))[:, None])

    def _digests(self, bits: NDArray[np.uint32]) -> NDArray[np.uint64]:
        # Multilinear hashing (Carter & Wegman 1979): a sum, which has no order. It wraps around.
        import numpy as np

        found: NDArray[np.uint64] = (bits * (self.keys | np.uint64(1))).sum(axis=1, dtype=np.uint64)
        return found


def _bits(values: torch.Tensor) -> NDArray[np.uint32]:
    import numpy as np

    return np.ascontiguousarray(values.cpu().float().numpy() + np.float32(0)).view(np.uint32)  # + 0: there is one zero


def _mixed(numbers: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Return the finaliser of SplitMix64 (Steele et al. 2014): every bit of the input moves half of the output."""
    import numpy as np

    found = numbers ^ (numbers >> np.uint64(30))
    found *= np.uint64(0xBF58476D1CE4E5B9)
    found ^= found >> np.uint64(27)
    found *= np.uint64(0x94D049BB133111EB)
    found ^= found >> np.uint64(31)
    return found


def ascending(columns: torch.Tensor, chance: NDArray[np.uint64]) -> NDArray[np.int64]:
    """Return the places of the values of each row ``(columns, images)`` float32, the smallest first.

    Equal values are put in order by ``chance``, of the same shape: what ``np.lexsort`` does, by a single sort.
    """
    import numpy as np

    keys = _keys(columns, chance)
    order: NDArray[np.int64] = np.argsort(keys, axis=1)
    ordered = np.take_along_axis(keys, order, axis=1)
    for row in np.flatnonzero((ordered[:, 1:] == ordered[:, :-1]).any(axis=1)).tolist():
        order[row] = np.lexsort((chance[row], keys[row]))  # even half of the random number is the same
    return order


def _keys(columns: torch.Tensor, chance: NDArray[np.uint64]) -> NDArray[np.int64]:
    """Return whole numbers that are ordered as the values are, and equal ones by half of a random number."""
    import numpy as np

    bits = _bits(columns).view(np.int32)
    height = (bits ^ ((bits >> 31) & np.int32(0x7FFFFFFF))).astype(np.int64)
    found: NDArray[np.int64] = (height << 32) | (chance >> np.uint64(32)).astype(np.int64)
    return found


def random_subsets(rng: np.random.Generator, draws: int, k: int, size: int) -> NDArray[np.int64]:
    """Return ordered k-subsets of the numbers below ``size``, ``(draws, k)``, each as likely as any other.

    Where ``size`` is large, a number that came before is drawn again, and only then: rows end as if drawn in turn,
    and nothing of ``draws × size`` is held.
    """
    import numpy as np

    if size <= 8 * k:
        found: NDArray[np.int64] = np.argsort(rng.random((draws, size)), axis=1)[:, :k]
        return found
    drawn = rng.integers(size, size=(draws, k))
    while True:
        order = np.argsort(drawn, axis=1, kind="stable")
        ordered = np.take_along_axis(drawn, order, axis=1)
        again = np.zeros(drawn.shape, dtype=bool)
        np.put_along_axis(again, order[:, 1:], ordered[:, 1:] == ordered[:, :-1], axis=1)
        if not again.any():
            return drawn
        drawn[again] = rng.integers(size, size=int(again.sum()))


def random_rankings(images: int, k: int, draws: int = 1000, *, order: NDArray[np.int64] | None = None) -> torch.Tensor:
    """Return random ordered k-subsets of the row numbers, ``(k, draws)`` int64: always the same ones.

    Parameters
    ----------
    order
        The row numbers in the order that the draws are about, ``(images,)``; by default as they are.
    """
    import numpy as np
    import torch

    drawn = random_subsets(np.random.default_rng(0), draws, k, images)
    return torch.from_numpy(drawn if order is None else order[drawn]).T


def rows_in(ranked: torch.Tensor, images: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Return which of ``images`` rows occur in rankings, ascending, and the rankings as places among these.

    The result of ``torch.unique`` for numbers below ``images``, without sorting them.
    """
    import torch

    seen = torch.zeros(images, dtype=torch.bool, device=ranked.device)
    seen[ranked.reshape(-1)] = True
    place = seen.cumsum(0) - 1
    return seen.nonzero().flatten(), place[ranked]


def ordered_top_k(activations: torch.Tensor, k: int, ties: Ties | None = None) -> torch.Tensor:
    """Return the row numbers ``(k, neurons)`` of the k largest values a column, largest first.

    Equal values are put in order by ``ties``; without it, the smaller row number comes first. ``torch.topk`` leaves
    their order open, so the columns where it matters, and only these, are sorted again: the same on every device.
    """
    import torch

    images = len(activations)
    columns = activations.T.contiguous()  # a neuron's values side by side: the search then runs through the cache
    more = min(k + 1, images)
    values, rows = columns.topk(more, dim=1)
    ranked = rows[:, :k].T.contiguous()
    tied = (values[:, 1:] == values[:, :-1]).any(dim=1).nonzero().flatten()
    if ties is not None:
        for some in torch.split(tied, max(1, _CHUNK // max(1, images))):
            ranked[:, some] = _by_chance(columns[some], min(k, images), ties).T.to(ranked.device)
        return ranked
    for column in tied.tolist():
        # All above the k-th value belong; of those equal to it, the first ones.
        candidates = (columns[column] >= values[column, min(k, images) - 1]).nonzero().flatten()
        order = columns[column, candidates].sort(descending=True, stable=True).indices[:k]
        ranked[:, column] = candidates[order]
    return ranked


def _by_chance(columns: torch.Tensor, k: int, ties: Ties) -> torch.Tensor:
    """Return the places of the k largest values of each row ``(columns, images)``, equal ones in random order."""
    import numpy as np
    import torch

    chance = ties.chances(columns)
    keys = torch.from_numpy(_keys(columns, chance))
    found, places = keys.topk(min(k + 1, keys.shape[1]), dim=1)
    places = places[:, :k].contiguous()
    # Where even half of the random number is the same, the rest of it decides.
    for row in (found[:, 1:] == found[:, :-1]).any(dim=1).nonzero().flatten().tolist():
        places[row] = torch.from_numpy(np.lexsort((chance[row], keys[row].numpy()))[::-1][:k].copy())
    return places
