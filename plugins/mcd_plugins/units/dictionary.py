"""The unit source ``dictionary``."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import pydantic
import torch
from torch import nn

import mcd
from mcd.errors import DataError
from mcd_plugins.units.affine import Affine, check_lengths, random_directions, units_of
from mcd_plugins.units.reading import read_units

__all__ = ["Dictionary"]

_ACTIVATIONS = ("none", "relu", "topk")


class _Encoder(Affine):
    """Latents of a sparse autoencoder; without ``k`` all that are positive, else at most so many at a position."""

    def __init__(
        self, weight: torch.Tensor, bias: torch.Tensor | None, centre: torch.Tensor | None, k: int | None
    ) -> None:
        super().__init__(weight, bias, centre)
        self.k = k

    def forward(self, values: torch.Tensor) -> torch.Tensor:
        """Return latents ``(…, units)`` of neurons ``(…, channels)``."""
        found = super().forward(values).relu()
        if self.k is None:
            return found
        kept = found.topk(self.k, dim=-1)
        return torch.zeros_like(found).scatter(-1, kept.indices, kept.values)


class _AsSparse(nn.Module):
    """Random latents, of which as many respond at each position as of a dictionary's own: those that do so most.

    Parameters
    ----------
    own, drawn
        The dictionary, and random directions in the places of its own.
    """

    def __init__(self, own: nn.Module, drawn: nn.Module) -> None:
        super().__init__()
        self.own, self.drawn = own, drawn

    def forward(self, values: torch.Tensor) -> torch.Tensor:
        """Return latents ``(…, units)`` of neurons ``(…, channels)``."""
        own: torch.Tensor = self.own(values)
        count = (own > 0).sum(dim=-1, keepdim=True)
        found: torch.Tensor = self.drawn(values)
        rank: torch.Tensor = found.argsort(dim=-1, descending=True, stable=True).argsort(dim=-1)
        sparse: torch.Tensor = found.relu() * (rank < count)
        return sparse


class Dictionary(mcd.UnitSource):
    """Latents of a sparse autoencoder or another dictionary.

    The file has ``encoder`` and ``decoder``, both ``(units, channels)``: a row for each latent, that of ``decoder`` is
    what it adds. It may have ``encoder_bias`` ``(units,)``, added to the products, and ``decoder_bias``
    ``(channels,)``, subtracted from the neurons before. Its metadata says the ``activation``, and for ``topk`` how many
    latents are kept at a position, ``k``; it may say which ``layer`` it was trained on, and the ``names``. Source of
    ``topk``: Gao et al. 2024, arXiv 2406.04093, equation 1, of what is positive. Random units have rows of ``encoder``
    drawn uniformly, and at each position as many respond as of the dictionary's own, at most.
    """

    class Options(mcd.Options):
        """Settings of the source."""

        file: Path = pydantic.Field(description="a .safetensors file with the tensors encoder and decoder")
        activation: Literal["none", "relu", "topk"] | None = pydantic.Field(
            default=None, description="what becomes of the products; by default what the file says"
        )
        k: int | None = pydantic.Field(
            default=None,
            ge=1,
            le=1_000_000,
            description="how many latents topk keeps at a position; by default as the file says",
        )

    options: Options

    def load(self) -> mcd.Units:
        """Return the units."""
        rows = ("units", "channels")
        file = read_units(
            self.options.file,
            {"encoder": rows, "decoder": rows},
            {"encoder_bias": ("units",), "decoder_bias": ("channels",)},
        )
        check_lengths(file, "decoder")
        given = check_lengths(file, "encoder"), file.tensors.get("encoder_bias"), file.tensors.get("decoder_bias")
        activation, k = self.options.activation or file.about.activation, self.options.k or file.about.k
        if activation not in _ACTIVATIONS:
            said = f"says activation '{activation}'" if activation else "does not say the activation"
            raise DataError(f"{file.path} {said}", f"its metadata says one of {', '.join(_ACTIVATIONS)}")
        if (activation == "topk") != (k is not None) or (k or 0) > file.sizes["units"]:
            raise DataError(
                f"{file.path}: activation {activation} with k {k} of {file.sizes['units']} latents",
                "topk needs k, at most the number of latents; no other activation has one",
            )
        own = Affine(*given) if activation == "none" else _Encoder(*given, k)

        def random(seed: int) -> nn.Module:
            drawn = Affine(random_directions(given[0], seed), *given[1:])
            return drawn if activation == "none" else _AsSparse(own, drawn)

        return units_of(file, own, random)
