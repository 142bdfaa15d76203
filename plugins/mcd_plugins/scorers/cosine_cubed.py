"""Cosine cubed."""

from __future__ import annotations

import pydantic
import torch

import mcd
from mcd_plugins.scorers.columns import BLOCK, extent, products, refuse_unpaired

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

        min_norm: float = pydantic.Field(default=1e-3, ge=0, le=1e6, description="m, floor of the norms")

    options: Options
    name = "cosine-cubed"
    depends_on = "pair"
    takes_residuals = True
    score_range = (-1.0, 1.0)

    def score(self, activations: torch.Tensor, similarity: torch.Tensor) -> torch.Tensor:
        """Return the scores ``(neurons, concepts)``."""
        refuse_unpaired(activations, similarity)
        mine, other = _Cubes(activations), _Cubes(similarity)
        scores = products(activations, similarity, mine, other)
        floor = self.options.min_norm
        return scores.div_(mine.lengths(floor)[:, None]).div_(other.lengths(floor)).clamp_(-1, 1)  # rounding may pass 1


class _Cubes:
    """Columns, centred and cubed a few rows at a time, which it keeps the lengths of.

    Scaled first: the squares of cubes leave the range of float32 soon.
    """

    def __init__(self, columns: torch.Tensor) -> None:
        self._mean, low, high = extent(columns)
        self._scale = torch.maximum(high - self._mean, self._mean - low)
        self._cubed, self._power = columns.new_empty(2, BLOCK, columns.shape[1])  # overwritten by the next rows
        self._squares = columns.new_zeros(columns.shape[1], dtype=torch.float64)
        # The mean of equal values may be off by rounding, which would leave a column of noise.
        self._silent = ~(high > low)

    def __call__(self, rows: torch.Tensor) -> torch.Tensor:
        cubed: torch.Tensor = self._cubed[: len(rows)]
        power = self._power[: len(rows)]
        torch.sub(rows, self._mean, out=cubed).div_(self._scale)
        cubed.mul_(torch.mul(cubed, cubed, out=power))
        self._squares += torch.mul(cubed, cubed, out=power).sum(dim=0)
        return cubed

    def lengths(self, floor: float) -> torch.Tensor:
        """Return the lengths of all that was cubed, at least ``floor``; NaN for a column that is always the same."""
        # The floor is scaled alike, three times, since the cube of the scale leaves float32 too.
        least = floor / self._scale / self._scale / self._scale
        return torch.maximum(self._squares.sqrt().to(least.dtype), least).masked_fill_(self._silent, float("nan"))
