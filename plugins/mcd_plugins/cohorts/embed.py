"""The data set ``embed``."""

from __future__ import annotations

import ast
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import pydantic

import mcd
from mcd.plugins import PathBelowRoot
from mcd_plugins.cohorts.base import Cohort, CohortOptions, boxes_of
from mcd_plugins.cohorts.embed_codes import ASSESSED, COLUMNS, DENSITY, HEADLINES, Described, absent, code, described
from mcd_plugins.cohorts.tables import Row, iterate_csv, join_rows, refuse_repeats
from mcd_plugins.cohorts.vocabulary import VIEWS

__all__ = ["Embed"]

_METADATA = (
    "empi_anon",
    "acc_anon",
    "anon_dicom_path",
    "FinalImageType",
    "ImageLateralityFinal",
    "ViewPosition",
    "spot_mag",
)
_SIZED = ("ROI_coords", "Rows", "Columns")
_CLINICAL = ("acc_anon", "asses", "tissueden", "side", "massshape", "massmargin", "massdens", "calcfind", "calcdistri")
_OF_EXAM = ("desc", "tissueden", "RACE_DESC", "ETHNIC_GROUP_DESC")
"""Columns that all rows of an exam repeat."""
_KEPT = (*_OF_EXAM, "side", "asses", *COLUMNS, "calcnumber", "path_severity", "bside")
_SIDES: Mapping[str, str] = {"L": "L", "R": "R"}
_OF_ROWS: Mapping[str, str] = {"L": "L", "R": "R", "B": "LR"}
_SEVERITY: Mapping[str, str] = {"0": "cancer", "1": "cancer", **dict.fromkeys("2345", "")}
_WANTED = {"2D": {"2d"}, "cview": {"cview"}, "both": {"2d", "cview"}}


@dataclass(frozen=True)
class _Finding:
    """A row of the clinical table: ``sides`` is empty where it does not say, ``cancer`` where pathology found one."""

    sides: str
    assessment: str
    density: str
    described: Described
    cancer: str
    cells: tuple[str, ...]


@dataclass(frozen=True)
class _Breast:
    """The clinical record of one breast in one exam; ``shows`` is what a region of interest in it can be."""

    density: str = ""
    assessment: str = ""
    implant: bool | None = None
    findings: Mapping[str, bool] = field(default_factory=dict)
    labels: Mapping[str, str] = field(default_factory=dict)
    shows: str = ""

    def content(self) -> object:
        """Return what makes two of them equal, to look one up by."""
        mappings = (tuple(self.findings.items()), tuple(self.labels.items()))
        return (self.density, self.assessment, self.implant, *mappings, self.shows)


