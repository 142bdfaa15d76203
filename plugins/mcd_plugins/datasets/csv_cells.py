"""What cells of the data set ``csv`` mean: paths, several in one, codes with their names before them."""

from __future__ import annotations

import ast
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path, PureWindowsPath

from mcd.plugins import digest
from mcd_plugins.cohorts.tables import Row, join_rows

__all__ = ["LIST_MARKS", "bare_code", "columns_in", "filled", "joined_rows", "located", "parts_of", "state_of"]

_STATES: Mapping[str, bool] = {
    **dict.fromkeys(("1", "1.0", "yes", "true", "present"), True),
    **dict.fromkeys(("0", "0.0", "no", "false", "absent"), False),
}
LIST_MARKS = (";", "|", "\n", ",")
"""What people put between several paths in a cell, the likeliest first."""

_FIELD = re.compile(r"\{([^{}]+)\}")
_NAME_OF_CODE = re.compile(
    r"^(?:(?:bi[-\s_]?rads|acr|breast|density|composition|category|cat|assessment|type|grade)(?![a-z])[\s:=._\-]*)+"
)
_ROMAN: Mapping[str, str] = {name: str(at) for at, name in enumerate(("i", "ii", "iii", "iv", "v", "vi"), start=1)}


def columns_in(path: str) -> list[str]:
    """Return the columns that a pattern of paths names: ``{study_id}/{image_id}.dicom``; none of a plain column."""
    return _FIELD.findall(path)


def filled(pattern: str, row: Row) -> str:
    """Return the path that a row makes of a pattern.

    Raises
    ------
    DataError
        When one of the cells is empty.
    """
    return _FIELD.sub(lambda found: row.key(found.group(1), "a part of the path"), pattern)


def parts_of(text: str, separator: str = "") -> list[str]:
    """Return the parts of a cell that holds a list, ``['a', 'b']``, or parts with a separator between them."""
    if text.startswith("[") and text.endswith("]"):
        try:
            found: object = ast.literal_eval(text)
        except (ValueError, SyntaxError, MemoryError, RecursionError):
            found = None
        if isinstance(found, list) and found and all(isinstance(one, str) for one in found):
            return [str(one).strip() for one in found if str(one).strip()]
    if not separator:
        return [text]
    return [part.strip() for part in text.split(separator) if part.strip()]


def bare_code(text: str) -> str:
    """Return a code without what it is a code of, in lower case: ``2`` of "BI-RADS 2", ``c`` of "DENSITY C"."""
    code = _NAME_OF_CODE.sub("", text.strip().lower()).removesuffix(".0")
    number, letter = (code[:-1], code[-1:]) if code[-1:] in "abc" and code[:-1] in _ROMAN else (code, "")
    return _ROMAN.get(number, number) + letter


def state_of(row: Row, column: str) -> bool | None:
    """Return whether a finding is present; None where the cell is empty.

    Raises
    ------
    DataError
        When it says neither.
    """
    text = row[column]
    if not text:
        return None
    if text.lower() not in _STATES:
        raise row.wrong(column, f"'{text}' is none of 1, 0, yes, no, true, false, present, absent, or empty")
    return _STATES[text.lower()]


def joined_rows(rows: Sequence[Row], alike: Mapping[str, str]) -> Row:
    """Return several rows of one image as one: cells that differ are joined, row by row.

    Parameters
    ----------
    alike
        What must not differ: column → the setting that names it. An empty cell is no difference.

    Raises
    ------
    DataError
        When one does.
    """
    first, cells = rows[0], {}
    for column in first.cells:
        # 10006.0 is 10006: what must not differ may have been written as a number.
        read = Row.key if column in alike else Row.__getitem__
        given = {read(row, column): row for row in reversed(rows) if row[column] or column not in alike}
        if column in alike and len(given) > 1:
            one, other = sorted(given.values(), key=lambda row: row.number)[:2]
            raise other.wrong(
                column,
                f"'{other[column]}', but row {one.number} says '{one[column]}' of the same image; set "
                f"{alike[column]}=null if it is of the finding",
            )
        cells[column] = next(iter(given), "") if len(given) < 2 else join_rows(row[column] for row in rows)
    return replace(first, cells=cells)


def located(root: Path, written: str) -> tuple[Path, str]:
    """Return the path that a table or list names, and the id of the file by it.

    Back-slashes part folders too. The id is the path below ``root``; of a file elsewhere a digest, since a path may
    identify the patient.
    """
    text = written.replace("\\", "/")
    if text.startswith("~"):
        text = os.path.expanduser(text)  # noqa: PTH111  # as it is where there is no such home; Path raises
    elsewhere = os.sep == "/" and bool(PureWindowsPath(text).drive)  # C:/… on a system without drives
    path = Path(text) if elsewhere else Path(os.path.normpath(root / text))
    if not elsewhere and path.is_relative_to(os.path.normpath(root)):
        return path, path.relative_to(os.path.normpath(root)).as_posix()
    return path, f"outside-{digest(text)[:16]}"
