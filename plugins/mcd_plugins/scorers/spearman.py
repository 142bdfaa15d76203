"""Spearman's rank correlation."""

from __future__ import annotations

import torch

import mcd
from mcd.plugins import made_of
from mcd_plugins.scorers.columns import products, refuse_unpaired, responds
from mcd_plugins.scorers.known import over_known
from mcd_plugins.scorers.pearson import standardised
from mcd_plugins.scorers.ranks import mid_ranks

__all__ = ["Spearman"]

_CHUNK = 2**24
"""Numbers that are ranked at once: 64 MiB, and some five times that to sort."""


class Spearman(mcd.Scorer):
    """The correlation of ranks: does similarity rise where activation does, by whatever curve? A diagnostic.

    ``S = Pearson of R(A_k) and R(P_c)``, R the rank of a value in its column, equal values sharing their mean rank.
    A neuron or concept that is the same on every image has no score (NaN); an image of which an annotated concept is
    not known takes no part in that concept's score. Source: Spearman 1904; mid-ranks: Kendall 1945, Biometrika 33.

    Between -1 and 1, higher is better; any rising curve drawn through the activations leaves it as it is. Comparable
    across layers on the same images, as `Pearson`. A diagnostic, since every image has equal weight: where a concept is
    rare, the score is decided by the order of the images that do not show it, and it fails both of NeuronEval's
    sanity checks (Oikarinen et al., ICML 2025). Where it is far above Pearson, the relation is real but bent.

    Examples
    --------
    >>> curved, straight = torch.tensor([[1.0], [10.0], [1000.0]]), torch.tensor([[0.1], [0.2], [0.3]])
    >>> Spearman().score(curved, straight).round(decimals=3)
    tensor([[1.]])
    """

    name = "spearman"
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
    other = made_of(similarity, "unit ranks", lambda: _unit_ranks(similarity))
    return products(_unit_ranks(activations), other).clamp(-1, 1)  # rounding may pass 1


def _unit_ranks(columns: torch.Tensor) -> torch.Tensor:
    unit = torch.empty_like(columns)
    step = max(1, _CHUNK // max(1, len(columns)))
    for part, place in zip(torch.split(columns, step, dim=1), torch.split(unit, step, dim=1), strict=True):
        place.copy_(standardised(mid_ranks(part).T))
    # NaN has a rank as good as any
    return unit.masked_fill_(~responds(columns), float("nan"))
