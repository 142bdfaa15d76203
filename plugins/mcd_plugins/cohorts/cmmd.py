"""The data set ``cmmd``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pydantic

import mcd
from mcd.errors import DataError
from mcd.plugins import PathBelowRoot, files_below
from mcd_plugins.cohorts.base import Cohort, CohortOptions
from mcd_plugins.cohorts.tables import Row, read_excel, refuse_repeats
from mcd_plugins.cohorts.vocabulary import SIDES
from mcd_plugins.dicom.reading import header_sample

__all__ = ["Cmmd"]

_NEEDED = ("ID1", "LeftRight", "abnormality", "classification")
_KEPT = ("LeftRight", "Age", "number", "abnormality", "classification", "subtype")
_FINDINGS: Mapping[str, tuple[str, ...]] = {
    "calcification": ("calcifications",),
    "mass": ("mass",),
    "both": ("calcifications", "mass"),
}
_CANCER: Mapping[str, bool] = {"Malignant": True, "Benign": False}

Breast = tuple[str, str]


class Cmmd(Cohort):
    """CMMD (TCIA): 5,202 DICOM images (8 bits) of 1,775 women; mass or calcifications, benign or malignant.

    The workbook has a row a breast, 1,872 of them; the other breast of a woman is unknown, not normal. Only headers
    hold which breast and view an image shows, so all of them are read when the data set is listed.
    """

    collection = "cmmd"
    licence = "CC BY 4.0 according to TCIA"

    class Options(CohortOptions):
        """Settings of the data set."""

        table: PathBelowRoot = pydantic.Field(
            default=Path("CMMD_clinicaldata_revision.xlsx"),
            description="the workbook, below root where it is not a full path; a .csv beside it serves as well",
        )
        images: PathBelowRoot = pydantic.Field(
            default=Path("CMMD"),
            description="the folder of patients' folders (D1-0001, …), below root where it is not a full path; without "
            "it, manifest-*/CMMD is tried, as TCIA's download tool makes it",
        )

    options: Options

    def __init__(self, options: mcd.Options | None = None) -> None:
        super().__init__(options)
        self._notes: list[str] = []

    def samples(self) -> list[mcd.Sample]:
        """Return one sample an image, in the order of paths."""
        table = self.options.root / self.options.table
        rows = {
            (row.key("ID1"), row.one_of("LeftRight", SIDES)): row
            for row in refuse_repeats(read_excel(table, _NEEDED), "ID1", "LeftRight")
        }
        images = self._images()
        samples = [self._sample(path, images, rows) for path in files_below(images, _is_dicom)]
        self._notes = list(_account(samples, rows))
        return samples

    def remarks(self) -> list[str]:
        """Return what could not be mapped, and how far table and files fit each other."""
        return [*super().remarks(), *self._notes]

    def _images(self) -> Path:
        root = self.options.root
        given = root / self.options.images
        downloads = [given, *sorted(root.glob("manifest-*/CMMD"))]
        found = next((folder for folder in downloads if folder.is_dir()), None)
        if found is None:
            raise DataError(f"there is no folder {given}", "give the folder of patients' folders as images=DIR")
        return found

    def _sample(self, path: Path, images: Path, rows: Mapping[Breast, Row]) -> mcd.Sample:
        name = path.relative_to(images)
        patient = name.parts[0]
        plain = mcd.Sample(id=name.as_posix(), source=str(path), patient=patient)
        seen = header_sample(path, plain, self.options.reading)
        if isinstance(seen, mcd.Unreadable):
            return plain  # `examine` will say so
        row = rows.get((patient, seen.laterality))
        if row is None:
            return seen
        labels = {column: text for column in _KEPT if (text := row.get(column))}
        return replace(seen, findings=self._findings(row), labels=labels)

    def _findings(self, row: Row) -> dict[str, bool]:
        """Return the findings in the row of a breast: mass, calcifications, or both are present."""
        said = self.mapped(row, "abnormality", {name: name for name in _FINDINGS})
        found = {name: name in _FINDINGS[said] for name in _FINDINGS["both"]} if said else {}
        malignant = self.mapped(row, "classification", {name: name for name in _CANCER})
        return found | ({"breast cancer": _CANCER[malignant]} if malignant else {})


def _is_dicom(path: Path) -> bool:
    return path.suffix.lower() == ".dcm"


def _account(samples: list[mcd.Sample], rows: Mapping[Breast, Row]) -> list[str]:
    """Return how far table and files fit each other."""
    remarks = []
    shown = {(sample.patient, sample.laterality) for sample in samples}
    sideless = sum(not sample.laterality for sample in samples)
    if sideless:
        remarks.append(f"cmmd: the headers of {sideless} images do not state the side; their findings are unknown")
    without = sum(bool(sample.laterality) and (sample.patient, sample.laterality) not in rows for sample in samples)
    if without:
        remarks.append(
            f"cmmd: {without} images are of breasts that the table has no row for; their findings are unknown"
        )
    absent = [row for breast, row in rows.items() if breast not in shown]
    if absent:
        remarks.append(
            f"{absent[0].file.name}: {len(absent)} rows are of breasts without an image here (first row "
            f"{absent[0].number})"
        )
    return remarks
