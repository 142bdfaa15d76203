"""Area under the ROC curve."""

from __future__ import annotations

import torch

from mcd_plugins.scorers.columns import responds
from mcd_plugins.scorers.labelled import LabelledScorer
from mcd_plugins.scorers.ranks import mid_ranks

__all__ = ["AUROC", "area_under_roc"]

_CHUNK = 2**24
"""Numbers that are ranked at once: 64 MiB, and some five times that to sort."""


class AUROC(LabelledScorer):
    """How well the activations separate a concept's images from the others.

    The (1 - quantile) · n images of the highest similarity are the concept's images, n+ of them, n- are not. With r
    the mid-ranks of the activations::

        S = U / (n+ n-),   U = Σ over the concept's images of r_i - n+ (n+ + 1) / 2

    the chance that an image of the concept activates the neuron more than another image does; a tie counts half. Equal
    similarities at the edge are put in order by chance, so that n+ is the same for every concept. A neuron or
    concept that is the same on every image has no score (NaN). Where P is annotated (1, 0, NaN for unknown) the
    concept's images are those annotated with it, and n counts the images it is known of. Source: Mann & Whitney 1947;
    as a score of neurons: INVERT (Bykov et al., NeurIPS 2023), where the labels are given.

    Between 0 and 1, chance is 0.5, higher is better; any rising curve drawn through the activations leaves it as it
    is. Comparable across layers on the same images: by chance its variance is (n + 1) / (12 n+ n-) for every neuron
    without ties, and smaller with. NeuronEval (Oikarinen et al., ICML 2025) calls this direction inverse AUC; it
    fails the missing-labels check: where a concept is rare, the area hardly falls when half its labels are lost.

    Examples
    --------
    >>> scorer = AUROC(AUROC.Options(quantile=0.5))
    >>> neuron = torch.tensor([[4.0], [3.0], [2.0], [1.0]])
    >>> scorer.score(neuron, torch.tensor([[0.9, 0.9], [0.8, 0.1], [0.2, 0.8], [0.1, 0.2]]))
    tensor([[1.0000, 0.7500]])
    """

    name = "auroc"

    def ranked(self, activations: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        """Return the areas ``(neurons, concepts)``."""
        return area_under_roc(activations, labels)


def area_under_roc(activations: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """Return the area under the ROC curve of each neuron and concept, ``(neurons, concepts)`` float32.

    NaN for a neuron that does not respond, and for a concept that labels no image, all of them, or holds NaN.

    Parameters
    ----------
    activations
        ``(images, neurons)`` float32.
    labels
        ``(images, concepts)`` float32: 1 for the concept's images, 0 for the others. How many there are may differ.
    """
    images = len(activations)
    with_it = labels.sum(dim=0)
    found = labels.new_empty(activations.shape[1], labels.shape[1])
    # Ranks less their mean add up to 0: the sum over the others, with its sign turned, is the same, and where they are
    # fewer it is the smaller one. In sums of many numbers what they differ by gets lost.
    fewer = labels - (2 * with_it > images).to(labels.dtype)
    step = max(1, _CHUNK // max(1, images))
    for part, place in zip(torch.split(activations, step, dim=1), torch.split(found, step), strict=True):
        torch.mm((mid_ranks(part) - (images + 1) / 2) / images, fewer, out=place)
    area = 0.5 + found / (with_it * ((images - with_it) / images))  # 0/0 without positives or negatives: NaN
    return area.clamp_(0, 1).masked_fill_(~responds(activations)[:, None], float("nan"))
