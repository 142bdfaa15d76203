"""What would come out with other patients: the same neurons under resampled probe sets."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import sqrt
from statistics import NormalDist
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray

from mcd.api.scorer import Scorer, TopKScorer
from mcd.comparison.outcomes import NOTHING, Codes
from mcd.scoring.calibration.judging import Judged
from mcd.scoring.calibration.permutation import PermutationUnits, Rows, Unit
from mcd.scoring.scores import all_scores, best, evidence, neuron_states, null_evidence
from mcd.scoring.similarity import FLOATS, Matrix, Similarity

__all__ = ["Interval", "Ordered", "Replicated", "Resampler", "Resamples", "critical_z", "interval"]

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
        owner = PermutationUnits.of(patients, unit).patient
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
class Replicated:
    """The first labels of one layer under resamples.

    Parameters
    ----------
    concept
        ``(resamples, neurons)``: number of the first concept where it is significant, `NOTHING` for all others.
    z
        ``(resamples, neurons)``: of the first concept, significant or not; NaN where there is none.
    factor
        See `Resamples.factor`.
    """

    concept: Codes
    z: Values
    factor: float


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
) -> Interval:
    """Return the interval of an estimate ``(…)`` from its value under resamples ``(resamples, …)``.

    It is the estimate and so many standard deviations of the resampled values to each side. They tell how far the
    estimate varies, not where it lies: with fewer patients fewer neurons are significant. What this covers was
    measured, see docs/explanation/comparing.md.

    Parameters
    ----------
    factor
        See `Resamples.factor`.
    """
    known = ~np.isnan(replicated)
    count = np.maximum(known.sum(axis=0), 1)
    mean = np.where(known, replicated, 0).sum(axis=0) / count
    square = np.where(known, replicated - mean, 0) ** 2
    deviation = factor * np.sqrt(square.sum(axis=0) / np.maximum(count - 1, 1))
    reach = NormalDist().inv_cdf((1 + level) / 2) * deviation
    return Interval(np.clip(estimate - reach, *bounds), np.clip(estimate + reach, *bounds))


class Resampler:
    """Labels neurons anew under resamples, against the nulls of the run as it is.

    Parameters
    ----------
    scorer, similarity
        As the run was labelled with.
    resamples
        The probe sets.
    """

    def __init__(self, scorer: Scorer, similarity: Similarity, resamples: Resamples) -> None:
        self._scorer, self._resamples = scorer, resamples
        fits = similarity.images * similarity.concepts <= FLOATS
        held = scorer.needs == "similarity" and fits  # cosines are then computed once, not once a resample
        self._similarity = Matrix(similarity.whole()) if held else similarity
        self._null_evidence: torch.Tensor | None = None

    def replicate(self, activations: torch.Tensor, live: Sequence[int], judged: Judged, critical: Values) -> Replicated:
        """Return the first labels of a layer under every resample.

        Parameters
        ----------
        activations
            A, ``(images, neurons)`` float32.
        live
            Numbers of the neurons that respond; all others have no label in any resample.
        judged
            Of these, as the run is: its null and their strata stay.
        critical
            ``(live neurons,)``: the z that must be passed.
        """
        count, neurons = len(self._resamples.weights), activations.shape[1]
        concept = np.full((count, neurons), NOTHING, dtype=np.int64)
        z = np.full((count, neurons), np.nan)
        if live:
            responding = activations[:, list(live)]
            measure = self._measure(responding)
            stratum = torch.from_numpy(judged.stratum)
            for number, weights in enumerate(self._resamples.weights):
                first, measured = measure(weights)
                found = judged.null.z(measured.gather(1, first), first, stratum)[:, 0].double().numpy()
                z[number, live] = found
                concept[number, live] = np.where(found > critical, first[:, 0].numpy(), NOTHING)
        return Replicated(concept, z, self._resamples.factor(self._scorer.null))

    def _measure(self, activations: torch.Tensor) -> Callable[[Rows], tuple[torch.Tensor, torch.Tensor]]:
        """Return what gives, for weights, each neuron's first concept and what is measured of all, best the highest."""
        scorer = self._scorer
        if not isinstance(scorer, TopKScorer):
            return lambda weights: self._whole(activations, weights)
        order = Ordered.of(activations, scorer)

        def ranked(weights: Rows) -> tuple[torch.Tensor, torch.Tensor]:
            measured = evidence(scorer, order.top(weights), self._similarity)
            scores = scorer.scores(measured, scorer.context(measured, self._unconditional))
            higher = scorer.higher_is_better
            return best(scores, 1, higher_is_better=higher), measured if higher else -measured

        return ranked

    def _unconditional(self) -> torch.Tensor:
        if self._null_evidence is None:
            assert isinstance(self._scorer, TopKScorer)
            self._null_evidence = null_evidence(self._scorer, self._similarity)
        return self._null_evidence

    def _whole(self, activations: torch.Tensor, weights: Rows) -> tuple[torch.Tensor, torch.Tensor]:
        chosen = np.repeat(np.arange(len(weights)), weights)
        rows, sample = torch.from_numpy(chosen), activations[chosen]
        scorer = self._scorer
        scorer = scorer if scorer.ties is None else scorer.breaking_ties(scorer.ties.among(chosen))
        live = [at for at, state in enumerate(neuron_states(sample)) if state == "live"]
        measured = torch.full((activations.shape[1], self._similarity.concepts), float("nan"))
        if live:
            measured[live] = all_scores(scorer, sample[:, live], Matrix(self._similarity.of(rows)))
        higher = self._scorer.higher_is_better
        return best(measured, 1, higher_is_better=higher), measured if higher else -measured


