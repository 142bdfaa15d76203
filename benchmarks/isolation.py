"""What it costs to decode compressed mammograms in a helper process, beside decoding in the process that reads them.

An image is read as in a run: decoded, shown as a workstation does, checked and prepared for a model. Seconds are
processor time, of both processes where there are two, so that other work on the machine hardly shows.
Every file is read both ways in turn; the helper, which takes about half a second to start, runs already.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from unittest import mock

import click
import cv2
import numpy as np
import pydicom
from dicom_reader import breast, written
from pydicom.encaps import encapsulate
from pydicom.uid import JPEG2000Lossless, JPEGBaseline8Bit, JPEGLSLossless, RLELossless

import mcd
from mcd.extraction.reading import read_checked
from mcd.plugins import Limits, isolated
from mcd_plugins.dicom import decoding, rendering
from mcd_plugins.dicom.dataset import DicomFolder

_MODEL = mcd.Preprocessing(height=1520, width=912)
_SYNTAXES = {
    "JPEG, 8 bit": JPEGBaseline8Bit,
    "RLE": RLELossless,
    "JPEG-LS": JPEGLSLossless,
    "JPEG 2000": JPEG2000Lossless,
}


def here(function: Callable[..., mcd.Image], *work: object, limits: Limits) -> mcd.Image:
    """Stand in for `mcd.plugins.isolated`: no other process, no limits."""
    return function(*work)


def as_jpeg(file: pydicom.FileDataset) -> None:
    """Make an 8-bit JPEG of a file, which pydicom does not write."""
    encoded = cv2.imencode(".jpg", (file.pixel_array >> 4).astype(np.uint8))[1].tobytes()
    file.file_meta.TransferSyntaxUID = JPEGBaseline8Bit
    file.BitsAllocated, file.BitsStored, file.HighBit, file.WindowCenter, file.WindowWidth = 8, 8, 7, 128, 256
    file.PixelData = encapsulate([encoded])
    file["PixelData"].VR, file["PixelData"].is_undefined_length = "OB", True


def used(helper: bool) -> float:
    """Return the processor time that this process has used, and its helper."""
    return time.process_time() + (isolated(time.process_time).item() if helper else 0.0)


def seconds(path: Path, helper: bool) -> float:
    """Return the processor time that it takes to read a file and prepare its image."""
    before = used(helper)
    _MODEL.prepare(
        read_checked(DicomFolder(DicomFolder.Options(path=path)), mcd.Sample("", source=str(path)), "displayed")
    )
    return used(helper) - before


def measured(path: Path, rounds: int) -> tuple[float, float, float]:
    """Return the median seconds in a helper and in this process, and the median of their ratios."""
    pairs = []
    for turn in range(rounds + 1):
        apart = seconds(path, helper=True)
        with mock.patch.object(rendering, "isolated", here), mock.patch.object(decoding, "isolated", here):
            together = seconds(path, helper=False)
        if turn:  # in the first, decoders are loaded
            pairs.append((apart, together))
    first, second = (statistics.median(column) for column in zip(*pairs, strict=True))
    return first, second, statistics.median(one / other for one, other in pairs)


@click.command()
@click.option("--rows", default=4096, show_default=True)
@click.option("--columns", default=3328, show_default=True)
@click.option("--rounds", default=9, show_default=True)
def main(rows: int, columns: int, rounds: int) -> None:
    """Print a row for each transfer syntax."""
    cv2.setNumThreads(1)
    print(f"{rows}×{columns}, 12 bit, {rounds} rounds, pydicom {pydicom.__version__}")
    print(f"{'syntax':<11} {'file MB':>8} {'helper s':>9} {'here s':>8} {'ratio':>6}")
    with tempfile.TemporaryDirectory() as folder:
        for name, syntax in _SYNTAXES.items():
            path = Path(folder) / f"{name}.dcm"
            file = written(path, breast(rows, columns), "LINEAR")
            if syntax == JPEGBaseline8Bit:
                as_jpeg(file)
            else:
                file.compress(syntax)
            file.save_as(path)
            apart, together, ratio = measured(path, rounds)
            print(f"{name:<11} {path.stat().st_size / 1e6:>8.1f} {apart:>9.3f} {together:>8.3f} {ratio:>6.3f}")


if __name__ == "__main__":
    main()
