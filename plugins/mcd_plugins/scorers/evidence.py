"""What soft-WPMI and WPMI share: evidence summed over a neuron's top images, less a prior."""

from __future__ import annotations

import abc
import math
from collections.abc import Callable
from typing import Annotated, Literal

import pydantic
import torch

import mcd
from mcd.plugins import made_of
from mcd_plugins.scorers.columns import refuse_unpaired, responds

__all__ = ["EvidenceScorer", "Factor", "Lam", "MinProb", "Prior", "Temperature", "TopK"]

_CHUNK = 2**18
"""Floats that are worked on at once: 1 MiB, so that all steps on them find them in the cache."""

_FACTORS = 10
_SMALLEST = -80.0
"""Logarithm of the smallest product: float32 holds exp(-87) in full."""

TopK = Annotated[int, pydantic.Field(ge=1, le=1_000_000, description="how many top images a neuron is seen through")]
Chance = Callable[[], torch.Tensor]
Factor = Callable[[torch.Tensor, int], torch.Tensor]
Temperature = Annotated[float, pydantic.Field(gt=0, le=1e6, description="a, sharpness of the softmax over concepts")]
Lam = Annotated[float, pydantic.Field(ge=0, le=1e6, description="λ, weight of the prior")]
MinProb = Annotated[float, pydantic.Field(gt=0, lt=1, description="ε, keeps the logarithm finite")]
Prior = Annotated[
    Literal["layer", "null"],
    pydantic.Field(
        description="what the evidence is seen against: `null`, random top images, which makes scores independent of "
        "the layer's other neurons and comparable across layers and models, or `layer`, the mean over the layer's "
        "neurons (CLIP-Dissect, as published)"
    ),
]


class EvidenceScorer(mcd.TopKScorer):
    """Base of scorers ``S = L - λ · log mean exp L``, the mean over random rankings or the layer's neurons.

    L ``(neurons, concepts)`` is evidence summed over a neuron's top images: the logarithm of a factor for each.
    """

    class Options(mcd.Options):
        """Settings that both have; each gives them its published defaults, but for the prior."""

        top_k: TopK
        temperature: Temperature
        lam: Lam
        min_prob: MinProb = 1e-7
        prior: Prior = "null"

    options: Options

    def __init__(self, options: mcd.Options | None = None) -> None:
        super().__init__(options)
        self.comparable_across_layers = self.options.prior == "null"

    @property
    def top_k(self) -> int:
        """How many images a neuron is seen through."""
        return self.options.top_k

    def layer_problem(self, neurons: int) -> str:
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
        if len(live) and not self.layer_problem(len(live)):
            responding = activations if len(live) == activations.shape[1] else activations[:, live]
            scores[live] = self.score_ranked(self.top_images(responding, self.top_k), similarity)
        return scores

    def evidence(self, ranked: torch.Tensor, similarity: torch.Tensor) -> torch.Tensor:
        """Return L."""
        if len(ranked) != self.top_k:
            raise ValueError(f"{len(ranked)} ranks given, top_k is {self.top_k}")
        table = made_of(similarity, (type(self), self.options), lambda: self._table(similarity))
        return sum_of_logs(table, ranked, self.factor(), self.smallest)

    def _table(self, similarity: torch.Tensor) -> torch.Tensor:
        """Return Q as `prepared`; images by as many as the cache holds."""
        table = torch.empty_like(similarity)
        step = max(1, _CHUNK // max(1, similarity.shape[1]))
        for part, into in zip(torch.split(similarity, step), torch.split(table, step), strict=True):
            self.prepared(torch.softmax(part * self.options.temperature, dim=1, out=into))
        return table

    @property
    @abc.abstractmethod
    def smallest(self) -> float:
        """The smallest factor there can be, above 0; the largest is about 1."""

    @abc.abstractmethod
    def prepared(self, probability: torch.Tensor) -> torch.Tensor:
        """Turn Q ``(some images, concepts)`` float32 in place into what `factor` takes."""

    @abc.abstractmethod
    def factor(self) -> Factor:
        """Return what turns rows of the prepared Q, one a neuron, in place into factors of exp L, given their rank."""

    def context(self, evidence: torch.Tensor, chance: Chance) -> torch.Tensor:
        """Return the prior: log mean exp L over the layer, or over rankings drawn at random."""
        return _log_mean_exp(chance() if self.options.prior == "null" else evidence)

    def scores(self, evidence: torch.Tensor, context: torch.Tensor) -> torch.Tensor:
        """Return ``L - λ · prior``."""
        return evidence - self.options.lam * context


def sum_of_logs(table: torch.Tensor, ranked: torch.Tensor, factor: Factor, smallest: float) -> torch.Tensor:
    """Return ``Σ_r log factor(table[i_r], r)`` over the ranks r of each neuron, ``(neurons, concepts)`` float32.

    A rank at a time for as many neurons as the cache holds, so that each step is one simple pass over whole rows; and
    one logarithm for several ranks, their product first, as many as float32 holds.

    Parameters
    ----------
    table
        ``(images, concepts)`` float32.
    ranked
        ``(top_k, neurons)``: rows of it, best first.
    factor
        Turns rows of the table into factors for a rank, in place: from ``smallest`` to about 1.
    """
    count, concepts = len(ranked), table.shape[1]
    group = _group(smallest, count)
    total = table.new_zeros(ranked.shape[1], concepts)
    step = max(1, _CHUNK // max(1, concepts))
    product, other = table.new_empty(2, step, concepts)
    for images, sums in zip(torch.split(ranked, step, dim=1), torch.split(total, step), strict=True):
        rows, mine, more = images.contiguous(), product[: len(sums)], other[: len(sums)]
        for start in range(0, count, group):
            factor(torch.index_select(table, 0, rows[start], out=mine), start)
            for rank in range(start + 1, min(start + group, count)):
                mine.mul_(factor(torch.index_select(table, 0, rows[rank], out=more), rank))
            sums += mine.log_()
    return total


def _group(smallest: float, count: int) -> int:
    """Return how many factors, each at least ``smallest``, may be multiplied before float32 loses them."""
    fitting = int(_SMALLEST / min(math.log(smallest), -1e-9))
    return max(1, min(_FACTORS, fitting, count))


def _log_mean_exp(evidence: torch.Tensor) -> torch.Tensor:
    # max(1, …): a layer without neurons has an empty table, not an error
    return torch.logsumexp(evidence, dim=0) - math.log(max(1, len(evidence)))
