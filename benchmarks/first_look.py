"""What happens before a study begins.

A run lists small files, reads headers, hashes and checks; then once more, as a second study does. Wall time, and
processor time of all processes in brackets, in seconds; importing mcd is left out. The first start is shared by the
workers; full-size files add their hashing. Goal: a second start over 20,000 files at most 5 s longer than over 20.
"""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
from pydicom.uid import generate_uid

import mcd
from benchmarks.dicom_reader import breast, written
from benchmarks.report import Line, Report, Table
from benchmarks.timing import with_children
from mcd.events import Clock
from mcd.extraction.probe import examined
from mcd.study.selection import Selection
from mcd_plugins.datasets.images import ImageFolder
from mcd_plugins.dicom.dataset import DicomFolder

_STILL = 2.5
"""Seconds after which files that were just written count as left alone."""


@dataclass(frozen=True)
class Start:
    """How long examining all files once took: wall time, and processor time of all processes, in seconds."""

    wall: float
    processor: float

    def __str__(self) -> str:
        return f"{self.wall:.2f} ({self.processor:.2f})"


def files(folder: Path, kind: str, count: int, side: int) -> None:
    """Write different images of one size, a hundred a folder."""
    first = folder / "first"
    picture = breast(4 * side, 4 * side)[::4, ::4].copy()
    header = written(first, picture, "LINEAR")
    for at in range(count):
        path = folder / f"{at // 100:04d}" / f"{at:06d}.{'dcm' if kind == 'dicom' else 'png'}"
        path.parent.mkdir(exist_ok=True)
        if kind == "dicom":
            header.PatientID, header.SOPInstanceUID = str(at // 4), generate_uid()
            header.save_as(path)
        else:
            picture[0, :2] = divmod(at, 256)
            path.write_bytes(cv2.imencode(".png", picture)[1].tobytes())
    first.unlink(missing_ok=True)


def data_set(folder: Path, kind: str) -> mcd.Dataset:
    """Return the files as a data set that has seen none of them."""
    if kind == "dicom":
        return DicomFolder(DicomFolder.Options(path=folder))
    return ImageFolder(ImageFolder.Options(path=folder))


def start(folder: Path, kind: str, workers: int | None) -> Start:
    """Time what a run does before it begins."""
    images, before, began = data_set(folder, kind), with_children(), time.perf_counter()
    examined(images, Selection(), Clock(lambda _: None), keep_identifiers=True, workers=workers)
    return Start(time.perf_counter() - began, with_children() - before)


@dataclass(frozen=True)
class Settings:
    """Numbers of files, their kind (dicom or pictures), the side of an image, whether one process is measured too."""

    counts: tuple[int, ...] = (20, 2000, 20_000)
    kind: str = "dicom"
    side: int = 64
    serial: bool = False


TOY = Settings(counts=(2, 70))


def measure(settings: Settings) -> Report:
    """Return a row for each number of files."""
    kept = os.environ.get("MCD_DIGESTS")
    try:
        with tempfile.TemporaryDirectory() as scratch:
            starts = dict(rows(settings, Path(scratch)))
    finally:
        os.environ.pop("MCD_DIGESTS")
        if kept is not None:
            os.environ["MCD_DIGESTS"] = kept
    columns = ["files", "first start", "second start", *(["first, in one process"] if settings.serial else [])]
    table = Table(
        f"{settings.kind}, {settings.side} × {settings.side}",
        columns,
        [(f"{count:,}", *map(str, row)) for count, row in starts.items()],
    )
    few, many = min(starts), max(starts)
    longer = starts[many][1].wall - starts[few][1].wall
    what = f"second start over {many:,} files, s"
    line = Line(
        what, starts[many][1].wall, f"over {few}", starts[few][1].wall, f"+ {longer:.1f} s", "≤ 5 s longer", longer <= 5
    )
    return Report([table], [line])


def rows(settings: Settings, scratch: Path) -> Iterator[tuple[int, list[Start]]]:
    """Yield a number of files with the first start, the second, and, if asked, the first in one process."""
    warm = scratch / "warm"
    warm.mkdir()
    files(warm, settings.kind, 1, settings.side)
    os.environ["MCD_DIGESTS"] = str(scratch / "memory")
    start(warm, settings.kind, 0)  # what is imported when it is first needed
    for count in settings.counts:
        (scratch / str(count)).mkdir()
        files(scratch / str(count), settings.kind, count, settings.side)
    time.sleep(_STILL)
    for count in settings.counts:
        os.environ["MCD_DIGESTS"] = str(scratch / f"memory-{count}")
        found = [start(scratch / str(count), settings.kind, None) for _ in range(2)]
        if settings.serial:
            os.environ["MCD_DIGESTS"] = "off"
            found.append(start(scratch / str(count), settings.kind, 0))
        yield count, found
