"""Label tables of other tools: which tool wrote one is read off its columns, and it becomes one form."""

from __future__ import annotations

import ast
import csv
import io
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import count, takewhile
from math import isnan

import pandas as pd

from mcd.errors import DataError, UnknownNameError, UsageError, amount, nearest
from mcd.files import digest_of

__all__ = ["FORMATS", "LabelFile", "LabelFormat", "read_labels"]

_UNITS = ("unit", "neuron")
_WHOLE = re.compile(r"(\d{1,9})(?:\.0+)?", re.ASCII)
_NUMBER = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?|[+-]?nan|[+-]?inf(?:inity)?|", re.ASCII | re.IGNORECASE)
_SHOWN = 8
"""Columns of a header, and characters of a cell times five, that a message shows."""


@dataclass(frozen=True)
class LabelFormat:
    """How a tool writes its labels.

    Parameters
    ----------
    tool
        Who labelled; empty where the columns do not say.
    columns
        Those by which it is recognised. A column ``layer`` may be there in all.
    concept, score
        The columns of the labels and of their scores; ``score`` is empty where there are none.
    """

    tool: str
    columns: tuple[str, ...]
    concept: str = "description"
    score: str = "similarity"


FORMATS: Mapping[str, LabelFormat] = {
    "clip-dissect": LabelFormat("CLIP-Dissect", ("unit", "description", "similarity")),
    "mammo-clip-dissect": LabelFormat("Mammo-CLIP Dissect", ("unit", "description", "similarity", "images")),
    "descriptions": LabelFormat("", ("unit", "description"), score=""),
    "invert": LabelFormat("INVERT", ("neuron", "concept", "metric"), "concept", "metric"),
    "simulated": LabelFormat("", ("unit", "description", "sim correlation"), score="sim correlation"),
    "linear-explanations": LabelFormat("Linear Explanations", ("unit", "concept0", "weight0"), "concept", "weight"),
}
"""The formats that are read, by name. ``descriptions`` is what MILAN's labels are published in, ``simulated`` how
Linear Explanations publishes the labels of other tools with their simulation correlation. Of ``linear-explanations``
a neuron has several concepts, each with its weight."""


