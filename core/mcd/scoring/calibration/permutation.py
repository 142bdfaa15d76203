"""Permutation units of the null: images, or patients with all their images.

Several views of one woman are not independent. Where patients are known, the null is a block permutation: patients are
permuted with those who have as many images, and the images of each are shuffled within the block. Blocks of unequal
size would have to be split, and the null would lose variance between patients.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from math import lgamma, prod
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from mcd.api.ranking import random_subsets

__all__ = ["CLUSTERING", "PermutationUnits", "Unit", "places_sorted"]

Rows = NDArray[np.int64]
Unit = Literal["image", "patient"]

CLUSTERING = (1.15, 1.35, 1.7, 2.3)
"""Limits of the null strata: images per patient among a neuron's top images."""

_FIXED = 0.25
"""Share of the images that may keep their place in a draw, on average, before it is said."""

_CHUNK, _TOGETHER = 2**21, 32
"""Row numbers that are made at once, 16 MiB, but of so many draws at least: a draw by itself costs calls."""

_FEW = 8
"""Images of a patient that are sorted by exchanges: their places fit into three bits."""

_DIGITS = 53
"""Bits of a random number."""

_SORTED = 2**17
"""Random numbers that are sorted at once: 1 MiB."""


@dataclass(frozen=True)
class PermutationUnits:
    """The permutation units of a probe set.

    Parameters
    ----------
    patient
        ``(images,)``: the permutation unit of each image, numbered from 0 without gaps.
    ordered
        ``(images,)``: row numbers in the order that draws are about, so that they do not depend on where images stand;
        None for the order of the rows.
    """

    patient: Rows
    ordered: Rows | None = None

    @classmethod
    def of(cls, patients: Sequence[str], unit: Unit, order: Rows | None = None) -> PermutationUnits:
        """Return the units from the patients' keys; an image whose patient is not known is a unit of its own.

        Parameters
        ----------
        patients
            Of each image, ``(images,)``; empty where not known.
        unit
            What is permuted.
        order
            As `ordered`.
        """
        rows = np.arange(len(patients), dtype=np.int64) if order is None else order
        number: dict[object, int] = {}
        found = np.empty(len(patients), dtype=np.int64)
        for row in rows.tolist():
            key = (patients[row] if unit == "patient" else "") or row
            found[row] = number.setdefault(key, len(number))
        return cls(found, order)

    @classmethod
    def renumbered(cls, patient: Rows) -> PermutationUnits:
        """Return the units of some images, given their numbers among those of more, ``(images,)``."""
        return cls(np.unique(patient, return_inverse=True)[1].astype(np.int64))

    def having(self, images: NDArray[np.bool_]) -> Rows:
        """Return how many units have each column in some image, ``(columns,)``, given ``(images, columns)``."""
        rows, columns = images.nonzero()
        pairs = np.unique(self.patient[rows] * images.shape[1] + columns)
        return np.bincount(pairs % images.shape[1], minlength=images.shape[1]).astype(np.int64)

    @cached_property
    def order(self) -> Rows:
        """Row numbers in the order that draws are about, ``(images,)``."""
        return np.arange(len(self.patient), dtype=np.int64) if self.ordered is None else self.ordered

    @cached_property
    def _rows(self) -> Rows:
        """Row numbers by patient, ``(images,)``."""
        found: Rows = self.order[np.argsort(self.patient[self.order], kind="stable")]
        return found

    @cached_property
    def places(self) -> Rows:
        """Where each image stands in ``order``, ``(images,)``."""
        return np.argsort(self.order)

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
    def _size_groups(self) -> list[Rows]:
        """Return the groups of patients that are permuted among themselves: those with equally many images."""
        return [np.flatnonzero(self.sizes == size) for size in np.unique(self.sizes)]

    @property
    def fixed(self) -> float:
        """Share of the images that keep their patient's place in a draw, on average, 0…1.

        A random permutation leaves one of a group in its place, however large the group is.
        """
        return float(np.unique(self.sizes).sum()) / max(1, len(self.patient))

    @property
    def caution(self) -> str:
        """What is to be said where few patients can be exchanged; an empty text where enough can."""
        if not self.blocks or self.fixed <= _FIXED:
            return ""
        return (
            f"the null exchanges only patients with equally many images, and few can be: {self.fixed:.0%} of the "
            "images keep their patient's place on average, so that few neurons can be significant; take as many images "
            "of each patient, or, where images are independent, --exchangeable image"
        )

    @property
    def rarest(self) -> float:
        """The chance of one order of all images under the null, below which no p can be: 0 where it is next to none."""
        orders = sum(lgamma(len(group) + 1) for group in self._size_groups)
        orders += sum(lgamma(size + 1) for size in self.sizes.tolist() if size > 1)
        return float(np.exp(-orders))

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
            return self.order[random_subsets(rng, ranked.shape[1], len(ranked), len(self.patient))].T
        runs = _Runs.of(self.patient[ranked].T)
        return self._placed(runs, self._targets(runs, rng), rng).T

    def _targets(self, runs: _Runs, rng: np.random.Generator) -> Rows:
        """Return for each run of each draw the patient that replaces it, ``(draws, k)``."""
        target = np.zeros_like(runs.value)
        for group in self._size_groups:
            mine = runs.real & (self.sizes[runs.value] == self.sizes[group[0]])
            counts = mine.sum(axis=1)
            if counts.any():
                drawn = random_subsets(rng, len(counts), int(counts.max()), len(group))
                target[mine] = group[drawn[np.arange(drawn.shape[1]) < counts[:, None]]]
        return target

    def _placed(self, runs: _Runs, target: Rows, rng: np.random.Generator) -> Rows:
        """Return rows of images for each place of each draw, ``(draws, k)``: some of the target's, in random order."""
        draws, k = runs.number.shape
        block = np.take_along_axis(target, runs.number, axis=1)
        keys = rng.random((draws, k, int(self.sizes[target].max())))
        keys[np.arange(keys.shape[2]) >= self.sizes[target][:, :, None]] = np.inf  # no such image
        slot = np.argsort(keys, axis=2)[np.arange(draws)[:, None], runs.number, runs.nth]
        found: Rows = self._rows[self._starts[block] + slot]
        return found

    def permutations(self, count: int, rng: np.random.Generator) -> Rows:
        """Return permutations of all images that keep patients together, ``(count, images)``.

        ``activations[permutation]`` is a draw from the null.
        """
        found = np.empty((count, len(self.patient)), dtype=np.int64)
        for draws, places, sources in self.moves(count, rng):
            found[draws, places] = sources
        return found

    def moves(
        self, count: int, rng: np.random.Generator, first: int = 0, last: int | None = None
    ) -> Iterator[tuple[slice, Rows, Rows]]:
        """Yield the same permutations in pieces that stay small, however many images there are.

        Parameters
        ----------
        first, last
            Only draws from the one to before the other are wanted: what precedes them is drawn and passed over.

        Yields
        ------
        tuple
            Which draws, which images ``(some,)``, and the row numbers of the images that take their places,
            ``(draws, some)``. Every draw and image comes once.
        """
        wanted = range(first, count if last is None else last)
        if not self.blocks:
            for draws, keys in _pieces(rng, (count, len(self.order)), wanted):
                yield draws, self.order, self.order[places_sorted(keys)]
            return
        for group in self._size_groups:
            size = int(self.sizes[group[0]])
            own = self._rows[self._starts[group][:, None] + np.arange(size)].ravel()  # patients × images of one
            patients = rng.random((count, len(group)))
            for draws, keys in _pieces(rng, (count, len(group), size), wanted):
                block = places_sorted(patients[draws])[:, :, None] * size
                yield draws, own, own[(block + _orders(keys)).reshape(len(keys), -1)]


