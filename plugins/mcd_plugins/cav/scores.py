"""What a concept vector is worth: its AUROC on other patients, and the scores of a class or a later unit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.stats import norm, t

from mcd.errors import DataError
from mcd.plugins import PermutationUnits

__all__ = [
    "Area",
    "area",
    "check_patients",
    "magnitude",
    "mean_sensitivity",
    "tcav",
]

Flags = NDArray[np.bool_]
Values = NDArray[np.float64]
Rows = NDArray[np.int64]

DRAWS = 1000
"""Resamples of patients for an interval."""
_FEWEST = 2
"""Patients with the concept, and without, that anything can be said of."""


@dataclass(frozen=True)
class Area:
    """An AUROC and its 95 % interval over patients (None where no resample has one), images, patients and seed."""

    value: float
    low: float | None
    high: float | None
    present: int
    absent: int
    patients: int
    seed: int


def area(
    scores: torch.Tensor, present: Flags, absent: Flags, patients: Sequence[str], seed: int, draws: int = DRAWS
) -> Area:
    """Return the AUROC of scores by a vector that was fitted on other patients.

    The ends of the interval are percentiles of resamples of patients, but further from the estimate by
    ``√(m / (m - 1)) · t / z``, with m patients who have the concept, or lack it, whichever are fewer, and the 97.5 %
    quantiles of Student's distribution with m − 1 degrees of freedom and of the normal one: few patients resampled vary
    less than patients do. An AUROC of 1 (or 0) is so in all resamples: its other end is that of m successes out of m
    (Clopper & Pearson 1934, Biometrika 26).

    Parameters
    ----------
    scores
        ``(n,)``: features times the vector.
    present, absent
        ``(n,)``: images whose concept is in neither state are left out.
    patients
        Of each image; an image whose patient is not known ("") is a patient of its own.
    seed, draws
        Of the resamples: patients with replacement, all images of each.

    Raises
    ------
    DataError
        When fewer than two patients have the concept, or lack it; or a score is not finite.
    """
    known = present | absent
    there, own = present[known], scores.double().numpy()[known]
    if not np.isfinite(own).all():
        raise DataError("some scores are not finite", "leave out the layer, or the images that cause it")
    people = PermutationUnits.of([patients[row] for row in np.flatnonzero(known).tolist()], "patient").patient
    check_patients(there, people)
    count, fewest = int(people.max()) + 1, min(len(np.unique(people[one])) for one in (there, ~there))
    times = np.random.default_rng(seed).multinomial(count, np.full(count, 1 / count), size=draws)
    values = _areas(own, there, np.concatenate([np.ones((1, len(people))), times[:, people]]))
    drawn, value, images = values[1:][np.isfinite(values[1:])], float(values[0]), int(there.sum())
    low = high = None
    if len(drawn):
        further = np.sqrt(fewest / (fewest - 1)) * t.ppf(0.975, fewest - 1) / norm.ppf(0.975)
        ends = value + further * (np.percentile(drawn, [2.5, 97.5]) - value)
        rare = 0.025 ** (1 / fewest)
        low, high = (rare, 1.0) if value == 1 else (0.0, 1 - rare) if value == 0 else np.clip(ends, 0.0, 1.0).tolist()
    return Area(value, low, high, images, len(there) - images, count, seed)


def check_patients(present: Flags, people: Rows) -> None:
    """Refuse images of fewer than two patients who have the concept, or who lack it.

    Parameters
    ----------
    present
        ``(n,)``, of images whose state is known.
    people
        ``(n,)``, the number of each image's patient.
    """
    for state, rows in (("present", present), ("absent", ~present)):
        found = len(np.unique(people[rows]))
        if found < _FEWEST:
            raise DataError(
                f"the concept is {state} in images of {found} patient{'s' * (found != 1)}, {int(rows.sum())} images in "
                f"all: at least {_FEWEST} patients are needed",
                "take more patients, or another concept",
            )


def _areas(scores: Values, present: Flags, weights: Values) -> Values:
    """Return the AUROC for each row of weights ``(rows, n)``."""
    order = np.argsort(scores, kind="stable")
    ends = np.flatnonzero(np.append(np.diff(scores[order]) != 0, True))
    weight, there = weights[:, order], present[order]
    hits, misses = np.cumsum(weight * there, axis=1)[:, ends], np.cumsum(weight * ~there, axis=1)[:, ends]
    below = np.concatenate([np.zeros((len(weights), 1)), misses[:, :-1]], axis=1)
    above = (np.diff(hits, prepend=0.0, axis=1) * (below + misses) / 2).sum(axis=1)
    with np.errstate(invalid="ignore", divide="ignore"):
        found: Values = above / (hits[:, -1] * misses[:, -1])
    return found


def tcav(sensitivities: torch.Tensor) -> torch.Tensor:
    """Return TCAV scores ``(…)``: shares of images whose logit grows along a vector (Kim et al. 2018, equation 2).

    A sensitivity of exactly 0 counts a half, so that the opposite vector has 1 minus the score. In the paper and in
    Captum it counts as if the logit fell; where none is 0 the three are the same.

    Parameters
    ----------
    sensitivities
        ``(n, …)``, at least one: gradient times vector.
    """
    found: torch.Tensor = (sensitivities.double().sign().mean(dim=0) + 1) / 2
    return found


def magnitude(sensitivities: torch.Tensor) -> float:
    """Return the share of all sensitivity that is positive: ``Σ S⁺ / Σ |S|``, 0…1; NaN where all are 0.

    That is what Captum documents as its magnitude score; what its version 0.9.0 computes is the mean.
    """
    whole = sensitivities.double()
    return float(whole.clamp_min(0).sum() / whole.abs().sum())


def mean_sensitivity(sensitivities: torch.Tensor, gradients: torch.Tensor) -> float:
    """Return the mean sensitivity, as a share of what it would be along the gradients: ``Σ S / Σ ‖∇‖``, -1…1.

    Parameters
    ----------
    sensitivities
        ``(n,)``, along a vector of length 1.
    gradients
        ``(n, d)``.
    """
    return float(sensitivities.double().sum() / gradients.double().norm(dim=1).sum())
