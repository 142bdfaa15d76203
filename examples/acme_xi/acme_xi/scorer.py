"""The scorer: imported when somebody uses it."""

from __future__ import annotations

import torch

import mcd

__all__ = ["XiScorer", "xi"]


@mcd.depends_on("pair")
def xi(activations: torch.Tensor, similarity: torch.Tensor) -> torch.Tensor:
    """Return how far activations follow from similarity, ``(neurons, concepts)``, by whatever curve.

    Images are put in the order of a concept's similarity; where a neuron follows the concept, its ranks change little
    from one image to the next. Chatterjee's coefficient, with ties among activations::

        xi = 1 - n sum |r[i+1] - r[i]| / (2 sum l[i] (n - l[i]))

    where r is how many activations are no higher, and l how many are no lower. Near 0 where there is no dependence,
    near 1 where activations are a function of similarity, rising, falling, or peaked in the middle, which correlation
    misses.
    Source: Chatterjee, A new coefficient of correlation, JASA 116 (2021), 2009-2022.

    Parameters
    ----------
    activations
        ``(images, neurons)``.
    similarity
        ``(images, concepts)``.

    Examples
    --------
    >>> rising = torch.arange(100.0)[:, None]
    >>> peaked = -(rising - 50) ** 2
    >>> xi(peaked, rising).round(decimals=2)
    tensor([[0.9400]])
    """
    images = len(activations)
    columns = activations.T.contiguous()
    ordered = columns.sort(dim=1).values
    no_higher = torch.searchsorted(ordered, columns, right=True)
    no_lower = images - torch.searchsorted(ordered, columns)
    most = 2 * (no_lower * (images - no_lower)).sum(dim=1)  # 0 where a neuron is the same on all images: NaN
    scores = activations.new_empty(columns.shape[0], similarity.shape[1])
    for concept, order in enumerate(similarity.argsort(dim=0, stable=True).T):
        steps = no_higher[:, order].diff(dim=1).abs().sum(dim=1)
        scores[:, concept] = 1 - images * steps / most
    return scores


class XiScorer(mcd.Scorer):
    """Chatterjee's xi as a plugin; see `xi`."""

    name = "acme-xi"
    depends_on = "pair"
    score_range = (-1.0, 1.0)
    comparable_across_layers = True

    def score(self, activations: torch.Tensor, similarity: torch.Tensor) -> torch.Tensor:
        """Return the scores ``(neurons, concepts)``."""
        return xi(activations, similarity)