class Embed(Cohort):
    """EMBED open data (Emory): two cohorts of screening and diagnostic exams, with findings as letters.

    The table of metadata has a row a file, the clinical one a row a finding; they are joined on the exam and the
    side, so that one sample is one file. Findings belong to a breast: all views of it share them.
    """

    collection = "embed"
    against_copies = "EMBED's agreement forbids passing on its images and what is derived from them"
    licence = (
        "EMBED's agreement: research and teaching without commerce; models, weights and embeddings may not be released"
    )

    class Options(CohortOptions):
        """Settings of EMBED."""

        tables: PathBelowRoot = pydantic.Field(
            default=Path("tables"), description="the folder of the tables, below root where it is not a full path"
        )
        images: PathBelowRoot = pydantic.Field(
            default=Path("images"),
            description="the folder that holds cohort_1 and cohort_2, below root where it is not a full path",
        )
        final_image_type: Literal["2D", "cview", "both"] = pydantic.Field(
            default="2D", description="mammograms, or C-view images computed from a tomosynthesis, which look different"
        )
        spot_mag: bool = pydantic.Field(default=False, description="take spot compression and magnification views too")
        unlisted: Literal["unknown", "absent"] = pydantic.Field(
            default="unknown",
            description="what a finding is that no row names, in a breast that has rows: unknown (absent only where "
            "BI-RADS 1 excludes it), or absent, as the authors' notebook takes it",
        )
        other_side: Literal["unknown", "negative"] = pydantic.Field(
            default="unknown",
            description="what a breast without rows is, in a bilateral exam that has rows of the other breast: unknown "
            "(negative only where all rows are), or negative, as the authors' toolkit takes it",
        )

    options: Options

    def __init__(self, options: mcd.Options | None = None) -> None:
        super().__init__(options)
        self._folder = (self.options.root / self.options.images).as_posix()
        self._left_out: Counter[str] = Counter()
        self._odd: Counter[str] = Counter()

    def samples(self) -> list[mcd.Sample]:
        """Return one sample an image, in the order of the table of metadata."""
        exams = self._exams()
        breasts: dict[tuple[str, str], _Breast] = {}
        equal: dict[object, _Breast] = {}
        found = []
        for row in self._images():
            exam, side = row.key("acc_anon", "the exam's id"), row.one_of("ImageLateralityFinal", _SIDES)
            if exam not in exams:
                self._odd["images are of exams that the clinical table does not have: what they show is unknown"] += 1
            if (exam, side) not in breasts:
                breast = self._breast(exams.get(exam, ()), side)
                # One object for all breasts of which the same is said: there are 100,000, and few kinds of negative.
                breasts[exam, side] = equal.setdefault(breast.content(), breast)
            found.append(self._sample(row, exam, side, breasts[exam, side]))
        return found

    def remarks(self) -> list[str]:
        """Return what was left out, where rows contradict each other, and which codes have no counterpart."""
        out = [f"{count} images were left out: {reason}" for reason, count in sorted(self._left_out.items())]
        return [*out, *(f"{count} {what}" for what, count in sorted(self._odd.items())), *super().remarks()]

    def _table(self, name: str) -> Path:
        folder = self.options.root / self.options.tables
        full, reduced = (folder / f"EMBED_OpenData_{name}{end}.csv" for end in ("", "_reduced"))
        return reduced if reduced.exists() and not full.exists() else full

    def _exams(self) -> dict[str, list[_Finding]]:
        """Return exam → its rows of the clinical table."""
        exams: dict[str, list[_Finding]] = defaultdict(list)
        for row in iterate_csv(self._table("clinical"), _CLINICAL, keep=_KEPT):
            exams[row.key("acc_anon", "the exam's id")].append(self._finding(row))
        return dict(exams)

    def _finding(self, row: Row) -> _Finding:
        sides = row.one_of("side", _OF_ROWS) if row["side"] else ""
        what = described(self, row)
        if not sides and (what.present or what.questioned or what.implant):
            self._odd["rows name findings and no side: they are unknown in both breasts of the exam"] += 1
        return _Finding(
            sides,
            self.mapped(row, "asses", ASSESSED),
            self.mapped(_coded(row, "tissueden"), "tissueden", DENSITY),
            what,
            self._cancer(row, sides),
            tuple(row.get(column) for column in _KEPT),
        )

    def _cancer(self, row: Row, sides: str) -> str:
        """Return the sides in which pathology found cancer; a row of both breasts does not name one, but bside may."""
        if not self.mapped(_coded(row, "path_severity"), "path_severity", _SEVERITY):
            return ""
        biopsied = self.mapped(_coded(row, "bside"), "bside", _OF_ROWS)
        if not biopsied:
            return sides if len(sides) == 1 else ""
        both = "".join(side for side in biopsied if side in (sides or "LR"))
        if not both:
            self._odd["rows have a pathology of the other side than their finding: it is not used"] += 1
        return both

    def _images(self) -> Iterator[Row]:
        """Yield the rows of the images that were asked for; count the others."""
        wanted = _WANTED[self.options.final_image_type]
        rows = iterate_csv(self._table("metadata"), _METADATA, keep=_SIZED)
        for row in refuse_repeats(rows, "anon_dicom_path"):
            if row["FinalImageType"].lower().replace("-", "") not in wanted:
                kind = row["FinalImageType"] or "missing"
                self._left_out[f"their FinalImageType is {kind} (final_image_type=… takes others)"] += 1
            elif row.whole("spot_mag") and not self.options.spot_mag:
                self._left_out["they are spot compression or magnification views (spot_mag=true takes them)"] += 1
            else:
                yield row

    def _sample(self, row: Row, exam: str, side: str, breast: _Breast) -> mcd.Sample:
        path = row.needed("anon_dicom_path", "the path of the file").replace("\\", "/")
        start = path.find("cohort_")
        if start < 0:
            raise row.wrong("anon_dicom_path", "it has no folder cohort_…")
        boxes = tuple(_boxes(self, row, breast.shows))
        return mcd.Sample(
            id=path[start:],
            source=f"{self._folder}/{path[start:]}",
            patient=row.key("empi_anon", "the patient's id"),
            exam=exam,
            view=self.mapped(row, "ViewPosition", VIEWS),
            laterality=side,
            density=breast.density,
            assessment=breast.assessment,
            implant=breast.implant,
            findings=breast.findings,
            boxes=boxes,
            facts=boxes_of(*_size(row)) if boxes else {},
            labels=breast.labels,
        )

    def _breast(self, exam: Sequence[_Finding], side: str) -> _Breast:
        """Return the rows of an exam about one breast. Rows without a side are of exams without findings."""
        own = [one for one in exam if not one.sides or side in one.sides]
        derived = self._derived(exam) if exam and not own else False
        present = frozenset[str]().union(*(one.described.present for one in own if one.sides))
        questioned = frozenset[str]().union(*(_open(one) for one in own)) - present
        negative = derived or (bool(own) and all(one.assessment == "1" for one in own))
        findings = dict.fromkeys(sorted(present), True)
        if negative or (own and self.options.unlisted == "absent"):
            excluded = absent(present, questioned, negative=self.options.unlisted == "unknown")
            findings |= dict.fromkeys(sorted(excluded), False)
        if any(side in one.cancer for one in own):
            findings["breast cancer"] = True
        labels = {column: _joined(exam if column in _OF_EXAM else own, column) for column in _KEPT}
        if derived:
            labels["derived"] = "negative: the exam has no row of this breast"
        return _Breast(
            self._density(exam),
            "1" if derived else _gravest(own),
            True if any(one.described.implant and one.sides for one in own) else None,
            findings,
            {column: text for column, text in labels.items() if text},
            next((one for one in HEADLINES if one in present), "") if len(own) == 1 else "",
        )

    def _derived(self, exam: Sequence[_Finding]) -> bool:
        """Say whether a breast without rows is negative, in an exam that has rows of the other one."""
        bilateral = any("bilat" in one.cells[_KEPT.index("desc")].lower() for one in exam)
        return bilateral and (self.options.other_side == "negative" or all(one.assessment == "1" for one in exam))

    def _density(self, exam: Sequence[_Finding]) -> str:
        """Return what the rows of an exam, which repeat it, agree on."""
        said = {one.density for one in exam if one.density}
        if len(said) > 1:
            self._odd["breasts are of exams whose rows differ in tissueden: their density is unknown"] += 1
        return said.pop() if len(said) == 1 else ""


