"""The first concepts of neurons under resampled probe sets, without sorting or comparing again what stays."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch

from mcd.api.scorer import Scorer, TopKScorer
from mcd.networks.foreign import calling_scorer
from mcd.scoring.calibration.permutation import Rows
from mcd.scoring.scores import all_scores, best, evidence, neuron_states, null_evidence
from mcd.scoring.similarity import FLOATS, Matrix, Similarity

__all__ = ["Ordered", "Renaming"]


class Renaming:
    """Scores neurons anew under resamples.

    Parameters
    ----------
    scorer, similarity
        As the run was labelled with.
    """

    def __init__(self, scorer: Scorer, similarity: Similarity) -> None:
        self._scorer = scorer
        fits = similarity.images * similarity.concepts <= FLOATS
        held = scorer.needs == "similarity" and fits  # cosines are then computed once, not once a resample
        self._similarity = Matrix(similarity.whole()) if held else similarity
        self._null_evidence: torch.Tensor | None = None

    def measure(self, activations: torch.Tensor) -> Callable[[Rows], tuple[torch.Tensor, torch.Tensor]]:
        """Return what gives, for weights, each neuron's first concept and what is measured of all, best the highest."""
        scorer = self._scorer
        if not isinstance(scorer, TopKScorer):
            return lambda weights: self._whole(activations, weights)
        order = Ordered.of(activations, scorer)

        def ranked(weights: Rows) -> tuple[torch.Tensor, torch.Tensor]:
            measured = evidence(scorer, order.top(weights), self._similarity)
            with calling_scorer(scorer):
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
