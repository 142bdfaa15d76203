"""What the sources of this package have in common: a matrix of directions, and what becomes of the products."""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as functional
from torch import nn

import mcd
from mcd.errors import DataError
from mcd_plugins.units.reading import UnitFile

__all__ = ["Affine", "check_lengths", "random_axes", "random_directions", "units_of"]


class Affine(nn.Module):
    """Products of neurons with directions.

    Parameters
    ----------
    weight
        ``(units, channels)``.
    bias
        Added to the products, ``(units,)``; None for none.
    centre
        Subtracted from neurons before, ``(channels,)``; None for none.
    """

    def __init__(
        self, weight: torch.Tensor, bias: torch.Tensor | None = None, centre: torch.Tensor | None = None
    ) -> None:
        super().__init__()
        self.weight: torch.Tensor
        self.bias: torch.Tensor | None
        self.centre: torch.Tensor | None
        self.register_buffer("weight", weight)
        self.register_buffer("bias", bias)
        self.register_buffer("centre", centre)

    def forward(self, values: torch.Tensor) -> torch.Tensor:
        """Return units ``(…, units)`` of neurons ``(…, channels)``."""
        centred = values if self.centre is None else values - self.centre
        return functional.linear(centred, self.weight, self.bias)


def check_lengths(file: UnitFile, name: str) -> torch.Tensor:
    """Return a tensor of directions ``(units, channels)``, none of which has length zero.

    Raises
    ------
    DataError
        Naming the first that has.
    """
    found = file.tensors[name]
    empty = (found == 0).all(dim=1).nonzero().flatten().tolist()
    if empty:
        raise DataError(
            f"{file.path}: row {empty[0]} of '{name}' has length zero, which is no direction",
            "leave it out, or make the file again",
        )
    return found


def random_directions(weight: torch.Tensor, seed: int) -> torch.Tensor:
    """Return directions drawn uniformly, in the places and of the lengths of others ``(units, channels)``."""
    drawn = torch.randn(weight.shape, generator=torch.Generator().manual_seed(seed))
    # Squares of very short and very long ones leave float32; powers of two scale without rounding.
    power = weight.abs().amax(dim=1, keepdim=True).frexp().exponent.clamp(-120, 120)
    lengths = weight.ldexp(-power).norm(dim=1, keepdim=True).ldexp(power)
    found: torch.Tensor = functional.normalize(drawn, dim=1) * lengths
    return found


def random_axes(weight: torch.Tensor, seed: int) -> torch.Tensor:
    """Return directions turned at random as a whole, ``(units, channels)``: their lengths and angles stay."""
    own = torch.linalg.qr(weight.T.double())
    drawn = torch.randn(own.Q.shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    basis = torch.linalg.qr(drawn)
    found: torch.Tensor = (basis.Q * basis.R.diagonal().sign()) @ own.R
    return found.T.float().contiguous()


def units_of(file: UnitFile, module: nn.Module, random: Callable[[int], nn.Module]) -> mcd.Units:
    """Return the units of a file: called after it, of its sizes, made for the layer that it names."""
    sizes, about = file.sizes, file.about
    return mcd.Units(
        file.path.stem,
        module,
        sizes["channels"],
        sizes["units"],
        about.layer,
        about.names,
        random,
        about.fitted,
        about.facts,
    )
