"""The data set: imported when somebody uses it."""

from __future__ import annotations

import csv
import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

import mcd
from mcd.errors import DataError

__all__ = ["ArraysDataset"]

Pixels = NDArray[np.uint8] | NDArray[np.uint16]

_FACTS = ("patient", "view", "laterality", "density")
"""Columns that say what a `mcd.Sample` says in the same words."""
_FINDINGS = {"1": True, "0": False}
"""What a cell of any other column means; an empty one is not known, which is not absent."""


class ArraysDataset(mcd.Dataset):
    """Images of one size as one array, and a table with a row for each.

    ``images.npy`` is uint8 or uint16 ``(N, H, W)``, black 0. ``table.csv`` has N rows in the same order and a column
    ``id``; ``patient``, ``view``, ``laterality`` and ``density`` where they are known; every other column is a finding.
    """

    class Options(mcd.Options):
        """Settings; the first is what NAME:VALUE sets."""

        root: Path = Field(description="the folder of images.npy and table.csv")
        white: int = Field(
            default=255, ge=1, le=65535, description="the value that means white: 255, or 4095 of 12 bits"
        )

    options: Options

    def __len__(self) -> int:
        return len(self._rows)

    def scan(self) -> Iterator[mcd.Sample]:
        """Yield the samples of the table, with their labels."""
        for number, row in enumerate(self._rows, start=2):
            try:
                findings = {name: _FINDINGS[cell] for name, cell in row.items() if cell and name not in ("id", *_FACTS)}
            except KeyError as error:
                raise DataError(
                    f"{self._table}, line {number}: a finding is {error}",
                    "write 1 for present, 0 for absent, or nothing",
                ) from None
            said = {name: row.get(name, "") for name in _FACTS}
            yield mcd.Sample(
                id=row["id"],
                patient=said["patient"],
                view=said["view"],
                laterality=said["laterality"],
                density=said["density"],
                findings=findings,
            )

    def examine(self, sample: mcd.Sample) -> mcd.Sample:
        """Return the sample with the digest of its pixels: they are a part of a file, not a file."""
        return replace(sample, digest=_digest(self._pixels(sample)))

    def read(self, sample: mcd.Sample) -> mcd.Image:
        """Return one image; in worker processes."""
        pixels = self._pixels(sample)
        return mcd.Image(pixels, float(self.options.white), digest=_digest(pixels))

    def __getstate__(self) -> Mapping[str, object]:
        """Return what worker processes need: each opens the array by itself."""
        return {"options": self.options}

    @property
    def _table(self) -> Path:
        return self.options.root / "table.csv"

    @cached_property
    def _rows(self) -> list[dict[str, str]]:
        try:
            with self._table.open(encoding="utf-8", newline="") as file:
                rows = list(csv.DictReader(file))
        except OSError as error:
            hint = "give the folder that it is in: acme-arrays:FOLDER"
            raise DataError(f"{self._table} cannot be read: {error.strerror}", hint) from None
        if not rows or "id" not in rows[0]:
            raise DataError(f"{self._table} has no rows with an id", "write a header with id, and a row for each image")
        if len(rows) != len(self._array):
            raise DataError(
                f"{self._table} has {len(rows)} rows, and images.npy {len(self._array)} images",
                "write one row for each image, in their order",
            )
        return rows

    @cached_property
    def _places(self) -> dict[str, int]:
        return {row["id"]: place for place, row in enumerate(self._rows)}

    @cached_property
    def _array(self) -> Pixels:
        path = self.options.root / "images.npy"
        try:
            found: Pixels = np.load(path, mmap_mode="r", allow_pickle=False)  # an image is read when it is asked for
        except (OSError, ValueError) as error:
            raise DataError(f"{path} cannot be read: {error}", "write it with numpy.save") from None
        if found.ndim != 3 or found.dtype.name not in ("uint8", "uint16"):
            raise DataError(f"{path} is {found.dtype} {found.shape}", "save uint8 or uint16 of (images, rows, columns)")
        return found

    def _pixels(self, sample: mcd.Sample) -> Pixels:
        pixels: Pixels = self._array[self._places[sample.id]].copy()
        return pixels


def _digest(pixels: Pixels) -> str:
    return hashlib.sha256(pixels.tobytes()).hexdigest()
