"""Cosine."""

from __future__ import annotations

import torch

import mcd
from mcd.plugins import made_of
from mcd_plugins.scorers.columns import lengths, products, refuse_unpaired

__all__ = ["Cosine"]


class Cosine(mcd.Scorer):
    """The cosine of a neuron's activations and a concept's similarities over all images.

    ``S = ⟨A_k, P_c⟩ / (‖A_k‖ ‖P_c‖)``. A neuron or concept of all zeros has no direction and no score (NaN).
    Source: Oikarinen & Weng, CLIP-Dissect, ICLR 2023 (arXiv 2204.10965), and the released code.

    Between -1 and 1, higher is better; the scale of the activations does not matter. Not comparable across layers:
    nothing is centred, so where activations are never negative the score follows their mean over their spread, and
    a layer whose neurons respond to everything scores higher with every concept.

    Examples
    --------
    >>> Cosine().score(torch.tensor([[3.0], [0.0]]), torch.eye(2))
    tensor([[1., 0.]])
    """

    name = "cosine"
    depends_on = "pair"
    takes_residuals = True
    score_range = (-1.0, 1.0)

    def score(self, activations: torch.Tensor, similarity: torch.Tensor) -> torch.Tensor:
        """Return the scores ``(neurons, concepts)``."""
        refuse_unpaired(activations, similarity)
        left, mine = _measured(activations, lengths(activations))
        right, other = _measured(similarity, made_of(similarity, "lengths", lambda: lengths(similarity)))
        # Divided after the product, so that nothing is copied; rounding may pass 1.
        return products(left, right).div_(mine[:, None]).div_(other).clamp_(-1, 1)


_HELD = (1e-15, 1e15)
"""Lengths whose squares float32 holds."""


def _measured(columns: torch.Tensor, size: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Return columns and their lengths; scaled where float32 would not hold their squares. One of zeros is NaN."""
    if bool(((size > _HELD[0]) & (size < _HELD[1])).all()):
        return columns, size
    scaled = columns / columns.abs().amax(dim=0)
    return scaled, lengths(scaled)
