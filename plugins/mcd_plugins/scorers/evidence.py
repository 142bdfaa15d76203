"""What soft-WPMI and WPMI share: evidence summed over a neuron's top images, less the layer's prior."""

from __future__ import annotations

import abc
import math
from collections.abc import Callable
from typing import Annotated, Literal

import pydantic
import torch

import mcd
from mcd_plugins.scorers.columns import refuse_unpaired, responds

__all__ = ["EvidenceScorer", "Lam", "MinProb", "Prior", "Temperature", "TopK"]

TopK = Annotated[int, pydantic.Field(ge=1, description="how many top images a neuron is seen through")]
Chance = Callable[[], torch.Tensor]
Temperature = Annotated[
    float, pydantic.Field(gt=0, allow_inf_nan=False, description="a, sharpness of the softmax over concepts")
]
Lam = Annotated[float, pydantic.Field(ge=0, allow_inf_nan=False, description="λ, weight of the prior")]
MinProb = Annotated[float, pydantic.Field(gt=0, lt=1, description="ε, keeps the logarithm finite")]
Prior = Annotated[
    Literal["layer", "null"],
    pydantic.Field(
        description="what the evidence is seen against: the mean over the layer's neurons (as published), or over "
        "random top images, which makes scores independent of the layer's width and comparable across layers and models"
    ),
]


class EvidenceScorer(mcd.TopKScorer):
    """Base of scorers ``S = L - λ · log mean exp L``, the mean over the layer's neurons or over random ones.

    L ``(neurons, concepts)`` is evidence summed over a neuron's top images.
    """

    class Options(mcd.Options):
        """Settings that both have; each gives them its published defaults."""

        top_k: TopK
        temperature: Temperature
        lam: Lam
        min_prob: MinProb = 1e-7
        prior: Prior = "layer"

    options: Options

    def __init__(self, options: mcd.Options | None = None) -> None:
        super().__init__(options)
        self.comparable_across_layers = self.options.prior == "null"

    @property
    def top_k(self) -> int:
        """How many images a neuron is seen through."""
        return self.options.top_k

    def unlabelled(self, neurons: int) -> str:
        """Refuse a one-neuron layer: it is its own prior, which takes all evidence away when λ is 1."""
        if neurons == 1 and self.options.lam >= 1 and self.options.prior == "layer":
            return (
                f"{self.name} compares a neuron with the others of its layer, and there is only one; use "
                "--scorer-arg prior=null, another scorer, or --scorer-arg lam=0.5 (any value below 1)"
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

    def evidence(self, ranked: torch.Tensor, similarity: torch.Tensor) -> torch.Tensor:
        """Return L."""
        if len(ranked) != self.top_k:
            raise ValueError(f"{len(ranked)} ranks given, top_k is {self.top_k}")
        return self.summed(ranked, torch.softmax(self.options.temperature * similarity, dim=1))

    @abc.abstractmethod
    def summed(self, ranked: torch.Tensor, probability: torch.Tensor) -> torch.Tensor:
        """Return L ``(neurons, concepts)``.

        Parameters
        ----------
        ranked
            ``(top_k, neurons)``: rows of ``probability``, best first.
        probability
            Q, ``(images, concepts)`` float32; may be overwritten.
        """

    def context(self, evidence: torch.Tensor, chance: Chance) -> torch.Tensor:
        """Return the prior: log mean exp L over the layer, or over rankings drawn at random."""
        return _log_mean_exp(chance() if self.options.prior == "null" else evidence)

    def scores(self, evidence: torch.Tensor, context: torch.Tensor) -> torch.Tensor:
        """Return ``L - λ · prior``."""
        return evidence - self.options.lam * context


def _log_mean_exp(evidence: torch.Tensor) -> torch.Tensor:
    # max(1, …): a layer without neurons has an empty table, not an error
    return torch.logsumexp(evidence, dim=0) - math.log(max(1, len(evidence)))
