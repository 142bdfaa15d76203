"""The fourth rung: agreement of a unit with what is annotated on patients that were not used to name it.

One-sided AUROC of the activation for the annotated finding (Mann and Whitney 1947), against permutations of the
held-out patients: a patient's images go together.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from mcd.scoring.calibration.own_null import DRAWS, FIRST_DRAWS, FUTILE, MOMENTS, own_null
from mcd.scoring.calibration.permutation import PermutationUnits, Rows

__all__ = ["FEWEST_PATIENTS", "Agreement", "agreement", "split_halves"]

Values = NDArray[np.float64]

FEWEST_PATIENTS = 10
"""Patients with a finding, and without it, among those held out; with fewer it is not assessable."""

_BLOCK = 100
"""Permutations drawn at once."""


@dataclass(frozen=True)
class Agreement:
    """Agreement of units with one annotated finding.

    Parameters
    ----------
    auroc
        ``(units,)``: chance that an image with the finding has a larger activation than one without; a tie is a half.
    p
        ``(units,)``: one-sided, against 0.5.
    """

    auroc: Values
    p: Values


def split_halves(units: PermutationUnits, seed: int) -> NDArray[np.bool_]:
    """Return which images belong to the half of the patients that is held out, ``(images,)``."""
    rng = np.random.default_rng(np.random.SeedSequence([seed, units.patients]))
    held_out = np.zeros(units.patients, dtype=bool)
    held_out[rng.permutation(units.patients)[: units.patients // 2]] = True
    found: NDArray[np.bool_] = held_out[units.patient]
    return found


def agreement(activations: torch.Tensor, present: torch.Tensor, units: PermutationUnits, seed: int) -> Agreement:
    """Return how far units agree with a finding.

    Units that are far from significant after a few draws are drawn no further (Besag & Clifford 1991).

    Parameters
    ----------
    activations
        ``(images, units)`` float32, of images that were not used to name the units.
    present
        ``(images,)``: 1 present, 0 absent; both occur.
    units
        The permutation units of these images.
    """
    ranks = torch.from_numpy(pd.DataFrame(activations.double().numpy()).rank().to_numpy(copy=True))
    auroc = _areas(ranks, present[:, None])[:, 0]
    p = _p(ranks, present, units, FIRST_DRAWS, seed)
    left = np.flatnonzero(p < FUTILE)
    if len(left):
        p[left] = _p(ranks[:, left], present, units, DRAWS, seed)
    return Agreement(auroc.numpy(), p)


def _areas(ranks: torch.Tensor, present: torch.Tensor) -> torch.Tensor:
    """Return the AUROC of each unit and column, ``(units, columns)`` float64, by mid-ranks ``(images, units)``."""
    with_it = present.double()
    positive = with_it.sum(dim=0)
    above = ranks.T @ with_it - positive * (positive + 1) / 2
    return above / (positive * (len(with_it) - positive))


def _p(ranks: torch.Tensor, present: torch.Tensor, units: PermutationUnits, draws: int, seed: int) -> Values:
    null = own_null(_drawn(ranks, present, units, MOMENTS + draws, seed), units.rarest)
    only, stratum = torch.zeros(ranks.shape[1], 1, dtype=torch.int64), np.arange(ranks.shape[1])
    z = null.z(_areas(ranks, present[:, None]), only, torch.from_numpy(stratum)).double().numpy()
    return null.p(z, stratum)[:, 0]


def _drawn(
    ranks: torch.Tensor, present: torch.Tensor, units: PermutationUnits, draws: int, seed: int
) -> Iterator[torch.Tensor]:
    """Yield the AUROC of every unit with permuted images, ``(units, 1)``, of each draw."""
    for start in range(0, draws, _BLOCK):
        rng = np.random.default_rng(np.random.SeedSequence([seed, start]))
        moved: Rows = units.permutations(min(_BLOCK, draws - start), rng)
        yield from _areas(ranks, present[torch.from_numpy(moved)].T).T[:, :, None]
