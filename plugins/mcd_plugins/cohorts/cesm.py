"""The data set ``cdd-cesm``."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Literal

import pydantic

import mcd
from mcd.errors import DataError
from mcd.plugins import PathBelowRoot
from mcd_plugins.cohorts.base import Cohort, CohortOptions
from mcd_plugins.cohorts.tables import Row, read_excel
from mcd_plugins.cohorts.vocabulary import ASSESSMENTS, DENSITIES, FINDINGS, SIDES, VIEWS

__all__ = ["CddCesm"]

_DENSITY, _PATHOLOGY = "Breast density (ACR)", "Pathology Classification/ Follow up"
_NEEDED = ("Image_name", "Patient_ID", "Side", "View", "Type", _DENSITY, "BIRADS", "Findings", _PATHOLOGY)
_SAME = ("Patient_ID", "Side", "View", "Type")
_KEPT = ("Type", "Age", _DENSITY, "BIRADS", "Findings", "Tags", "Machine", _PATHOLOGY)
_KINDS: Mapping[str, str] = {"DM": "low-energy", "CESM": "subtracted"}
_FOLDERS: Mapping[str, str] = {
    "low-energy": "Low energy images of CDD-CESM",
    "subtracted": "Subtracted images of CDD-CESM",
}
_WORDS: Mapping[str, str] = {name: name for name in FINDINGS} | {
    "masses": "mass",
    "calcification": "calcifications",
    "suspicious calcification": "suspicious calcifications",
    "asymmetries": "asymmetry",
    "intramammary lymph nodes": "intramammary lymph node",
    "pathological lymph nodes": "axillary lymphadenopathy",
    "dilated duct": "solitary dilated duct",
}
_CANCER: Mapping[str, bool] = {"Malignant": True, "Benign": False, "Normal": False}
_ABSENT_IN_NORMAL = ("mass", "calcifications", "architectural distortion", "asymmetry")
_CONCERN = ("1", "2", "3", "6", "0", "4", "4a", "4b", "4c", "5")
"""Assessments by concern, so that several lesions of one image make one assessment, as BI-RADS has it."""


class CddCesm(Cohort):
    """CDD-CESM (TCIA): 1,003 low-energy and 1,003 subtracted images (8-bit JPEG) of 326 women.

    One sample an image, however many rows it has. A subtracted image shows where contrast agent went: it is not a
    mammogram, so only low-energy images are given unless asked for.
    """

    collection = "cdd-cesm"

    class Options(CohortOptions):
        """Settings of the data set."""

        images: Literal["low-energy", "subtracted", "both"] = pydantic.Field(
            default="low-energy",
            description="low-energy images look like mammograms; subtracted ones are another modality",
        )
        table: PathBelowRoot = pydantic.Field(
            default=Path("Radiology manual annotations.xlsx"),
            description="the workbook, below root where it is not a full path; a .csv beside it serves as well",
        )

    options: Options

    def __init__(self, options: mcd.Options | None = None) -> None:
        super().__init__(options)
        self._notes: list[str] = []

    def samples(self) -> list[mcd.Sample]:
        """Return one sample an image, in the order of its first row."""
        images: dict[str, list[Row]] = defaultdict(list)
        for row in read_excel(self.options.root / self.options.table, _NEEDED, sheet="all"):
            if self.options.images in ("both", row.one_of("Type", _KINDS)):
                images[row.needed("Image_name", "the name of the image")].append(row)
        kinds = [kind for kind in _FOLDERS if self.options.images in ("both", kind)]
        files = {kind: _by_name(self._folder(kind)) for kind in kinds}
        found = [self._sample(name, rows, files) for name, rows in images.items()]
        self._notes = [*_unlisted(files, images), *_phrases(images.values())]
        return found

    def remarks(self) -> list[str]:
        """Return what could not be mapped, and which images have no row."""
        return [*super().remarks(), *self._notes]

    def _folder(self, kind: str) -> Path:
        root, name = self.options.root, _FOLDERS[kind]
        found = next((folder for folder in (root / name, root / "CDD-CESM" / name) if folder.is_dir()), None)
        if found is None:
            raise DataError(f"there is no folder {root / name}", "give the folder of CDD-CESM as root=DIR, or images=")
        return found

    def _sample(self, name: str, rows: Sequence[Row], files: Mapping[str, Mapping[str, Path]]) -> mcd.Sample:
        first = rows[0]
        for row in rows[1:]:
            for column in _SAME:
                if row[column] != first[column]:
                    raise row.wrong(
                        column, f"'{row[column]}', but row {first.number} of the same image says '{first[column]}'"
                    )
        kind = first.one_of("Type", _KINDS)
        densities = {self.mapped(row, _DENSITY, DENSITIES) for row in rows} - {""}
        assessment = self._assessment(rows)
        return mcd.Sample(
            id=name,
            source=str(files[kind].get(name, self._folder(kind) / f"{name}.jpg")),
            patient=first.needed("Patient_ID", "the patient's key"),
            view=first.one_of("View", VIEWS),
            laterality=first.one_of("Side", SIDES),
            density=densities.pop() if len(densities) == 1 else "",
            assessment=assessment,
            findings=self._findings(rows, assessment),
            labels={
                column: "; ".join(dict.fromkeys(row.get(column) for row in rows if row.get(column)))
                for column in _KEPT
                if any(row.get(column) for row in rows)
            },
        )

    def _assessment(self, rows: Iterable[Row]) -> str:
        """Return the most worrying assessment of the image's lesions."""
        found = {
            self.mapped(Row(row.file, row.number, {"BIRADS": part}), "BIRADS", ASSESSMENTS)
            for row in rows
            for part in _parts(row, "BIRADS")
        }
        return max(found - {""}, key=_CONCERN.index, default="")

    def _findings(self, rows: Sequence[Row], assessment: str) -> dict[str, bool]:
        found = {_WORDS[text]: True for row in rows for text in _told(row) if text in _WORDS}
        said = {self.mapped(row, _PATHOLOGY, {name: name for name in _CANCER}) for row in rows}
        if said == {"Normal"} and assessment == "1" and not found:
            found = dict.fromkeys(_ABSENT_IN_NORMAL, False)
        if "Malignant" in said:
            found["breast cancer"] = True
        elif "" not in said:
            found["breast cancer"] = False
        return found


