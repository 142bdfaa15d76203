"""The data set ``dicom``."""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import Literal

import numpy as np
import pydantic
import pydicom
from numpy.typing import NDArray
from pydicom.errors import InvalidDicomError
from pydicom.uid import UID

import mcd
from mcd.errors import ImageError
from mcd_plugins.dicom.pixels import is_negative, positive, rendered

__all__ = ["DicomFolder"]

_VIEWS = frozenset({"CC", "MLO", "ML", "LM", "LMO", "XCCL", "XCCM", "FB", "SIO", "ISO"})
_SIDES = frozenset({"L", "R"})


class DicomFolder(mcd.Dataset):
    """DICOM images below a folder, found by content, in the order of their paths.

    Pixels keep their bit depth and go through padding mask, modality LUT or rescale, VOI LUT or window, and
    the inversion of MONOCHROME1, in that order. Of the header, only view, laterality and a digest of the
    patient id leave the reader.
    """

    class Options(mcd.Options):
        """Settings of the data set."""

        path: Path = pydantic.Field(description="a folder, searched with everything below it, or one file")
        voi: Literal["standard", "none"] = pydantic.Field(
            default="standard", description="apply the file's VOI LUT or else its first window; or show all values"
        )
        limit: int | None = pydantic.Field(default=None, ge=1, description="take only the first so many")

    options: Options

    @cached_property
    def _paths(self) -> list[Path]:
        return mcd.files_below(self.options.path, _may_be_dicom, self.options.limit)

    def __len__(self) -> int:
        """Return the number of files."""
        return len(self._paths)

    def scan(self) -> Iterator[mcd.Sample | mcd.Unreadable]:
        """Yield a sample for each file whose header is that of one grey image."""
        return mcd.scan_files(self._paths, _looked_at)

    def read(self, sample: mcd.Sample) -> mcd.Image:
        """Decode one file and render it for display."""
        header, stored = _decoded(sample)
        return mcd.Image(rendered(stored, header, self.options.voi == "standard"), 65535.0, is_negative(header))

    def read_stored(self, sample: mcd.Sample) -> mcd.Image:
        """Decode one file and leave its values as they are stored; a negative is turned."""
        header, stored = _decoded(sample)
        pixels, maximum = positive(stored, header)
        return mcd.Image(pixels, maximum, is_negative(header))


def _may_be_dicom(path: Path) -> bool:
    """Whether a file is to be opened: it says DICM, or is called so (then an empty or broken one is reported)."""
    if path.suffix.lower() in (".dcm", ".dicom"):
        return True
    try:
        with path.open("rb") as file:
            return file.read(132)[128:] == b"DICM"
    except OSError:
        return False


def _opened(path: Path, *, pixels: bool) -> pydicom.Dataset:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about odd UIDs and the like; nothing a user could act on
            return pydicom.dcmread(path, stop_before_pixels=not pixels)
    except InvalidDicomError:
        raise ImageError("it is not a DICOM file") from None
    except (OSError, EOFError, ValueError, AttributeError, KeyError, TypeError) as error:
        raise ImageError(f"its header is broken: {error}") from None


def _decoded(sample: mcd.Sample) -> tuple[pydicom.Dataset, NDArray[np.generic]]:
    header = _opened(Path(sample.source), pixels=True)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return header, header.pixel_array
    except (RuntimeError, ValueError, AttributeError, NotImplementedError, OSError) as error:
        raise ImageError(_undecoded(header, error)) from None


def _looked_at(path: Path, sample: mcd.Sample) -> mcd.Sample | mcd.Unreadable:
    try:
        header = _opened(path, pixels=False)
        _check(header, path.stat().st_size)
    except ImageError as error:
        return mcd.Unreadable(str(path), error.message)
    return mcd.Sample(
        id=sample.id,
        digest=sample.digest,
        source=sample.source,
        patient=_patient(header),
        view=_first(header, _VIEWS, "ViewPosition", "PatientOrientation"),
        laterality=_first(header, _SIDES, "ImageLaterality", "Laterality"),
    )


def _check(header: pydicom.Dataset, size: int) -> None:
    """Refuse what is no single grey image, or cannot be whole."""
    rows, columns = header.get("Rows"), header.get("Columns")
    if not rows or not columns:
        raise ImageError("it holds no image")
    if str(header.get("NumberOfFrames") or "1") not in ("0", "1"):
        raise ImageError(f"it holds {header.NumberOfFrames} frames (tomosynthesis?); single images can be read")
    if header.get("SamplesPerPixel", 1) != 1:
        raise ImageError(f"it is a colour image ({header.get('PhotometricInterpretation')})")
    meta = getattr(header, "file_meta", None)
    syntax = getattr(meta, "TransferSyntaxUID", None)
    if syntax is None:
        raise ImageError("its header does not say the transfer syntax")
    needed = rows * columns * header.get("BitsAllocated", 16) // 8
    if not UID(syntax).is_compressed and size < needed:
        raise ImageError(f"it is cut short: {size} bytes for {needed} bytes of pixels")


def _patient(header: pydicom.Dataset) -> str:
    known = str(header.get("PatientID") or "")
    return hashlib.sha256(known.encode()).hexdigest()[:12] if known else ""


def _first(header: pydicom.Dataset, allowed: frozenset[str], *names: str) -> str:
    """Return the first of these attributes that holds an allowed value; digitised films misuse some of them."""
    for name in names:
        value = str(header.get(name) or "").strip().upper()
        if value in allowed:
            return value
    return ""


def _undecoded(header: pydicom.Dataset, error: Exception) -> str:
    syntax = UID(header.file_meta.TransferSyntaxUID)
    reason = " ".join(str(error).split())
    return (
        f"its pixels ({syntax.name}) cannot be decoded with the codecs installed "
        f'(more: pip install "mammo-clip-dissect[dicom]"): {reason[:200]}'
    )
