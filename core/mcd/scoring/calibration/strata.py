"""Permutations that keep something fixed: an image takes the place of one like it, a patient that of one like her."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from math import lgamma

import numpy as np
from numpy.typing import NDArray

from mcd.scoring.calibration.permutation import PermutationUnits, Rows, places_sorted

__all__ = ["Strata"]


@dataclass(frozen=True)
class Strata:
    """The permutation units of a probe set, exchanged within strata.

    Where patients are the unit, they stay so: two of them are exchanged if they have equally many images in every cell
    and are of one quarter, and the images of each change places within their cell. Patients like no other stay where
    they are, which is the price of holding both fixed; `fixed` says how many images that concerns.

    Parameters
    ----------
    units
        Images or patients.
    cell
        ``(images,)``: the number of what is held fixed of each image, such as view × side × vendor.
    values
        ``(images,)``: a number of each image, by whose mean patients are sorted into quarters; None for no quarters.
    """

    units: PermutationUnits
    cell: Rows
    values: NDArray[np.float64] | None = None

    @cached_property
    def _groups(self) -> list[Rows]:
        """Rows of exchangeable units, ``(units, images of one)`` a group; those of one column are of one cell."""
        order, patient = self.units.order, self.units.patient
        rows = order[np.lexsort((self.cell[order], patient[order]))]
        blocks = np.split(rows, np.cumsum(self.units.sizes)[:-1])
        groups: dict[tuple[int, ...], list[Rows]] = {}
        for quarter, block in zip(self._quarters.tolist(), blocks, strict=True):
            groups.setdefault((quarter, *self.cell[block].tolist()), []).append(block)
        return [np.stack(groups[signature]) for signature in sorted(groups)]

    @property
    def _quarters(self) -> Rows:
        if self.values is None:
            return np.zeros(self.units.patients, dtype=np.int64)
        mean = np.bincount(self.units.patient, weights=self.values) / self.units.sizes
        return np.searchsorted(np.quantile(mean, (0.25, 0.5, 0.75)), mean, side="right").astype(np.int64)

    @property
    def fixed(self) -> float:
        """Share of the images whose unit keeps its place in a draw, on average, 0…1."""
        alone: int = sum(group.shape[1] for group in self._groups)
        return alone / max(1, len(self.cell))

    @property
    def rarest(self) -> float:
        """The chance of one order of all images, below which no p can be."""
        orders = 0.0
        for group in self._groups:
            orders += lgamma(len(group) + 1)
            within = np.unique(self.cell[group[0]], return_counts=True)[1]
            orders += len(group) * sum(lgamma(count + 1) for count in within.tolist())
        return float(np.exp(-orders))

    def permutations(self, count: int, rng: np.random.Generator) -> Rows:
        """Return permutations of all images, ``(count, images)``: ``activations[permutation]`` is a draw."""
        found = np.empty((count, len(self.cell)), dtype=np.int64)
        for group in self._groups:
            unit = places_sorted(rng.random((count, len(group))))
            keys = self.cell[group[0]] + rng.random((count, *group.shape))  # images change places within their cells
            found[:, group] = np.take_along_axis(group[unit], np.argsort(keys, axis=2), axis=2)
        return found
