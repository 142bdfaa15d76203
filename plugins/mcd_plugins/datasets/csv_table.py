"""The data set ``csv``: any images that a table names, with any labels."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from pathlib import Path, PureWindowsPath
from typing import Annotated

import pydantic

import mcd
from mcd.plugins import digest
from mcd_plugins.cohorts.base import Cohort, CohortOptions
from mcd_plugins.cohorts.tables import Row, read_csv, read_excel
from mcd_plugins.cohorts.vocabulary import ASSESSMENTS, DENSITIES, FINDINGS, VIEWS

__all__ = ["CsvTable", "located"]

Column = str | None

_STATES: Mapping[str, bool] = {
    **dict.fromkeys(("1", "1.0", "yes", "true", "present"), True),
    **dict.fromkeys(("0", "0.0", "no", "false", "absent"), False),
}
_SIDES: Mapping[str, str] = {"l": "L", "left": "L", "r": "R", "right": "R"}
_VIEWS: Mapping[str, str] = {name.lower(): view for name, view in VIEWS.items()}
_DENSITIES: Mapping[str, str] = {name.lower(): letter for name, letter in DENSITIES.items()}
_ASSESSMENTS: Mapping[str, str] = {name.lower(): category for name, category in ASSESSMENTS.items()}
_FIELDS = ("id", "patient", "exam", "laterality", "view", "density", "assessment", "vendor", "implant", "split")
_WHO = ("path", "id", "patient", "exam")
_KEYS = ("patient", "laterality", "split")
_WORKBOOKS = (".xlsx", ".xlsm")
_COLUMN = "the column of it; by default the one that is called like this setting, if there is one; null: none"


def _mapping(value: object) -> object:
    """Take a list of columns, or their names with commas, for findings that are called as their columns."""
    if isinstance(value, str):
        value = [part.strip() for part in value.split(",") if part.strip()]
    return {name: name for name in value} if isinstance(value, list | tuple) else value


class CsvTable(Cohort):
    """Images that a table names in a column of paths: DICOM files or pictures, a row an image.

    Other columns become what is known about the images, those that settings name or that are called like them. All
    columns stay, as they are, in labels, but those that tell who somebody is.
    """

    collection = "csv"

    class Options(CohortOptions):
        """Settings of the data set. Every column goes by its name."""

        root: Path = pydantic.Field(
            default=Path(), description="the folder that relative paths start from; by default that of the table"
        )
        table: Path = pydantic.Field(description="the table: .csv, or a workbook .xlsx, whose first sheet is read")
        delimiter: str = pydantic.Field(default=",", min_length=1, max_length=1, description="what parts the cells")
        path: str = pydantic.Field(default="path", min_length=1, description="the column of paths")
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

    def samples(self) -> list[mcd.Sample]:
        """Return one sample a row, in the order of the table."""
        rows = self._rows()
        self._columns = self._chosen(rows[0].cells if rows else {})
        ids: dict[str, int] = {}
        paths: dict[str, int] = {}
        found = []
        for row in rows:
            path, below = located(self.options.root, row.needed(self.options.path, "the path"))
            _unique(paths, str(path), row, self.options.path, "the file")
            own = row.key(self._columns["id"], "the id") if "id" in self._columns else below
            _unique(ids, own, row, self._columns.get("id", self.options.path), "the id")
            found.append(self._sample(row, own, path))
        return found

    def remarks(self) -> list[str]:
        """Return what could not be mapped, and what the table does not record."""
        told = super().remarks()
        table = self.options.table.name
        told += [
            f"{table}, column '{column}': empty in {count} rows (first row {row.number}); there it is unknown"
            for column, (row, count) in self._empty.items()
        ]
        if self._columns and "patient" not in self._columns:
            told.append(f"{table} has no column of patients: which images are of one woman is not known from it")
        strange = sorted(set(self.options.findings.values()) - FINDINGS)
        if strange:
            told.append(f"{table}: findings that are no concepts of birads: {', '.join(strange)}")
        return told

    def _rows(self) -> list[Row]:
        chosen = [getattr(self.options, name) for name in _FIELDS]
        needed = list(dict.fromkeys([self.options.path, *filter(None, chosen), *self.options.findings]))
        if self.options.table.suffix.lower() in _WORKBOOKS:
            return read_excel(self.options.table, needed)
        return read_csv(self.options.table, needed, delimiter=self.options.delimiter)

    def _chosen(self, there: Iterable[str]) -> dict[str, str]:
        """Return field → column, of the fields that have one."""
        named = {field: getattr(self.options, field) for field in _FIELDS}
        by_name = {field for field in set(there) - {self.options.path} if named.get(field) == ""}
        return {field: column or field for field, column in named.items() if column or field in by_name}

    def _sample(self, row: Row, own: str, path: Path) -> mcd.Sample:
        who = {self.options.path, *(self._columns.get(field) for field in _WHO)}
        return mcd.Sample(
            id=own,
            source=str(path),
            patient=self._text(row, "patient"),
            exam=self._text(row, "exam"),
            view=self._word(row, "view", _VIEWS),
            laterality=self._side(row),
            density=self._word(row, "density", _DENSITIES),
            assessment=self._word(row, "assessment", _ASSESSMENTS),
            vendor=self._text(row, "vendor"),
            implant=_state(row, self._columns["implant"]) if "implant" in self._columns else None,
            split=self._text(row, "split"),
            findings={
                concept: state
                for column, concept in self.options.findings.items()
                if (state := _state(row, column)) is not None
            },
            labels={column: text for column in row.cells if column and column not in who and (text := row[column])},
        )

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
        text = row[column].lower().removesuffix(".0")
        if field == "density" and text == "0":
            raise row.wrong(column, "'0' is none of a to d or 1 to 4; a density that counts from 0 would be misread")
        return known[text] if text in known else self.mapped(row, column, {})


def located(root: Path, written: str) -> tuple[Path, str]:
    """Return the path that a table or list names, and the id of the file by it.

    Back-slashes part folders too. The id is the path below ``root``; of a file elsewhere a digest, since a path may
    tell who the patient is.
    """
    text = written.replace("\\", "/")
    elsewhere = os.sep == "/" and bool(PureWindowsPath(text).drive)  # C:/… on a system without drives
    path = Path(text) if elsewhere else Path(os.path.normpath(root / text))
    if not elsewhere and path.is_relative_to(os.path.normpath(root)):
        return path, path.relative_to(os.path.normpath(root)).as_posix()
    return path, f"outside-{digest(text)[:16]}"


def _unique(seen: dict[str, int], key: str, row: Row, column: str, what: str) -> None:
    first = seen.setdefault(key, row.number)
    if first != row.number:
        raise row.wrong(column, f"{what} is that of row {first} again; an image has one row")


def _state(row: Row, column: str) -> bool | None:
    text = row[column]
    if not text:
        return None
    if text.lower() not in _STATES:
        raise row.wrong(column, f"'{text}' is none of 1, 0, yes, no, true, false, present, absent, or empty")
    return _STATES[text.lower()]