@dataclass(frozen=True)
class Ordered:
    """Images of a layer by activation, so that the top of any resample is read off and not sorted again.

    Parameters
    ----------
    order
        ``(neurons, images)``: row numbers, largest activation first.
    k
        How many images a neuron is seen through.
    """

    order: Rows
    k: int

    @classmethod
    def of(cls, activations: torch.Tensor, scorer: TopKScorer) -> Ordered:
        """Sort the images of every neuron, given A ``(images, neurons)``; ties as the scorer breaks them."""
        return cls(scorer.top_images(activations, len(activations)).T.numpy(), scorer.top_k)

    def top(self, weights: Rows) -> torch.Tensor:
        """Return the top ``k`` of a resample, ``(k, neurons)``, given weights ``(images,)``, 1 or 0."""
        depth = min(self.order.shape[1], 3 * self.k)  # deep enough for almost any resample
        while True:
            ahead = self.order[:, :depth]
            there = weights[ahead]
            reached = there.cumsum(axis=1)
            if depth == self.order.shape[1] or int(reached[:, -1].min()) >= self.k:
                break
            depth = min(self.order.shape[1], 2 * depth)
        taken = (there > 0) & (reached <= self.k)
        return torch.from_numpy(ahead[taken].reshape(len(ahead), self.k).T.copy())


def critical_z(judged: Judged, rate: float, factor: float = 1.0) -> Values:
    """Return the z that one more neuron must exceed to be significant, ``(neurons,)``.

    With R discoveries among m neurons, the next needs ``p ≤ rate · (R + 1) / (factor · m)``: no neuron lies between
    the last discovery and that, or the procedure of Benjamini & Hochberg would have discovered it. Unlike the p of the
    last discovery, it exists where nothing was discovered. Where the draws do not reach as far as that, all of them
    must be passed.

    Parameters
    ----------
    factor
        What the correction multiplies p with; see `mcd.scoring.calibration.fdr.QValues`.
    """
    neurons = int((~np.isnan(judged.p[:, 0])).sum())
    threshold = rate * (judged.significant + 1) / (factor * max(1, neurons))
    highest = [one[-1] if len(one) else -np.inf for one in judged.null.highest]  # empty: no such neuron
    needed = judged.null.critical(threshold)
    found: Values = np.where(np.isinf(needed), highest, needed)[judged.stratum]
    return found
