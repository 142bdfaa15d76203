"""Miniature releases: tiny files under the real names."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
import PIL.Image
import pydicom
import pytest
from pydicom.dataset import FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, generate_uid

import mcd

Scanned = dict[str, mcd.Sample]


def pixels(seed: int = 0, height: int = 64, width: int = 48) -> np.ndarray:
    """Draw a left breast of 12 bits: a bright half disc at the left border."""
    rows, columns = np.mgrid[:height, :width]
    inside = ((rows - height / 2) / (height * 0.4)) ** 2 + (columns / (width * 0.7)) ** 2 < 1
    noise = np.random.default_rng(seed).integers(0, 400, (height, width))
    return np.where(inside, 1500 + noise, 0).astype(np.uint16)


def write_dicom(path: Path, *, seed: int = 0, **elements: object) -> Path:
    """Write a mammogram of 12 bits; keywords are DICOM elements over those of a plain one, None leaves one out."""
    image = pixels(seed)
    dataset = pydicom.Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    plain: dict[str, object] = {
        "SOPClassUID": "1.2.840.10008.5.1.4.1.1.1.2",
        "SOPInstanceUID": generate_uid(entropy_srcs=[str(path), str(seed)]),
        "Modality": "MG",
        "Rows": image.shape[0],
        "Columns": image.shape[1],
        "BitsAllocated": 16,
        "BitsStored": 12,
        "HighBit": 11,
        "PixelRepresentation": 0,
        "SamplesPerPixel": 1,
        "PhotometricInterpretation": "MONOCHROME2",
        "PresentationIntentType": "FOR PRESENTATION",
        "PixelData": image.tobytes(),
    }
    for name, value in (plain | elements).items():
        if value is not None:
            setattr(dataset, name, value)
    path.parent.mkdir(parents=True, exist_ok=True)
    dataset.save_as(path, enforce_file_format=True)
    return path


def write_picture(path: Path, *, seed: int = 0) -> Path:
    """Write an 8-bit picture of the same; the ending decides the format."""
    path.parent.mkdir(parents=True, exist_ok=True)
    PIL.Image.fromarray((pixels(seed) >> 4).astype(np.uint8)).save(path)
    return path


def write_table(path: Path, rows: Sequence[Mapping[str, object]], *, delimiter: str = ",") -> Path:
    """Write a table with the columns of its first row."""
    import csv

    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(rows[0]), delimiter=delimiter)
        writer.writeheader()
        writer.writerows(rows)
    return path


@pytest.fixture
def scanned() -> Callable[[mcd.Dataset], Scanned]:
    """Scan and examine a data set; every image must be usable and its findings be words of the vocabulary."""
    from mcd_plugins.cohorts.vocabulary import FINDINGS

    def run(dataset: mcd.Dataset) -> Scanned:
        found: Scanned = {}
        for one in dataset.scan():
            assert isinstance(one, mcd.Sample), one
            looked = dataset.examine(one)
            assert isinstance(looked, mcd.Sample), looked
            assert looked.digest
            assert looked.id not in found
            assert set(looked.findings) <= FINDINGS
            found[looked.id] = looked
        return found

    return run