@dataclass(frozen=True)
class LabelFile:
    """The labels of one file.

    Attributes
    ----------
    name
        The format, a key of `FORMATS`.
    digest
        SHA-256 of the file.
    cells
        Every column of the file, as text.
    lines
        The line that each row ends on.
    """

    name: str
    digest: str
    cells: pd.DataFrame
    lines: Sequence[int]

    @property
    def format(self) -> LabelFormat:
        """How it is written."""
        return FORMATS[self.name]

    @cached_property
    def labels(self) -> pd.DataFrame:
        """A row a label: ``layer`` (empty where the file names none), ``neuron``, ``rank``, ``concept``, ``score``.

        Ranks count from 1; a neuron without a concept has one row of rank 0. Scores are float64 as the file has them,
        NaN where there is no finite one.

        Raises
        ------
        DataError
            When a cell is not what its column says, or two rows are of one neuron.
        """
        layers, neurons = self._layers(), self._neurons()
        self._refuse_repeats(layers, neurons)
        several = list(self._lists() if self._in_lists else self._equations() if self.weighted else self._one_each())
        counts = [max(1, len(one)) for one in several]
        at = [row for row, count in enumerate(counts) for _ in range(count)]
        pairs = [pair for one in several for pair in (one or [("", float("nan"))])]
        ranks = [rank + 1 if one else 0 for one, count in zip(several, counts, strict=True) for rank in range(count)]
        return pd.DataFrame(
            {
                "layer": [layers[row] for row in at],
                "neuron": [neurons[row] for row in at],
                "rank": ranks,
                "concept": [concept for concept, _ in pairs],
                "score": pd.Series([score for _, score in pairs], dtype="float64"),
            }
        )

    def numbers(self, column: str) -> pd.Series[float]:
        """Return a column as numbers, one a row.

        Raises
        ------
        DataError
            When there is none of the name, or one of its cells is no number.
        """
        if column not in self.cells:
            raise DataError(f"there is no column '{column}'", nearest(column, self.cells.columns))
        return pd.Series(self._read(column), dtype="float64")

    @property
    def weighted(self) -> bool:
        """Whether the concepts of a neuron explain it together, each with a weight."""
        return "concept0" in self.format.columns

    @property
    def _in_lists(self) -> bool:
        """Whether each cell holds several labels, as Mammo-CLIP Dissect writes them."""
        return self.format.score == "similarity" and bool(self.cells["similarity"].str.startswith("[").any())

    def _wrong(self, row: int, column: str, problem: str) -> DataError:
        return DataError(f"line {self.lines[row]}, column '{column}': {problem}", "correct the table")

    def _layers(self) -> list[str]:
        """Return the layers without stray blanks: published scripts put some before names."""
        if "layer" not in self.cells:
            return [""] * len(self.cells)
        found = [" ".join(one.split()) for one in self.cells["layer"]]
        empty = next((row for row, one in enumerate(found) if not one), None)
        if empty is not None:
            raise self._wrong(empty, "layer", "it is empty")
        return found

    def _neurons(self) -> list[int]:
        column = next(one for one in _UNITS if one in self.format.columns)
        found = []
        for row, cell in enumerate(self.cells[column]):
            number = _WHOLE.fullmatch(cell.strip())
            if number is None:
                raise self._wrong(row, column, f"'{_short(cell)}' is no number of a neuron")
            found.append(int(number[1]))
        return found

    def _refuse_repeats(self, layers: Sequence[str], neurons: Sequence[int]) -> None:
        seen: dict[tuple[str, int], int] = {}
        for row, place in enumerate(zip(layers, neurons, strict=True)):
            first = seen.setdefault(place, row)
            if first != row:
                of = f" of layer {_short(place[0])}" if place[0] else ""
                raise DataError(
                    f"neuron {place[1]}{of} stands in line {self.lines[first]} and in line {self.lines[row]}",
                    "a file has one row a neuron: take one of them out",
                )

    def _one_each(self) -> Iterator[list[tuple[str, float]]]:
        score = self.format.score
        scores = self._read(score) if score else [float("nan")] * len(self.cells)
        for concept, number in zip(self.cells[self.format.concept], scores, strict=True):
            yield [(concept, number)] if concept.strip() else []

    def _lists(self) -> Iterator[list[tuple[str, float]]]:
        for row, (concepts, scores) in enumerate(zip(self.cells["description"], self.cells["similarity"], strict=True)):
            names = _texts(concepts)
            if names is None:
                raise self._wrong(row, "description", f"'{_short(concepts)}' is no list of texts")
            parts = scores.strip().removeprefix("[").removesuffix("]").replace(",", " ").split()
            numbers = [self._number(row, "similarity", one) for one in parts]
            if len(numbers) != len(names):
                raise self._wrong(
                    row, "similarity", f"{amount(len(numbers), 'score')} of {amount(len(names), 'label')}"
                )
            yield list(zip(names, numbers, strict=True))

    def _equations(self) -> Iterator[list[tuple[str, float]]]:
        """Yield the concepts of each explanation by weight; where there is none, the tool writes 0 in their place."""
        places = list(takewhile(lambda at: {f"concept{at}", f"weight{at}"} <= {*self.cells}, count()))
        weights = [self._read(f"weight{at}") for at in places]
        concepts = [self.cells[f"concept{at}"].tolist() for at in places]
        for row in range(len(self.cells)):
            found = [(concepts[at][row], weights[at][row]) for at in places]
            kept = [(concept, weight) for concept, weight in found if concept.strip() and weight != 0]
            yield sorted(kept, key=lambda one: (isnan(one[1]), -one[1]))

    def _read(self, column: str) -> list[float]:
        return [self._number(row, column, cell) for row, cell in enumerate(self.cells[column])]

    def _number(self, row: int, column: str, cell: str) -> float:
        """Return a number of a cell, NaN for what is empty or not finite: no such thing is a score."""
        text = cell.strip()
        if not _NUMBER.fullmatch(text):
            raise self._wrong(row, column, f"'{_short(cell)}' is no number")
        number = float(text or "nan")
        return number if abs(number) != float("inf") else float("nan")


