"""The edge of a concept graph (Kori et al., arXiv 2008.06457) between two variables that are independent."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.special import xlogy

__all__ = ["above_permutations", "of_independent"]

_BINS = 100
_PAIRS = 200
_PERMUTATIONS = 20
_SEED = 0


def of_independent(images: int) -> float:
    """Return the mean normalised mutual information of two independent normal variables.

    As published: histograms of 100 bins, ``2 (H(x) + H(y) - H(x, y)) / (H(x) + H(y))``; an edge is one above 0.5.
    """
    random = np.random.default_rng(_SEED)
    pairs = (random.normal(size=(2, images)) for _ in range(_PAIRS))
    return float(np.mean([_shared(x, y) for x, y in pairs]))


def above_permutations(images: int) -> float:
    """Return the same less its mean over permutations of one variable: what is left beside the estimate's bias."""
    random = np.random.default_rng(_SEED)
    left = []
    for x, y in (random.normal(size=(2, images)) for _ in range(_PAIRS)):
        by_chance = np.mean([_shared(x, random.permutation(y)) for _ in range(_PERMUTATIONS)])
        left.append(_shared(x, y) - by_chance)
    return float(np.mean(left))


def _shared(x: NDArray[np.float64], y: NDArray[np.float64]) -> float:
    joint = np.histogram2d(x, y, _BINS)[0] / len(x)
    of_x, of_y = _entropy(joint.sum(axis=1)), _entropy(joint.sum(axis=0))
    return 2 * (of_x + of_y - _entropy(joint)) / (of_x + of_y)


def _entropy(shares: NDArray[np.float64]) -> float:
    return float(-xlogy(shares, shares).sum())
