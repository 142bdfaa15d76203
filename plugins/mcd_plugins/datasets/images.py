"""The data set ``images``."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path

import pydantic

import mcd
from mcd.plugins import digest, each_file, file_digest, files_below, read_picture, said_beside, samples_of
from mcd_plugins.datasets.pictures import (
    DECODERS,
    SUFFIXES,
    PictureOptions,
    PictureTally,
    examine_picture,
)

__all__ = ["ImageFolder"]

_KIND = "PNG, JPEG, TIFF, BMP or PGM"
_DICOM = "for DICOM files take the data set dicom: --dataset dicom, or dicom:FOLDER"


class _Where(mcd.Options):
    path: Path = pydantic.Field(description="a folder, searched with everything below it, or one file")


class ImageFolder(mcd.Dataset):
    """Image files below a folder, in the order of their paths, each decoded as its header declares."""

    class Options(PictureOptions, _Where):
        """Settings of the data set: where it is, then how files are read."""

    options: Options
    has_masks = True
    decoders = DECODERS

    def __init__(self, options: mcd.Options | None = None) -> None:
        super().__init__(options)
        self._tally = PictureTally()
        self._beside: Counter[str] = Counter()

    @cached_property
    def _paths(self) -> list[Path]:
        return files_below(self.options.path, lambda path: path.suffix.lower() in SUFFIXES, _KIND, _DICOM, self._beside)

    def __len__(self) -> int:
        """Return the number of files."""
        return len(self._paths)

    def scan(self) -> Iterator[mcd.Sample | mcd.Unreadable]:
        """Yield a sample for each file."""
        self._tally = PictureTally()
        return samples_of(self._paths, self.options.path)

    def remarks(self) -> list[str]:
        """Return how many images were turned, are transparent or share a file."""
        return [*self._tally.remarks(), *said_beside(self._beside)]

    def examine(self, sample: mcd.Sample) -> mcd.Sample | mcd.Unreadable:
        """Return the sample with its digest when the file has the header of an image and, for PNG, whole chunks."""
        return next(self.examine_each([sample]))

    def examine_each(self, samples: Sequence[mcd.Sample]) -> Iterator[mcd.Sample | mcd.Unreadable]:
        """Yield what `examine` returns for each sample."""
        for found in each_file(examine_picture, samples, self.options, decoders=DECODERS):
            self._tally.add(found)
            yield found

    def current_digest(self, sample: mcd.Sample) -> str:
        """Return the digest of the file as it is now."""
        return file_digest(sample.source)

    def decoding(self) -> str:
        """Return a digest of how files are read; where they are takes no part."""
        return digest("pictures", self.options.model_dump_json(exclude={"path"}))

    def read(self, sample: mcd.Sample) -> mcd.Image:
        """Decode one file."""
        return read_picture(Path(sample.source), self.options)
