"""Vocabularies as others publish them: word lists, workbooks, tables, JSON. Every term keeps where it was found."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from mcd.documents import SUFFIXES, read_text
from mcd.errors import ConfigError, DataError, MissingDependencyError

__all__ = ["READABLE", "Found", "read_terms"]

READABLE = (".txt", ".xlsx", ".csv", ".tsv", ".json")
_COLUMNS = {
    "term": ("term", "concept"),
    "category": ("category",),
    "broad_category": ("broad_category", "broad category"),
    "synonyms": ("synonyms", "synonym"),
    "prompt": ("prompt",),
    "opposite": ("opposite",),
    "mammographic": ("mammographic",),
}
"""The properties of a term that a table may have, and what the columns may be called."""


@dataclass(frozen=True)
class Found:
    """A term as it stands in a file.

    Parameters
    ----------
    text
        Exactly as written, blanks included.
    where
        File and place, for messages.
    category, broad_category
        As written; empty where the file has none.
    synonyms, prompt, opposite, mammographic
        As in `mcd.Concept`, where the file has them.
    """

    text: str
    where: str
    category: str = ""
    broad_category: str = ""
    synonyms: tuple[str, ...] = ()
    prompt: str = ""
    opposite: str = ""
    mammographic: bool | None = None


def read_terms(path: Path) -> list[Found]:
    """Return the terms of a file in their order, repeated ones too.

    Raises
    ------
    ConfigError
        When it cannot be read, holds no term, or is of no kind that is read here.
    DataError
        When a workbook is damaged.
    MissingDependencyError
        When a workbook needs openpyxl.
    """
    readers = {
        ".txt": _from_list,
        ".xlsx": _from_workbook,
        ".csv": _from_table,
        ".tsv": _from_table,
        ".json": _from_json,
    }
    reader = readers.get(path.suffix.lower())
    if reader is None and path.exists():
        hint = "mcd reads it as it is" if path.suffix.lower() in SUFFIXES else ""
        raise ConfigError(
            f"{path}: not a kind of vocabulary that is imported", hint or f"use one of: {', '.join(READABLE)}"
        )
    found = list((reader or _from_list)(path))
    if not found:
        raise ConfigError(f"{path}: there is no term in it", "correct the file; see: mcd concepts import --help")
    return found


def _from_list(path: Path) -> Iterator[Found]:
    for number, line in enumerate(read_text(path).splitlines(), start=1):
        if line.strip():
            yield Found(line, f"{path.name}:{number}")


def _from_workbook(path: Path) -> Iterator[Found]:
    """Read sheets as broad categories and columns as categories, which the first row names."""
    for sheet, rows in _sheets(path):
        header = rows[0] if rows else []
        for at, cells in enumerate(zip(*rows[1:], strict=True)):
            for number, text in enumerate(cells, start=2):
                if text.strip():
                    place = f"{path.name}, sheet '{sheet.strip()}', column '{header[at].strip()}', row {number}"
                    yield Found(text, place, header[at], sheet)


def _sheets(path: Path) -> list[tuple[str, list[list[str]]]]:
    """Return the sheets of a workbook: rows of one width, an empty text for an empty cell."""
    try:
        import openpyxl
    except ImportError:
        raise MissingDependencyError(
            f"{path} is a workbook, which needs openpyxl", 'pip install "mammo-clip-dissect[tables]"'
        ) from None
    if not path.is_file():
        raise ConfigError(f"there is no file {path}", "check the path; a relative one starts from here")
    try:
        book = openpyxl.load_workbook(path, data_only=True)
        rows = {sheet.title: list(sheet.iter_rows(values_only=True)) for sheet in book.worksheets}
    except Exception as error:  # a damaged workbook makes openpyxl raise nearly anything
        raise DataError(f"{path} is no workbook: {error}", "download it again, or save it anew as .xlsx") from None
    return [
        (title, [["" if cell is None else str(cell) for cell in row] for row in lines]) for title, lines in rows.items()
    ]


def _from_table(path: Path) -> Iterator[Found]:
    """Read a table of one term a row; synonyms have ``|`` between them."""
    text = read_text(path)
    first = text.partition("\n")[0]
    delimiter = max(",;\t", key=first.count)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    header = [name.strip().casefold() for name in next(reader, [])]
    spelled = {name: next((one for one in names if one in header), None) for name, names in _COLUMNS.items()}
    places = {name: header.index(one) for name, one in spelled.items() if one is not None}
    if "term" not in places:
        raise ConfigError(f"{path}:1: there is no column 'term'", f"its columns are: {', '.join(header) or 'none'}")
    try:
        for cells in reader:
            row = {name: cells[at] for name, at in places.items() if at < len(cells)}
            if row.get("term", "").strip():
                yield _of_row(row, f"{path.name}:{reader.line_num}")
    except csv.Error as error:
        raise ConfigError(
            f"{path}:{reader.line_num}: not a valid table: {error}", "correct the file; see: mcd concepts import --help"
        ) from None


def _of_row(row: Mapping[str, str], where: str) -> Found:
    flag = row.get("mammographic", "").strip().casefold()
    if flag not in ("", "true", "false"):
        raise ConfigError(f"{where}: mammographic is '{flag}'", "write true, false or nothing")
    return Found(
        row["term"],
        where,
        row.get("category", ""),
        row.get("broad_category", ""),
        synonyms=tuple(part for part in row.get("synonyms", "").split("|") if part.strip()),
        prompt=row.get("prompt", ""),
        opposite=row.get("opposite", ""),
        mammographic=None if not flag else flag == "true",
    )


def _from_json(path: Path) -> Iterator[Found]:
    """Read lists of terms below no name, one or two: broad category, category. One name serves as both."""
    try:
        data: object = json.loads(read_text(path))
    except RecursionError:
        raise ConfigError(f"{path}: nested too deeply", "correct the file; see: mcd concepts import --help") from None
    except json.JSONDecodeError as error:
        raise ConfigError(
            f"{path}:{error.lineno}: not valid JSON: {error.msg}", "correct the file; see: mcd concepts import --help"
        ) from None
    yield from _below(data, (), path.name)


def _below(data: object, names: tuple[str, ...], file: str) -> Iterator[Found]:
    place = " › ".join((file, *names))
    if isinstance(data, dict) and len(names) < 2:
        for name, value in data.items():
            yield from _below(value, (*names, str(name)), file)
    elif isinstance(data, list):
        for at, item in enumerate(data, start=1):
            yield _of_item(item, names, f"{place}, item {at}")
    else:
        raise ConfigError(
            f"{place}: neither a list of terms nor names with lists below them",
            'write {"Findings": {"Mass": ["mass", …]}}',
        )


def _of_item(item: object, names: Sequence[str], where: str) -> Found:
    broad, category = (names[0], names[-1]) if names else ("", "")
    if isinstance(item, str):
        return Found(item, where, category, broad)
    if isinstance(item, dict) and isinstance(item.get("term"), str):
        row = {name: _as_text(item[name], where) for name in _COLUMNS if item.get(name) is not None}
        return _of_row({"category": category, "broad_category": broad, **row}, where)
    raise ConfigError(
        f"{where}: neither a term nor an object with a term", "correct the file; see: mcd concepts import --help"
    )


def _as_text(value: object, where: str) -> str:
    if isinstance(value, bool):
        return str(value)
    if isinstance(value, list) and all(isinstance(one, str) for one in value):
        return "|".join(map(str, value))
    if isinstance(value, str):
        return value
    raise ConfigError(f"{where}: {value!r} is not a text", "correct the file; see: mcd concepts import --help")
