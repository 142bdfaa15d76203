"""The data sets ``vindr-mammo`` and ``vindr-png``."""

from __future__ import annotations

import ast
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Literal

import pydantic

import mcd
from mcd.errors import DataError
from mcd.plugins import PathBelowRoot
from mcd_plugins.cohorts.base import Cohort, CohortOptions, boxes_of
from mcd_plugins.cohorts.tables import Row, join_rows, read_csv, refuse_repeats
from mcd_plugins.cohorts.vocabulary import ASSESSMENTS, SIDES, VIEWS

__all__ = ["VinDrMammo", "VinDrPng"]

_FINDINGS: Mapping[str, str] = {
    "Mass": "mass",
    "Suspicious Calcification": "suspicious calcifications",
    "Asymmetry": "asymmetry in one view",
    "Focal Asymmetry": "focal asymmetry",
    "Global Asymmetry": "global asymmetry",
    "Architectural Distortion": "architectural distortion",
    "Suspicious Lymph Node": "axillary lymphadenopathy",
    "Skin Thickening": "skin thickening",
    "Skin Retraction": "skin retraction",
    "Nipple Retraction": "nipple retraction",
}
_CONCEPTS = frozenset(_FINDINGS.values())
_NOTHING = "No Finding"
_SPLITS: Mapping[str, str] = {"training": "training", "test": "test"}
_BREAST = (
    "study_id",
    "image_id",
    "laterality",
    "view_position",
    "height",
    "width",
    "breast_birads",
    "breast_density",
    "split",
)
_BOXES = ("image_id", "finding_categories", "xmin", "ymin", "xmax", "ymax")
_KEPT = ("breast_birads", "breast_density", "split")

Unlisted = Literal["unknown", "absent"]


class VinDrOptions(CohortOptions):
    """Settings of VinDr-Mammo."""

    unlisted: Unlisted = pydantic.Field(
        default="unknown",
        description="what a finding without a row is: unknown (absent only where the breast is BI-RADS 1, since benign "
        "findings are not marked), or absent wherever no view of the breast is marked, as benchmarks take it",
    )


class VinDrMammo(Cohort):
    """VinDr-Mammo 1.0.0 (PhysioNet): 20,000 images of 5,000 exams, with BI-RADS, density and boxed findings.

    One sample an image, however many rows of findings it has. There are no patient ids: an exam is taken for a
    patient, as the data set's authors do. Boxes are cut to the image (42 leave it).
    """

    options: VinDrOptions
    collection = "vindr-mammo"
    against_copies = "PhysioNet's licence of VinDr-Mammo forbids passing its images on"
    licence = "PhysioNet Credentialed Health Data Licence 1.5.0"

    class Options(VinDrOptions):
        """Settings of the data set."""

    def samples(self) -> list[mcd.Sample]:
        """Return one sample an image, in the order of breast-level_annotations.csv."""
        root = self.options.root
        rows = list(refuse_repeats(read_csv(root / "breast-level_annotations.csv", _BREAST), "image_id"))
        boxes = _by_image(read_csv(root / "finding_annotations.csv", _BOXES), rows)
        named = {image: _named(self, found) for image, found in boxes.items()}
        of_breast: dict[tuple[str, str], set[str]] = defaultdict(set)
        for row in rows:
            of_breast[row.key("study_id"), row["laterality"]] |= named[row.key("image_id")]
        return [
            self._sample(
                row,
                boxes[row.key("image_id")],
                named[row.key("image_id")],
                of_breast[row.key("study_id"), row["laterality"]],
            )
            for row in rows
        ]

    def _sample(self, row: Row, boxes: Sequence[Row], present: set[str], in_breast: set[str]) -> mcd.Sample:
        image, study = row.key("image_id", "the image id"), row.key("study_id", "the exam's id")
        assessment = self.mapped(row, "breast_birads", {f"BI-RADS {at}": at for at in ASSESSMENTS})
        marked = tuple(_boxes(self, row, boxes))
        return mcd.Sample(
            id=image,
            source=str(self.options.root / "images" / study / f"{image}.dicom"),
            patient=study,
            exam=study,
            view=row.one_of("view_position", VIEWS),
            laterality=row.one_of("laterality", SIDES),
            density=self.mapped(row, "breast_density", {f"DENSITY {at.upper()}": at for at in "abcd"}),
            assessment=assessment,
            split=row.one_of("split", _SPLITS),
            findings=states(present, in_breast, assessment, self.options.unlisted),
            boxes=marked,
            facts=boxes_of(row.whole("height"), row.whole("width")) if marked else {},
            labels=_labels(row, boxes),
        )


