"""Permutation units of the null: images, or patients with all their images.

Several views of one woman are not independent. Where patients are known, the null is a block permutation: patients are
permuted, and the images of each are shuffled within the block.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from mcd.api.ranking import random_subsets

__all__ = ["CLUSTERING", "PermutationUnits", "Unit"]

Rows = NDArray[np.int64]
Unit = Literal["image", "patient"]

CLUSTERING = (1.15, 1.35, 1.7, 2.3)
"""Limits of the null strata: images per patient among a neuron's top images."""

_FEW = 8
"""Fewest patients with one number of images that are permuted among themselves; fewer join the next number."""


@dataclass(frozen=True)
class PermutationUnits:
    """The permutation units of a probe set.

    Parameters
    ----------
    patient
        ``(images,)``: the permutation unit of each image, numbered from 0 without gaps.
    """

    patient: Rows

    @classmethod
    def of(cls, patients: Sequence[str], unit: Unit) -> PermutationUnits:
        """Return the units from the patients' keys; an image whose patient is not known is a unit of its own."""
        if unit == "image":
            return cls(np.arange(len(patients), dtype=np.int64))
        numbers: dict[object, int] = {}
        keys = (key or row for row, key in enumerate(patients))
        return cls(np.array([numbers.setdefault(key, len(numbers)) for key in keys], dtype=np.int64))

    @cached_property
    def _rows(self) -> Rows:
        return np.argsort(self.patient, kind="stable")

    @cached_property
    def sizes(self) -> Rows:
        """Images of each patient, ``(patients,)``."""
        return np.bincount(self.patient)

    @cached_property
    def _starts(self) -> Rows:
        return np.concatenate([[0], np.cumsum(self.sizes)[:-1]]).astype(np.int64)

    @property
    def patients(self) -> int:
        """How many patients there are."""
        return len(self.sizes)

    @property
    def blocks(self) -> bool:
        """Whether some patient has more than one image."""
        return bool(len(self.sizes)) and int(self.sizes.max()) > 1

    @cached_property
    def _size_groups(self) -> tuple[list[Rows], Rows]:
        """Return groups of patients that are permuted among themselves, and each patient's group: similar sizes."""
        order = np.argsort(self.sizes, kind="stable")
        groups: list[list[int]] = []
        for size in np.unique(self.sizes):
            mine = order[self.sizes[order] == size].tolist()
            if groups and len(groups[-1]) < _FEW:
                groups[-1] += mine
            else:
                groups.append(mine)
        if len(groups) > 1 and len(groups[-1]) < _FEW:
            last = groups.pop()
            groups[-1] += last
        group_of = np.empty(self.patients, dtype=np.int64)
        for number, group in enumerate(groups):
            group_of[group] = number
        return [np.array(group, dtype=np.int64) for group in groups], group_of

    def null_stratum(self, ranked: Rows) -> Rows:
        """Return the null stratum of each ranking ``(k, neurons)``, ``(neurons,)``: how its images cluster on patients.

        0 where almost all are of different patients; see `CLUSTERING`.
        """
        if not self.blocks:
            return np.zeros(ranked.shape[1], dtype=np.int64)
        of = np.sort(self.patient[ranked], axis=0)
        distinct = 1 + (of[1:] != of[:-1]).sum(axis=0)
        found: Rows = np.searchsorted(np.array(CLUSTERING), len(ranked) / distinct, side="right")
        return found

    def permuted(self, ranked: Rows, rng: np.random.Generator) -> Rows:
        """Return permuted rankings ``(k, draws)``: the patients of each are replaced by others.

        Images of one patient are replaced by images of one patient, drawn at random. Where the unit is the image, this
        is a random ordered k-subset.
        """
        if not self.blocks:
            return random_subsets(rng, ranked.shape[1], len(ranked), len(self.patient)).T
        runs = _Runs.of(self.patient[ranked].T)
        target = self._targets(runs, rng)
        return self._placed(runs, target, rng).T

    def _targets(self, runs: _Runs, rng: np.random.Generator) -> Rows:
        """Return for each run of each draw the patient that replaces it, ``(draws, k)``."""
        target = np.zeros_like(runs.value)
        groups, group_of = self._size_groups
        of = np.where(runs.real, group_of[runs.value], -1)
        for number, group in enumerate(groups):
            mine = of == number
            counts = mine.sum(axis=1)
            if counts.any():
                drawn = random_subsets(rng, len(counts), int(counts.max()), len(group))
                target[mine] = group[drawn[np.arange(drawn.shape[1]) < counts[:, None]]]
        return target

    def _placed(self, runs: _Runs, target: Rows, rng: np.random.Generator) -> Rows:
        """Return rows of images for each place of each draw, ``(draws, k)``: some of the target's, in random order."""
        draws, k = runs.number.shape
        block = np.take_along_axis(target, runs.number, axis=1)
        sizes = self.sizes[block]
        deepest = max(int(self.sizes[target].max()), int(runs.nth.max()) + 1)
        keys = rng.random((draws, k, deepest))
        keys[np.arange(deepest) >= self.sizes[target][:, :, None]] = np.inf  # no such image
        slot = np.argsort(keys, axis=2)[np.arange(draws)[:, None], runs.number, runs.nth]
        rows = self._rows[np.minimum(self._starts[block] + slot, len(self.patient) - 1)]
        lacking = slot >= sizes
        for draw in np.flatnonzero(lacking.any(axis=1)).tolist():
            rows[draw, lacking[draw]] = self._others(rows[draw, ~lacking[draw]], int(lacking[draw].sum()), rng)
        found: Rows = rows
        return found

    def _others(self, taken: Rows, count: int, rng: np.random.Generator) -> Rows:
        """Return further rows where the replacing patient has too few images: those of other patients.

        Patient by patient, so that images stay clustered on few.
        """
        free = np.setdiff1d(np.arange(len(self.patient)), taken)
        turn = rng.permutation(self.patients)[self.patient[free]]
        found: Rows = free[np.argsort(turn + rng.random(len(free)))[:count]]
        return found

    def permutations(self, count: int, rng: np.random.Generator) -> Rows:
        """Return permutations of all images that keep patients together, ``(count, images)``.

        ``activations[permutation]`` is a draw from the null. Where patients with unequal numbers of images are
        permuted, a few images at the block borders change patients.
        """
        images = len(self.patient)
        keys = rng.random((count, images))
        if not self.blocks:
            return np.argsort(keys, axis=1)
        # By patient, the images of each in random order: once where they come from, once where they go.
        shuffled = np.argsort(self.patient + keys, axis=1)
        placed = np.argsort(self.patient + rng.random((count, images)), axis=1)
        found = np.empty_like(shuffled)
        groups, _ = self._size_groups
        for group in groups:
            to = self._within(group)
            places = np.argsort(rng.random((count, len(group))), axis=1)
            for row in range(count):
                found[row, placed[row, to]] = shuffled[row, self._within(group[places[row]])]
        return found

    def _within(self, patients: Rows) -> Rows:
        """Return where the images of these patients stand when all are sorted by patient, patient by patient."""
        sizes = self.sizes[patients]
        ends = np.cumsum(sizes)
        return np.repeat(self._starts[patients] - (ends - sizes), sizes) + np.arange(int(ends[-1]))


