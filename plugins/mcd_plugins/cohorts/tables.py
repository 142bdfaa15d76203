"""Tables of data sets, read cell by cell: an error names file, row and column."""

from __future__ import annotations

import csv
import difflib
import itertools
import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from mcd.errors import DataError, MissingDependencyError

__all__ = ["Row", "iterate_csv", "join_rows", "read_csv", "read_excel", "read_sheets", "refuse_repeats"]

_TAB = "\t"
_MARKS = {";": "';'", _TAB: "tabulators", "|": "'|'", ",": "','"}
"""What people put between columns, and how it is shown."""
_MISSING = frozenset({"", "nan", "none", "null", "na", "n/a"})
_AS_NUMBER = re.compile(r"(\d+)\.0+")
"""A whole number as tools write it that took a column of ids for numbers: 10006.0 is 10006."""
_ROUNDED = re.compile(r"\d(\.\d+)?[eE]\+\d+")
"""A number as a spreadsheet shows a long one: its last digits are lost."""


@dataclass(frozen=True)
class Row:
    """One row of a table.

    Parameters
    ----------
    file
        Where it stands; ``number`` is its line there, or its row in a workbook.
    cells
        Column → text, blanks around it taken off.
    sheet
        Of a workbook, where it is not the only one that is read.
    """

    file: Path
    number: int
    cells: Mapping[str, str]
    sheet: str = ""

    def __getitem__(self, column: str) -> str:
        """Return the text of a cell; what stands for a missing value (empty, NaN) is an empty text."""
        text = self.cells[column]
        return "" if len(text) < 5 and text.lower() in _MISSING else text

    def get(self, column: str) -> str:
        """Return the text of a cell, empty where there is no such column."""
        return self[column] if column in self.cells else ""

    def needed(self, column: str, what: str) -> str:
        """Return a text that must not be missing.

        Raises
        ------
        DataError
            When it is.
        """
        text = self[column]
        if not text:
            raise self.wrong(column, f"{what} is missing")
        return text

    def key(self, column: str, what: str = "") -> str:
        """Return an id: as `__getitem__`, but the same whether it was written as a text or as a number.

        Parameters
        ----------
        what
            What must not be missing; empty where it may be.

        Raises
        ------
        DataError
            When it is, or was rounded as a number.
        """
        text = self.needed(column, what) if what else self[column]
        if _ROUNDED.fullmatch(text):
            raise self.wrong(column, f"'{text}' is an id whose last digits a spreadsheet has cut off")
        number = _AS_NUMBER.fullmatch(text)
        return number[1] if number else text

    @property
    def table(self) -> str:
        """Name of the file, and of the sheet where there are several, as remarks have it."""
        return _shown(self.file.name, self.sheet)

    def one_of(self, column: str, known: Mapping[str, str]) -> str:
        """Return what the text of a cell, which must not be missing, stands for.

        Raises
        ------
        DataError
            When it is none of ``known``.
        """
        text = self.needed(column, "a value")
        if text not in known:
            raise self.wrong(column, f"'{text}' is none of {', '.join(known)}")
        return known[text]

    def whole(self, column: str) -> int | None:
        """Return a whole number (``3`` or ``3.0``), None where it is missing.

        Raises
        ------
        DataError
            When it is something else.
        """
        value = self.real(column)
        if value is None:
            return None
        if value != int(value):
            raise self.wrong(column, f"'{self[column]}' is no whole number")
        return int(value)

    def real(self, column: str) -> float | None:
        """Return a number, None where it is missing.

        Raises
        ------
        DataError
            When it is something else.
        """
        text = self[column]
        if not text:
            return None
        try:
            value = float(text)
        except ValueError:
            raise self.wrong(column, f"'{text}' is no number") from None
        if value in (float("inf"), float("-inf")):
            raise self.wrong(column, f"'{text}' is no number")
        return value

    def wrong(self, column: str, problem: str) -> DataError:
        """Return the error that says what is wrong with a cell."""
        place = f"{_shown(self.file, self.sheet)}, row {self.number}, column '{column}'"
        return DataError(f"{place}: {problem}", "correct the table")


