"""What it costs to decode images in a helper process, beside decoding in the process that reads them.

An image is read as in a run: examined, decoded, shown as a workstation does, checked and prepared for a model. Seconds
are processor time, of both processes where there are two, so that other work on the machine hardly shows.
Every file is read both ways in turn; the helper, which takes about half a second to start, runs already.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from unittest import mock

import click
import cv2
import numpy as np
import PIL.Image
import pydicom
import torch
from dicom_reader import breast, written
from numpy.typing import NDArray
from pydicom.encaps import encapsulate
from pydicom.uid import JPEG2000Lossless, JPEGBaseline8Bit, JPEGLSLossless, RLELossless

import mcd
from mcd.extraction.reading import read_checked
from mcd.plugins import Limits, isolated
from mcd.study import pictures
from mcd_plugins.datasets.images import ImageFolder
from mcd_plugins.dicom import decoding, rendering
from mcd_plugins.dicom.dataset import DicomFolder

_MAMMOGRAM = mcd.Preprocessing(height=1520, width=912)
_SMALL = mcd.Preprocessing(height=224, width=224)
_SYNTAXES = {
    "DICOM, JPEG, 8 bit": JPEGBaseline8Bit,
    "DICOM, RLE": RLELossless,
    "DICOM, JPEG-LS": JPEGLSLossless,
    "DICOM, JPEG 2000": JPEG2000Lossless,
}
_USERS = (rendering, decoding, pictures)
"""Modules that decode in the helper."""


@dataclass(frozen=True)
class Case:
    """A file, and the run that reads it: its data set, the preprocessing of a model, how often to read it a round."""

    name: str
    path: Path
    dataset: mcd.Dataset
    model: mcd.Preprocessing
    times: int = 1


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


def photograph(rows: int, columns: int) -> NDArray[np.uint8]:
    """Return smooth noise in colour, ``(rows, columns, 3)``, which JPEG packs about as it packs photographs."""
    coarse = np.random.default_rng(0).integers(0, 256, (rows // 8, columns // 8, 3)).astype(np.uint8)
    return np.asarray(cv2.resize(coarse, (columns, rows), interpolation=cv2.INTER_CUBIC), dtype=np.uint8)


def dicom_cases(folder: Path, rows: int, columns: int) -> Iterator[Case]:
    """Write a compressed mammogram in each transfer syntax."""
    for name, syntax in _SYNTAXES.items():
        path = folder / f"{name}.dcm"
        file = written(path, breast(rows, columns), "LINEAR")
        if syntax == JPEGBaseline8Bit:
            as_jpeg(file)
        else:
            file.compress(syntax)
        file.save_as(path)
        yield Case(name, path, DicomFolder(DicomFolder.Options(path=path)), _MAMMOGRAM)


def picture_cases(folder: Path, rows: int, columns: int) -> Iterator[Case]:
    """Write photographs as ImageNet has them, and mammograms as PNG and TIFF."""
    small, usual = PIL.Image.fromarray(photograph(224, 224)), PIL.Image.fromarray(photograph(376, 500))
    middle = PIL.Image.fromarray(breast(3000, 2000) << 4)
    large = PIL.Image.fromarray(breast(rows, columns) << 4)
    eight = PIL.Image.fromarray((breast(rows, columns) >> 4).astype(np.uint8))
    for name, ending, picture, model, times in (
        ("JPEG, 224×224, colour", "jpg", small, _SMALL, 40),
        ("PNG, 224×224, colour", "png", small, _SMALL, 40),
        ("BMP, 224×224, colour", "bmp", small, _SMALL, 40),
        ("JPEG, 376×500, colour", "jpg", usual, _SMALL, 20),
        ("PNG, 3000×2000, 16 bit", "png", middle, _MAMMOGRAM, 2),
        (f"PNG, {rows}×{columns}, 8 bit", "png", eight, _MAMMOGRAM, 1),
        (f"TIFF, {rows}×{columns}, 16 bit", "tif", large, _MAMMOGRAM, 1),
    ):
        path = folder / f"{name}.{ending}"
        picture.save(path)
        yield Case(name, path, ImageFolder(ImageFolder.Options(path=path)), model, times)
    path = folder / "lzw.tif"
    large.save(path, compression="tiff_lzw")
    name = f"TIFF, {rows}×{columns}, 16 bit, LZW"
    yield Case(name, path, ImageFolder(ImageFolder.Options(path=path)), _MAMMOGRAM)


def used(helper: bool) -> float:
    """Return the processor time that this process has used, and its helper."""
    return time.process_time() + (isolated(time.process_time).item() if helper else 0.0)


def seconds(case: Case, helper: bool) -> float:
    """Return the processor time that it takes to read a file and prepare its image."""
    before = used(helper)
    for _ in range(case.times):
        sample = case.dataset.examine(mcd.Sample("", source=str(case.path)))
        assert isinstance(sample, mcd.Sample)
        case.model.prepare(read_checked(case.dataset, sample, "displayed"))
    return (used(helper) - before) / case.times


def measured(case: Case, rounds: int) -> tuple[float, float, float]:
    """Return the median seconds in a helper and in this process, and the median of their differences."""
    pairs = []
    for turn in range(rounds + 1):
        apart = seconds(case, helper=True)
        with ExitStack() as stack:
            for module in _USERS:
                stack.enter_context(mock.patch.object(module, "isolated", here))
            together = seconds(case, helper=False)
        if turn:  # in the first, decoders are loaded
            pairs.append((apart, together))
    first, second = (statistics.median(column) for column in zip(*pairs, strict=True))
    return first, second, statistics.median(one - other for one, other in pairs)


def forward(model: mcd.Preprocessing, rounds: int) -> float:
    """Return the processor time of a ResNet-18, the smallest network that is usual, for one of 16 images at a size."""
    import torchvision  # takes seconds

    network = torchvision.models.resnet18(weights=None).eval()
    count = 16 if model is _SMALL else 2
    images = torch.zeros(count, 3, int(model.height or 0), int(model.width or 0))
    found = []
    with torch.inference_mode():
        for _ in range(rounds + 1):
            before = time.process_time()
            network(images)
            found.append((time.process_time() - before) / count)
    return statistics.median(found[1:])


@click.command()
@click.option("--rows", default=4096, show_default=True)
@click.option("--columns", default=3328, show_default=True)
@click.option("--rounds", default=9, show_default=True)
@click.option("--pictures/--dicom", "kind", default=None, help="Measure image files only, or DICOM files only.")
@click.option("--model/--no-model", default=True, show_default=True, help="Measure forward passes of ResNet-18 too.")
def main(rows: int, columns: int, rounds: int, kind: bool | None, model: bool) -> None:
    """Print a row for each kind of file; the second ratio is with a forward pass for each image."""
    cv2.setNumThreads(1)
    torch.set_num_threads(1)
    passes = {id(one): forward(one, 3) if model else 0.0 for one in (_SMALL, _MAMMOGRAM)}
    print(f"{rounds} rounds, pydicom {pydicom.__version__}, Pillow {PIL.__version__}, OpenCV {cv2.__version__}; ms")
    print(f"{'file':<32} {'MB':>6} {'helper':>8} {'here':>8} {'ratio':>6} {'forward':>8} {'ratio':>6}")
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        cases = [] if kind else list(dicom_cases(folder, rows, columns))
        cases += list(picture_cases(folder, rows, columns)) if kind is not False else []
        for case in cases:
            apart, together, more = measured(case, rounds)
            passing = passes[id(case.model)]
            print(
                f"{case.name:<32} {case.path.stat().st_size / 1e6:>6.2f} {apart * 1e3:>8.2f} {together * 1e3:>8.2f} "
                f"{1 + more / together:>6.3f} {passing * 1e3:>8.1f} {1 + more / (together + passing):>6.3f}"
            )


if __name__ == "__main__":
    main()
