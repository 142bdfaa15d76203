"""The data set ``images``."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from pathlib import Path

import pydantic

import mcd
from mcd.plugins import digest, files_below, samples_of
from mcd_plugins.datasets.pictures import DECODERS, SUFFIXES, examine_picture, picture

__all__ = ["ImageFolder"]

_KIND = "PNG, JPEG, TIFF, BMP or PGM"
_DICOM = "for DICOM files take --dataset dicom (in a run: --dataset dicom:FOLDER)"


class ImageFolder(mcd.Dataset):
    """Image files below a folder, in the order of their paths. 16-bit files keep their depth."""

    class Options(mcd.Options):
        """Settings of the data set."""

        path: Path = pydantic.Field(description="a folder, searched with everything below it, or one file")

    options: Options
    has_masks = True
    decoders = DECODERS

    @cached_property
    def _paths(self) -> list[Path]:
        return files_below(self.options.path, lambda path: path.suffix.lower() in SUFFIXES, _KIND, _DICOM)

    def __len__(self) -> int:
        """Return the number of files."""
        return len(self._paths)

    def scan(self) -> Iterator[mcd.Sample | mcd.Unreadable]:
        """Yield a sample for each file."""
        return samples_of(self._paths, self.options.path)

    def examine(self, sample: mcd.Sample) -> mcd.Sample | mcd.Unreadable:
        """Return the sample with its digest when the file has the header of an image and, for PNG, whole chunks."""
        return examine_picture(sample)

    def decoding(self) -> str:
        """Return a digest of how files are decoded: there is only one way."""
        return digest("pictures")

    def read(self, sample: mcd.Sample) -> mcd.Image:
        """Decode one file."""
        return picture(Path(sample.source))