def read_csv(
    path: Path,
    needed: Sequence[str],
    *,
    delimiter: str = ",",
    encoding: str = "utf-8-sig",
    column: str = "",
    keep: Collection[str] | None = None,
) -> list[Row]:
    """Return the rows of a table with a header.

    Blanks around column names and cells are taken off; of two columns with one name the first counts.

    Parameters
    ----------
    needed
        Columns that there must be.
    column
        Rows whose cell here is empty are passed over, such as footers.
    keep
        Columns that rows have besides the needed ones, where the table has them; None keeps all.

    Raises
    ------
    DataError
        When the file cannot be read, is of another encoding, lacks a column, or a row is of another length.
    """
    return list(iterate_csv(path, needed, delimiter=delimiter, encoding=encoding, column=column, keep=keep))


def iterate_csv(
    path: Path,
    needed: Sequence[str],
    *,
    delimiter: str = ",",
    encoding: str = "utf-8-sig",
    column: str = "",
    keep: Collection[str] | None = None,
) -> Iterator[Row]:
    """Yield what `read_csv` returns, row by row: for tables that are too large to be held.

    Raises
    ------
    DataError
        As `read_csv`, when the row in question is reached.
    """
    try:
        with path.open(newline="", encoding=encoding) as file:
            reader = csv.reader(file, delimiter=delimiter, strict=True)
            header = [name.strip() for name in next(reader, [])]
            _check_marks(path, delimiter.join(header), header, needed, delimiter)
            _check(path, header, needed)
            places = _places(header, None if keep is None else {*needed, *keep})
            for cells in reader:
                if any(one.strip() for one in cells):
                    row = _row(path, reader.line_num, len(header), places, cells)
                    if not column or row[column]:
                        yield row
    except UnicodeDecodeError:
        raise _undecoded(path, delimiter, encoding) from None
    except csv.Error as error:
        with path.open(encoding=encoding, errors="replace") as file:
            _check_marks(path, file.readline(), [], needed, delimiter)
        hint = "a quotation mark stands alone" if "end of data" in str(error) else "is it a table with commas?"
        raise DataError(f"{path}, row {reader.line_num}: {error}", hint) from None
    except OSError as error:
        raise _unread(path, error) from None


def join_rows(cells: Iterable[str]) -> str:
    """Return the values of several rows for one image as one label, row by row; empty where all are.

    Examples
    --------
    >>> join_rows(["BI-RADS 4", "", "BI-RADS 5"])
    'BI-RADS 4 |  | BI-RADS 5'
    """
    texts = list(cells)
    return " | ".join(texts) if any(texts) else ""


def refuse_repeats(rows: Iterable[Row], *columns: str) -> Iterator[Row]:
    """Yield rows, as long as no two say the same in all of some columns: ids must be unique.

    Raises
    ------
    DataError
        Naming both rows, when a row is reached that says what an earlier one said, or says nothing.
    """
    seen: dict[tuple[str, ...], int] = {}
    for row in rows:
        key = tuple([row.key(column, "the id") for column in columns])
        first = seen.setdefault(key, row.number)
        if first != row.number:
            raise row.wrong(columns[-1], f"'{key[-1]}' is in row {first} already")
        yield row


def read_excel(path: Path, needed: Sequence[str]) -> list[Row]:
    """Return the rows of the first sheet of a workbook; a ``.csv`` of the same name beside it serves as well.

    Raises
    ------
    MissingDependencyError
        When there is only the workbook and openpyxl is not installed.
    DataError
        As `read_csv`.
    """
    beside = path.with_suffix(".csv")
    if not path.exists() and beside.exists():
        return read_csv(beside, needed)
    _, lines = next(_sheets(path))
    return _rows(path, lines, needed)


def read_sheets(path: Path, needed: Mapping[str, Sequence[str]]) -> dict[str, list[Row]]:
    """Return the rows of some sheets of a workbook, by the names of the sheets.

    Parameters
    ----------
    needed
        Sheet → columns that it must have. Sheets that the workbook lacks are left out. Upper and lower case and
        blanks around names of sheets do not count.

    Raises
    ------
    MissingDependencyError, DataError
        As `read_excel`.
    """
    found = {}
    for name, lines in _sheets(path):
        sheet = name.strip().lower()
        if sheet in needed:
            found[sheet] = _rows(path, lines, needed[sheet], sheet)
    return found


