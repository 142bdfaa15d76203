"""The data set ``cdd-cesm``."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Literal, NamedTuple

import pydantic

import mcd
from mcd.errors import DataError
from mcd.plugins import PathBelowRoot
from mcd_plugins.cohorts.base import Cohort, CohortOptions
from mcd_plugins.cohorts.cesm_words import DESCRIPTORS, named, words_of
from mcd_plugins.cohorts.tables import Row, read_csv, read_sheets
from mcd_plugins.cohorts.vocabulary import ASSESSMENTS, DENSITIES, SIDES, VIEWS

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
_IMAGES, _TYPE = "all", "Abnormality type"
_SHEETS: Mapping[str, tuple[str, ...]] = {
    _IMAGES: _NEEDED,
    **dict.fromkeys(
        ("mass_description", "mass enhancement_description"), ("Image_name", "Findings", _TYPE, *DESCRIPTORS)
    ),
    **dict.fromkeys(
        (
            "distortion",
            "asymmetry",
            "calcifications",
            "postoperative",
            "postneoajuvant chemotherapy",
            "nonmass enhancement_description",
        ),
        ("Image_name", "Findings"),
    ),
}
"""Sheets that are read, and the columns that they must have. A sheet says where to look, its text what is there."""
_DESCRIBED = (_TYPE, "Single/Multiple", *DESCRIPTORS)
_NAME = "radiology manual annotations"
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
    licence = "CC BY 4.0 according to TCIA"

    class Options(CohortOptions):
        """Settings of the data set."""

        images: Literal["low-energy", "subtracted", "both"] = pydantic.Field(
            default="low-energy",
            description="low-energy images look like mammograms; subtracted ones are another modality",
        )
        table: PathBelowRoot | None = pydantic.Field(
            default=None,
            description="the workbook, or its sheet 'all' as .csv, below root where it is not a full path; by default "
            "Radiology-manual-annotations.xlsx, however its words are joined",
        )

    options: Options

    def __init__(self, options: mcd.Options | None = None) -> None:
        super().__init__(options)
        self._notes: list[str] = []

    def samples(self) -> list[mcd.Sample]:
        """Return one sample an image, in the order of its first row."""
        sheets = self._sheets()
        wanted: dict[str, _Rows] = {}
        listed = sheets.pop(_IMAGES)
        for row in listed:
            if self.options.images in ("both", row.one_of("Type", _KINDS)):
                wanted.setdefault(row.key("Image_name", "the name of the image"), _Rows([], [])).images.append(row)
        for rows in sheets.values():
            for row in rows:
                if row.key("Image_name") in wanted:  # most sheets have rows of both modalities
                    wanted[row.key("Image_name")].described.append(row)
        kinds = [kind for kind in _FOLDERS if self.options.images in ("both", kind)]
        files = {kind: _by_name(self._folder(kind)) for kind in kinds}
        found = [self._sample(name, rows, files) for name, rows in wanted.items()]
        self._notes = [*_unlisted(files, wanted), *_strangers(listed, sheets), *_phrases(wanted.values())]
        return found

    def remarks(self) -> list[str]:
        """Return what could not be mapped, and which images have no row."""
        return [*super().remarks(), *self._notes]

    def _sheets(self) -> dict[str, list[Row]]:
        """Return sheet → rows; a table that is no workbook has one sheet."""
        path = self._table()
        if path.suffix.lower() == ".csv":
            return {_IMAGES: read_csv(path, _NEEDED)}
        found = read_sheets(path, _SHEETS)
        if _IMAGES not in found:
            raise DataError(f"{path} has no sheet '{_IMAGES}'", "give the workbook of the release as table=FILE")
        return found

    def _table(self) -> Path:
        root = self.options.root
        if self.options.table is not None:
            path = root / self.options.table
            return path.with_suffix(".csv") if not path.exists() and path.with_suffix(".csv").exists() else path
        named = [path for path in sorted(root.iterdir()) if re.sub(r"[-_ ]+", " ", path.stem.strip().lower()) == _NAME]
        found = [path for ending in (".xlsx", ".csv") for path in named if path.suffix.lower() == ending]
        if not found:
            raise DataError(
                f"there is no workbook {root / 'Radiology-manual-annotations.xlsx'}", "give it as table=FILE"
            )
        return found[0]

    def _folder(self, kind: str) -> Path:
        root, name = self.options.root, _FOLDERS[kind]
        found = next((folder for folder in (root / name, root / "CDD-CESM" / name) if folder.is_dir()), None)
        if found is None:
            raise DataError(f"there is no folder {root / name}", "give the folder of CDD-CESM as root=DIR, or images=")
        return found

    def _sample(self, name: str, rows: _Rows, files: Mapping[str, Mapping[str, Path]]) -> mcd.Sample:
        first = rows.images[0]
        for row in rows.images[1:]:
            for column in _SAME:
                if row[column] != first[column]:
                    raise row.wrong(
                        column, f"'{row[column]}', but row {first.number} of the same image says '{first[column]}'"
                    )
        kind = first.one_of("Type", _KINDS)
        densities = {self.mapped(row, _DENSITY, DENSITIES) for row in rows.images} - {""}
        assessment = self._assessment(rows.images)
        return mcd.Sample(
            id=name,
            source=str(files[kind].get(name, self._folder(kind) / f"{name}.jpg")),
            patient=first.key("Patient_ID", "the patient's key"),
            view=first.one_of("View", VIEWS),
            laterality=first.one_of("Side", SIDES),
            density=densities.pop() if len(densities) == 1 else "",
            assessment=assessment,
            findings=self._findings(rows, assessment),
            labels=_labels(rows),
        )

    def _assessment(self, rows: Iterable[Row]) -> str:
        """Return the most worrying assessment of the image's lesions."""
        found = {
            self.mapped(Row(row.file, row.number, {"BIRADS": part}), "BIRADS", ASSESSMENTS)
            for row in rows
            for part in _parts(row, "BIRADS")
        }
        return max(found - {""}, key=_CONCERN.index, default="")

    def _findings(self, rows: _Rows, assessment: str) -> dict[str, bool]:
        present = {concept for row in rows.all() for text in _texts(row) for concept in named(text)}
        present |= {concept for row in rows.described for concept in self._descriptors(row)}
        said = {self.mapped(row, _PATHOLOGY, {name: name for name in _CANCER}) for row in rows.images}
        found = dict.fromkeys(sorted(present), True)
        if said == {"Normal"} and assessment == "1" and not found:
            found = dict.fromkeys(_ABSENT_IN_NORMAL, False)
        if "Malignant" in said:
            found["breast cancer"] = True
        elif "" not in said:
            found["breast cancer"] = False
        return found

    def _descriptors(self, row: Row) -> Iterator[str]:
        """Yield shape, margin and density of a row that describes a mass; those of a lymph node are not a mass's."""
        if "mass" not in {concept for part in _parts(row, _TYPE) for concept in named(part)}:
            return
        for column, words in DESCRIPTORS.items():
            for word in (word for part in _parts(row, column) for word in words_of(part, words)):
                concept = self.mapped(Row(row.file, row.number, {column: word}, row.sheet), column, words)
                if concept:
                    yield concept


