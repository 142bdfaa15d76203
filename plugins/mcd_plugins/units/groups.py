"""The unit source ``groups``."""

from __future__ import annotations

from pathlib import Path

import pydantic
import torch

import mcd
from mcd.errors import DataError
from mcd_plugins.units.affine import Affine, check_lengths, units_of
from mcd_plugins.units.reading import read_units

__all__ = ["Groups"]


class Groups(mcd.UnitSource):
    """Groups of neurons; a unit is the mean of its members' z-scores.

    The file has ``members`` ``(units, channels)``, 1 where a neuron belongs to the group and 0 elsewhere, and the
    ``means`` and ``deviations`` ``(channels,)`` of the neurons over positions, of patients that you chose. Its metadata
    may say which ``layer`` they are of, and the ``names``. Random units are groups of the same sizes, of neurons drawn
    among those with a deviation.
    """

    class Options(mcd.Options):
        """Settings of the source."""

        file: Path = pydantic.Field(description="a .safetensors file with the tensors members, means and deviations")

    options: Options

    def load(self) -> mcd.Units:
        """Return the units."""
        file = read_units(
            self.options.file,
            {"members": ("units", "channels"), "means": ("channels",), "deviations": ("channels",)},
            {},
        )
        members, deviations = check_lengths(file, "members"), file.tensors["deviations"]
        if not bool(((members == 0) | (members == 1)).all()):
            raise DataError(
                f"{file.path}: tensor 'members' holds other numbers than 0 and 1",
                "1 where a neuron belongs to the group; for weights see: mcd plugins show units directions",
            )
        flat = ((members > 0).any(dim=0) & (deviations <= 0)).nonzero().flatten().tolist()
        if flat:
            raise DataError(
                f"{file.path}: neuron {flat[0]} of a group has deviation {float(deviations[flat[0]]):g}: no z-score",
                "leave it out of its group, or fit deviations on more images",
            )

        def grouped(members: torch.Tensor) -> Affine:
            scale = members.sum(dim=1, keepdim=True) * deviations.where(deviations > 0, 1.0)
            return Affine(members / scale, centre=file.tensors["means"])

        def random(seed: int) -> Affine:
            drawn = torch.rand(members.shape, generator=torch.Generator().manual_seed(seed))
            order = drawn.where(deviations > 0, 2.0).argsort(dim=1).argsort(dim=1)
            return grouped((order < members.sum(dim=1, keepdim=True)).float())

        return units_of(file, grouped(members), random)
