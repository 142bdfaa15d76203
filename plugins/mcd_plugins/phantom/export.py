"""``mcd phantoms``: synthetic mammograms as files, to try on what will be done with files of one's own."""

from __future__ import annotations

import csv
import hashlib
from pathlib import Path
from typing import Literal, get_args

import click
import numpy as np
from numpy.typing import NDArray

import mcd
from mcd.errors import amount
from mcd.plugins import PATH, SEED, echo, outputs

__all__ = ["phantoms", "write_dicom"]

Format = Literal["png", "dicom"]
_FINDINGS = ("mass", "calcifications", "architectural distortion", "asymmetry", "skin thickening", "biopsy clip")
_COLUMNS = ("path", "patient", "laterality", "view", "density", *_FINDINGS)


@click.command()
@click.argument("output", metavar="DIR", type=PATH)
@click.option("--patients", type=click.IntRange(1, 100_000), default=30, show_default=True, help="Four images each.")
@click.option(
    "--format", "format_", type=click.Choice(get_args(Format)), default="png", show_default=True, help="Of the files."
)
@click.option("--seed", type=SEED, default=7, show_default=True, metavar="N", help="Decides which patients.")
def phantoms(output: Path, patients: int, format_: Format, seed: int) -> None:
    """Write synthetic mammograms into DIR, with a table of what each shows.

    \b
    mcd phantoms pngs
    mcd dissect --dataset images:pngs ...
    mcd dissect --dataset csv:pngs/labels.csv ...

    To try on files what will be done with your own. They say nothing about patients.
    """
    from mcd_plugins.phantom.dataset import PhantomDataset

    drawn = PhantomDataset(PhantomDataset.Options(patients=patients, seed=seed))
    samples = [one for one in drawn.scan() if isinstance(one, mcd.Sample)]
    with outputs(output) as fresh:
        rows = []
        for sample in samples:
            name = f"{sample.id}.{'dcm' if format_ == 'dicom' else 'png'}"
            write = write_dicom if format_ == "dicom" else _write_png
            write(fresh / name, drawn.read(sample).pixels.astype(np.uint8), sample)
            rows.append(_row(name, sample))
        with (fresh / "labels.csv").open("w", newline="", encoding="utf-8") as file:
            table = csv.writer(file)
            table.writerow(_COLUMNS)
            table.writerows(rows)
    echo(f"{output}: {amount(len(samples), 'image')} of {amount(patients, 'drawn patient')}, and labels.csv")


def _row(name: str, sample: mcd.Sample) -> list[str]:
    known = [name, sample.patient, sample.laterality, sample.view, sample.density]
    return known + [str(int(bool(sample.findings[one]))) for one in _FINDINGS]


def _write_png(path: Path, pixels: NDArray[np.uint8], sample: mcd.Sample) -> None:
    from PIL import Image

    Image.fromarray(pixels).save(path)


def write_dicom(path: Path, pixels: NDArray[np.uint8], sample: mcd.Sample) -> None:
    """Write a mammogram for presentation, 8 bits, uncompressed; its identifiers follow from the sample's digest."""
    from pydicom.dataset import Dataset, FileMetaDataset
    from pydicom.uid import DigitalMammographyXRayImageStorageForPresentation, ExplicitVRLittleEndian

    header = Dataset()
    header.file_meta = FileMetaDataset()
    header.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    header.SOPClassUID = DigitalMammographyXRayImageStorageForPresentation
    header.SOPInstanceUID = _uid(sample.digest)
    header.StudyInstanceUID, header.SeriesInstanceUID = _uid(sample.patient), _uid(f"{sample.patient} series")
    header.PatientID = sample.patient
    header.Modality, header.PresentationIntentType = "MG", "FOR PRESENTATION"
    header.ImageLaterality, header.ViewPosition = sample.laterality, sample.view
    header.Rows, header.Columns = pixels.shape
    header.SamplesPerPixel, header.PhotometricInterpretation = 1, "MONOCHROME2"
    header.BitsAllocated, header.BitsStored, header.HighBit, header.PixelRepresentation = 8, 8, 7, 0
    header.PixelData = pixels.tobytes()
    header.save_as(path, enforce_file_format=True)


def _uid(text: str) -> str:
    """Return an identifier of the root for identifiers that are numbers of 128 bits (DICOM PS3.5, B.2)."""
    return f"2.25.{int.from_bytes(hashlib.sha256(text.encode()).digest()[:16], 'big')}"