def _parts(row: Row, column: str) -> list[str]:
    return [part.strip() for part in row.get(column).split("$") if part.strip()]


def _told(row: Row) -> list[str]:
    return [text.lower() for column in ("Findings", "Tags") for text in _parts(row, column)]


def _by_name(folder: Path) -> dict[str, Path]:
    """Return the images of a folder by their names, without the blanks that some end in."""
    found: dict[str, Path] = {}
    for path in sorted(folder.iterdir()):
        if path.suffix.lower() not in (".jpg", ".jpeg"):
            continue
        name = path.stem.strip()
        if name in found:
            raise DataError(f"two files have one name: {found[name]} and {path}", "keep one of them")
        found[name] = path
    return found


def _unlisted(files: Mapping[str, Mapping[str, Path]], known: Mapping[str, object]) -> Iterator[str]:
    for kind, paths in files.items():
        count = sum(name not in known for name in paths)
        if count:
            yield f"cdd-cesm: the table has no row for {count} {kind} images; they are left out"


def _phrases(images: Iterable[Sequence[Row]]) -> Iterator[str]:
    """Say once how much of the free text has no counterpart: a line for each phrase would be hundreds."""
    rows = [row for one in images for row in one]
    for column in ("Findings", "Tags"):
        counts: Counter[str] = Counter()
        first = 0
        for row in rows:
            unknown = [text for text in _parts(row, column) if text.lower() not in (*_WORDS, "normal")]
            first = first or (row.number if unknown else 0)
            counts.update(unknown)
        if counts:
            shown = ", ".join(f"'{text}'" for text, _ in counts.most_common(3))
            yield (
                f"{rows[0].file.name}, column '{column}': {len(counts)} phrases such as {shown} have no counterpart "
                f"here (first row {first}); they are kept as they are in labels"
            )
