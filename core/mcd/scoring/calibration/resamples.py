"""Probe sets as they might have been, with other patients, and the intervals that follow from them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import sqrt
from statistics import NormalDist
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from mcd.scoring.calibration.permutation import PermutationUnits, Rows, Unit

__all__ = ["SHARE", "Interval", "Resamples", "interval"]

Values = NDArray[np.float64]

SHARE = 0.632
"""Share of the patients in a resample: as many as different ones are in a bootstrap sample, each once."""


@dataclass(frozen=True)
class Resamples:
    """Probe sets as they might have been: some of the patients, none of them twice.

    Parameters
    ----------
    weights
        ``(resamples, images)``: 1 where the image is in the resample, 0 where it is not.
    unit
        What was drawn: patients with all their images, or images where no patient is known.
    drawn
        The share of them in each resample.
    """

    weights: Rows
    unit: Unit
    drawn: float

    @classmethod
    def draw(cls, patients: Sequence[str], count: int, seed: int) -> Resamples:
        """Draw `SHARE` of the patients, ``count`` times; an image without a known patient is a unit of its own."""
        unit: Unit = "patient" if any(patients) else "image"
        return cls.of(PermutationUnits.of(patients, unit), unit, count, seed)

    @classmethod
    def of(cls, units: PermutationUnits, unit: Unit, count: int, seed: int) -> Resamples:
        """Draw `SHARE` of some units, ``count`` times; ``unit`` says what they are."""
        owner = units.patient
        rng = np.random.default_rng(np.random.SeedSequence([seed, len(owner)]))
        people = int(owner.max(initial=-1)) + 1
        some = min(max(1, round(SHARE * people)), people - 1)
        chosen = np.zeros((count, people), dtype=np.int64)
        for one in chosen:
            one[rng.choice(people, some, replace=False)] = 1
        return cls(chosen[:, owner], unit, some / people)

    @property
    def fewest(self) -> int:
        """How many images the smallest resample has."""
        return int(self.weights.sum(axis=1).min())

    def factor(self, null: Literal["top-k", "permutation"]) -> float:
        """Return what turns deviations under resamples into those of whole probe sets.

        A resample of m of n shares with the whole what it does not vary in. A mean of all images then varies by
        ``σ² (1/m - 1/n)`` where it should by ``σ²/n``; a sum over k top images, which are k of the top ``k n/m`` of
        the whole, by ``k σ² (1 - m/n)`` where it should by ``k σ²``. Source of the first: Politis, Romano & Wolf
        1999, Subsampling, section 2.
        """
        shared = 1.0 if null == "top-k" else self.drawn
        return sqrt(shared / (1 - self.drawn))


@dataclass(frozen=True)
class Interval:
    """Bounds of an estimate, shaped as it is."""

    low: Values
    high: Values


def interval(
    estimate: Values,
    replicated: Values,
    factor: float,
    bounds: tuple[float, float] = (-np.inf, np.inf),
    level: float = 0.95,
    *,
    besides: float = 0.0,
) -> Interval:
    """Return the interval of an estimate ``(…)`` from its value under resamples ``(resamples, …)``.

    It is the estimate and so many standard deviations of the resampled values to each side. They tell how far the
    estimate varies, not where it lies: with fewer patients fewer neurons are significant. What this covers was
    measured, see docs/explanation/comparing.md.

    Parameters
    ----------
    factor
        See `Resamples.factor`.
    besides
        Variance of the estimate that does not come of patients.
    """
    known = ~np.isnan(replicated)
    count = np.maximum(known.sum(axis=0), 1)
    mean = np.where(known, replicated, 0).sum(axis=0) / count
    square = np.where(known, replicated - mean, 0) ** 2
    deviation = np.hypot(factor * np.sqrt(square.sum(axis=0) / np.maximum(count - 1, 1)), besides**0.5)
    reach = NormalDist().inv_cdf((1 + level) / 2) * deviation
    return Interval(np.clip(estimate - reach, *bounds), np.clip(estimate + reach, *bounds))
