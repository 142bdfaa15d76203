"""What the public data sets share: a root, tables, files by content, and an account of what could not be mapped."""

from __future__ import annotations

import abc
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path

import pydantic

import mcd
from mcd.errors import DataError
from mcd.plugins import digest, each_file, file_digest, read_picture
from mcd_plugins.cohorts.tables import Row
from mcd_plugins.datasets.pictures import DECODERS as PICTURES
from mcd_plugins.datasets.pictures import SUFFIXES, PictureOptions, PictureTally, examine_picture, is_file
from mcd_plugins.dicom.decoding import DECODERS
from mcd_plugins.dicom.reading import DicomOptions, LeftOut, Tally, displayed, examined, stored

__all__ = ["Cohort", "CohortOptions", "boxes_of", "checked_root", "clipped"]


class CohortOptions(mcd.Options):
    """Settings that all cohorts have."""

    root: Path = pydantic.Field(description="the folder of the data set as it was released")
    reading: DicomOptions = pydantic.Field(
        default_factory=DicomOptions, description='how DICOM files are read, such as {"voi": "none"}'
    )
    pictures: PictureOptions = pydantic.Field(
        default_factory=PictureOptions, description='how PNG, JPEG and TIFF files are read, such as {"bits": 12}'
    )


class Cohort(mcd.Dataset, abc.ABC):
    """Base of the public data sets.

    A subclass yields in `samples` the release's values for each image, in table order. Files are examined and
    decoded here, by their ending: pictures, or DICOM.
    """

    Options = CohortOptions
    options: CohortOptions
    collection: str
    has_masks = True
    decoders = tuple(dict.fromkeys((*DECODERS, *PICTURES)))

    def __init__(self, options: mcd.Options | None = None) -> None:
        super().__init__(options)
        self._odd_boxes: dict[tuple[str, str], tuple[Row, int]] = {}
        self._unmapped: dict[tuple[str, str], tuple[Row, int]] = {}
        self._tally = Tally()
        self._pictures = PictureTally()

    def __getstate__(self) -> dict[str, object]:
        """Leave the tables' rows behind on the way to a worker process, which gets its samples one by one."""
        return {name: value for name, value in vars(self).items() if name != "_samples"}

    @abc.abstractmethod
    def samples(self) -> list[mcd.Sample]:
        """Return the samples that the tables list, in a fixed order; ids unique, `Sample.source` the path of the file.

        Raises
        ------
        mcd.errors.DataError
            Naming file, row and column of what is wrong.
        """

    @cached_property
    def _samples(self) -> list[mcd.Sample]:
        checked_root(self.options.root)
        found = [replace(one, collection=self.collection) for one in self.samples()]
        if not found:
            raise DataError(f"{self.options.root} names no image", "is it the whole release?")
        return found

    def __len__(self) -> int:
        """Return the number of images that the tables name."""
        return len(self._samples)

    def scan(self) -> Iterator[mcd.Sample | mcd.Unreadable]:
        """Yield a sample for each image in the tables. Files are not opened yet."""
        return iter(self._samples)

    def remarks(self) -> list[str]:
        """Return which values of which columns could not be mapped, and remarks about the files' headers."""
        remarks: list[str] = [
            f"{row.table}, column '{column}': '{value}' has no counterpart here (rows: {count}, first row "
            f"{row.number}); it is kept as it is in labels"
            for (column, value), (row, count) in self._unmapped.items()
        ]
        remarks += [
            f"{table}: {count} boxes {what} (first row {row.number})"
            for (table, what), (row, count) in self._odd_boxes.items()
        ]
        return [*remarks, *self._tally.remarks(), *self._pictures.remarks()]

    def mapped(self, row: Row, column: str, known: Mapping[str, str]) -> str:
        """Return what a cell stands for; empty, and noted, where it is none of ``known``. Missing is just empty."""
        text = row[column]
        if not text or text in known:
            return known.get(text, "")
        first, count = self._unmapped.get((column, text), (row, 0))
        self._unmapped[column, text] = (first, count + 1)
        return ""

    def boxed(self, row: Row, box: mcd.Box, height: int | None, width: int | None) -> mcd.Box | None:
        """Return a box with its corners in order and cut to its image, None where nothing of it is left; noted.

        Parameters
        ----------
        height, width
            Of the image that the box is given in; None where the release does not say.
        """
        cut = clipped(box, height, width)
        if box.x0 > box.x1 or box.y0 > box.y1:
            self._note_box(row, "have swapped corners, which are put in order")
        if cut is None:
            self._note_box(row, "lie outside their image or have no area and are left out")
        return cut

    def _note_box(self, row: Row, what: str) -> None:
        first, count = self._odd_boxes.get((row.table, what), (row, 0))
        self._odd_boxes[row.table, what] = (first, count + 1)

    def examine(self, sample: mcd.Sample) -> mcd.Sample | mcd.Unreadable:
        """Return the sample with its digest and what the file adds, or why the file cannot be used."""
        return next(self.examine_each([sample]))

    def examine_each(self, samples: Sequence[mcd.Sample]) -> Iterator[mcd.Sample | mcd.Unreadable]:
        """Yield what `examine` returns for each sample."""
        settings = (self.options.reading, self.options.pictures)
        for found in each_file(_examined, samples, settings, decoders=self.decoders, kinds=(LeftOut,)):
            (self._pictures if Path(found.source).suffix.lower() in SUFFIXES else self._tally).add(found)
            yield found

    def current_digest(self, sample: mcd.Sample) -> str:
        """Return the digest of the file as it is now."""
        return file_digest(sample.source)

    def decoding(self) -> str:
        """Return a digest of how files are read; where they are takes no part."""
        return digest("cohort", self.options.reading.model_dump_json(), self.options.pictures.model_dump_json())

    def read(self, sample: mcd.Sample) -> mcd.Image:
        """Decode one image, a DICOM file as a workstation shows it."""
        path = Path(sample.source)
        if path.suffix.lower() in SUFFIXES:
            return read_picture(path, self.options.pictures)
        return displayed(path, self.options.reading)

    def read_stored(self, sample: mcd.Sample) -> mcd.Image:
        """Decode one image, a DICOM file with its stored values."""
        path = Path(sample.source)
        if path.suffix.lower() in SUFFIXES:
            return read_picture(path, self.options.pictures)
        return stored(path, self.options.reading)