class _Rows(NamedTuple):
    """The rows of an image: in the sheet of all images, and in those of kinds of findings."""

    images: list[Row]
    described: list[Row]

    def all(self) -> list[Row]:
        return self.images + self.described


def _parts(row: Row, column: str) -> list[str]:
    return [part.strip() for part in row.get(column).split("$") if part.strip()]


def _texts(row: Row) -> list[str]:
    return [text for column in ("Findings", "Tags", _TYPE) for text in _parts(row, column)]


def _labels(rows: _Rows) -> dict[str, str]:
    """Return the texts of the rows, each once; `sheets` are those of kinds of findings that name the image."""
    found = {column: [row.get(column) for row in rows.images] for column in _KEPT}
    found["Findings"] += [row.get("Findings") for row in rows.described]
    found |= {column: [row.get(column) for row in rows.described] for column in _DESCRIBED}
    found["sheets"] = [row.sheet for row in rows.described]
    texts = {column: "; ".join(dict.fromkeys(filter(None, cells))) for column, cells in found.items()}
    return {column: text for column, text in texts.items() if text}


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


def _strangers(listed: Iterable[Row], sheets: Mapping[str, Iterable[Row]]) -> Iterator[str]:
    """Say how many rows of the sheets of findings are of images that the sheet of images does not name."""
    names = {row.key("Image_name") for row in listed}
    for rows in sheets.values():
        strange = [row for row in rows if row.key("Image_name") not in names]
        if strange:
            yield (
                f"{strange[0].table}: {len(strange)} rows are of images that sheet '{_IMAGES}' does not name "
                f"(first row {strange[0].number})"
            )


def _phrases(images: Iterable[_Rows]) -> Iterator[str]:
    """Say once how much of the free text has no counterpart: a line for each phrase would be hundreds."""
    rows = [row for one in images for row in one.images]
    for column in ("Findings", "Tags"):
        counts: Counter[str] = Counter()
        first = 0
        for row in rows:
            unknown = [text for text in _parts(row, column) if not named(text) and text.lower() != "normal"]
            first = first or (row.number if unknown else 0)
            counts.update(unknown)
        if counts:
            shown = ", ".join(f"'{text}'" for text, _ in counts.most_common(3))
            yield (
                f"{rows[0].file.name}, column '{column}': {len(counts)} phrases such as {shown} have no counterpart "
                f"here (first row {first}); they are kept as they are in labels"
            )
