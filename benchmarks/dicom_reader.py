"""Seconds an image of the DICOM reader, beside plain pydicom.

Both read the same file of 4096×3328 pixels with 12 bits and a window: the reader gives uint16 ready for a model,
pydicom ``dcmread(…).pixel_array`` and ``apply_voi_lut``. Rounds alternate, so that whatever else the machine does
falls on both. One process, one thread.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import click
import cv2
import numpy as np
import pydicom
from numpy.typing import NDArray
from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.pixels import apply_voi_lut
from pydicom.uid import ExplicitVRLittleEndian, JPEG2000Lossless, JPEGLSLossless, RLELossless, generate_uid

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
    meta.MediaStorageSOPClassUID = "1.2.840.10008.5.1.4.1.1.1.2"
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


def seconds(work: Callable[[], object]) -> float:
    """Return how long it took."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


@click.command()
@click.option("--rows", default=4096, show_default=True)
@click.option("--columns", default=3328, show_default=True)
@click.option("--rounds", default=5, show_default=True)
@click.option("--function", default="SIGMOID", show_default=True, help="LINEAR, LINEAR_EXACT or SIGMOID.")
def main(rows: int, columns: int, rounds: int, function: str) -> None:
    """Print a row for each transfer syntax: medians, and the median of the ratios."""
    cv2.setNumThreads(1)
    options = DicomOptions()
    print(f"{rows}×{columns}, 12 bit, {function}, {rounds} rounds, pydicom {pydicom.__version__}")
    print(f"{'syntax':<10} {'file MB':>8} {'reader s':>9} {'pydicom s':>10} {'ratio':>6}")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "image.dcm"
        pixels = breast(rows, columns)
        for name, syntax in _SYNTAXES.items():
            file = written(path, pixels, function)
            if syntax != ExplicitVRLittleEndian:
                file.compress(syntax)
                file.save_as(path)
            pairs = [(seconds(lambda: displayed(path, options)), seconds(lambda: plain(path))) for _ in range(rounds)]
            ours, theirs = (statistics.median(column) for column in zip(*pairs, strict=True))
            ratio = statistics.median(one / other for one, other in pairs)
            print(f"{name:<10} {path.stat().st_size / 1e6:>8.1f} {ours:>9.3f} {theirs:>10.3f} {ratio:>6.2f}")


if __name__ == "__main__":
    main()
