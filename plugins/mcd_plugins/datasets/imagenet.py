"""The data set ``imagenet-subset``: images that a text list names, with a class each."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path

import pydantic

import mcd
from mcd.errors import DataError
from mcd.plugins import each_file, file_digest, read_picture
from mcd_plugins.datasets.csv_cells import located
from mcd_plugins.datasets.pictures import DECODERS, PictureOptions, examine_picture, is_file
from mcd_plugins.datasets.text_lines import text_lines

__all__ = ["ImageNetSubset"]


class _Where(mcd.Options):
    list: Path = pydantic.Field(description='the text list, "path label" a line')
    root: Path | None = pydantic.Field(
        default=None, description="the folder that relative paths start from; by default that of the list"
    )


class ImageNetSubset(mcd.Dataset):
    """Natural images from a text list, "path label" a line, as the published code of Mammo-CLIP Dissect reads them.

    A control beside mammograms: a neuron that answers to these as well has learned nothing about breasts. The label is
    the last word of a line, so paths may hold blanks.
    """

    class Options(PictureOptions, _Where):
        """Settings of the data set: where it is, then how files are read."""

    options: Options
    decoders = DECODERS
    against_copies = "ImageNet's terms allow research only and no passing on"

    @cached_property
    def _samples(self) -> list[mcd.Sample]:
        path = self.options.list
        root = self.options.root if self.options.root is not None else path.parent
        found: dict[str, mcd.Sample] = {}
        lines: dict[str, int] = {}
        for number, line in _lines(path):
            written, _, label = line.rpartition(" ")
            if not written.strip():
                raise DataError(f"{path}, row {number}, column 'label': the label is missing", "write: path label")
            source, own = located(root, written.strip())
            if own in found:
                raise DataError(
                    f"{path}, row {number}, column 'path': the file is that of row {lines[own]} again",
                    "keep one of the two",
                )
            lines[own] = number
            found[own] = mcd.Sample(own, source=str(source), collection="imagenet-subset", labels={"label": label})
        if not found:
            raise DataError(f"{path} names no image", 'write "path label", a line an image')
        return list(found.values())

    def __len__(self) -> int:
        """Return the number of images that the list names."""
        return len(self._samples)

    def scan(self) -> Iterator[mcd.Sample | mcd.Unreadable]:
        """Yield a sample for each line."""
        return iter(self._samples)

    def examine(self, sample: mcd.Sample) -> mcd.Sample | mcd.Unreadable:
        """Return the sample with its digest when the file has the header of an image."""
        return _examined(sample, self.options)

    def examine_each(self, samples: Sequence[mcd.Sample]) -> Iterator[mcd.Sample | mcd.Unreadable]:
        """Yield what `examine` returns for each sample."""
        return each_file(_examined, samples, self.options, decoders=DECODERS)

    def current_digest(self, sample: mcd.Sample) -> str:
        """Return the digest of the file as it is now."""
        return file_digest(sample.source)

    def read(self, sample: mcd.Sample) -> mcd.Image:
        """Decode one file."""
        return read_picture(Path(sample.source), self.options)


def _examined(sample: mcd.Sample, options: PictureOptions) -> mcd.Sample | mcd.Unreadable:
    if not is_file(Path(sample.source)):
        return mcd.Unreadable(sample.source, "there is no such file, but the list names it")
    return examine_picture(sample, options)


def _lines(path: Path) -> Iterator[tuple[int, str]]:
    """Yield the lines that are not blank, with their numbers, every blank in them a space."""
    for number, line in text_lines(path, "list", "give the text list as list=FILE"):
        text = line.replace("\t", " ").strip()
        if text:
            yield number, text
