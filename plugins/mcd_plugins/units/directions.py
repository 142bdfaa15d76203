"""The unit source ``directions``."""

from __future__ import annotations

from pathlib import Path

import pydantic

import mcd
from mcd_plugins.units.affine import Affine, check_lengths, random_directions, units_of
from mcd_plugins.units.reading import read_units

__all__ = ["Directions"]


class Directions(mcd.UnitSource):
    """Directions of a layer; a unit is the product of its direction with the neurons, at every position.

    The file has a tensor ``directions`` ``(units, channels)`` and may have ``bias`` ``(units,)``, which is added. Its
    metadata may say which ``layer`` they are directions of, and as a JSON list the ``names`` of the units. The length
    of a direction scales its unit and changes no label. Random units have directions drawn uniformly.
    """

    class Options(mcd.Options):
        """Settings of the source."""

        file: Path = pydantic.Field(description="a .safetensors file with the tensor directions")

    options: Options

    def load(self) -> mcd.Units:
        """Return the units."""
        file = read_units(self.options.file, {"directions": ("units", "channels")}, {"bias": ("units",)})
        weight = check_lengths(file, "directions")
        bias = file.tensors.get("bias")
        return units_of(file, Affine(weight, bias), lambda seed: Affine(random_directions(weight, seed), bias))
