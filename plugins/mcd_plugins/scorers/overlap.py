"""F1 and intersection over union of a neuron's images and a concept's."""

from __future__ import annotations

import abc

import torch

import mcd
from mcd.plugins import made_of
from mcd_plugins.scorers.columns import refuse_unpaired
from mcd_plugins.scorers.ranks import Alpha, Quantile, check_share, counted, top_labels

__all__ = ["F1", "IoU", "dice", "jaccard"]


class Overlap(mcd.Scorer):
    """Base of scorers that compare two sets of images: the neuron's and the concept's.

    The neuron's images are the alpha · n most activating ones, the concept's the (1 - quantile) · n most similar
    ones; halves are rounded up. Equal values at the edge are put in order by chance, so that both counts are exact. A
    neuron or concept that is the same on every image has no score (NaN).
    """

    class Options(mcd.Options):
        """Settings of both."""

        alpha: Alpha = 0.05
        quantile: Quantile = 0.95

    options: Options
    depends_on = "pair"
    score_range = (0.0, 1.0)
    comparable_across_layers = True

    def check(self, images: int) -> None:
        """Refuse a probe set of which no image, or every image, would be the neuron's or the concept's."""
        check_share(self.name, "alpha", self.options.alpha, images)
        check_share(self.name, "quantile", self.options.quantile, images)

    def score(self, activations: torch.Tensor, similarity: torch.Tensor) -> torch.Tensor:
        """Return the scores ``(neurons, concepts)``."""
        refuse_unpaired(activations, similarity)
        images = len(activations)
        self.check(images)
        active = top_labels(self, activations, counted(images, self.options.alpha))
        count = counted(images, 1 - self.options.quantile)
        labels = made_of(similarity, ("top", type(self), count, self.ties), lambda: top_labels(self, similarity, count))
        return self.compared(active, labels)

    @abc.abstractmethod
    def compared(self, active: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        """Return the scores, given 1 and 0 for the images that are a neuron's or a concept's, and those that are not.

        Parameters
        ----------
        active
            ``(images, neurons)`` float32.
        labels
            ``(images, concepts)`` float32.
        """


class F1(Overlap):
    """How much the most activating images and the most similar ones are the same: twice the common ones over all.

    With A the alpha · n most activating images and C the (1 - quantile) · n most similar ones::

        S = 2 |A ∩ C| / (|A| + |C|) = 2 TP / (2 TP + FP + FN)

    Equal values at the edge are put in order by chance. A neuron or concept that is the same on every image has
    no score (NaN). Source: Dice 1945; as a score of neurons: NeuronEval (Oikarinen et al., ICML 2025), where it passes
    both sanity checks.

    Between 0 and 1, higher is better. Comparable across layers on the same images: by chance the number of common
    images is hypergeometric, the same for every neuron and concept. Both counts are fixed here, so that `IoU`,
    precision and recall put the concepts into the same order, and few scores are possible: tied concepts keep theirs.

    Examples
    --------
    >>> scorer = F1(F1.Options(alpha=0.5, quantile=0.5))
    >>> neuron = torch.tensor([[4.0], [3.0], [2.0], [1.0]])
    >>> scorer.score(neuron, torch.tensor([[0.9, 0.9], [0.8, 0.1], [0.2, 0.8], [0.1, 0.2]]))
    tensor([[1.0000, 0.5000]])
    """

    name = "f1"

    def compared(self, active: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        """Return the F1 scores ``(neurons, concepts)``."""
        return dice(active, labels)


class IoU(Overlap):
    """How much the most activating images and the most similar ones are the same: the common ones over those of either.

    With A the alpha · n most activating images and C the (1 - quantile) · n most similar ones::

        S = |A ∩ C| / |A ∪ C| = TP / (TP + FP + FN)

    Equal values at the edge are put in order by chance. A neuron or concept that is the same on every image has
    no score (NaN). Source: Jaccard 1901; as a score of neurons: Network Dissection (Bau et al., CVPR 2017), there of
    pixels; of images: NeuronEval (Oikarinen et al., ICML 2025), where it passes both sanity checks.

    Between 0 and 1, higher is better, and comparable across layers as `F1`, of which it is F1 / (2 - F1): the order of
    concepts is the same.

    Examples
    --------
    >>> scorer = IoU(IoU.Options(alpha=0.5, quantile=0.5))
    >>> neuron = torch.tensor([[4.0], [3.0], [2.0], [1.0]])
    >>> scorer.score(neuron, torch.tensor([[0.9, 0.9], [0.8, 0.1], [0.2, 0.8], [0.1, 0.2]]))
    tensor([[1.0000, 0.3333]])
    """

    name = "iou"

    def compared(self, active: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        """Return the intersections over unions ``(neurons, concepts)``."""
        return jaccard(active, labels)


def dice(active: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """Return 2 |A ∩ C| / (|A| + |C|) of every column of one and of the other, ``(neurons, concepts)``.

    Two empty sets, and columns with NaN, are NaN.

    Parameters
    ----------
    active, labels
        ``(images, neurons)`` and ``(images, concepts)`` float32: 1 for what is in a set, 0 for what is not.
    """
    return 2 * (active.T @ labels) / _sizes(active, labels)


def jaccard(active: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """Return |A ∩ C| / |A ∪ C|; arguments and result as of `dice`."""
    common = active.T @ labels  # whole numbers: exact up to 16 million
    return common / (_sizes(active, labels) - common)


def _sizes(active: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    return active.sum(dim=0)[:, None] + labels.sum(dim=0)
