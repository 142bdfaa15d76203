"""What a concept vector is worth: its AUROC on held-out patients, and the scores of a class or a later unit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from mcd.errors import DataError
from mcd_plugins.cav.vectors import Fitter, Method, contrast

__all__ = [
    "Area",
    "area",
    "auroc",
    "check_patients",
    "folds_of",
    "held_out_area",
    "magnitude",
    "mean_sensitivity",
    "tcav",
]

Flags = NDArray[np.bool_]
Values = NDArray[np.float64]
Rows = NDArray[np.int64]

FOLDS = 5
"""Parts that patients are divided into, where there are as many."""
DRAWS = 1000
"""Resamples of patients for an interval."""
_FEWEST = 2
"""Patients with the concept, and without, that anything can be said of."""


@dataclass(frozen=True)
class Area:
    """An AUROC, its 95 % interval over patients (None where no resample has one), and how it came about."""

    value: float
    low: float | None
    high: float | None
    present: int
    absent: int
    patients: int
    folds: int
    seed: int


def auroc(scores: torch.Tensor, present: Flags) -> float:
    """Return the chance that an image with the concept scores above one without, ties a half; scores ``(n,)``.

    NaN where all images have the concept or none has it.
    """
    return float(_areas(scores.double().numpy(), present, np.ones((1, len(present))), np.zeros(len(present)))[0])


def area(
    scores: torch.Tensor, present: Flags, absent: Flags, patients: Sequence[str], seed: int, draws: int = DRAWS
) -> Area:
    """Return the AUROC of scores by a vector that was fitted on other patients.

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
    people = _numbers(patients)[known]
    check_patients(present[known], people)
    if not torch.isfinite(scores[torch.from_numpy(known)]).all():
        raise DataError("some scores are not finite", "leave out the layer, or the images that cause it")
    return _area(scores.double().numpy()[known], present[known], people, np.zeros(len(people)), seed, draws)


def held_out_area(
    features: torch.Tensor,
    present: Flags,
    absent: Flags,
    patients: Sequence[str],
    method: Method,
    seed: int,
    draws: int = DRAWS,
) -> Area:
    """Return the AUROC of vectors on patients that they were not fitted on.

    Patients are divided into five parts, or as many as there are patients with the concept or without; the images of a
    part are judged by the vector of the others. Only images of one part are compared: scores by different vectors are
    no one scale. The vector that is written is fitted on all. Vectors of K parts share patients, and resamples do not
    refit them: the interval is wider than that of resamples by √(1 + K / (K - 1)) (Nadeau & Bengio 2003, Mach. Learn.
    52, section 3).

    Parameters
    ----------
    features
        ``(n, d)``.
    method
        How vectors are fitted.

    The others, and what is raised, are as in `area`.
    """
    known = present | absent
    people, there = _numbers(patients)[known], present[known]
    own = features[torch.from_numpy(known)]
    folds = folds_of(there, people, seed)
    scores = np.zeros(len(people))
    for fold in range(int(folds.max()) + 1):
        rest = folds != fold
        fit = Fitter(own[torch.from_numpy(rest)], method)
        (vector,) = fit(contrast(there[rest], ~there[rest])[:, None])
        scores[~rest] = (own[torch.from_numpy(~rest)].double() @ vector).numpy()
    return _area(scores, there, people, folds, seed, draws)


def folds_of(present: Flags, people: Rows, seed: int) -> Rows:
    """Return the part of each image ``(n,)``, 0…4: no patient is in two, and each part has images of both states.

    Patients who have both are dealt first, then those with the concept, and those without.

    Raises
    ------
    DataError
        When fewer than two patients have the concept, or lack it.
    """
    check_patients(present, people)
    count = int(people.max()) + 1
    having = np.bincount(people, present, minlength=count) > 0
    lacking = np.bincount(people, ~present, minlength=count) > 0
    parts = min(FOLDS, int(having.sum()), int(lacking.sum()))
    place = np.full(count, -1, dtype=np.int64)
    rng = np.random.default_rng(seed)
    both, only, without = (rng.permutation(np.flatnonzero(one)) for one in (having & lacking, ~lacking, ~having))
    for own in ([*both, *only], [*both, *without]):
        place[own] = np.arange(len(own)) % parts
    found: Rows = place[people]
    return found


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


def _numbers(patients: Sequence[str]) -> Rows:
    """Return the number of each image's patient, in order of their keys; one without a key is a patient of its own."""
    keys = [f"0{one}" if one else f"1{at:09d}" for at, one in enumerate(patients)]
    return np.unique(np.array(keys), return_inverse=True)[1].astype(np.int64)


def _area(scores: Values, present: Flags, people: Rows, folds: Rows | Values, seed: int, draws: int) -> Area:
    count = int(people.max()) + 1
    times = np.random.default_rng([seed, 1]).multinomial(count, np.full(count, 1 / count), size=draws)
    weights = np.concatenate([np.ones((1, len(people))), times[:, people]])
    values = _areas(scores, present, weights, folds)
    drawn = values[1:][np.isfinite(values[1:])]
    parts, images, value = int(folds.max()) + 1, int(present.sum()), float(values[0])
    low = high = None
    if len(drawn):
        wider = np.sqrt(1 + parts / (parts - 1)) if parts > 1 else 1.0
        ends = value + wider * (np.percentile(drawn, [2.5, 97.5]) - value)
        low, high = np.clip(ends, 0.0, 1.0).tolist()
    return Area(value, low, high, images, len(present) - images, count, parts, seed)


def _areas(scores: Values, present: Flags, weights: Values, folds: Rows | Values) -> Values:
    """Return the AUROC for each row of weights ``(rows, n)``, over pairs of images of the same part."""
    above, pairs = np.zeros(len(weights)), np.zeros(len(weights))
    for fold in np.unique(folds):
        mine = folds == fold
        own, there = scores[mine], present[mine]
        order = np.argsort(own, kind="stable")
        ends = np.flatnonzero(np.append(np.diff(own[order]) != 0, True))
        weight = weights[:, mine][:, order]
        hits = np.cumsum(weight * there[order], axis=1)[:, ends]
        misses = np.cumsum(weight * ~there[order], axis=1)[:, ends]
        below = np.concatenate([np.zeros((len(weights), 1)), misses[:, :-1]], axis=1)
        above += (np.diff(hits, prepend=0.0, axis=1) * (below + misses) / 2).sum(axis=1)
        pairs += hits[:, -1] * misses[:, -1]
    with np.errstate(invalid="ignore", divide="ignore"):
        found: Values = above / pairs
    return found


def tcav(sensitivities: torch.Tensor) -> float:
    """Return the TCAV score: the share of images whose logit grows along the vector (Kim et al. 2018, equation 2).

    A sensitivity of exactly 0 counts a half, so that the opposite vector has 1 minus the score. In the paper and in
    Captum it counts as if the logit fell; where none is 0 the three are the same. NaN without images.

    Parameters
    ----------
    sensitivities
        ``(n,)``: gradient times vector.
    """
    return float(_shares(sensitivities[:, None])[0])


def _shares(sensitivities: torch.Tensor) -> torch.Tensor:
    """Return the TCAV score of each column."""
    return (torch.sign(sensitivities).double().mean(dim=0) + 1) / 2


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