class VinDrPng(Cohort):
    """VinDr-Mammo as PNGs in the layout of Mammo-CLIP's released code, with its table of findings.

    The table has a row a finding; here each image is one sample. The PNGs are cropped and resized, so boxes of the
    original do not fit them and are left out.
    """

    collection = "vindr-mammo"
    against_copies = "PhysioNet's licence of VinDr-Mammo forbids passing its images on"
    licence = "PhysioNet Credentialed Health Data Licence 1.5.0"

    class Options(VinDrOptions):
        """Settings of the data set."""

        table: PathBelowRoot = pydantic.Field(
            default=Path("vindr_detection_v1_folds.csv"),
            description="the table, below root where it is not a full path",
        )
        images: PathBelowRoot = pydantic.Field(
            default=Path("images_png"), description="the folder of PNGs by patient, below root where not a full path"
        )

    options: Options

    def samples(self) -> list[mcd.Sample]:
        """Return one sample an image, in the order of its first row."""
        rows = read_csv(
            self.options.root / self.options.table, ("patient_id", "image_id", "laterality", "view", "split")
        )
        by_image: dict[tuple[str, str], list[Row]] = defaultdict(list)
        for row in rows:
            image = row.key("image_id", "the image id").removesuffix(".png")
            by_image[row.key("patient_id", "the patient id"), image].append(row)
        _check_agreement(by_image)
        present = {key: _marked(self, of_image) for key, of_image in by_image.items()}
        of_breast: dict[tuple[str, str], set[str]] = defaultdict(set)
        for (patient, image), of_image in by_image.items():
            of_breast[patient, of_image[0]["laterality"]] |= present[patient, image]
        return [
            self._sample(*key, of_image, present[key], of_breast[key[0], of_image[0]["laterality"]])
            for key, of_image in by_image.items()
        ]

    def _sample(
        self, patient: str, image: str, rows: Sequence[Row], present: set[str], in_breast: set[str]
    ) -> mcd.Sample:
        row = rows[0]
        assessment = (
            self.mapped(row, "breast_birads", {f"BI-RADS {at}": at for at in ASSESSMENTS})
            if "breast_birads" in row.cells
            else ""
        )
        density = (
            self.mapped(row, "breast_density", {f"DENSITY {at.upper()}": at for at in "abcd"})
            if "breast_density" in row.cells
            else ""
        )
        return mcd.Sample(
            id=image,
            source=str(self.options.root / self.options.images / patient / f"{image}.png"),
            patient=patient,
            exam=patient,
            view=row.one_of("view", VIEWS),
            laterality=row.one_of("laterality", SIDES),
            density=density,
            assessment=assessment,
            split=row.one_of("split", _SPLITS),
            findings=states(present, in_breast, assessment, self.options.unlisted, _asked(row)),
            labels=_labels(row, rows),
        )


def states(
    present: set[str], in_breast: set[str], assessment: str, unlisted: Unlisted, asked: frozenset[str] = _CONCEPTS
) -> dict[str, bool]:
    """Return concept → present or absent; what is neither is unknown and left out.

    Parameters
    ----------
    present, in_breast
        Concepts marked in this image, and in any view of this breast.
    assessment
        BI-RADS of the breast: 1 says that there is nothing at all.
    asked
        Concepts that the table would have marked.
    """
    ruled_out = _CONCEPTS if assessment == "1" else asked if unlisted == "absent" else frozenset()
    return dict.fromkeys(sorted(present), True) | dict.fromkeys(sorted(ruled_out - in_breast), False)


