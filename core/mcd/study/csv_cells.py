"""CSV that a spreadsheet opens without running a cell of it."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["csv_bytes", "csv_text", "guarded", "unguarded"]

_SIGNS = "=+\\-@\uff1d\uff0b\uff0d\uff20"
"""What a spreadsheet takes for the beginning of a formula; the last four are full-width forms."""
_SEPARATORS = ";\t\r\n"
"""What begins a cell, within a text too, where a spreadsheet is set to another separator than the comma."""
_NUMBER = r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?"
_FORMULA = re.compile(
    rf"\A(?='*[{_SIGNS}\t\r\n])(?!{_NUMBER}\Z)"
    rf"|(?<=[{_SEPARATORS}])(?='*[{_SIGNS}])(?!{_NUMBER}(?:[{_SEPARATORS}]|\Z))"
)
_GUARDED = re.compile(rf"\A'(?='*[{_SIGNS}\t\r\n])|(?<=[{_SEPARATORS}])'(?='*[{_SIGNS}])")


def guarded(text: str) -> str:
    """Return the text of a cell with an apostrophe wherever a spreadsheet would take what follows for a formula.

    Numbers are left as they are. `unguarded` undoes it.

    >>> [guarded(one) for one in ("=1+1", "mass", "-0.5", "- none", "'=1", "mass;=1")]
    ["'=1+1", 'mass', '-0.5', "'- none", "''=1", "mass;'=1"]
    """
    return _FORMULA.sub("'", text)


def unguarded(text: str) -> str:
    """Return the text that `guarded` was given.

    >>> unguarded("'=1+1"), unguarded("'round' mass")
    ('=1+1', "'round' mass")
    """
    return _GUARDED.sub("", text)


def csv_bytes(table: pd.DataFrame) -> bytes:
    """Return a table as CSV, UTF-8, in which no text is a formula; numbers stay numbers."""
    safe = table.rename(columns=lambda name: guarded(name) if isinstance(name, str) else name)
    for at, name in enumerate(table.columns):
        column = table[name]
        if column.dtype.kind != "O":
            continue
        changed = {one: guarded(one) for one in column.unique() if isinstance(one, str)}
        if any(one != safe_one for one, safe_one in changed.items()):
            safe[safe.columns[at]] = [changed.get(one, one) if isinstance(one, str) else one for one in column]
    texts = [one for name in safe.columns for one in (name, *safe[name].unique()) if isinstance(one, str)]
    return safe.to_csv(index=False, lineterminator="\n", quoting=_quoting(texts)).encode()


def csv_text(rows: Iterable[Sequence[str]]) -> str:
    """Return rows of cells as CSV in which no text is a formula."""
    safe = [[guarded(cell) for cell in row] for row in rows]
    out = io.StringIO()
    csv.writer(out, lineterminator="\n", quoting=_quoting(cell for row in safe for cell in row)).writerows(safe)
    return out.getvalue()


def _quoting(texts: Iterable[str]) -> Literal[0, 2]:
    """Quote every text where one holds a carriage return: the csv module does not, and it would begin a new row."""
    return csv.QUOTE_NONNUMERIC if any("\r" in one for one in texts) else csv.QUOTE_MINIMAL