@dataclass(frozen=True)
class _Runs:
    """Equal values within rows of a table, gathered into runs; the runs of a row are numbered as values ascend.

    Parameters
    ----------
    number
        ``(rows, k)``: which run each entry belongs to.
    nth
        ``(rows, k)``: how many equal ones stand before it.
    value
        ``(rows, k)``: of each run; 0 where a row has fewer.
    real
        ``(rows, k)``: where there is a run.
    """

    number: Rows
    nth: Rows
    value: Rows
    real: NDArray[np.bool_]

    @classmethod
    def of(cls, table: Rows) -> _Runs:
        order = np.argsort(table, axis=1, kind="stable")
        ordered = np.take_along_axis(table, order, axis=1)
        first = np.ones(table.shape, dtype=bool)
        first[:, 1:] = ordered[:, 1:] != ordered[:, :-1]
        number, nth, value = np.empty_like(table), np.empty_like(table), np.zeros_like(table)
        place = np.broadcast_to(np.arange(table.shape[1]), table.shape)
        start = np.maximum.accumulate(np.where(first, place, 0), axis=1)
        run = np.cumsum(first, axis=1) - 1
        np.put_along_axis(number, order, run, axis=1)
        np.put_along_axis(nth, order, place - start, axis=1)
        np.put_along_axis(value, run, ordered, axis=1)
        return cls(number, nth, value, place <= run[:, -1:])