def _examined(sample: mcd.Sample, settings: tuple[DicomOptions, PictureOptions]) -> mcd.Sample | mcd.Unreadable:
    path = Path(sample.source)
    if not is_file(path):
        return mcd.Unreadable(sample.source, "there is no such file, but a table of the data set names it")
    if path.suffix.lower() in SUFFIXES:
        return examine_picture(sample, settings[1])
    return examined(sample, settings[0])


def checked_root(root: Path) -> None:
    """Refuse a root that is no folder.

    Raises
    ------
    DataError
        Saying so.
    """
    if not root.is_dir():
        raise DataError(f"there is no folder {root}", "give the folder of the data set as root=DIR")


def boxes_of(height: int | None, width: int | None) -> dict[str, str]:
    """Return the fact that says which size boxes are given in; none where the release does not say."""
    return {"boxes": f"{height}×{width}"} if height and width else {}


def clipped(box: mcd.Box, height: int | None, width: int | None) -> mcd.Box | None:
    """Return a box with its corners in order and cut to its image, or None where nothing of it is left."""
    (x0, x1), (y0, y1) = sorted((box.x0, box.x1)), sorted((box.y0, box.y1))
    x0, y0, x1, y1 = max(0, x0), max(0, y0), min(width or x1, x1), min(height or y1, y1)
    return replace(box, x0=x0, y0=y0, x1=x1, y1=y1) if x0 < x1 and y0 < y1 else None
