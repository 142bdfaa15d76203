"""Area under the precision–recall curve."""

from __future__ import annotations

import torch

from mcd_plugins.scorers.columns import responds
from mcd_plugins.scorers.labelled import LabelledScorer
from mcd_plugins.scorers.ranks import run_ends

__all__ = ["AUPRC", "average_precision"]

_TOGETHER = 32
"""Neurons that are scored together: what is sorted then stays in the cache."""


class AUPRC(LabelledScorer):
    """Average precision: how pure the images above a threshold are, while it falls past all the concept's images.

    The (1 - quantile) · n images of the highest similarity are the concept's images, n+ of them. With the distinct
    activations as thresholds t_1 > t_2 > …::

        S = Σ_j (R_j - R_{j-1}) P_j
          = 1/n+ Σ over the concept's images i of  #{concept's images at or above a_i} / #{images at or above a_i}

    P_j and R_j are precision and recall of "a ≥ t_j", so that tied images enter together and their order does not
    matter; this is the definition of scikit-learn, a sum and not a trapezium. Equal similarities at the edge are put
    in order by chance, so that n+ is the same for every concept. A neuron or concept that is the same on every
    image has no score (NaN). Where P is annotated (1, 0, NaN for unknown) the concept's images are those annotated with
    it, and only those it is known of are counted. Source: average precision as in Manning, Raghavan & Schütze 2008,
    chapter 8.4.

    Between 0 and 1, by chance about n+/n, higher is better; any rising curve drawn through the activations leaves it
    as it is. Comparable across layers on the same images with the same quantile. The top of the ranking counts most.
    Of the scorers on all activations the dearest: every neuron's images of every concept are sorted. NeuronEval
    (Oikarinen et al., ICML 2025) calls this direction inverse AUPRC; both sanity checks lower it for every concept
    that less than half of the images show.

    Examples
    --------
    >>> scorer = AUPRC(AUPRC.Options(quantile=0.5))
    >>> neuron = torch.tensor([[4.0], [3.0], [2.0], [1.0]])
    >>> scorer.score(neuron, torch.tensor([[0.9, 0.9], [0.8, 0.1], [0.2, 0.2], [0.1, 0.8]]))
    tensor([[1.0000, 0.7500]])
    """

    name = "auprc"

    def ranked(self, activations: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        """Return the average precisions ``(neurons, concepts)``."""
        return average_precision(activations, labels)


def average_precision(activations: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """Return the average precision of each neuron and concept, ``(neurons, concepts)`` float32.

    NaN for a neuron that does not respond, and for a concept that labels no image, or holds NaN.

    Parameters
    ----------
    activations
        ``(images, neurons)`` float32.
    labels
        ``(images, concepts)`` float32: 1 for the concept's images, 0 for the others. How many there are may differ.
    """
    found = labels.new_full((activations.shape[1], labels.shape[1]), float("nan"))
    images_of = {int(c): labels[:, c].nonzero().flatten() for c in (labels.sum(dim=0) > 0).nonzero().flatten()}
    for part, place in zip(torch.split(activations, _TOGETHER, dim=1), torch.split(found, _TOGETHER), strict=True):
        reached = _at_or_above(part)
        for concept, images in images_of.items():
            place[:, concept] = _mean_precision(reached.index_select(1, images))
    return found.masked_fill_(~responds(activations)[:, None], float("nan"))


def _at_or_above(columns: torch.Tensor) -> torch.Tensor:
    """Return how many values of its column are as large as each or larger, ``(columns, images)`` float32."""
    ordered, places = columns.T.contiguous().sort(dim=1, descending=True)
    return torch.empty_like(ordered).scatter_(1, places, run_ends(ordered))


def _mean_precision(reached: torch.Tensor) -> torch.Tensor:
    """Return the mean of precisions, ``(neurons,)``, given ``(neurons, concept's images)``, which is overwritten."""
    if reached.device.type == "cpu":
        reached.numpy().sort(axis=1)  # with vector instructions: several times as fast as torch
    else:
        reached = reached.sort(dim=1).values
    return run_ends(reached).div_(reached).mean(dim=1)