def _open(row: _Finding) -> frozenset[str]:
    """Return what a row leaves open: what it questions, and all that it names when it does not say in which breast."""
    return row.described.questioned | (frozenset() if row.sides else row.described.present)


def _gravest(rows: Sequence[_Finding]) -> str:
    said = {one.assessment for one in rows}
    return next((one for one in ASSESSED.values() if one and one in said), "")


def _joined(rows: Sequence[_Finding], column: str) -> str:
    """Return the cells of a column; those of several rows remain distinguishable. Empty where all are."""
    cells = [one.cells[_KEPT.index(column)] for one in rows]
    if column in _OF_EXAM:
        cells = [one for one in dict.fromkeys(cells) if one]
    return join_rows(cells)


def _coded(row: Row, column: str) -> Row:
    return Row(row.file, row.number, {column: code(row.get(column))})


def _boxes(cohort: Cohort, row: Row, shows: str) -> Iterator[mcd.Box]:
    """Yield the regions of interest: corners in the order y, x, y, x, four numbers each, however they are nested."""
    text = row.get("ROI_coords")
    if text in ("", "()", "[]"):
        return
    try:
        numbers = list(_numbers(ast.literal_eval(text)))
    except (ValueError, SyntaxError, MemoryError, RecursionError, OverflowError):
        raise row.wrong("ROI_coords", f"'{text[:60]}' is no list such as ((ymin, xmin, ymax, xmax),)") from None
    if len(numbers) % 4:
        raise row.wrong("ROI_coords", f"'{text[:60]}' has not four numbers for each region")
    height, width = _size(row)
    for y0, x0, y1, x1 in zip(*(iter(numbers),) * 4, strict=True):
        box = cohort.boxed(row, mcd.Box(shows, x0, y0, x1, y1), height, width)
        if box is not None:
            yield box


def _size(row: Row) -> tuple[int | None, int | None]:
    """Return height and width of the image; None where the table does not say."""
    height, width = (row.whole(name) if row.get(name) else None for name in ("Rows", "Columns"))
    return height, width


def _numbers(nested: object) -> Iterator[int]:
    if isinstance(nested, list | tuple):
        for one in nested:
            yield from _numbers(one)
    elif isinstance(nested, int | float):
        yield round(nested)
    else:
        raise ValueError
