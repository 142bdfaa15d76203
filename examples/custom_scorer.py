"""A scorer in one file: the Pearson correlation of activations and similarity.

Try it without installing anything::

    mcd dissect … --plugin-file custom_scorer.py --scorer centred-cosine
"""

from __future__ import annotations

import torch

import mcd


class CentredCosine(mcd.Scorer):
    """The cosine of centred columns: Pearson's correlation. Source: the definition."""

    name = "centred-cosine"
    score_range = (-1.0, 1.0)
    comparable_across_layers = True
    depends_on = "pair"  # a score depends on its neuron and concept alone

    def score(self, activations: torch.Tensor, similarity: torch.Tensor) -> torch.Tensor:
        """Return the scores ``(neurons, concepts)``."""
        return _unit(activations).T @ _unit(similarity)


def _unit(columns: torch.Tensor) -> torch.Tensor:
    return torch.nn.functional.normalize(columns - columns.mean(dim=0), dim=0)


@mcd.hookimpl
def mcd_register_scorers() -> list[mcd.Component]:
    """Offer it; ``__name__`` is this file."""
    return [mcd.Component("centred-cosine", f"{__name__}:CentredCosine", "Cosine of centred columns")]