def _by_image(findings: Iterable[Row], images: Sequence[Row]) -> dict[str, list[Row]]:
    """Return image → its rows of findings; there is at least one, since "No Finding" is a row too."""
    found: dict[str, list[Row]] = {row.key("image_id"): [] for row in images}
    for row in findings:
        if row.key("image_id") not in found:
            raise row.wrong("image_id", f"'{row['image_id']}' is not in breast-level_annotations.csv")
        found[row.key("image_id")].append(row)
    for row in images:
        if not found[row.key("image_id")]:
            raise row.wrong("image_id", f"'{row['image_id']}' is not in finding_annotations.csv")
    return found


def _check_agreement(images: Mapping[tuple[str, str], Sequence[Row]]) -> None:
    """Refuse an image that two patients have, or whose rows contradict each other."""
    patients: dict[str, str] = {}
    for (patient, image), rows in images.items():
        if patients.setdefault(image, patient) != patient:
            raise rows[0].wrong("image_id", f"'{image}' belongs to another patient as well")
        for row in rows[1:]:
            for column in ("laterality", "view", "split", "breast_birads", "breast_density"):
                if row.get(column) != rows[0].get(column):
                    first = f"'{rows[0].get(column)}' in row {rows[0].number}"
                    raise row.wrong(column, f"'{row.get(column)}', but of the same image {first}")


def _labels(image: Row, findings: Sequence[Row]) -> dict[str, str]:
    """Return the codes of an image; those of several findings remain distinguishable."""
    found = {name: image.get(name) for name in (*_KEPT, "fold")}
    for name in ("finding_categories", "finding_birads"):
        found[name] = join_rows([row.get(name) for row in findings])
    return {name: text for name, text in found.items() if text}


def _named(cohort: Cohort, rows: Iterable[Row]) -> set[str]:
    """Return the concepts that the rows of one image name."""
    found: set[str] = set()
    for row in rows:
        found |= {concept for name in _categories(row) for concept in [_concept(cohort, row, name)] if concept}
    return found


def _categories(row: Row) -> list[str]:
    try:
        names: object = ast.literal_eval(row["finding_categories"])
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        names = None
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise row.wrong("finding_categories", f"'{row['finding_categories'][:60]}' is no list such as ['Mass']")
    return names


def _concept(cohort: Cohort, row: Row, name: str) -> str:
    if name in _FINDINGS or name == _NOTHING:
        return _FINDINGS.get(name, "")
    return cohort.mapped(Row(row.file, row.number, {"finding_categories": name}), "finding_categories", _FINDINGS)


def _marked(cohort: Cohort, rows: Sequence[Row]) -> set[str]:
    """Return the concepts that the rows of one image name, or whose column is set in any of them."""
    if "finding_categories" in rows[0].cells:
        return _named(cohort, rows)
    there = [name for name in _FINDINGS if _column(name) in rows[0].cells]
    if not there:
        raise DataError(f"{rows[0].file}, row 1: there is no column of findings", "such as finding_categories or Mass")
    return {_FINDINGS[name] for name in there if any(row.real(_column(name)) for row in rows)}


def _asked(row: Row) -> frozenset[str]:
    """Return the concepts that a table distinguishes: those it has a column of, where it has no list of findings."""
    if "finding_categories" in row.cells:
        return _CONCEPTS
    return frozenset(concept for name, concept in _FINDINGS.items() if _column(name) in row.cells)


def _column(name: str) -> str:
    return name.replace(" ", "_")


def _boxes(cohort: Cohort, image: Row, rows: Iterable[Row]) -> Iterable[mcd.Box]:
    height, width = image.whole("height"), image.whole("width")
    for row in rows:
        corners = [row.real(name) for name in ("xmin", "ymin", "xmax", "ymax")]
        x0, y0, x1, y1 = corners
        if x0 is None or y0 is None or x1 is None or y1 is None:
            if any(one is not None for one in corners):
                raise row.wrong("xmin", "a box needs all of xmin, ymin, xmax, ymax")
            continue
        for name in _categories(row):
            if name == _NOTHING:
                raise row.wrong("finding_categories", f"'{_NOTHING}' has a box")
            box = mcd.Box(_FINDINGS.get(name, name), round(x0), round(y0), round(x1), round(y1))
            cut = cohort.boxed(row, box, height, width)
            if cut is not None:
                yield cut
