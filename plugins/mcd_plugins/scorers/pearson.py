"""Pearson correlation."""

from __future__ import annotations

import torch

import mcd
from mcd.plugins import made_of
from mcd_plugins.scorers.columns import lengths, products, refuse_unpaired
from mcd_plugins.scorers.known import over_known

__all__ = ["Pearson", "standardised"]


class Pearson(mcd.Scorer):
    """The correlation of a neuron's activations and a concept's similarities over all images.

    ``S = Σ (a_i - mean a)(p_i - mean p) / (n sd_a sd_p)``, with a = A_k and p = P_c. A neuron or concept that is the
    same on every image has no score (NaN); an image of which an annotated concept is not known takes no part in that
    concept's score. Source: Pearson 1895; as a score of neurons: NeuronEval (Oikarinen et al.,
    Evaluating Neuron Explanations, ICML 2025), where it is one of five metrics out of 18 that pass both sanity
    checks: labels left out and labels added lower it, however rare the concept.

    Between -1 and 1, higher is better; neither scale nor offset of the activations matters. Comparable across layers
    on the same images: over random orders of the images its mean is 0 and its variance 1/(n - 1) for every neuron
    and concept, so ``S √(n - 1)`` is a z. What a neuron can reach still follows its shape: one that responds to few
    images cannot follow a concept that varies everywhere.

    Examples
    --------
    >>> Pearson().score(torch.tensor([[3.0], [1.0], [2.0]]), torch.eye(3)[:, :2]).round(decimals=2)
    tensor([[ 0.8700, -0.8700]])
    """

    name = "pearson"
    depends_on = "pair"
    takes_residuals = True
    score_range = (-1.0, 1.0)
    comparable_across_layers = True
    takes_annotations = True

    def score(self, activations: torch.Tensor, similarity: torch.Tensor) -> torch.Tensor:
        """Return the scores ``(neurons, concepts)``."""
        refuse_unpaired(activations, similarity)
        return over_known(_correlated, activations, similarity)


def _correlated(activations: torch.Tensor, similarity: torch.Tensor) -> torch.Tensor:
    other = made_of(similarity, "standardised", lambda: standardised(similarity))
    return products(standardised(activations), other).clamp(-1, 1)  # rounding may pass 1


def standardised(columns: torch.Tensor) -> torch.Tensor:
    """Return columns of mean 0 and length 1, ``(images, columns)``; NaN where a column is the same everywhere.

    Parameters
    ----------
    columns
        ``(images, columns)`` float32, of any scale and offset.
    """
    # Less the middle of the range first: that difference is exact where an offset is large beside the spread. Scaled
    # before anything is added up, since sums and squares leave the range of float32.
    low, high = columns.amin(dim=0), columns.amax(dim=0)
    middle = low / 2 + high / 2
    rest = columns - middle
    rest.div_(torch.maximum(high - middle, middle - low))  # its largest values: differences round alike
    rest.sub_(rest.mean(dim=0)).div_(lengths(rest))
    alike = ~(high > low)
    return rest.masked_fill_(alike, float("nan")) if bool(alike.any()) else rest
