"""What a concept vector is worth: its AUROC on other patients, and the scores of a class or a later unit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.special import expit, logit
from scipy.stats import rankdata, t

from mcd.errors import DataError, amount
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

_FEWEST = 2
"""Patients with the concept, and without, that anything can be said of."""


@dataclass(frozen=True)
class Area:
    """An AUROC and its 95 % interval over patients, images and patients."""

    value: float
    low: float
    high: float
    present: int
    absent: int
    patients: int


def area(scores: torch.Tensor, present: Flags, absent: Flags, patients: Sequence[str]) -> Area:
    """Return the AUROC of scores by a vector that was fitted on other patients.

    The variance is that of clustered data (Obuchowski 1997, Biometrics 53), taken on the logit scale, with Student's
    distribution and Satterthwaite's degrees of freedom. Where few patients are ranked well it is too small: the
    interval reaches to the ends of the one that follows when half a patient more of the rarer class, who scores by
    chance, is counted.

    Parameters
    ----------
    scores
        ``(n,)``: features times the vector.
    present, absent
        ``(n,)``: images whose concept is in neither state are left out.
    patients
        Of each image; an image whose patient is not known ("") is a patient of its own.

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
    value, variance, freedom = _clustered(own, there, people)
    fewest, images = min(len(np.unique(people[one])) for one in (there, ~there)), int(there.sum())
    far = t.ppf(0.975, freedom)
    ends = [value, value]
    for one in (value, (fewest * value + 0.25) / (fewest + 0.5)):
        if 0 < one < 1:
            reach = far * np.sqrt(variance + (one - value) ** 2) / (one * (1 - one))
            ends += expit(logit(one) + np.array([-reach, reach])).tolist()
    return Area(value, min(ends), max(ends), images, len(there) - images, int(people.max()) + 1)


def _clustered(scores: Values, present: Flags, people: Rows) -> tuple[float, float, float]:
    """Return an AUROC, its variance over patients, and the degrees of freedom of that."""
    pairs, count = float(present.sum()) * float((~present).sum()), int(people.max()) + 1
    moved, variances, freedoms = [], [], []
    for state, own in ((present, scores), (~present, -scores)):
        # over how many images of the other class each image is, or under, as it should be
        right = rankdata(own)[state] - rankdata(own[state])
        value = float(right.sum()) / pairs
        moved.append(np.bincount(people[state], right - right.mean(), minlength=count) / pairs)
        freedoms.append(len(np.unique(people[state])) - 1)
        variances.append(float(moved[-1] @ moved[-1]) * (1 + 1 / freedoms[-1]))
    uncertain = sum(one**2 / freedom for one, freedom in zip(variances, freedoms, strict=True))
    freedom = sum(variances) ** 2 / uncertain if uncertain > 0 else float(min(freedoms))
    return value, max(0.0, sum(variances) + 2 * float(moved[0] @ moved[1])), freedom


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
                f"the concept is {state} in {amount(int(rows.sum()), 'image')} of {amount(found, 'patient')}: "
                f"at least {_FEWEST} patients are needed",
                "take more patients, or another concept",
            )


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
