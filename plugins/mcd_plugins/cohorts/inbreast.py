"""The data set ``inbreast``."""

from __future__ import annotations

import math
import plistlib
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal
from xml.parsers.expat import ExpatError

import pydantic

import mcd
from mcd.errors import DataError
from mcd.plugins import PathBelowRoot
from mcd_plugins.cohorts.base import Cohort, CohortOptions
from mcd_plugins.cohorts.tables import Row, read_csv, refuse_repeats
from mcd_plugins.cohorts.vocabulary import SIDES

__all__ = ["InBreast"]

_NEEDED = ("Laterality", "View", "File Name", "ACR", "Bi-Rads")
_VIEWS: Mapping[str, str] = {"CC": "CC", "MLO": "MLO", "ML": "MLO", "FB": "FB"}
_DENSITIES: Mapping[str, str] = {"1": "a", "2": "b", "3": "c", "4": "d"}
_ASSESSMENTS: Mapping[str, str] = {at: at for at in ("0", "1", "2", "3", "4a", "4b", "4c", "5", "6")}
_CONTOURS: Mapping[str, tuple[str, ...]] = {
    "mass": ("mass",),
    "calcification": ("calcifications",),
    "calcifications": ("calcifications",),
    "cluster": ("calcifications", "grouped distribution"),
    "distortion": ("architectural distortion",),
    "spiculated region": ("mass", "spiculated margin"),
    "espiculated region": ("mass", "spiculated margin"),
    "asymmetry": ("asymmetry",),
    "assymetry": ("asymmetry",),
}
"""Name of a contour in lower case, as it is spelt somewhere in the release → concepts."""
_MARKED = frozenset({"mass", "calcifications", "architectural distortion", "asymmetry"})
"""What the annotators drew wherever they saw it. The other concepts are features, which need not be drawn."""

_FILE = re.compile(r"(?P<name>\d+)_(?P<patient>[0-9A-Za-z]+)_MG_(?P<side>[LR])_(?P<view>[A-Z]+)_ANON\.dcm", re.I)
_POINT = re.compile(r"\(\s*(-?[\d.]+(?:e-?\d+)?)\s*,\s*(-?[\d.]+(?:e-?\d+)?)\s*\)", re.I)


@dataclass(frozen=True)
class _File:
    path: Path
    patient: str
    side: str


class InBreast(Cohort):
    """INbreast (Porto): 410 digital mammograms of 115 cases, with contours of what is seen in them.

    The key of the patient is only in the names of the DICOM files. There is no pathology.
    """

    collection = "inbreast"
    against_copies = "INbreast is given for research and not to be passed on"
    licence = "on request, for research; not to be passed on"

    class Options(CohortOptions):
        """Settings of INbreast."""

        table: PathBelowRoot = pydantic.Field(
            default=Path("INbreast.csv"), description="the table, below root where it is not a full path"
        )
        images: PathBelowRoot = pydantic.Field(
            default=Path("AllDICOMs"), description="the folder of DICOM files, below root where it is not a full path"
        )
        contours: PathBelowRoot = pydantic.Field(
            default=Path("AllXML"), description="the folder of contours, below root where it is not a full path"
        )
        unlisted: Literal["unknown", "absent"] = pydantic.Field(
            default="unknown",
            description="what masses, calcifications, distortions and asymmetries are of which there is no contour: "
            "unknown (absent only where the image is BI-RADS 1), or absent, as if every one had been drawn",
        )

    options: Options

    def samples(self) -> list[mcd.Sample]:
        """Return one sample an image, in the order of the table."""
        files = self._files()
        rows = read_csv(self.options.root / self.options.table, _NEEDED, delimiter=";", column="File Name")
        found = [self._sample(row, files.get(row.key("File Name"))) for row in refuse_repeats(rows, "File Name")]
        return _with_exams(found, [row.get("Acquisition date") for row in rows])

    def _files(self) -> dict[str, _File]:
        """Return name of the image → its file; the patient and the side are in the file's name."""
        folder = self.options.root / self.options.images
        found: dict[str, _File] = {}
        for path in sorted(folder.glob("*")):
            name = _FILE.fullmatch(path.name)
            if name is None:
                continue
            if name["name"] in found:
                raise DataError(f"{folder} holds two files of image {name['name']}", "keep one of them")
            found[name["name"]] = _File(path, name["patient"], name["side"].upper())
        if not found:
            raise DataError(
                f"{folder} holds no file such as 20586908_6c613a14b80a8591_MG_R_CC_ANON.dcm",
                "patients are identified by these names: keep them, and give the folder as images=DIR",
            )
        return found

    def _sample(self, row: Row, file: _File | None) -> mcd.Sample:
        name, side, view = row.key("File Name"), row.one_of("Laterality", SIDES), row.one_of("View", _VIEWS)
        if file is not None and file.side != side:
            raise row.wrong("Laterality", f"'{row['Laterality']}', but its file is called {file.path.name}")
        assessment = self.mapped(row, "Bi-Rads", _ASSESSMENTS)
        contours = self._contours(name)
        present = {concept for one in contours for concept in one.concepts}
        findings = dict.fromkeys(sorted(present), True)
        if assessment == "1" or self.options.unlisted == "absent":
            findings |= dict.fromkeys(sorted(_MARKED - present), False)
        drawn = ", ".join(sorted({one.name for one in contours}))
        labels = {"ACR": row["ACR"], "Bi-Rads": row["Bi-Rads"], "contours": drawn}
        return mcd.Sample(
            id=name,
            source=str(file.path if file else self.options.root / self.options.images / f"{name}_…_ANON.dcm"),
            patient=file.patient if file else "",
            view=view,
            laterality=side,
            density=self.mapped(row, "ACR", _DENSITIES),
            assessment=assessment,
            findings=findings,
            boxes=tuple(box for one in contours for box in one.boxes()),
            labels={column: text for column, text in labels.items() if text},
        )

    def _contours(self, name: str) -> list[_Contour]:
        """Return what is drawn in an image; nothing where it has no file of contours."""
        folder = self.options.root / self.options.contours
        path = folder / f"{name}.xml"
        if not path.exists():
            return []
        found = []
        for at, (called, points) in enumerate(_drawn(path), start=1):
            known = _CONTOURS.get(called.lower(), ())
            # Named after the folder: the file is named after the image, which remarks must not disclose.
            self.mapped(Row(folder, at, {"Name": called}), "Name", {} if not known else {called: ""})
            found.append(_Contour(called, known, points))
        return found


