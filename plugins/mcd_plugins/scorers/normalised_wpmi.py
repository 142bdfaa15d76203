"""Normalised WPMI."""

from __future__ import annotations

import torch

import mcd
from mcd.plugins import made_of
from mcd_plugins.scorers.columns import refuse_unpaired
from mcd_plugins.scorers.evidence import Lam, MinProb, Temperature
from mcd_plugins.scorers.ranks import Alpha, check_share, counted, top_labels

__all__ = ["NormalisedWPMI", "mean_information"]


class NormalisedWPMI(mcd.Scorer):
    """Mean pointwise mutual information of a neuron's top images, seen against the concept's own frequency.

    With Q = softmax over concepts of a·P, at least ε, and A the alpha · n most activating images::

        S[c] = (1/|A|) Σ over A of log Q[i, c] - λ log (mean over all images of Q[i, c])

    It is `WPMI` by image, and against how often the concept is seen in the probe set instead of how much the layer's
    neurons like it. Equal activations at the edge are put in order by chance. A neuron that is the same on every image
    has no score (NaN); a concept that holds NaN leaves none to any, since the softmax is over all. Source:
    NeuronEval (Oikarinen et al., ICML 2025), which has the formula and ε = 1e-8; the softmax is that of CLIP-Dissect
    (Oikarinen & Weng, ICLR 2023), since cosines are no probabilities.

    Higher is better. Not bounded. Comparable across layers and targets on the same images, with the same dissector and
    vocabulary: neither the number of top images nor the width of the layer moves it. Which images are on top counts,
    neither their order nor how strongly they activate. NeuronEval counts WPMI among the metrics that fail its sanity
    checks: labels added to a concept cost it only λ log 2, and a missed image log ε.

    Examples
    --------
    >>> scorer = NormalisedWPMI(NormalisedWPMI.Options(alpha=0.5))
    >>> scorer.score(torch.tensor([[1.0], [0.0]]), torch.eye(2)).round(decimals=2)
    tensor([[ 0.6900, -9.3100]])
    """

    class Options(mcd.Options):
        """Settings of normalised WPMI."""

        alpha: Alpha = 0.05
        temperature: Temperature = 10.0
        lam: Lam = 1.0
        min_prob: MinProb = 1e-8

    options: Options
    name = "normalised-wpmi"
    depends_on = "neuron"
    comparable_across_layers = True

    def check(self, images: int) -> None:
        """Refuse a probe set of which no image, or every image, would be the neuron's."""
        check_share(self.name, "alpha", self.options.alpha, images)

    def score(self, activations: torch.Tensor, similarity: torch.Tensor) -> torch.Tensor:
        """Return the scores ``(neurons, concepts)``."""
        refuse_unpaired(activations, similarity)
        self.check(len(activations))
        own = self.options
        active = top_labels(self, activations, counted(len(activations), own.alpha))
        key = ("softmax", own.temperature)
        probability = made_of(similarity, key, lambda: torch.softmax(own.temperature * similarity, dim=1))
        return mean_information(active, probability, own.lam, own.min_prob)


def mean_information(active: torch.Tensor, probability: torch.Tensor, lam: float, min_prob: float) -> torch.Tensor:
    """Return the normalised WPMI ``(neurons, concepts)``; NaN for a neuron without images.

    Parameters
    ----------
    active
        ``(images, neurons)`` float32: 1 for a neuron's top images, 0 for the others.
    probability
        Q, ``(images, concepts)`` float32.
    lam, min_prob
        λ, and ε, which Q is at least.
    """
    floored = probability.clamp_min(min_prob)
    seen = (active / active.sum(dim=0)).T @ floored.log()
    return seen - lam * floored.mean(dim=0).log()