def read_labels(data: bytes, name: str | None = None) -> LabelFile:
    """Read a label table of another tool.

    Parameters
    ----------
    data
        The CSV file, UTF-8.
    name
        The format, a key of `FORMATS`; by default the one that the columns are of.

    Raises
    ------
    DataError
        When it is no CSV file, has no rows, or the columns are of no format that is known.
    UsageError
        When the columns are of several formats, or there is no such format.
    """
    if name is not None and name not in FORMATS:
        raise UnknownNameError(f"no format is called '{name}'", nearest(name, FORMATS))
    header, rows, lines = _table(data)
    found = name or _recognised(header)
    for needed in FORMATS[found].columns:
        if header.count(needed) != 1:
            there = "several columns" if needed in header else "no column"
            raise DataError(f"it has {there} '{needed}', and the format {found} has one", _columns_said())
    if not rows:
        raise DataError("it has a header and no rows", "give a file with labels")
    each = list(zip(*rows, strict=True))
    cells = pd.DataFrame({column: list(each[at]) for at, column in reversed(list(enumerate(header)))}, dtype=object)
    return LabelFile(found, digest_of(data), cells[list(dict.fromkeys(header))], lines)


def _table(data: bytes) -> tuple[list[str], list[list[str]], list[int]]:
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        wide = data[:2] in (b"\xff\xfe", b"\xfe\xff")
        raise DataError(
            "it is UTF-16, not UTF-8" if wide else f"byte {error.start} is not UTF-8", "save it as CSV in UTF-8"
        ) from None
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    rows, lines = [], []
    try:
        header = [name.strip() for name in next(reader, [])]
        for cells in reader:
            if not cells:
                continue
            if len(cells) != len(header):
                raise DataError(
                    f"line {reader.line_num} has {amount(len(cells), 'cell')}, the header has {len(header)}",
                    "correct the table",
                )
            rows.append(cells)
            lines.append(reader.line_num)
    except csv.Error as error:
        raise DataError(f"line {reader.line_num}: it is no CSV: {error}", "save it as CSV, with commas") from None
    if not any(header):
        raise DataError("it is empty", "give a file with labels")
    return header, rows, lines


def _recognised(header: Sequence[str]) -> str:
    """Return the format that columns are of: the one that needs most of them."""
    fitting = {name: set(one.columns) for name, one in FORMATS.items() if set(one.columns) <= set(header)}
    found = [name for name, needs in fitting.items() if not any(needs < other for other in fitting.values())]
    if len(found) == 1:
        return found[0]
    if found:
        raise UsageError(
            f"its columns are of several formats: {', '.join(found)}", f"say which: --format {' or '.join(found)}"
        )
    shown = ", ".join(_short(one) for one in header[:_SHOWN]) + (" …" if len(header) > _SHOWN else "")
    raise DataError(f"its columns are of no tool that is known: {shown}", _columns_said())


def _columns_said() -> str:
    return "\n".join(["these are read:", *(f"{name}: {', '.join(one.columns)}" for name, one in FORMATS.items())])


def _texts(cell: str) -> list[str] | None:
    """Return the texts of a list as Python writes it; None where it is none."""
    try:
        found: object = ast.literal_eval(cell.strip())
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return None
    return [str(one) for one in found] if isinstance(found, list) and _all_texts(found) else None


def _all_texts(found: Iterable[object]) -> bool:
    return all(isinstance(one, str) and one.strip() for one in found)


def _short(cell: str) -> str:
    most = 5 * _SHOWN
    return cell if len(cell) <= most else f"{cell[:most]}…"
