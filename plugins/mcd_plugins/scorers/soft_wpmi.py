"""Soft WPMI."""

from __future__ import annotations

import pydantic
import torch

from mcd_plugins.scorers.evidence import EvidenceScorer, Factor, Lam, MinProb, Prior, Temperature, TopK

__all__ = ["SoftWPMI"]


class SoftWPMI(EvidenceScorer):
    """Soft weighted pointwise mutual information, the default of the published code.

    With Q = softmax over concepts of a·P, and the neuron's top images i_1 … i_k in order::

        L[c] = Σ_r log(1 + p_r (Q[i_r, c] - 1) + ε),   p_r = p_start - (r-1)/k · (p_start - p_end)
        S    = L - λ · log mean over rankings of exp L

    p_r is the chance that the image at rank r belongs to what the neuron stands for. Source: Oikarinen & Weng,
    CLIP-Dissect, ICLR 2023 (arXiv 2204.10965), SoftWPMI; the order of operations is that of the released code.

    The rankings are 1,000 random ones. With ``prior=layer`` they are those of the layer's neurons, as published: a
    concept that many of them share is taken away from all, scores are not comparable across layers or models, and
    fewer neurons get their own concept (benchmarks/calibration.md).

    Higher is better. Not bounded. Either way the level follows the spread of the dissector's cosines and the number of
    concepts. Only the order of the top images counts, not how strongly they activate.

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
        prior: Prior = "null"

        @pydantic.model_validator(mode="after")
        def _membership_falls(self) -> SoftWPMI.Options:
            if self.p_end > self.p_start:
                raise ValueError(f"p_end {self.p_end:g} is above p_start {self.p_start:g}: a later image counts less")
            return self

    options: Options
    name = "soft-wpmi"

    @property
    def smallest(self) -> float:
        """That of a concept that the first image does not show."""
        return 1 - self.options.p_start + self.options.min_prob

    def prepared(self, probability: torch.Tensor) -> torch.Tensor:
        """Return Q - 1."""
        return probability.sub_(1)

    def factor(self) -> Factor:
        """Return ``1 + p (Q - 1) + ε``, in the order that is published: it decides the last digits near the floor."""
        own = self.options
        rank = torch.arange(own.top_k, dtype=torch.float32)
        membership = (own.p_start - rank / own.top_k * (own.p_start - own.p_end)).tolist()
        return lambda rows, rank: rows.mul_(membership[rank]).add_(1).add_(own.min_prob)
