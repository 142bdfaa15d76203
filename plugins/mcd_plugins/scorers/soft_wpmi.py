"""Soft WPMI."""

from __future__ import annotations

import math

import pydantic
import torch

from mcd_plugins.scorers.evidence import EvidenceScorer, Lam, MinProb, Prior, Temperature, TopK

__all__ = ["SoftWPMI"]

_CHUNK = 2**18
"""Floats that one chunk of neurons gathers: 1 MiB, worked on in place, so that the steps on it stay in the cache."""

_FACTORS = 10
_SMALLEST = -80.0
"""Logarithm of the smallest product: float32 holds exp(-87) in full."""


class SoftWPMI(EvidenceScorer):
    """Soft weighted pointwise mutual information, the default of the published code.

    With Q = softmax over concepts of a·P, and the neuron's top images i_1 … i_k in order::

        L[c] = Σ_r log(1 + p_r (Q[i_r, c] - 1) + ε),   p_r = p_start - (r-1)/k · (p_start - p_end)
        S    = L - λ · log mean over the layer's neurons of exp L

    p_r is the chance that the image at rank r belongs to what the neuron stands for. Source: Oikarinen & Weng,
    CLIP-Dissect, ICLR 2023 (arXiv 2204.10965), SoftWPMI; the order of operations is that of the released code.

    Higher is better. Not bounded. With ``prior=layer``, as published, not comparable across layers or models: the
    prior is over the neurons scored together. ``prior=null`` takes it over random top images instead, which no layer
    decides. Either way the level follows the spread of the dissector's cosines and the number of concepts. Only the
    order of the top images counts, not how strongly they activate.

    Examples
    --------
    Two neurons that prefer one image each; each is named by the concept of its image.

    >>> scorer = SoftWPMI(SoftWPMI.Options(top_k=1))
    >>> scorer.score(torch.eye(2), torch.eye(2)).argmax(dim=1)
    tensor([0, 1])
    """

    class Options(EvidenceScorer.Options):
        """Settings of soft WPMI."""

        top_k: TopK = 100
        temperature: Temperature = 10.0
        lam: Lam = 1.0
        p_start: float = pydantic.Field(default=0.998, gt=0, lt=1, description="membership of the first image")
        p_end: float = pydantic.Field(
            default=0.97, gt=0, lt=1, description="membership the last one tends to, at most p_start"
        )
        min_prob: MinProb = 1e-7
        prior: Prior = "layer"

        @pydantic.model_validator(mode="after")
        def _membership_falls(self) -> SoftWPMI.Options:
            if self.p_end > self.p_start:
                raise ValueError(f"p_end {self.p_end:g} is above p_start {self.p_start:g}: a later image counts less")
            return self

    options: Options
    name = "soft-wpmi"

    def summed(self, ranked: torch.Tensor, probability: torch.Tensor) -> torch.Tensor:
        """Return L, with one logarithm for every few factors: their product first, while float32 holds it."""
        own = self.options
        count, concepts = len(ranked), probability.shape[1]
        deviation = probability.sub_(1)  # in this order as published: it decides the last digits near the floor
        rank = torch.arange(count, dtype=deviation.dtype, device=deviation.device)
        membership = (own.p_start - rank / count * (own.p_start - own.p_end))[:, None]
        group = _group(1 - own.p_start + own.min_prob, count)
        whole = count - count % group
        total = deviation.new_empty(ranked.shape[1], concepts)
        step = max(1, _CHUNK // max(1, count * concepts))
        buffer = deviation.new_empty(step * count, concepts)
        for images, sums in zip(torch.split(ranked.T.contiguous(), step), torch.split(total, step), strict=True):
            taken = buffer[: images.numel()]
            torch.index_select(deviation, 0, images.reshape(-1), out=taken)
            factors = taken.view(len(images), count, concepts).mul_(membership).add_(1).add_(own.min_prob)
            # Factors that are multiplied lie `whole // group` ranks apart, so that each step runs over whole rows.
            parts = factors[:, :whole].view(len(images), group, -1, concepts)
            product = parts[:, 0]
            for part in range(1, group):
                product.mul_(parts[:, part])
            torch.sum(product.log_(), dim=1, out=sums)
            if whole < count:
                sums += factors[:, whole:].log_().sum(dim=1)
        return total


def _group(smallest: float, count: int) -> int:
    """Return how many factors, each at least ``smallest``, may be multiplied before float32 loses them."""
    fitting = int(_SMALLEST / min(math.log(smallest), -1e-9))
    return max(1, min(_FACTORS, fitting, count))
