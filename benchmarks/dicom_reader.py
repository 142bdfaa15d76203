"""The DICOM reader beside plain pydicom.

Both read the same file of 12 bits with a window: the reader gives uint16 ready for a model, pydicom
`dcmread(…).pixel_array` and `apply_voi_lut`. Processor seconds an image, those of the process that decodes included;
medians.
"""

from __future__ import annotations

import statistics
import tempfile
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import cv2
import numpy as np
import pydicom
from numpy.typing import NDArray
from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.pixels.processing import apply_voi_lut
from pydicom.uid import (
    DigitalMammographyXRayImageStorageForPresentation,
    ExplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGLSLossless,
    RLELossless,
    generate_uid,
)

from benchmarks.report import Line, Report, Table
from benchmarks.timing import Work, in_turn, ratio, with_helper
from mcd_plugins.dicom.reading import DicomOptions, displayed

_SYNTAXES = {
    "native": ExplicitVRLittleEndian,
    "RLE": RLELossless,
    "JPEG-LS": JPEGLSLossless,
    "JPEG 2000": JPEG2000Lossless,
}


def breast(rows: int, columns: int) -> NDArray[np.uint16]:
    """Return something as noisy and as empty as a mammogram: half an ellipse of textured tissue on black."""
    rng = np.random.default_rng(0)
    y, x = np.mgrid[0:rows, 0:columns]
    depth = 1 - ((y - rows / 2) / (0.45 * rows)) ** 2 - (x / (0.65 * columns)) ** 2
    texture = sum(
        cv2.resize(rng.normal(0, 90, (rows // step, columns // step)), (columns, rows)) for step in (8, 64, 256)
    )
    grey = 1400 + 900 * np.clip(depth, 0, 1) + texture + rng.normal(0, 12, (rows, columns))
    return np.where(depth > 0, np.clip(grey, 1, 4095), 0).astype(np.uint16)


def written(path: Path, pixels: NDArray[np.uint16], function: str) -> FileDataset:
    """Save an image natively and return it."""
    meta = FileMetaDataset()
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    meta.MediaStorageSOPClassUID = DigitalMammographyXRayImageStorageForPresentation
    meta.MediaStorageSOPInstanceUID = generate_uid()
    file = FileDataset(str(path), {}, file_meta=meta, preamble=b"\0" * 128)
    file.SOPClassUID, file.SOPInstanceUID = meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID
    file.Rows, file.Columns = pixels.shape
    file.BitsAllocated, file.BitsStored, file.HighBit, file.PixelRepresentation = 16, 12, 11, 0
    file.SamplesPerPixel, file.PhotometricInterpretation = 1, "MONOCHROME2"
    file.WindowCenter, file.WindowWidth, file.VOILUTFunction = 2000, 1500, function
    file.PixelData = pixels.tobytes()
    file.save_as(path, enforce_file_format=True)
    return file


def plain(path: Path) -> object:
    """Return what pydicom makes of a file."""
    header = pydicom.dcmread(path)
    return apply_voi_lut(header.pixel_array, header)


@dataclass(frozen=True)
class Settings:
    """Size of the image, rounds, and the function of the window: LINEAR, LINEAR_EXACT or SIGMOID."""

    rows: int = 4096
    columns: int = 3328
    rounds: int = 5
    function: str = "SIGMOID"


TOY = Settings(rows=256, columns=256, rounds=1)


def measure(settings: Settings) -> Report:
    """Return a row for each transfer syntax: medians, and the median of the ratios."""
    cv2.setNumThreads(1)
    options, rows = DicomOptions(), list[tuple[str, float, float, float, float]]()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "image.dcm"
        pixels = breast(settings.rows, settings.columns)
        for name, syntax in _SYNTAXES.items():
            file = written(path, pixels, settings.function)
            if syntax != ExplicitVRLittleEndian:
                file.compress(syntax)
                file.save_as(path)
            works: dict[str, Work] = {"mcd": partial(displayed, path, options), "pydicom": partial(plain, path)}
            times = in_turn(works, settings.rounds, with_helper)
            ours, theirs = (statistics.median(one) for one in times.values())
            rows.append((name, path.stat().st_size / 1e6, ours, theirs, ratio(times["mcd"], times["pydicom"])))
    title = f"{settings.rows}×{settings.columns}, {settings.function}"
    lines = [Line(f"DICOM {name}, s an image", ours, "pydicom", theirs, one) for name, _, ours, theirs, one in rows]
    return Report([Table(title, ("syntax", "MB", "mcd", "pydicom", "ratio"), rows)], lines)
