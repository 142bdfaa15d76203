"""The data set ``rsna-bcd``."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Literal

import pydantic

import mcd
from mcd.plugins import PathBelowRoot
from mcd_plugins.cohorts.base import Cohort, CohortOptions
from mcd_plugins.cohorts.tables import Row, read_csv, refuse_repeats
from mcd_plugins.cohorts.vocabulary import SIDES, VIEWS

__all__ = ["RsnaBcd"]

_NEEDED = ("patient_id", "image_id", "laterality", "view", "implant")
_OF_TRAINING = ("cancer", "BIRADS", "density")
_KEPT = (
    "site_id",
    "machine_id",
    "age",
    "cancer",
    "biopsy",
    "invasive",
    "BIRADS",
    "density",
    "implant",
    "difficult_negative_case",
    "fold",
)
_ASSESSMENTS: Mapping[str, str] = {f"{at}{end}": str(at) for at in (0, 1, 2) for end in ("", ".0")}
_DENSITIES: Mapping[str, str] = {letter.upper(): letter for letter in "abcd"}
_ENDINGS = (".dcm", ".png")


class RsnaBcd(Cohort):
    """RSNA Screening Mammography Breast Cancer Detection (Kaggle 2023): 54,706 training images of 11,913 patients.

    Whether a breast has cancer is recorded, but no other finding. One exam a patient. BI-RADS and density
    are missing for half of the images, which goes with the site and so with the scanner.
    """

    collection = "rsna-bcd"
    against_copies = "the rules of the RSNA competition forbid passing its images on"
    licence = "the rules of the competition on Kaggle: no commerce; not to be passed on"

    class Options(CohortOptions):
        """Settings of the data set."""

        part: Literal["train", "test"] = pydantic.Field(
            default="train",
            description="which part: decides table, folder and split. Of the test part no label is public",
        )
        table: PathBelowRoot | None = pydantic.Field(
            default=None, description="the table, below root where it is not a full path; None: train.csv or test.csv"
        )
        images: PathBelowRoot | None = pydantic.Field(
            default=None,
            description="the folder of PATIENT/IMAGE.dcm, PATIENT/IMAGE.png or PATIENT_IMAGE.png, below root where it "
            "is not a full path; None: train_images or test_images",
        )

    options: Options

    def samples(self) -> list[mcd.Sample]:
        """Return one sample an image, in the order of the table."""
        part = self.options.part
        table = self.options.root / (self.options.table or f"{part}.csv")
        rows = read_csv(table, _NEEDED + (_OF_TRAINING if part == "train" else ()), keep=_KEPT)
        return [self._sample(row) for row in refuse_repeats(rows, "image_id")]

    def _sample(self, row: Row) -> mcd.Sample:
        patient, image = row.key("patient_id", "the patient's id"), row.key("image_id", "the image's id")
        cancer = _flag(row, "cancer")
        return mcd.Sample(
            id=image,
            source=str(self._file(patient, image)),
            patient=patient,
            exam=patient,
            view=row.one_of("view", VIEWS),
            laterality=row.one_of("laterality", SIDES),
            density=self.mapped(row, "density", _DENSITIES) if "density" in row.cells else "",
            assessment=self.mapped(row, "BIRADS", _ASSESSMENTS) if "BIRADS" in row.cells else "",
            implant=_flag(row, "implant"),
            split=self.options.part,
            findings={} if cancer is None else {"breast cancer": cancer},
            labels={column: row.get(column) for column in _KEPT if row.get(column)},
        )

    def _file(self, patient: str, image: str) -> Path:
        """Return the file of an image, in the layout of the competition or of the PNGs that people made from it."""
        folder = self.options.root / (self.options.images or f"{self.options.part}_images")
        places = list(_places(folder, patient, image))
        return next((one for one in places if one.exists()), places[0])


def _places(folder: Path, patient: str, image: str) -> Iterator[Path]:
    for ending in _ENDINGS:
        yield folder / patient / f"{image}{ending}"
        yield folder / f"{patient}_{image}{ending}"


def _flag(row: Row, column: str) -> bool | None:
    """Return what 1 and 0 say; None where there is nothing."""
    value = row.whole(column) if row.get(column) else None
    if value not in (None, 0, 1):
        raise row.wrong(column, f"'{row[column]}' is neither 0 nor 1")
    return None if value is None else bool(value)
