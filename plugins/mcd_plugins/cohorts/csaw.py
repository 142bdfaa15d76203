"""The data set ``csaw-cc``."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path

import pydantic

import mcd
from mcd.errors import DataError
from mcd.plugins import PathBelowRoot, files_below
from mcd_plugins.cohorts.base import Cohort, CohortOptions
from mcd_plugins.cohorts.tables import Row, iterate_csv, refuse_repeats
from mcd_plugins.cohorts.vocabulary import SIDES, VIEWS

__all__ = ["CsawCc"]

_TABLES = ("CSAW-CC_breast_cancer_screening_data.csv", "anon_dataset_nonhidden_211125.csv")
_NEEDED = (
    "anon_patientid",
    "exam_year",
    "x_case",
    "x_cancer_laterality",
    "rad_timing",
    "imagelaterality",
    "viewposition",
    "anon_filename",
)
_KEPT = (
    "x_case",
    "x_cancer_laterality",
    "x_type",
    "x_lymphnode_met",
    "x_age",
    "rad_timing",
    "rad_r1",
    "rad_r2",
    "rad_recall",
    "rad_recall_type_right",
    "rad_recall_type_left",
    "imagelaterality",
    "viewposition",
    "libra_breastarea",
    "libra_densearea",
    "libra_percentdensity",
)
_SCREEN_DETECTED, _INTERVAL, _PRIOR = 1, 2, 3
_NAME = re.compile(r"_([LR])_([A-Z]+)_\d+\.dcm$")


class CsawCc(Cohort):
    """CSAW-CC (Karolinska): 98,788 DICOM images of 24,694 screening exams, 8,723 women, 873 of them with cancer.

    What the table says about cancer is about the woman, earlier exams included. An image counts as one with breast
    cancer only where the cancer was found at that very screening, in that breast.
    """

    collection = "csaw-cc"
    against_copies = "CSAW-CC is given for research and not to be passed on"
    licence = "on request from the Swedish National Data Service, for research; not to be passed on"

    class Options(CohortOptions):
        """Settings of the data set."""

        table: PathBelowRoot | None = pydantic.Field(
            default=None,
            description=f"the table, below root where it is not a full path; by default {_TABLES[0]} or {_TABLES[1]}",
        )

    options: Options

    def __init__(self, options: mcd.Options | None = None) -> None:
        super().__init__(options)
        self._contradicted: list[Row] = []

    def samples(self) -> list[mcd.Sample]:
        """Return one sample an image, in the order of the table."""
        rows = refuse_repeats(iterate_csv(self._table(), _NEEDED, keep=_KEPT), "anon_filename")
        files = _by_name(files_below(self.options.root, lambda path: path.suffix.lower() == ".dcm"))
        return [self._sample(row, files) for row in rows]

    def remarks(self) -> list[str]:
        """Return what could not be mapped, and where table and file names disagree."""
        remarks = super().remarks()
        if self._contradicted:
            first = self._contradicted[0]
            remarks.append(
                f"{first.file.name}: {len(self._contradicted)} file names name another side or view than the "
                f"row they stand in (first row {first.number}); that is unknown in these images, and so is "
                "breast cancer where it is the side"
            )
        return remarks

    def _table(self) -> Path:
        root = self.options.root
        if self.options.table is not None:
            return root / self.options.table
        found = next((root / name for name in _TABLES if (root / name).is_file()), None)
        if found is None:
            raise DataError(f"there is no table {root / _TABLES[0]}", "give its name as table=FILE")
        return found

    def _sample(self, row: Row, files: Mapping[str, Path]) -> mcd.Sample:
        written = row["anon_filename"]
        name = written if written.lower().endswith(".dcm") else f"{written}.dcm"
        side, view = row.one_of("imagelaterality", SIDES), row.one_of("viewposition", VIEWS)
        findings = self._findings(row, side)
        in_name = _NAME.search(name)
        if in_name and in_name.groups() != (side, view):
            self._contradicted.append(row)
            if in_name[1] != side:
                side, findings = "", {}
            if in_name[2] != view:
                view = ""
        patient = row.key("anon_patientid", "the patient's key")
        return mcd.Sample(
            id=name.removesuffix(".dcm"),
            source=str(files.get(name, self.options.root / name)),
            patient=patient,
            exam=f"{patient}/{row.key('exam_year', 'the year of the exam')}",
            view=view,
            laterality=side,
            findings=findings,
            labels={column: text for column in _KEPT if (text := row.get(column))},
        )

    def _findings(self, row: Row, side: str) -> dict[str, bool]:
        """Return whether there is cancer in this breast in this exam; nothing where that is unknown."""
        case = row.needed("x_case", "whether the woman is a case")
        if row.whole("x_case") not in (0, 1):
            raise row.wrong("x_case", f"'{case}' is neither 0 nor 1")
        if not row.whole("x_case"):
            return {"breast cancer": False}
        timing = row.whole("rad_timing")
        if timing not in (None, _SCREEN_DETECTED, _INTERVAL, _PRIOR):
            raise row.wrong("rad_timing", f"'{row['rad_timing']}' is none of 1, 2, 3")
        sick = self.mapped(row, "x_cancer_laterality", SIDES)
        if not sick:
            return {}
        if sick != side:
            return {"breast cancer": False}
        return {"breast cancer": True} if timing == _SCREEN_DETECTED else {}


def _by_name(paths: Iterable[Path]) -> dict[str, Path]:
    found: dict[str, Path] = {}
    for path in sorted(paths):
        if path.name in found:
            raise DataError(f"two files have one name: {found[path.name]} and {path}", "keep one of them below root")
        found[path.name] = path
    return found
