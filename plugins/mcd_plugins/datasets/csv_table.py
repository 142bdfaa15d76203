"""The data set ``csv``: any images that a table names, with any labels."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Literal

import pydantic

import mcd
from mcd.errors import amount
from mcd_plugins.cohorts.base import Cohort, CohortOptions
from mcd_plugins.cohorts.tables import Row, read_csv, read_excel
from mcd_plugins.cohorts.vocabulary import ASSESSMENTS, DENSITIES, FINDINGS, VIEWS
from mcd_plugins.datasets.csv_cells import (
    LIST_MARKS,
    bare_code,
    columns_in,
    filled,
    joined_rows,
    located,
    parts_of,
    state_of,
)
from mcd_plugins.datasets.pictures import is_file
from mcd_plugins.dicom.claims import Position, position

__all__ = ["CsvTable"]

Column = str | None

_SIDES: Mapping[str, str] = {"l": "L", "left": "L", "r": "R", "right": "R"}
_VIEWS: Mapping[str, str] = {name.lower(): view for name, view in VIEWS.items()}
_DENSITIES: Mapping[str, str] = {name.lower(): letter for name, letter in DENSITIES.items()}
_ASSESSMENTS: Mapping[str, str] = {name.lower(): category for name, category in ASSESSMENTS.items()}
_FIELDS = ("id", "patient", "exam", "laterality", "view", "density", "assessment", "vendor", "implant", "split")
_WHO = ("path", "id", "patient", "exam")
_KEYS = ("patient", "laterality", "split")
_WORKBOOKS = (".xlsx", ".xlsm")
_NOTHING = frozenset(("no finding", "no findings", "no_finding", "none", "normal", "negative", "nothing", "-"))
_COLUMN = "the column of it; by default the one that is called like this setting, if there is one; null: none"


def _mapping(value: object) -> object:
    """Take a list of columns, or their names with commas, for findings that are called as their columns."""
    if isinstance(value, str):
        value = [part.strip() for part in value.split(",") if part.strip()]
    return {name: name for name in value} if isinstance(value, list | tuple) else value


def _delimiter(value: object) -> object:
    return "\t" if value in ("tab", "\\t") else value


class CsvTable(Cohort):
    """Images that a table names in a column of paths, or a pattern of columns: DICOM files or pictures.

    Other columns become what is known about the images, those that settings name or that are called like them. All
    columns stay, as they are, in labels, but those that identify somebody.
    """

    collection = "csv"

    class Options(CohortOptions):
        """Settings of the data set. Every column goes by its name."""

        root: Path = pydantic.Field(
            default=Path(), description="the folder that relative paths start from; by default that of the table"
        )
        table: Path = pydantic.Field(description="the table: .csv, or a workbook .xlsx, whose first sheet is read")
        delimiter: Annotated[str, pydantic.BeforeValidator(_delimiter)] = pydantic.Field(
            default=",", min_length=1, max_length=1, description="what parts the cells; tab for a tabulator"
        )
        path: str = pydantic.Field(
            default="path",
            min_length=1,
            description="the column of paths, or a pattern of several columns, {study_id}/{image_id}.dicom",
        )
        separator: str = pydantic.Field(
            default="",
            description="what parts several paths in a cell. By default lists, ['a.png', 'b.png'], are recognised, and "
            "; | , where the parts are files and the whole is none",
        )
        rows: Literal["image", "finding"] = pydantic.Field(
            default="image",
            description="what a row is: an image, which then has one row, or a finding: rows of one file are joined",
        )
        id: Column = pydantic.Field(
            default="", description="the column of ids; by default the one called 'id', if any; else, or null: the path"
        )
        patient: Column = pydantic.Field(default="", description=_COLUMN)
        exam: Column = pydantic.Field(default="", description=_COLUMN)
        laterality: Column = pydantic.Field(default="", description=_COLUMN)
        view: Column = pydantic.Field(default="", description=_COLUMN)
        density: Column = pydantic.Field(default="", description=_COLUMN)
        assessment: Column = pydantic.Field(default="", description=_COLUMN)
        vendor: Column = pydantic.Field(default="", description=_COLUMN)
        implant: Column = pydantic.Field(default="", description=_COLUMN)
        split: Column = pydantic.Field(default="", description=_COLUMN)
        findings: Annotated[dict[str, str], pydantic.BeforeValidator(_mapping)] = pydantic.Field(
            default_factory=dict,
            description="the columns of findings (1, yes, true, present; 0, no, false, absent; empty is unknown), as "
            'mass,calcifications, or where the column has another name {"masse": "mass"}',
        )
        finding: Column = pydantic.Field(
            default=None, description="the column whose cells name findings: Mass, or ['Mass', 'Asymmetry']"
        )
        words: dict[str, str] = pydantic.Field(
            default_factory=dict,
            description='what words in that column mean, {"Herd": "mass"}; a word that is a concept of birads means it',
        )

        @classmethod
        def primary(cls) -> str:
            """Return the name of the option that ``csv:FILE`` sets."""
            return "table"

        @pydantic.model_validator(mode="before")
        @classmethod
        def _root_of_table(cls, values: object) -> object:
            if isinstance(values, dict) and "root" not in values and isinstance(values.get("table"), str | Path):
                return {**values, "root": Path(values["table"]).parent}
            return values

    options: Options

    def __init__(self, options: mcd.Options | None = None) -> None:
        super().__init__(options)
        self._columns: dict[str, str] = {}
        self._empty: dict[str, tuple[Row, int]] = {}
        self._sides_against = 0
        self._found: dict[int, list[Row]] = {}
        self._several = self._lists = 0

    def samples(self) -> list[mcd.Sample]:
        """Return one sample an image, in the order of the table."""
        rows = self._rows()
        self._columns = self._chosen(rows[0].cells if rows else {})
        if self.options.rows == "finding":
            rows = self._by_image(rows)
        ids: dict[str, int] = {}
        paths: dict[str, int] = {}
        found = []
        for row in rows:
            images = self._images(row)
            for at, (one, written) in enumerate(images, start=1):
                path, below = located(self.options.root, written)
                _unique(paths, str(path), one, self._path_column)
                own = one.key(self._columns["id"], "the id") if "id" in self._columns else below
                own = own if len(images) == 1 or "id" not in self._columns else f"{own}/{at}"
                _unique(ids, own, one, self._columns.get("id", self._path_column), "the id")
                found.append(self._sample(one, own, path))
        return found

    @property
    def _path_column(self) -> str:
        return (columns_in(self.options.path) or [self.options.path])[-1]

    def _by_image(self, rows: Sequence[Row]) -> list[Row]:
        """Return rows of findings joined to one an image."""
        of_image: dict[str, list[Row]] = {}
        for row in rows:
            of_image.setdefault(str(located(self.options.root, self._written(row))[0]), []).append(row)
        self._several = sum(len(one) > 1 for one in of_image.values())
        named = [*self.options.findings, *filter(None, [self.options.finding])]
        self._found = {}
        found = []
        for own in of_image.values():
            alike = {column: field for field, column in self._columns.items() if column not in named}
            joined = joined_rows(own, alike)
            of_path = {column: own[0][column] for column in columns_in(self.options.path) or [self.options.path]}
            self._found[joined.number] = own
            found.append(replace(joined, cells={**joined.cells, **of_path}))
        return found

    def _written(self, row: Row) -> str:
        if self.options.path not in row.cells and columns_in(self.options.path):
            return filled(self.options.path, row)
        return row.needed(self.options.path, "the path")

    def _images(self, row: Row) -> list[tuple[Row, str]]:
        """Return the paths that a row names, each with the row as it is of that image."""
        written = self._written(row)
        separator = self.options.separator or self._separator_in(written)
        paths = parts_of(written, separator)
        if not paths:
            raise row.wrong(self._path_column, "the path is missing")
        if len(paths) == 1:
            return [(row, paths[0])]
        self._lists += 1
        lists = {column: parts_of(row[column], separator) for column in self._columns.values()}
        of_each = {column: each for column, each in lists.items() if len(each) == len(paths)}
        return [
            (replace(row, cells={**row.cells, **{column: each[at] for column, each in of_each.items()}}), path)
            for at, path in enumerate(paths)
        ]

    def _separator_in(self, written: str) -> str:
        """Return what parts several paths in a cell, where each part is a file and the whole is none."""
        if not any(mark in written for mark in LIST_MARKS) or is_file(located(self.options.root, written)[0]):
            return ""
        for mark in LIST_MARKS:
            parts = parts_of(written, mark)
            if len(parts) > 1 and all(is_file(located(self.options.root, part)[0]) for part in parts):
                return mark
        return ""

    def remarks(self) -> list[str]:
        """Return what could not be mapped, and what the table does not record."""
        remarks = super().remarks()
        table = self.options.table.name
        remarks += [
            f"{table}, column '{column}': empty in {amount(count, 'row')} (first row {row.number}); there it is unknown"
            for column, (row, count) in self._empty.items()
        ]
        if self._columns and "patient" not in self._columns:
            remarks.append(f"{table} has no column of patients: which images are of one woman is not known from it")
        if self._sides_against:
            remarks.append(
                f"{table}: the view names another side in {amount(self._sides_against, 'row')}; laterality is believed"
            )
        if self._several:
            remarks.append(f"{table}: images with several rows, which are joined: {self._several}")
        if self._lists:
            remarks.append(f"{table}: rows that name several images: {self._lists}")
        strange = sorted({*self.options.findings.values(), *self.options.words.values()} - {""} - FINDINGS)
        if strange:
            remarks.append(f"{table}: findings that are no concepts of birads: {', '.join(strange)}")
        return remarks

    def _rows(self) -> list[Row]:
        chosen = [getattr(self.options, name) for name in _FIELDS]
        paths = columns_in(self.options.path)
        named = [*filter(None, chosen), *self.options.findings, *filter(None, [self.options.finding])]
        needed = list(dict.fromkeys([*(paths or [self.options.path]), *named]))
        if self.options.table.suffix.lower() in _WORKBOOKS:
            return read_excel(self.options.table, needed)
        return read_csv(self.options.table, needed, delimiter=self.options.delimiter)

    def _chosen(self, there: Iterable[str]) -> dict[str, str]:
        """Return field → column, of the fields that have one."""
        named = {field: getattr(self.options, field) for field in _FIELDS}
        by_name = {field for field in set(there) - {self.options.path} if named.get(field) == ""}
        return {field: column or field for field, column in named.items() if column or field in by_name}

    def _sample(self, row: Row, own: str, path: Path) -> mcd.Sample:
        known = {column for field, column in self._columns.items() if field not in _WHO}
        who = {self.options.path, *(self._columns.get(field) for field in _WHO)} | (
            set(columns_in(self.options.path)) - known
        )
        label = position(row[self._columns["view"]]) if "view" in self._columns else Position()
        implant = state_of(row, self._columns["implant"]) if "implant" in self._columns else None
        side = self._side(row)
        self._sides_against += bool(side and label.side and side != label.side)
        return mcd.Sample(
            id=own,
            source=str(path),
            patient=self._text(row, "patient"),
            exam=self._text(row, "exam"),
            view=label.view or self._word(row, "view", _VIEWS),
            laterality=side or label.side,
            density=self._word(row, "density", _DENSITIES),
            assessment=self._word(row, "assessment", _ASSESSMENTS),
            vendor=self._text(row, "vendor"),
            implant=True if implant is None and label.displaced else implant,
            split=self._text(row, "split"),
            findings=self._findings(row),
            labels={column: text for column in row.cells if column and column not in who and (text := row[column])},
        )

    def _findings(self, row: Row) -> dict[str, bool]:
        """Return concept → present or absent: of several rows of an image, present where one says so."""
        found: dict[str, bool] = {}
        for one in self._found.get(row.number, [row]):
            for column, concept in self.options.findings.items():
                state = state_of(one, column)
                if state is not None:
                    found[concept] = found.get(concept, False) or state
            found |= dict.fromkeys(self._named(one), True)
        return found

    def _named(self, row: Row) -> list[str]:
        """Return the concepts that the column of findings names."""
        column = self.options.finding
        if not column or not row[column]:
            return []
        text = row[column]
        mark = next((one for one in LIST_MARKS if one in text), "")
        words = {word.lower(): concept for word, concept in self.options.words.items()}
        found = []
        for word in parts_of(text, mark):
            one = word.lower()
            concept = words.get(one, _concept(one))
            if concept is None:
                self.mapped(replace(row, cells={column: word}), column, {})
            found += [concept] if concept else []
        return found

    def _text(self, row: Row, field: str) -> str:
        """Return a cell as it is, or the id that it is; empty cells are counted for the remarks."""
        column = self._columns.get(field)
        if column is None:
            return ""
        if not row[column] and field in _KEYS:
            first, count = self._empty.get(column, (row, 0))
            self._empty[column] = (first, count + 1)
        return row.key(column) if field in _WHO else row[column]

    def _side(self, row: Row) -> str:
        text = self._text(row, "laterality")
        if text and text.lower() not in _SIDES:
            raise row.wrong(self._columns["laterality"], f"'{text}' is none of L, R, left, right")
        return _SIDES.get(text.lower(), "")

    def _word(self, row: Row, field: str, known: Mapping[str, str]) -> str:
        column = self._columns.get(field)
        if column is None:
            return ""
        text = row[column].lower()
        if field != "view":
            text = bare_code(text)
        if field == "density" and text == "0":
            raise row.wrong(column, "'0' is none of a to d or 1 to 4; a density that counts from 0 would be misread")
        return known[text] if text in known else self.mapped(row, column, {})


def _unique(seen: dict[str, int], key: str, row: Row, column: str, what: str = "the file") -> None:
    first = seen.setdefault(key, row.number)
    if first != row.number:
        again = f"{what} is that of row {first} again"
        raise row.wrong(column, f"{again}; an image has one row, or set rows=finding where each is a finding")


def _concept(word: str) -> str | None:
    """Return the concept that a word names, empty for none at all, None where it is not known."""
    if word in _NOTHING:
        return ""
    forms = (word, f"{word}s", word.removesuffix("s"), word.removesuffix("es"))
    return next((one for one in forms if one in FINDINGS), None)
