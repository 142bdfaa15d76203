"""What may be exchanged for what under chance: images, or patients with all their images.

Four views of one woman are not four witnesses. Where patients are known, a neuron is compared with what it would do
were her images another woman's: patients change places, and the images of each are shuffled.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np
from numpy.typing import NDArray

__all__ = ["CLUSTERING", "Exchange", "Unit"]

Rows = NDArray[np.int64]
Unit = Literal["image", "patient"]

CLUSTERING = (1.15, 1.35, 1.7, 2.3)
"""Images a patient among a neuron's top images: neurons between two of these share a null."""

_FEW = 8
"""Patients of one number of images that do for exchanging among themselves; fewer join the next number."""


@dataclass(frozen=True)
class Exchange:
    """How the images of a probe set may be exchanged.

    Parameters
    ----------
    patient
        ``(images,)``: whose each image is, as a number from 0 without gaps.
    """

    patient: Rows

    @classmethod
    def of(cls, patients: Sequence[str], unit: Unit) -> Exchange:
        """Return the exchange of patients by their keys; an image whose patient is not known is one of its own."""
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
    def _strata(self) -> tuple[list[Rows], Rows]:
        """Return groups of patients that change places, and for each patient its group: about as many images."""
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
        stratum = np.empty(self.patients, dtype=np.int64)
        for number, group in enumerate(groups):
            stratum[group] = number
        return [np.array(group, dtype=np.int64) for group in groups], stratum

    def clustering(self, ranked: Rows) -> Rows:
        """Return for each ranking ``(k, neurons)`` which null it shares, ``(neurons,)``: how its images crowd.

        0 where almost all are of different patients; see `CLUSTERING`.
        """
        if not self.blocks:
            return np.zeros(ranked.shape[1], dtype=np.int64)
        of = np.sort(self.patient[ranked], axis=0)
        distinct = 1 + (of[1:] != of[:-1]).sum(axis=0)
        found: Rows = np.searchsorted(np.array(CLUSTERING), len(ranked) / distinct, side="right")
        return found

    def moved(self, ranked: Rows, rng: np.random.Generator) -> Rows:
        """Return rankings ``(k, draws)`` as they might be by chance: each with its patients exchanged for others.

        Images that are of one patient stay of one patient; which of hers they are is drawn too. Where images are
        exchanged, this is a random ordered k-subset.
        """
        moved = np.empty_like(ranked)
        for draw in range(ranked.shape[1]):
            moved[:, draw] = self._moved(ranked[:, draw], rng)
        return moved

    def _moved(self, ranking: Rows, rng: np.random.Generator) -> Rows:
        if not self.blocks:
            return rng.choice(len(self.patient), len(ranking), replace=False)
        hers, which = np.unique(self.patient[ranking], return_inverse=True)
        target = np.empty(len(hers), dtype=np.int64)
        groups, stratum = self._strata
        for number in np.unique(stratum[hers]):
            mine = np.flatnonzero(stratum[hers] == number)
            target[mine] = rng.choice(groups[number], len(mine), replace=False)
        nth = _occurrence(which)
        deepest = int(nth.max()) + 1
        keys = rng.random((len(hers), max(deepest, int(self.sizes[target].max()))))
        keys[np.arange(keys.shape[1]) >= self.sizes[target][:, None]] = np.inf  # she has no such image
        slot = np.argsort(keys, axis=1)[which, nth]
        rows = self._rows[np.minimum(self._starts[target[which]] + slot, len(self.patient) - 1)]
        lacking = slot >= self.sizes[target[which]]
        if lacking.any():  # exchanged for a patient with fewer images: the rest comes from anywhere else
            free = np.setdiff1d(np.arange(len(self.patient)), rows[~lacking])
            rows[lacking] = rng.choice(free, int(lacking.sum()), replace=False)
        moved: Rows = rows
        return moved

    def permutations(self, count: int, rng: np.random.Generator) -> Rows:
        """Return permutations of all images that keep patients together, ``(count, images)``.

        ``activations[permutation]`` is what a neuron might do by chance. Where groups of patients of unequal numbers
        of images change places, a few images at their borders change patients.
        """
        images = len(self.patient)
        keys = rng.random((count, images))
        if not self.blocks:
            return np.argsort(keys, axis=1)
        shuffled = np.argsort(self.patient + keys, axis=1)  # by patient, the images of each in random order
        found = np.empty_like(shuffled)
        groups, _ = self._strata
        for group in groups:
            to = self._within(group)
            places = np.argsort(rng.random((count, len(group))), axis=1)
            for row in range(count):
                found[row, shuffled[row, to]] = shuffled[row, self._within(group[places[row]])]
        return found

    def _within(self, patients: Rows) -> Rows:
        """Return where the images of these patients stand when all are sorted by patient, patient by patient."""
        sizes = self.sizes[patients]
        ends = np.cumsum(sizes)
        return np.repeat(self._starts[patients] - (ends - sizes), sizes) + np.arange(int(ends[-1]))


def _occurrence(values: Rows) -> Rows:
    """Return for each value how many equal ones stand before it."""
    order = np.argsort(values, kind="stable")
    ordered = values[order]
    first = np.flatnonzero(np.concatenate([[True], ordered[1:] != ordered[:-1]]))
    lengths = np.diff(np.concatenate([first, [len(values)]]))
    nth = np.empty(len(values), dtype=np.int64)
    nth[order] = np.arange(len(values)) - np.repeat(first, lengths)
    return nth
