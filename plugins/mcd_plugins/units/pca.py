"""The unit source ``pca``."""

from __future__ import annotations

from pathlib import Path

import pydantic

import mcd
from mcd_plugins.units.affine import Affine, check_lengths, random_axes, units_of
from mcd_plugins.units.reading import read_units

__all__ = ["PrincipalAxes"]


class PrincipalAxes(mcd.UnitSource):
    """Principal axes of a layer; a unit is how far a position lies along its axis from the means.

    The file has ``axes`` ``(units, channels)`` and ``means`` ``(channels,)``, as scikit-learn's ``components_`` and
    ``mean_``, fitted on patients that you chose. Its metadata may say which ``layer`` they are of, and the ``names``.
    Random units are the axes turned at random as a whole: at right angles where these are.
    """

    class Options(mcd.Options):
        """Settings of the source."""

        file: Path = pydantic.Field(description="a .safetensors file with the tensors axes and means")

    options: Options

    def load(self) -> mcd.Units:
        """Return the units."""
        file = read_units(self.options.file, {"axes": ("units", "channels"), "means": ("channels",)}, {})
        axes, means = check_lengths(file, "axes"), file.tensors["means"]
        return units_of(file, Affine(axes, centre=means), lambda seed: Affine(random_axes(axes, seed), centre=means))
