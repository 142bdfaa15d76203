"""WPMI."""

from __future__ import annotations

import torch

from mcd_plugins.scorers.evidence import EvidenceScorer, Factor, Lam, MinProb, Prior, Temperature, TopK

__all__ = ["WPMI"]


class WPMI(EvidenceScorer):
    """Weighted pointwise mutual information over the top images.

    With Q = softmax over concepts of a·P::

        L[c] = Σ over the top k images of log(Q[i, c] + ε)
        S    = L - λ · log mean over rankings of exp L

    Source: Oikarinen & Weng, CLIP-Dissect, ICLR 2023 (arXiv 2204.10965), WPMI; the order of operations is that of
    the released code. The rankings are 1,000 random ones; with ``prior=layer``, those of the layer's neurons, as
    published: see `SoftWPMI`.

    Higher is better. Not bounded. Which images are on
    top counts, neither their order nor how strongly they activate.

    Examples
    --------
    >>> scorer = WPMI(WPMI.Options(top_k=1))
    >>> scorer.score(torch.eye(2), torch.eye(2)).argmax(dim=1)
    tensor([0, 1])
    """

    class Options(EvidenceScorer.Options):
        """Settings of WPMI."""

        top_k: TopK = 28
        temperature: Temperature = 2.0
        lam: Lam = 0.6
        min_prob: MinProb = 1e-7
        prior: Prior = "null"

    options: Options
    name = "wpmi"

    @property
    def smallest(self) -> float:
        """That of a concept that an image does not show."""
        return self.options.min_prob

    def prepared(self, probability: torch.Tensor) -> torch.Tensor:
        """Return Q + ε."""
        return probability.add_(self.options.min_prob)

    def factor(self) -> Factor:
        """Return it as it is, whatever the rank."""
        return lambda rows, _: rows
