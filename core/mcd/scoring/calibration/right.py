"""The fourth rung: agreement of a unit with what is annotated on patients that were not used to name it.

One-sided AUROC of the activation for the annotated finding (Mann and Whitney 1947), against permutations of the
held-out patients: a patient's images go together.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.stats import rankdata

from mcd.scoring.calibration.permutation import PermutationUnits

__all__ = ["FEWEST_POSITIVE", "Agreement", "agreement", "auroc", "split_halves"]

FEWEST_POSITIVE = 10
"""Patients with the finding, among those held out; with fewer a concept is not assessable."""

_AT_ONCE = 256


@dataclass(frozen=True)
class Agreement:
    """Agreement of units with one annotated finding.

    Parameters
    ----------
    auroc
        ``(units,)``: chance that an image with the finding has a larger activation than one without; a tie is a half.
    p
        ``(units,)``: one-sided, against 0.5.
    positives, images
        Patients with the finding, and images on which it is known.
    """

    auroc: NDArray[np.float64]
    p: NDArray[np.float64]
    positives: int
    images: int


def split_halves(units: PermutationUnits, seed: int) -> NDArray[np.bool_]:
    """Return which images belong to the half of the patients that is held out, ``(images,)``."""
    rng = np.random.default_rng(np.random.SeedSequence([seed, units.patients]))
    held_out = np.zeros(units.patients, dtype=bool)
    held_out[rng.permutation(units.patients)[: units.patients // 2]] = True
    found: NDArray[np.bool_] = held_out[units.patient]
    return found


def auroc(activations: torch.Tensor, present: torch.Tensor) -> torch.Tensor:
    """Return the AUROC of activations ``(images, units)`` for findings ``(images, findings)`` of 0 and 1.

    ``(units, findings)`` float64, by mid-ranks; NaN for a finding that all images have, or none.
    """
    ranks = torch.from_numpy(rankdata(activations.numpy(), axis=0))
    with_it = present.double()
    positive = with_it.sum(dim=0)
    negative = len(with_it) - positive
    above = ranks.T @ with_it - positive * (positive + 1) / 2
    return above / (positive * negative).masked_fill(positive * negative == 0, float("nan"))


def agreement(
    activations: torch.Tensor, annotated: torch.Tensor, units: PermutationUnits, draws: int, seed: int
) -> Agreement | str:
    """Return how far units agree with a finding, or why that cannot be assessed.

    Parameters
    ----------
    activations
        ``(images, units)`` float32, of images that were not used to name the units.
    annotated
        ``(images,)``: 1 present, 0 absent, NaN not known; the latter are left out.
    units
        The permutation units of these images.
    """
    known = ~torch.isnan(annotated)
    rows = known.numpy()
    present = annotated[known]
    keys = units.patient[rows]
    positives = len(np.unique(keys[present.numpy() > 0]))
    if positives < FEWEST_POSITIVE:
        return f"{positives} held-out patients have it, fewer than {FEWEST_POSITIVE}"
    if len(np.unique(keys[present.numpy() == 0])) < FEWEST_POSITIVE:
        return f"fewer than {FEWEST_POSITIVE} held-out patients are without it"
    _, numbers = np.unique(keys, return_inverse=True)
    own = PermutationUnits(numbers.astype(np.int64))
    observed = auroc(activations[known], present[:, None])[:, 0]
    reached = np.zeros(activations.shape[1], dtype=np.int64)
    rng = np.random.default_rng(np.random.SeedSequence([seed, len(present)]))
    for start in range(0, draws, _AT_ONCE):
        moved = torch.from_numpy(own.permutations(min(_AT_ONCE, draws - start), rng))
        drawn = auroc(activations[known], present[moved].T)
        reached += (drawn >= observed[:, None] - 1e-12).sum(dim=1).numpy()
    return Agreement(observed.numpy(), (1 + reached) / (draws + 1), positives, len(present))