def _sheets(path: Path) -> Iterator[tuple[str, list[tuple[int, list[str]]]]]:
    """Yield name and lines of each sheet of a workbook."""
    try:
        import openpyxl
    except ImportError:
        raise MissingDependencyError(
            f"{path} is a workbook, which needs openpyxl", 'pip install "mammo-clip-dissect[tables]"'
        ) from None
    try:
        book = openpyxl.load_workbook(path, read_only=True, data_only=True)
    except OSError as error:
        raise _unread(path, error) from None
    except Exception as error:  # a damaged workbook makes openpyxl raise nearly anything
        raise DataError(f"{path} is no workbook: {error}", "download it again") from None
    try:
        for sheet in book.worksheets:
            yield sheet.title, _texts(sheet)
    finally:
        book.close()


def _rows(path: Path, lines: Sequence[tuple[int, list[str]]], needed: Sequence[str], sheet: str = "") -> list[Row]:
    header = lines[0][1] if lines else []
    _check(path, header, needed, sheet)
    places = _places(header, None)
    return [_row(path, number, len(header), places, cells, sheet) for number, cells in lines[1:] if any(cells)]


def _shown(file: Path | str, sheet: str) -> str:
    return f"{file}, sheet '{sheet}'" if sheet else str(file)


def _texts(sheet: object) -> list[tuple[int, list[str]]]:
    rows: Iterator[tuple[object, ...]] = sheet.iter_rows(values_only=True)  # type: ignore[attr-defined]  # untyped
    return [(at, ["" if one is None else str(one).strip() for one in cells]) for at, cells in enumerate(rows, start=1)]


def _places(header: Sequence[str], wanted: Collection[str] | None) -> dict[str, int]:
    """Return column → where it stands; of two columns with one name the first counts."""
    places = {name: at for at, name in reversed(list(enumerate(header))) if wanted is None or name in wanted}
    return dict(sorted(places.items(), key=lambda one: one[1]))


def _row(path: Path, number: int, width: int, places: Mapping[str, int], cells: Sequence[str], sheet: str = "") -> Row:
    if len(cells) > width and any(one.strip() for one in cells[width:]):
        raise DataError(f"{path}, row {number}: {len(cells)} cells for {width} columns", "correct the table")
    texts = {name: cells[at].strip() if at < len(cells) else "" for name, at in places.items()}
    return Row(path, number, texts, sheet)


def _undecoded(path: Path, delimiter: str, encoding: str) -> DataError:
    """Find the cell that is of another encoding: the decoder reports only a block of the file."""
    with path.open(newline="", encoding=encoding, errors="surrogateescape") as file:
        reader = csv.reader(file, delimiter=delimiter)
        header = next(reader, [])
        for cells in itertools.chain([header], reader):
            for at, cell in enumerate(cells):
                if any("\udc80" <= one <= "\udcff" for one in cell):
                    name = header[at].strip() if at < len(header) and cells is not header else str(at + 1)
                    return DataError(
                        f"{path}, row {reader.line_num}, column '{name}': it is not {encoding.removesuffix('-sig')}",
                        "save the table as UTF-8",
                    )
    return DataError(f"{path} is not {encoding.removesuffix('-sig')}", "save the table as UTF-8")


def _check_marks(path: Path, line: str, header: Sequence[str], needed: Sequence[str], delimiter: str) -> None:
    """Refuse a table whose first line is parted by something else than it was read with, and say by what."""
    missing = [column for column in needed if column not in header]
    for mark, shown in _MARKS.items():
        names = [name.strip().strip('"') for name in line.split(mark)]
        if mark != delimiter and missing and len(names) > 1 and (len(header) < 2 or missing[0] in names):
            raise DataError(
                f"{path}, row 1: there is no column '{missing[0]}'; its columns are parted by {shown}",
                f"set 'delimiter={'tab' if mark == _TAB else mark}' where the data set has that setting, "
                "or save the table with commas",
            )


def _check(path: Path, header: Sequence[str], needed: Sequence[str], sheet: str = "") -> None:
    missing = [column for column in needed if column not in header]
    if missing:
        close = difflib.get_close_matches(missing[0], header, n=1, cutoff=0.6)
        raise DataError(
            f"{_shown(path, sheet)}, row 1: there is no column '{missing[0]}'",
            (f"did you mean '{close[0]}'? " if close else "") + f"It has: {', '.join(header[:20]) or 'nothing'}",
        )


def _unread(path: Path, error: OSError) -> DataError:
    if isinstance(error, FileNotFoundError):
        return DataError(f"there is no table {path}", "give the folder that holds the data set as it was released")
    return DataError(f"{path} cannot be read: {error.strerror}", "check the path, and that you may read it: ls -l FILE")
