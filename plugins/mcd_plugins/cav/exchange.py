"""Which images may change places in a random concept: those that nothing but chance tells apart.

Several images of one patient are not independent, and the views of one breast less so than those of both. Labels are
therefore exchanged at three levels at once (Winkler et al. 2015, NeuroImage 123, multi-level block permutation).
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from math import lgamma

import numpy as np
from numpy.typing import NDArray

__all__ = ["Exchange"]

Flags = NDArray[np.bool_]
Values = NDArray[np.float64]
Rows = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Exchange:
    """Patients are exchanged with patients who are alike, parts of a patient with parts, images of a part with images.

    Images are alike when they have the same nuisances, parts when they have as many images of each kind, and patients
    when they have as many parts of each kind.

    Parameters
    ----------
    patients
        Of each image, ``(n,)``; an image whose patient is not known ("") is a patient of its own.
    parts
        To which part of its patient an image belongs, such as the breast, ``(n,)``; "" for a part of its own. None: all
        images are.
    nuisances
        Columns of metadata, each ``(n,)``.
    """

    patients: Sequence[str]
    parts: Sequence[str] | None = None
    nuisances: Sequence[Sequence[str]] = ()

    @cached_property
    def patient(self) -> Rows:
        """The number of each image's patient, from 0, ``(n,)``."""
        return _numbered(one or row for row, one in enumerate(self.patients))

    @cached_property
    def _part(self) -> Rows:
        named = self.parts or [""] * len(self.patients)
        return _numbered((who, one or row) for row, (who, one) in enumerate(zip(self.patient, named, strict=True)))

    @cached_property
    def _patient_of_part(self) -> Rows:
        found: Rows = self.patient[np.unique(self._part, return_index=True)[1]]
        return found

    @cached_property
    def _kind(self) -> Rows:
        """The kind of each image."""
        return _numbered(zip(*self.nuisances, strict=True)) if self.nuisances else np.zeros_like(self.patient)

    @cached_property
    def _kind_of_part(self) -> Rows:
        return _members(self._kind, self._part)

    @cached_property
    def _kind_of_patient(self) -> Rows:
        return _members(self._kind_of_part, self._patient_of_part)

    def permutations(self, count: int, rng: np.random.Generator) -> Rows:
        """Return permutations of the images, ``(count, n)``: ``labels[permutation]`` are those of a random concept."""
        shapes = [(count, len(one)) for one in (self._kind_of_patient, self._kind_of_part, self._kind)]
        found = np.empty(shapes[-1], dtype=np.int64)
        found[:, self._places] = self._ordered(*(rng.random(shape) for shape in shapes))
        return found

    @cached_property
    def _places(self) -> Rows:
        """Images in an order in which the n-th patient, part and image is alike in all permutations."""
        kinds = (self._kind_of_patient, self._kind_of_part, self._kind)
        found: Rows = self._ordered(*(np.arange(len(one))[None] / len(one) for one in kinds)).ravel()
        return found

    def _ordered(self, people: Values, parts: Values, images: Values) -> Rows:
        """Return images ``(draws, n)`` by kind of patient, patient, kind of part, part, and kind, by numbers 0 to 1."""
        first = _ranks(self._kind_of_patient + people)[:, self._patient_of_part]
        second = _ranks(first * (1 + self._kind_of_part.max()) + self._kind_of_part + parts)[:, self._part]
        found: Rows = np.argsort(second * (1 + self._kind.max()) + self._kind + images, axis=1, kind="stable")
        return found

    def staying(self, chosen: Flags) -> float:
        """Return the share of images, such as those with the concept, that keep their patient, on average, 0…1."""
        alike = np.bincount(self._kind_of_patient)[self._kind_of_patient]
        return float((1 / alike[self.patient[chosen]]).mean())

    def smallest(self, labels: Flags | Rows) -> float:
        """Return the chance of labels ``(n,)``, about the smallest p: 1 over the number of different ones."""
        images = _numbered(zip(self._kind.tolist(), labels.tolist(), strict=True))
        parts = _members(images, self._part)
        people = _members(parts, self._patient_of_part)
        ways = _orders(images, self._part, self._kind) + _orders(parts, self._patient_of_part, self._kind_of_part)
        return float(np.exp(-ways - _orders(people, self._kind_of_patient)))


def _numbered(keys: Iterable[Hashable]) -> Rows:
    """Return numbers from 0, equal ones for equal keys, in the order in which they come."""
    number: dict[Hashable, int] = {}
    return np.array([number.setdefault(key, len(number)) for key in keys], dtype=np.int64)


def _members(kinds: Rows, owners: Rows) -> Rows:
    """Return a number for each owner, equal where as many of each kind belong to it."""
    found: list[list[int]] = [[] for _ in range(int(owners.max()) + 1)]
    for kind, owner in zip(kinds.tolist(), owners.tolist(), strict=True):
        found[owner].append(kind)
    return _numbered(tuple(sorted(own)) for own in found)


def _orders(types: Rows, *groups: Rows) -> float:
    """Return the logarithm of how many different orders there are of types within groups."""
    counts = [np.unique(np.stack(one), axis=1, return_counts=True)[1] for one in (groups, [*groups, types])]
    whole, same = (sum(lgamma(count + 1) for count in own.tolist()) for own in counts)
    return whole - same


def _ranks(keys: Values) -> Rows:
    """Return the place of each number in its row."""
    found = np.empty(keys.shape, dtype=np.int64)
    np.put_along_axis(found, np.argsort(keys, axis=1, kind="stable"), np.arange(keys.shape[1])[None], axis=1)
    return found
