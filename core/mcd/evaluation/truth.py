"""Whether labels recover the truth, where every image is known to show a concept or not: phantoms, mostly."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mcd.scoring.calibration.permutation import PermutationUnits

__all__ = ["PLACES", "recovered"]

Values = NDArray[np.float64]
Codes = NDArray[np.int64]
Flags = NDArray[np.bool_]

PLACES = 3
"""How many truths may be separated as clearly as, or more clearly than, the label, itself among them."""
CRITICAL = 1.6449
"""z at p = .05, one-sided."""
DRAWS = 200
"""Permutations for the moments of z."""
_AT_ONCE = 20


def recovered(
    activations: NDArray[np.floating],
    shows: Flags,
    labels: Mapping[str, Codes],
    units: PermutationUnits,
    weights: Values,
    seed: int,
) -> dict[str, NDArray[np.float32]]:
    """Return for each kind of label whether it recovers the truth, ``(1 + resamples, neurons)``: 1, 0 or NaN.

    It does where the neuron separates images with the concept from those without (AUROC above 0.5 with p ≤ .05,
    one-sided), and among all truths fewer than `PLACES` more clearly. How clearly: the rank sum of the images with the
    concept (Mann and Whitney 1947) above its mean under permutations of patients, in standard deviations of these, so
    that rare truths do not come first by luck. p is that of a normal z. In a resample, ranks and moments stay those of
    all images.

    Parameters
    ----------
    activations
        ``(images, neurons)`` of held-out images.
    shows
        ``(images, truths)``.
    labels
        For each kind the label of each neuron as a column of ``shows``; -1 for none.
    units
        Permutation units of these images.
    weights
        ``(1 + resamples, images)``.
    seed
        Of the permutations.
    """
    ranks: Values = pd.DataFrame(np.asarray(activations, np.float64)).rank().to_numpy().T
    there = shows.astype(np.float64)
    mean, sd = _moments(ranks, there, units, seed)
    count = there.sum(axis=0)
    scale = 1 / count + 1 / (len(shows) - count)
    found = {kind: np.full((len(weights), len(one)), np.nan, dtype=np.float32) for kind, one in labels.items()}
    with np.errstate(divide="ignore", invalid="ignore"):
        for row, weight in enumerate(weights):
            with_it, without = there * weight[:, None], (1 - there) * weight[:, None]
            apart = ranks @ (with_it / with_it.sum(axis=0) - without / without.sum(axis=0))
            total = ranks.sum(axis=1)[:, None] / (len(shows) - count)
            z = (apart - (mean * scale - total)) / (sd * scale)
            z = np.where(np.isfinite(z), z, -np.inf)
            place = _places(z)
            right = (place < PLACES) & (z >= CRITICAL)
            for kind, one in labels.items():
                mine = np.flatnonzero(one >= 0)
                found[kind][row, mine] = right[mine, one[mine]]
    return found


def _places(z: Values) -> Codes:
    """Return how many of its row each value is smaller than."""
    ranks = pd.DataFrame(z).rank(axis=1, method="max").to_numpy()
    found: Codes = (z.shape[1] - ranks).astype(np.int64)
    return found


def _moments(ranks: Values, there: Values, units: PermutationUnits, seed: int) -> tuple[Values, Values]:
    """Return mean and sd of the rank sums ``(neurons, truths)`` under permutations of patients."""
    rng = np.random.default_rng(np.random.SeedSequence([seed, len(there)]))
    total, square = (np.zeros((len(ranks), there.shape[1])) for _ in range(2))
    expected = (len(there) + 1) / 2 * there.sum(axis=0)
    for _ in range(0, DRAWS, _AT_ONCE):
        moved = there[units.permutations(_AT_ONCE, rng)].transpose(1, 0, 2).reshape(len(there), -1)
        drawn = (ranks @ moved).reshape(len(ranks), _AT_ONCE, -1) - expected
        total += drawn.sum(axis=1)
        square += (drawn**2).sum(axis=1)
    mean = total / DRAWS
    return mean + expected, np.sqrt(np.maximum(square / DRAWS - mean**2, 0))
