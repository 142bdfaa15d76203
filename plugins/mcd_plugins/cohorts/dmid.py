"""The data set ``dmid``: as it was released, or preprocessed to 512×512."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from itertools import zip_longest
from pathlib import Path
from typing import Literal

import pydantic

import mcd
from mcd.errors import DataError
from mcd_plugins.cohorts.base import Cohort, CohortOptions, clipped
from mcd_plugins.cohorts.mias import CLASSES, film_findings, joined
from mcd_plugins.cohorts.tables import Row, read_csv, read_excel
from mcd_plugins.datasets.pictures import picture_size
from mcd_plugins.datasets.text_lines import text_lines

__all__ = ["Dmid"]

_COLUMNS = ("image", "view", "tissue", "abnormality", "severity", "x", "y", "r")
_SIDES: Mapping[str, str] = {"CCLT": "L", "MLOLT": "L", "CCRT": "R", "MLORT": "R"}
_TYPING: Mapping[str, str] = {"CLAC": "CALC"}
_NOTHING = "-"
_IMAGE = re.compile(r"IMG\d+")
_TISSUES = frozenset({"F", "G", "D", _NOTHING})
_FOLDERS: Mapping[str, tuple[str, tuple[str, ...]]] = {
    "tiff": ("TIFF Images", (".tif", ".tiff")),
    "dicom": ("DICOM Images", (".dcm",)),
}


class Dmid(Cohort):
    """DMID: 510 mammograms with the classes of MIAS, severity and a circle; patients are not recorded.

    One sample an image, however many rows it has. A folder with labels.csv and images/*.png is read as the
    preprocessed copy (cropped, nipple to the left, padded, 512×512), any other as the original release.
    """

    collection = "dmid"
    licence = "CC BY 4.0 according to the authors"

    class Options(CohortOptions):
        """Settings of the data set."""

        images: Literal["tiff", "dicom"] = pydantic.Field(
            default="tiff",
            description="which files of the original release: tiff (8 bits; the circles are meant in their pixels), or "
            "dicom, without boxes",
        )

    options: Options

    def __init__(self, options: mcd.Options | None = None) -> None:
        super().__init__(options)
        self._outside: list[Row] = []
        self._without_view: list[Row] = []

    def samples(self) -> list[mcd.Sample]:
        """Return one sample an image, in the order of its first row."""
        films: dict[str, list[Row]] = defaultdict(list)
        for row in self._rows():
            films[row.key("image", "the name of the image")].append(row)
        return [self._sample(image, rows) for image, rows in films.items()]

    def remarks(self) -> list[str]:
        """Return what could not be mapped, and what should be known about the images."""
        remarks = [*super().remarks(), "dmid records no patients: which images are of one woman is unknown"]
        if self._preprocessed:
            remarks.append(
                "dmid, preprocessed: every nipple points left, whatever the side; circles fit the original "
                "films and are left out"
            )
        if self._outside:
            first = self._outside[0]
            remarks.append(
                f"{first.file.name}: {len(self._outside)} circles lie outside their image or have no radius "
                f"(first row {first.number}); they make no box"
            )
        if self._without_view:
            first = self._without_view[0]
            remarks.append(
                f"{first.file.name}: {len(self._without_view)} images have no view such as MLOLT (first row "
                f"{first.number}); their view and side are unknown"
            )
        return remarks

    @cached_property
    def _preprocessed(self) -> bool:
        return (self.options.root / "labels.csv").is_file()

    def _rows(self) -> Iterator[Row]:
        root = self.options.root
        if self._preprocessed:
            yield from read_csv(root / "labels.csv", _COLUMNS)
        elif (root / "Info.txt").is_file():
            yield from _parsed(root / "Info.txt", text_lines(root / "Info.txt"))
        else:
            table = root / "Metadata.xlsx"
            if not table.exists() and not table.with_suffix(".csv").exists():
                raise DataError(
                    f"{root} has none of labels.csv, Info.txt, Metadata.xlsx", "give the folder of DMID as root=DIR"
                )
            rows = read_excel(table, ())
            header = [(1, " ".join(rows[0].cells))] if rows else []  # the first line may be an image already
            lines = [(row.number, " ".join(row.cells.values())) for row in rows]
            yield from _parsed(table, [*header, *lines])

    def _sample(self, image: str, rows: Sequence[Row]) -> mcd.Sample:
        first = rows[0]
        for row in rows[1:]:
            if row["view"] != first["view"]:
                raise row.wrong("view", f"'{row['view']}', but row {first.number} says '{first['view']}'")
        if not first["view"]:
            self._without_view.append(first)
        source = self._source(image)
        lesions = [(row, "abnormality", "severity", _codes(row)) for row in rows]
        return mcd.Sample(
            id=image,
            source=str(source),
            view=next((view for view in ("CC", "MLO") if first["view"].startswith(view)), ""),
            laterality=self.mapped(first, "view", _SIDES),
            findings=film_findings(self, lesions),
            boxes=tuple(self._boxes(rows, source)),
            labels={name: first[name] for name in ("view", "tissue") if first[name]} | joined(rows, _COLUMNS[3:]),
        )

    def _source(self, image: str) -> Path:
        if self._preprocessed:
            return self.options.root / "images" / f"{image}.png"
        name, endings = _FOLDERS[self.options.images]
        folder = self.options.root / name
        nested = folder / name  # so the archives unpack
        candidates = [where / f"{image}{ending}" for where in (nested, folder) for ending in endings]
        return next((path for path in candidates if path.is_file()), candidates[0])

    def _boxes(self, rows: Sequence[Row], source: Path) -> Iterator[mcd.Box]:
        size = None if self._preprocessed or self.options.images != "tiff" else picture_size(source)
        if size is None:
            return
        for row in rows:
            given = [bool(row[name]) for name in ("x", "y", "r")]
            if any(given) and not all(given):
                raise row.wrong("r", "a circle needs all of x, y, r")
            if not all(given):
                continue
            x, y, radius = (row.whole(name) if row[name] != _NOTHING else None for name in ("x", "y", "r"))
            cut = None
            if x is not None and y is not None and radius is not None:
                name = CLASSES.get(_codes(row)[0]) or row["abnormality"]
                cut = clipped(mcd.Box(name, x - radius, y - radius, x + radius, y + radius), *size)
            if cut is None:
                self._outside.append(row)
            else:
                yield cut


def _codes(row: Row) -> list[str]:
    text = row.needed("abnormality", "the class of abnormality")
    return [_TYPING.get(code, code) for code in (part.strip() for part in text.split("+"))]


def _parsed(path: Path, lines: Iterator[tuple[int, str]] | Sequence[tuple[int, str]]) -> Iterator[Row]:
    """Yield the rows among the lines of a text: IMG001 MLOLT G CALC+MISC M 1567 3644 295, the view may be lacking."""
    for number, line in lines:
        words = re.sub(r"\s*\+\s*", "+", line).split()
        if not words or not words[0].upper().startswith("IMG"):
            continue
        if len(words) > 1 and words[1] in _TISSUES:
            words.insert(1, "")
        row = Row(path, number, dict(zip_longest(_COLUMNS, words[: len(_COLUMNS)], fillvalue="")))
        if not _IMAGE.fullmatch(row["image"]):
            raise row.wrong("image", f"'{row['image']}' is no name of an image such as IMG001")
        if len(words) > len(_COLUMNS):
            raise row.wrong("r", f"{len(words)} words for {len(_COLUMNS)} columns")
        yield row
