"""DICOM files written for the tests with pydicom: one plain mammogram, of which each test changes something."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.sequence import Sequence
from pydicom.uid import UID, ExplicitVRBigEndian, ExplicitVRLittleEndian, generate_uid

MAMMOGRAM = "1.2.840.10008.5.1.4.1.1.1.2"


@pytest.fixture
def ramp() -> np.ndarray:
    """Stored values of the plain mammogram: 48×40, 12 bit, from 0 to 4095."""
    return np.linspace(0, 4095, 48 * 40).round().astype(np.uint16).reshape(48, 40)


@pytest.fixture
def saved(tmp_path: Path, ramp: np.ndarray) -> Callable[..., Path]:
    """Write a file: an attribute given as None is absent; ``after`` is applied once the pixels are compressed."""

    def save(
        name: str = "a.dcm",
        *,
        syntax: str = ExplicitVRLittleEndian,
        pixels: np.ndarray = ramp,
        meta: dict[str, object] | None = None,
        after: dict[str, object] | None = None,
        **changes: object,
    ) -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # some files are wrong on purpose
            _written(path, UID(syntax), pixels, meta or {}, after or {}, changes)
        return path

    return save


def _written(
    path: Path,
    syntax: UID,
    pixels: np.ndarray,
    meta: dict[str, object],
    after: dict[str, object],
    changes: dict[str, object],
) -> None:
    head = FileMetaDataset()
    head.TransferSyntaxUID = ExplicitVRLittleEndian if syntax.is_encapsulated else syntax
    head.MediaStorageSOPClassUID = MAMMOGRAM
    head.MediaStorageSOPInstanceUID = generate_uid()
    for name, value in meta.items():
        setattr(head, name, value)
    big = syntax == ExplicitVRBigEndian
    file = FileDataset(
        str(path),
        {},
        file_meta=head,
        preamble=b"\0" * 128,
        is_implicit_VR=syntax.is_implicit_VR,
        is_little_endian=not big,
    )
    order = ">" if big else "<"
    bits = pixels.dtype.itemsize * 8
    values: dict[str, object] = {
        "SOPClassUID": MAMMOGRAM,
        "SOPInstanceUID": head.MediaStorageSOPInstanceUID,
        "Modality": "MG",
        "PatientID": "MRN-4711",
        "StudyInstanceUID": "1.2.3",
        "ViewPosition": "CC",
        "ImageLaterality": "L",
        "Rows": pixels.shape[0],
        "Columns": pixels.shape[1],
        "SamplesPerPixel": 1,
        "BitsAllocated": bits,
        "BitsStored": min(bits, 12),
        "HighBit": min(bits, 12) - 1,
        "PixelRepresentation": int(pixels.dtype.kind == "i"),
        "PhotometricInterpretation": "MONOCHROME2",
        "PixelData": pixels.astype(pixels.dtype.newbyteorder(order)).tobytes(),
        **changes,
    }
    _set(file, values)
    file["PixelData"].VR = "OB" if bits == 8 else "OW"
    if syntax.is_encapsulated:
        file.compress(syntax)
    _set(file, after)
    file.save_as(path, enforce_file_format=not meta, overwrite=True)


def _set(file: pydicom.Dataset, values: dict[str, object]) -> None:
    for name, value in values.items():
        if value is None:
            if name in file:
                delattr(file, name)
        else:
            setattr(file, name, value)


@pytest.fixture
def lut() -> Callable[..., Sequence]:
    """Make the one item of a LUT sequence; ``vr`` is how its entries are written: US numbers, or OW bytes."""

    def make(entries: np.ndarray, first: int, bits: int, vr: str = "US") -> Sequence:
        item = pydicom.Dataset()
        count = len(entries) % (1 << 16)
        item.add_new("LUTDescriptor", "SS" if first < 0 else "US", [count, first, bits])
        data = entries.tobytes() if vr == "OW" else [int(one) for one in entries]
        item.add_new("LUTData", vr, data)
        return Sequence([item])

    return make
