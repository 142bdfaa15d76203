"""What happens before a study begins: python benchmarks/first_look.py

Writes small DICOM files or pictures, and times what a run does with them before anything is computed: it lists them,
reads headers, hashes and checks. First with an empty memory of files, then again; in one process and in workers. Wall
time and processor time of all processes, for each number of files; importing mcd is left out. The goal: a second
start over 20,000 files takes at most 5 s longer than over 20.
"""

from __future__ import annotations

import os
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import click
import cv2
from dicom_reader import breast, written
from pydicom.uid import generate_uid

import mcd
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
    images, before, began = data_set(folder, kind), os.times(), time.perf_counter()
    examined(images, Selection(), Clock(lambda _: None), keep_identifiers=True, workers=workers)
    wall, after = time.perf_counter() - began, os.times()
    return Start(wall, sum(after[:4]) - sum(before[:4]))


@click.command()
@click.option("--count", "counts", multiple=True, type=int, default=(20, 2000, 20_000), show_default=True)
@click.option("--kind", type=click.Choice(("dicom", "pictures")), default="dicom", show_default=True)
@click.option("--side", default=64, show_default=True, type=click.IntRange(64), help="Rows and columns of an image.")
@click.option("--serial/--no-serial", default=True, help="Also in one process.")
def main(counts: tuple[int, ...], kind: str, side: int, serial: bool) -> None:
    """Print the table."""
    print(f"{'files':>7}  {'start':8} {'processes':>9} {'wall, s':>9} {'processor, s':>13}")
    with tempfile.TemporaryDirectory() as scratch:
        warm = Path(scratch, "warm")
        warm.mkdir()
        files(warm, kind, 1, side)
        os.environ["MCD_DIGESTS"] = str(Path(scratch, "memory"))
        start(warm, kind, 0)  # what is imported when it is first needed
        for count in counts:
            folder = Path(scratch, str(count))
            folder.mkdir()
            files(folder, kind, count, side)
        time.sleep(_STILL)
        for count in counts:
            folder = Path(scratch, str(count))
            rows: list[tuple[str, int | None, str]] = [("first", 0, "off")] if serial else []
            memory = str(Path(scratch, f"memory-{count}"))
            for name, workers, kept in [*rows, ("first", None, memory), ("second", None, memory)]:
                os.environ["MCD_DIGESTS"] = kept
                took = start(folder, kind, workers)
                asked = "one" if workers == 0 else "cores"
                print(f"{count:7}  {name:8} {asked:>9} {took.wall:9.2f} {took.processor:13.2f}", flush=True)


if __name__ == "__main__":
    main()