@dataclass(frozen=True)
class _Contour:
    name: str
    concepts: tuple[str, ...]
    points: Sequence[tuple[float, float]]

    def boxes(self) -> Iterator[mcd.Box]:
        """Yield the box around the points, if any; a single point is one calcification."""
        if self.points:
            columns, rows = zip(*self.points, strict=True)
            x0, y0 = max(0, math.floor(min(columns))), max(0, math.floor(min(rows)))
            x1, y1 = math.floor(max(columns)) + 1, math.floor(max(rows)) + 1
            if x0 < x1 and y0 < y1:
                yield mcd.Box(next(iter(self.concepts), self.name), x0, y0, x1, y1)


def _drawn(path: Path) -> Iterator[tuple[str, list[tuple[float, float]]]]:
    """Yield name and points, x before y and counted from 0, of each region in a file that OsiriX wrote."""
    try:
        content: object = plistlib.loads(path.read_bytes(), fmt=plistlib.FMT_XML)
    except OSError as error:
        raise DataError(
            f"{path} cannot be read: {error.strerror}", "check the path, and that you may read it: ls -l FILE"
        ) from None
    except (ExpatError, ValueError, AttributeError, IndexError, KeyError, TypeError):
        raise DataError(f"{path} is no file of contours: it is not a property list", "download it again") from None
    for at, region in enumerate((one for image in _items(content, "Images") for one in _items(image, "ROIs")), start=1):
        points = _items(region, "Point_px")
        matched = [_POINT.fullmatch(str(point).strip()) for point in points]
        called = region.get("Name") if isinstance(region, dict) else None
        if not isinstance(called, str) or None in matched:
            raise DataError(f"{path}, region {at}: it has no Name, or points that are not (x, y)", "correct the file")
        yield called.strip(), [(float(one[1]), float(one[2])) for one in matched if one]


def _items(content: object, key: str) -> list[object]:
    found = content.get(key, []) if isinstance(content, dict) else []
    return found if isinstance(found, list) else []


def _with_exams(samples: Sequence[mcd.Sample], months: Sequence[str]) -> list[mcd.Sample]:
    """Return samples with exams: a patient's months in order. The month itself says more than a key should."""
    of_patient: dict[str, set[str]] = defaultdict(set)
    for sample, month in zip(samples, months, strict=True):
        of_patient[sample.patient] |= {month} - {""}
    found = []
    for sample, month in zip(samples, months, strict=True):
        exam = (
            f"{sample.patient}-{sorted(of_patient[sample.patient]).index(month) + 1}"
            if month and sample.patient
            else ""
        )
        found.append(replace(sample, exam=exam))
    return found
