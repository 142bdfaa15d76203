"""Decoding in a helper process, beside decoding in the process that reads.

An image is read as in a run: examined, decoded, shown as a workstation does, checked and prepared for a model.
Processor time, of both processes where there are two, medians in milliseconds an image; every file is read both ways in
turn, and the ratio is that of the medians of differences. The helper, which takes about half a second to start, runs
already; it keeps its memory from image to image. *With a model*: a ResNet-18, the smallest network that is usual, then
sees the image, at 224×224, mammograms at 1520×912. Goal: at most 1.05 of all that a run does with an image on a CPU.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from unittest import mock

import cv2
import numpy as np
import PIL.Image
import pydicom
import torch
from numpy.typing import NDArray
from pydicom.encaps import encapsulate
from pydicom.uid import JPEG2000Lossless, JPEGBaseline8Bit, JPEGLSLossless, RLELossless

import mcd
from benchmarks.dicom_reader import breast, written
from benchmarks.report import Cell, Line, Report, Table
from benchmarks.timing import with_helper
from mcd.extraction.reading import read_checked
from mcd.plugins import Limits
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


def seconds(case: Case, helper: bool) -> float:
    """Return the processor time that it takes to read a file and prepare its image."""
    clock = with_helper if helper else time.process_time
    before = clock()
    for _ in range(case.times):
        sample = case.dataset.examine(mcd.Sample("", source=str(case.path)))
        assert isinstance(sample, mcd.Sample)
        case.model.prepare(read_checked(case.dataset, sample, "displayed"))
    return (clock() - before) / case.times


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


@dataclass(frozen=True)
class Settings:
    """Size of mammograms, rounds, which files are read, and whether forward passes of ResNet-18 are measured."""

    rows: int = 4096
    columns: int = 3328
    rounds: int = 9
    dicom: bool = True
    pictures: bool = True
    model: bool = True


TOY = Settings(rows=256, columns=256, rounds=1, pictures=False, model=False)


def measure(settings: Settings) -> Report:
    """Return a row for each kind of file; the second ratio is with a forward pass for each image."""
    cv2.setNumThreads(1)
    torch.set_num_threads(1)
    passes = {id(one): forward(one, 3) if settings.model else None for one in (_SMALL, _MAMMOGRAM)}
    tables, worst = [], 0.0
    with tempfile.TemporaryDirectory() as place:
        size = Path(place), settings.rows, settings.columns
        kinds = {"DICOM files": settings.dicom, "Image files": settings.pictures}
        for kind, make in zip(kinds, (dicom_cases, picture_cases), strict=True):
            rows = [row(case, settings.rounds, passes[id(case.model)]) for case in make(*size) if kinds[kind]]
            worst = max([worst, *(one[-1] for one in rows if one[-1] is not None)])
            if rows:
                tables.append(Table(kind, COLUMNS, rows))
    line = Line("decoding apart, worst file, with a model", None, "in the same process", None, worst or None, "≤ 1.05")
    return Report(tables, [replace(line, holds=worst <= 1.05)] if worst else [line])


COLUMNS = ("file", "MB", "helper", "without", "ratio", "forward pass", "ratio with a model")


def row(case: Case, rounds: int, passing: float | None) -> tuple[str, float, float, float, float, Cell, float | None]:
    """Return what was measured of a file."""
    apart, together, more = measured(case, rounds)
    both = None if passing is None else 1 + more / (together + passing)
    size, shown = case.path.stat().st_size / 1e6, None if passing is None else 1000 * passing
    return case.name, size, 1000 * apart, 1000 * together, 1 + more / together, shown, both
