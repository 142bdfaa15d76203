"""Random ordered subsets, many at a time."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["random_subsets"]


def random_subsets(rng: np.random.Generator, draws: int, k: int, size: int) -> NDArray[np.int64]:
    """Return ordered k-subsets of the numbers below ``size``, ``(draws, k)``, each as likely as any other.

    Where ``size`` is large, a number that came before is drawn again, and only then: rows end as if drawn in turn,
    and nothing of ``draws × size`` is held.
    """
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
