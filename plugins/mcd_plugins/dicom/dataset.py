"""The data set ``dicom``."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path

import pydantic

import mcd
from mcd.errors import ImageError
from mcd.plugins import digest, each_file, file_digest, files_below, said_beside, samples_of
from mcd_plugins.dicom.decoding import DECODERS
from mcd_plugins.dicom.reading import (
    DicomOptions,
    LeftOut,
    Tally,
    displayed,
    examined,
    header_sample,
    looks_like_dicom,
    stored,
)

__all__ = ["DicomFolder"]

_PICTURES = "for PNG, JPEG and TIFF files take the data set images: --dataset images, or images:FOLDER"


class _Where(mcd.Options):
    path: Path = pydantic.Field(description="a folder, searched with everything below it, or one file")


class DicomFolder(mcd.Dataset):
    """DICOM images below a folder, found by content, in the order of their paths.

    Pixels keep their bit depth and are shown as a workstation shows them (`mcd_plugins.dicom.reading.displayed`). Of
    the header, nothing leaves the reader that names anybody. Objects without an image and special views are passed
    over and counted in `remarks`.
    """

    class Options(DicomOptions, _Where):
        """Settings of the data set: where it is, then how it is read."""

    options: Options
    has_masks = True
    decoders = DECODERS

    def __init__(self, options: mcd.Options | None = None) -> None:
        super().__init__(options)
        self._tally, self._examined = Tally(), Tally()
        self._beside: Counter[str] = Counter()

    @cached_property
    def _paths(self) -> list[Path]:
        return files_below(self.options.path, _is_candidate, "DICOM", _PICTURES, self._beside)

    def __len__(self) -> int:
        """Return the number of files that are, or by their name should be, DICOM."""
        return len(self._paths)

    def scan(self) -> Iterator[mcd.Sample | mcd.Unreadable]:
        """Yield a sample for each file whose header is that of one image that can be shown."""
        self._tally, self._examined = Tally(), Tally()
        paths = samples_of(self._paths, self.options.path)
        for found in each_file(_header, paths, self.options, decoders=DECODERS, kinds=(LeftOut,)):
            self._tally.add(found)
            if not isinstance(found, LeftOut):
                yield found

    def remarks(self) -> list[str]:
        """Return what was left out, what is not known, and where what is known came from."""
        listed = filter(None, map(str, self._tally.remarks()))  # of all images, whoever examines which
        return [*listed, *self._examined.remarks(), *said_beside(self._beside)]

    def examine(self, sample: mcd.Sample) -> mcd.Sample | mcd.Unreadable:
        """Return the sample with its digest; pixel data that are missing or cut short are found here."""
        return next(self.examine_each([sample]))

    def examine_each(self, samples: Sequence[mcd.Sample]) -> Iterator[mcd.Sample | mcd.Unreadable]:
        """Yield what `examine` returns for each sample."""
        each = each_file(_whole, samples, self.options, decoders=DECODERS)
        for sample, found in zip(samples, each, strict=True):
            if isinstance(found, mcd.Sample) and not sample.digest:
                self._examined.note({name: value for name, value in found.facts.items() if name not in sample.facts})
            yield found

    def current_digest(self, sample: mcd.Sample) -> str:
        """Return the digest of the file as it is now."""
        return file_digest(sample.source)

    def decoding(self) -> str:
        """Return a digest of how files are read; where they are takes no part."""
        return digest("dicom", self.options.model_dump_json(exclude={"path"}))

    def read(self, sample: mcd.Sample) -> mcd.Image:
        """Decode one file and show it as a workstation does."""
        return displayed(sample.source, self.options)

    def read_stored(self, sample: mcd.Sample) -> mcd.Image:
        """Decode one file and leave its values as they are stored; a negative is turned."""
        return stored(sample.source, self.options)


def _header(sample: mcd.Sample, options: DicomOptions) -> mcd.Sample | mcd.Unreadable:
    return header_sample(sample.source, sample, options)


def _whole(sample: mcd.Sample, options: DicomOptions) -> mcd.Sample | mcd.Unreadable:
    return sample if sample.digest else examined(sample, options)


def _is_candidate(path: Path) -> bool:
    """Whether a file is to be read: by its content, or by its name, so that an empty or broken one is reported."""
    if path.suffix.lower() in (".dcm", ".dicom") and not path.name.startswith("._"):  # which macOS leaves beside copies
        return True
    try:
        return looks_like_dicom(path)
    except ImageError:
        return True  # it may not be opened, which is reported too: it could be an image
