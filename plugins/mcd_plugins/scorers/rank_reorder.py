"""Rank reorder."""

from __future__ import annotations

import math
from concurrent.futures import ThreadPoolExecutor
from itertools import product

import pydantic
import torch

import mcd
from mcd_plugins.scorers.columns import refuse_unpaired

__all__ = ["RankReorder"]

_CHUNK = 2**16
"""Numbers that one chunk of neurons × concepts × top images has: 512 KiB to sort, which the cache holds."""

_GROUP = 2**22
"""Numbers that a group of neurons × top images has: 32 MiB of their row numbers."""

_BINOMIAL = 8
"""Powers up to which the binomial's terms cancel to what float64 holds."""

_PLACE = 2**32
_SIGN = 2**31 - 1

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
    layers: what a wrong order costs follows how the top activations are spread. B takes n² steps a neuron where p is no
    whole number up to 8.

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
        p: float = pydantic.Field(default=3.0, gt=0, le=100, description="power of the differences")
        scale_p: float = pydantic.Field(
            default=0.5, ge=0, le=100, description="power of the mean similarity; 0 leaves it out"
        )

    options: Options
    name = "rank-reorder"
    depends_on = "pair"
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
        groups = torch.split(activations, max(1, _GROUP // count), dim=1)
        with ThreadPoolExecutor(torch.get_num_threads()) as pool:
            return torch.cat([self._neurons(part, self.top_images(part, count), similarity, pool) for part in groups])

    def _neurons(
        self, activations: torch.Tensor, ranked: torch.Tensor, similarity: torch.Tensor, pool: ThreadPoolExecutor
    ) -> torch.Tensor:
        top = activations.gather(0, ranked)
        # The score does not change with scale and offset; from 0 to 1, no power leaves the range of float32.
        # Equal tops are 0/0: NaN, as is everything computed from them.
        heights = ((top - top[-1]) / (top[0] - top[-1])).T.contiguous()  # neurons × top images
        baseline, images = self._random_order(heights)[:, None], ranked.T.contiguous()
        scores = similarity.new_empty(len(images), similarity.shape[1])
        width = max(1, min(similarity.shape[1], _CHUNK // len(ranked)))
        step = max(1, _CHUNK // (len(ranked) * width))

        def fill(neurons: slice, concepts: slice) -> None:
            with torch.inference_mode():  # threads do not take over the mode of their caller
                rows = images[neurons]
                shown = similarity[:, concepts].index_select(0, rows.reshape(-1)).view(*rows.shape, -1)
                scores[neurons, concepts] = self._scores(heights[neurons], baseline[neurons], shown)

        neurons = [slice(start, start + step) for start in range(0, len(images), step)]
        concepts = [slice(start, start + width) for start in range(0, similarity.shape[1], width)]
        # A chunk a thread: operations of torch that share one out among threads would wait for each other.
        each = map if len(neurons) == len(concepts) == 1 else pool.map
        list(each(fill, *zip(*product(neurons, concepts), strict=True)))
        return scores

    def _random_order(self, heights: torch.Tensor) -> torch.Tensor:
        """Return B ``(neurons,)``; heights fall along each row.

        For a whole power the binomial of ``(t_i - t_j)^p``, summed over all pairs at once; for others pair by pair.
        """
        count, power = heights.shape[1], self.options.p
        if power > _BINOMIAL or not power.is_integer():
            return 2 * _pairwise(heights, power) / count**2
        exact = heights.double()  # the terms cancel
        total = torch.zeros_like(exact)
        for taken in range(int(power) + 1):
            later = exact.pow(taken).flip(1).cumsum(1).flip(1)  # over all j from i on; j = i adds nothing in the end
            total += (-1) ** taken * math.comb(int(power), taken) * exact.pow(power - taken) * later
        return (2 * total.sum(dim=1) / count**2).float()

    def _scores(self, heights: torch.Tensor, baseline: torch.Tensor, shown: torch.Tensor) -> torch.Tensor:
        """Return ``(neurons, concepts)``, given P of the top images ``(neurons, top images, concepts)``."""
        gathered = shown.transpose(1, 2).contiguous()
        order = _ascending(gathered)
        # Compared in the concept's order instead of the neuron's: the same pairs, and one sort less.
        own = heights.reshape(-1).index_select(0, order.view(-1)).view_as(gathered)
        error = own.sub_(heights.flip(1)[:, None]).abs_().pow_(self.options.p).mean(dim=2)
        mean = gathered.mean(dim=2)
        scores = -(error / baseline) / mean.pow(self.options.scale_p)
        undefined = ~(mean > 0) if self.options.scale_p else mean.isnan()
        return scores.masked_fill(undefined, float("nan"))


def _pairwise(heights: torch.Tensor, power: float) -> torch.Tensor:
    """Return ``Σ_{i<j} |t_i - t_j|^p`` of each row: pairs by distance, so that memory stays that of the heights."""
    total = heights.new_zeros(len(heights))
    for apart in range(1, heights.shape[1]):
        total += (heights[:, :-apart] - heights[:, apart:]).pow(power).sum(dim=1)
    return total


def _ascending(values: torch.Tensor) -> torch.Tensor:
    """Return the stable ascending order of each row, int64, as places in a table of the rows that neurons have.

    Value and place make one number each, which numpy sorts with vector instructions: several times as fast as
    ``torch.argsort``, which carries the places along.

    Parameters
    ----------
    values
        ``(neurons, concepts, n)`` float32; what is returned refers to ``(neurons, n)``.
    """
    neurons, _, count = values.shape
    bits = (values + 0.0).view(torch.int32)  # +0: there is one zero
    bits = bits ^ ((bits >> 31) & _SIGN)  # as numbers, in the order of the floats
    places = torch.arange(neurons * count, device=values.device).view(neurons, 1, count)
    keys = bits.long().mul_(_PLACE).add_(places)
    if keys.device.type == "cpu":
        keys.numpy().sort()
    else:
        keys = keys.sort(dim=2).values
    return keys.bitwise_and_(_PLACE - 1)
