"""Cosine cubed."""

from __future__ import annotations

import pydantic
import torch

import mcd
from mcd_plugins.scorers.columns import lengths, products, refuse_unpaired, responds

__all__ = ["CosineCubed"]


class CosineCubed(mcd.Scorer):
    """The cosine of centred and cubed activations and similarities: large deviations count most.

    ``S = ⟨a³, p³⟩ / (max(‖a³‖, m) max(‖p³‖, m))`` with a and p less their means over the images. A neuron or
    concept that is the same on every image has no score (NaN). Source: Oikarinen et al., Label-free Concept
    Bottleneck Models, ICLR 2023 (arXiv 2304.06129), and the released code, where the floor m comes from.

    Between -1 and 1, higher is better. Not comparable across layers: the floor scales small columns down, which is
    then no cosine any more. It takes hold of concepts below about a thousand images (cosines of sd 0.02), and of
    neurons whose activations vary as little; ``min_norm=0`` takes it away.

    Examples
    --------
    >>> CosineCubed().score(torch.tensor([[3.0], [0.0]]), torch.eye(2)).round(decimals=3)
    tensor([[ 1., -1.]])
    """

    class Options(mcd.Options):
        """Settings of cosine cubed."""

        min_norm: float = pydantic.Field(default=1e-3, ge=0, allow_inf_nan=False, description="m, floor of the norms")

    options: Options
    name = "cosine-cubed"
    pairwise = True
    score_range = (-1.0, 1.0)

    def score(self, activations: torch.Tensor, similarity: torch.Tensor) -> torch.Tensor:
        """Return the scores ``(neurons, concepts)``."""
        refuse_unpaired(activations, similarity)
        return products(self._unit_cubed(activations), self._unit_cubed(similarity)).clamp(-1, 1)  # rounding may pass 1

    def _unit_cubed(self, columns: torch.Tensor) -> torch.Tensor:
        # Scaled first: the squares of cubes leave the range of float32 soon. The floor is scaled alike, three times,
        # since the cube of the scale leaves it too.
        centred = columns - columns.mean(dim=0)
        scale = centred.abs().amax(dim=0)
        cubed = centred.div_(scale).pow_(3)
        floor = self.options.min_norm / scale / scale / scale
        unit = cubed.div_(torch.maximum(lengths(cubed), floor))
        # The mean of equal values may be off by rounding, which would leave a column of noise.
        return unit.masked_fill_(~responds(columns), float("nan"))
