"""What soft-WPMI and WPMI share: evidence summed over a neuron's top images, less the layer's prior."""

from __future__ import annotations

import abc
import math
from typing import Annotated

import pydantic
import torch

import mcd
from mcd_plugins.scorers.columns import refuse_unpaired, responds

__all__ = ["EvidenceScorer", "Lam", "MinProb", "Temperature", "TopK"]

_CHUNK = 2**20
"""Floats that one chunk of neurons gathers: 4 MiB, worked on in place, so that the steps on it stay in the cache."""

TopK = Annotated[int, pydantic.Field(ge=1, description="how many top images a neuron is seen through")]
Temperature = Annotated[
    float, pydantic.Field(gt=0, allow_inf_nan=False, description="a, sharpness of the softmax over concepts")
]
Lam = Annotated[float, pydantic.Field(ge=0, allow_inf_nan=False, description="λ, weight of the prior")]
MinProb = Annotated[float, pydantic.Field(gt=0, lt=1, description="ε, keeps the logarithm finite")]


class EvidenceScorer(mcd.TopKScorer):
    """Base of scorers ``S = L - λ · log mean over the layer's neurons of exp L``.

    L ``(neurons, concepts)`` is evidence summed over a neuron's top images; a subclass says what one image adds.
    """

    class Options(mcd.Options):
        """Settings that both have; each gives them its published defaults."""

        top_k: TopK
        temperature: Temperature
        lam: Lam
        min_prob: MinProb = 1e-7

    options: Options

    @property
    def top_k(self) -> int:
        """How many images a neuron is seen through."""
        return self.options.top_k

    @abc.abstractmethod
    def log_evidence(self, probability: torch.Tensor) -> torch.Tensor:
        """Return what each image adds to L, ``(neurons, top_k, concepts)``.

        Parameters
        ----------
        probability
            Q of the top images, ``(neurons, top_k, concepts)`` float32, best first; may be overwritten.
        """

    def unlabelled(self, neurons: int) -> str:
        """Refuse a one-neuron layer: it is its own prior, which takes all evidence away when λ is 1."""
        if neurons == 1 and self.options.lam >= 1:
            return (
                f"{self.name} compares a neuron with the others of its layer, and there is only one; use another "
                "scorer, or --scorer-arg lam=0.5 (any value below 1)"
            )
        return ""

    def score(self, activations: torch.Tensor, similarity: torch.Tensor) -> torch.Tensor:
        """Return the scores ``(neurons, concepts)``.

        The engine leaves neurons that never respond out and refuses NaN; here, such neurons are NaN and take no
        part in the prior, since any ranking of their images would be an accident.
        """
        refuse_unpaired(activations, similarity)
        self.check(len(activations))
        live = responds(activations).nonzero().flatten()
        scores = similarity.new_full((activations.shape[1], similarity.shape[1]), float("nan"))
        if len(live) and not self.unlabelled(len(live)):
            scores[live] = self.score_ranked(mcd.ordered_top_k(activations[:, live], self.top_k), similarity)
        return scores

    def score_ranked(self, ranked: torch.Tensor, similarity: torch.Tensor) -> torch.Tensor:
        """Return the scores ``(neurons, concepts)`` given ``ranked`` ``(top_k, neurons)``: row numbers, best first."""
        if len(ranked) != self.top_k:
            raise ValueError(f"{len(ranked)} ranks given, top_k is {self.top_k}")
        evidence = self._summed(ranked, torch.softmax(self.options.temperature * similarity, dim=1))
        # max(1, …): a layer without neurons has an empty table, not an error
        prior = torch.logsumexp(evidence, dim=0) - math.log(max(1, len(evidence)))
        return evidence - self.options.lam * prior

    def _summed(self, ranked: torch.Tensor, probabilities: torch.Tensor) -> torch.Tensor:
        count, concepts = len(ranked), probabilities.shape[1]
        step = max(1, _CHUNK // max(1, count * concepts))
        total = probabilities.new_empty(ranked.shape[1], concepts)
        for images, sums in zip(torch.split(ranked.T, step), torch.split(total, step), strict=True):
            gathered = probabilities.index_select(0, images.reshape(-1)).view(len(images), count, concepts)
            torch.sum(self.log_evidence(gathered), dim=1, out=sums)
        return total
