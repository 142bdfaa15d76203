"""Rank reorder."""

from __future__ import annotations

import math

import pydantic
import torch

import mcd
from mcd_plugins.scorers.columns import refuse_unpaired

__all__ = ["RankReorder"]

_CHUNK = 2**20
"""Numbers that one chunk of neurons × concepts × top images gathers: 4 MiB, and some eight times that to sort."""

_LEAST = 3
"""Top images there must be: two can hardly be in a wrong order."""


class RankReorder(mcd.Scorer):
    """How well a concept puts a neuron's top images into the order that the neuron puts them into.

    For the top n = int(top_fraction · images) images, with activations t_1 ≥ … ≥ t_n, and a_c(i) the activation
    that image i would have if the concept's similarity decided the order::

        S[c] = - (mean |t_i - a_c(i)|^p / B) / (mean of P[i, c] over the top images)^scale_p
        B    = (1/n²) Σ_ij |t_i - t_j|^p

    B is what a random order gives. The published code estimates it with five permutations from the global
    generator; this is its exact expectation, one positive number a neuron, so the order of a neuron's concepts is
    the same. Equal similarities keep the order of the neuron's ranking, as in the released code with a stable sort.

    No score (NaN): a concept whose mean similarity is not positive (its power is not a number; ``scale_p=0`` needs
    none), and a neuron whose top images all activate it alike. Source: Oikarinen & Weng, CLIP-Dissect, ICLR 2023
    (arXiv 2204.10965), and the released code.

    0 at best, higher is better; neither the scale nor the offset of the activations matters. Not comparable across
    layers: what a wrong order costs follows how the top activations are spread. B takes n² steps a neuron.

    Examples
    --------
    The first concept orders the images as the neuron does, the second the other way round.

    >>> scorer = RankReorder(RankReorder.Options(top_fraction=1))
    >>> concepts = torch.tensor([[0.3, 0.1], [0.2, 0.2], [0.1, 0.3]])
    >>> scorer.score(torch.tensor([[3.0], [2.0], [1.0]]), concepts).argmax(dim=1)
    tensor([0])
    """

    class Options(mcd.Options):
        """Settings of rank reorder."""

        top_fraction: float = pydantic.Field(default=0.05, gt=0, le=1, description="share of the images that counts")
        p: float = pydantic.Field(default=3.0, gt=0, allow_inf_nan=False, description="power of the differences")
        scale_p: float = pydantic.Field(
            default=0.5, ge=0, allow_inf_nan=False, description="power of the mean similarity; 0 leaves it out"
        )

    options: Options
    name = "rank-reorder"
    pairwise = True
    score_range = (float("-inf"), 0.0)

    def check(self, images: int) -> None:
        """Refuse a probe set of which fewer than 3 images would count."""
        counted = int(self.options.top_fraction * images)
        if counted >= _LEAST:
            return
        what = f"{self.name} orders the top {self.options.top_fraction:g} of {images} images, which are {counted}; "
        enough = math.ceil(_LEAST / images * 1000) / 1000 if images >= _LEAST else None  # rounded up: down, one is lost
        raise mcd.errors.DataError(
            f"{what}{_LEAST} are needed",
            f"use more images, or --scorer-arg top_fraction={enough:g}" if enough else "use more images",
        )

    def score(self, activations: torch.Tensor, similarity: torch.Tensor) -> torch.Tensor:
        """Return the scores ``(neurons, concepts)``."""
        refuse_unpaired(activations, similarity)
        self.check(len(activations))
        count = int(self.options.top_fraction * len(activations))
        concepts = similarity.T.contiguous()
        width = max(1, min(len(concepts), _CHUNK // count))
        step = max(1, _CHUNK // (count * width))
        return torch.cat(
            [
                self._neurons(part, mcd.ordered_top_k(part, count), torch.split(concepts, width))
                for part in torch.split(activations, step, dim=1)
            ]
        )

    def _neurons(
        self, activations: torch.Tensor, ranked: torch.Tensor, concepts: tuple[torch.Tensor, ...]
    ) -> torch.Tensor:
        top = activations.gather(0, ranked)
        # The score does not change with scale and offset; from 0 to 1, no power leaves the range of float32.
        # Equal tops are 0/0: NaN, as is everything computed from them.
        heights = ((top - top[-1]) / (top[0] - top[-1])).T  # neurons × top images
        baseline = self._random_order(heights)
        return torch.cat([self._scores(heights, baseline, part[:, ranked.T]) for part in concepts], dim=1)

    def _random_order(self, heights: torch.Tensor) -> torch.Tensor:
        """Return B ``(neurons,)``: pairs by distance in the ranking, so that memory stays that of the heights."""
        neurons, count = heights.shape
        total = heights.new_zeros(neurons)
        for apart in range(1, count):
            total += (heights[:, :-apart] - heights[:, apart:]).pow(self.options.p).sum(dim=1)
        return 2 * total / count**2

    def _scores(self, heights: torch.Tensor, baseline: torch.Tensor, gathered: torch.Tensor) -> torch.Tensor:
        """Return ``(neurons, concepts)``, given P of the top images ``(concepts, neurons, top images)``."""
        order = gathered.argsort(dim=2, stable=True)
        # Compared in the concept's order instead of the neuron's: the same pairs, and one sort less.
        own = heights.expand_as(order).gather(2, order)
        error = (own - heights.flip(1)).abs().pow(self.options.p).mean(dim=2)
        mean = gathered.mean(dim=2)
        scores = -(error / baseline) / mean.pow(self.options.scale_p)
        undefined = ~(mean > 0) if self.options.scale_p else mean.isnan()
        return scores.masked_fill(undefined, float("nan")).T