def _pieces(
    rng: np.random.Generator, shape: tuple[int, ...], wanted: range
) -> Iterator[tuple[slice, NDArray[np.float64]]]:
    """Yield random numbers of a shape, a few draws at a time, each with which draws they are of; those wanted alone."""
    step = max(_TOGETHER, _CHUNK // max(1, prod(shape[1:])))
    for start in range(0, shape[0], step):
        keys = rng.random((min(step, shape[0] - start), *shape[1:]))  # what is not wanted is drawn all the same
        draws = slice(max(start, wanted.start), min(start + len(keys), wanted.stop))
        if draws.start < draws.stop:
            yield draws, keys[draws.start - start : draws.stop - start]


def places_sorted(keys: NDArray[np.float64]) -> Rows:
    """Return what ``np.argsort`` does along the last axis, of random numbers from 0 to below 1, ``(draws, n)``.

    A number in the first bits and its place in the last ones are one whole number, and to sort these costs less than to
    carry places along. Where the bits left to two numbers are equal, which is rare, the row is sorted as it is.
    """
    found = np.empty(keys.shape, dtype=np.int64)
    bits = max(1, keys.shape[1] - 1).bit_length()
    place, scale = np.arange(keys.shape[1]), 2.0 ** min(_DIGITS, 63 - bits)  # all 53, or the first of them
    step = max(1, _SORTED // max(1, keys.shape[1]))
    for start in range(0, len(keys), step):  # by as many as the cache holds
        some, own = keys[start : start + step], found[start : start + step]
        np.multiply(some, scale, out=own, casting="unsafe")
        own <<= bits
        own |= place
        own.sort(axis=1)
        alike = ((own[:, 1:] ^ own[:, :-1]) >> bits == 0).any(axis=1)
        own &= (1 << bits) - 1
        if alike.any():
            own[alike] = np.argsort(some[alike], axis=1)
    return found


def _orders(keys: NDArray[np.float64]) -> Rows:
    """Return what ``np.argsort`` does along the last axis, of random numbers ``(draws, patients, images of one)``.

    To sort a few numbers costs less than to call for it: by exchanges of neighbours (odd-even transposition; Knuth, The
    Art of Computer Programming, vol. 3, 5.3.4), all patients at once. A number in the first bits and its place in the
    last ones are one whole number.
    """
    size = keys.shape[-1]
    if size > _FEW:
        return np.argsort(keys, axis=-1)
    found = np.empty(keys.shape, dtype=np.int64)
    step = max(1, _SORTED // max(1, size * keys.shape[1]))
    for start in range(0, len(keys), step):  # by as many as the cache holds
        some = keys[start : start + step]
        whole = (some * 2.0**_DIGITS).astype(np.int64) << 3  # exact
        column = [whole[..., at] | at for at in range(size)]
        for turn in range(size):
            for at in range(turn % 2, size - 1, 2):
                low, high = column[at], column[at + 1]
                column[at], column[at + 1] = np.minimum(low, high), np.maximum(low, high)
        for at, one in enumerate(column):
            np.bitwise_and(one, _FEW - 1, out=found[start : start + step, :, at])
    return found


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
