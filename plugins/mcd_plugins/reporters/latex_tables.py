"""Tables as LaTeX floats that fit a page of ``article``: widths are known before anything is set."""

from __future__ import annotations

import math
import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

from mcd.plugins import latex_text
from mcd_plugins.reporters.tables import Table

__all__ = ["floats"]

_PAGE, _COLUMN, _TALL = 340.0, 226.0, 545.0
"""Points: the text of ``article`` on letter paper is 345 wide and 550 tall, a column of two 229 wide."""

_Size = tuple[str, float, float, float]
_SIZES: tuple[_Size, ...] = (("", 1.0, 6.0, 12.0), ("\\small", 0.93, 4.0, 11.0), ("\\footnotesize", 0.86, 3.0, 9.5))
_SMALLEST: _Size = ("\\scriptsize", 0.81, 2.0, 8.0)
"""Command, width of letters relative to 10 points, space at each side of a column, height of a line."""

_WIDTHS = {"i": 2.8, "j": 3.1, "l": 2.8, "f": 3.1, "r": 3.95, "s": 3.95, "t": 3.9, "m": 8.35, "w": 7.25, " ": 3.35}
_WIDTHS |= dict.fromkeys(".,:;!'’I", 3.65) | dict.fromkeys("()[]-", 3.95) | dict.fromkeys("MW", 10.3)
_WIDTHS |= dict.fromkeys("0123456789aceghknopquvxyzbd/–", 5.6)
_OTHER = 8.4
"""Points of a character in Computer Modern of 10 points, rounded up."""

_PIECE = re.compile(r"[^./_:+=-]*[./_:+=-]+|[^./_:+=-]+")
"""What no line is broken within."""


def _width(text: str) -> float:
    return sum(_WIDTHS.get(one, _OTHER) for one in text)


def _pieces(text: str) -> list[str]:
    return [piece for word in text.split() for piece in _PIECE.findall(word)] or [""]


@dataclass(frozen=True)
class _Layout:
    """How a table is set: in which size, and how wide its columns are; None: as wide as their cells."""

    size: str
    scale: float
    gap: float
    line: float
    whole: float
    widths: Sequence[float] | None = None

    @classmethod
    def of(cls, columns: Sequence[Sequence[str]]) -> _Layout:
        natural = [max(map(_width, cells)) for cells in columns]
        for size, scale, gap, line in _SIZES:
            whole = scale * sum(natural) + 2 * gap * len(columns)
            if whole <= _PAGE:
                return cls(size, scale, gap, line, whole)
        least = [max(_width(piece) for cell in cells for piece in _pieces(cell)) + 1 for cells in columns]
        count = len(columns)
        size, scale, gap, line = next(
            (one for one in (_SIZES[-1], _SMALLEST) if sum(least) <= _room(one, count)), _SMALLEST
        )
        widths = _shared(natural, least, _room((size, scale, gap, line), count))
        return cls(size, scale, gap, line, _PAGE, [scale * one for one in widths])

    def lines(self, row: Sequence[str]) -> int:
        """Return how many lines a row takes, about."""
        if self.widths is None:
            return 1
        # broken lines are not full
        return max(
            math.ceil(1.25 * self.scale * _width(cell) / width) for cell, width in zip(row, self.widths, strict=True)
        )


def _room(size: _Size, columns: int) -> float:
    """Return points of 10-point letters that the cells of a row have."""
    _, scale, gap, _ = size
    return (_PAGE - 2 * gap * columns) / scale


def _shared(natural: Sequence[float], least: Sequence[float], room: float) -> list[float]:
    """Return widths that fill the room: what fits is as wide as it is, the others share what is left."""
    needed = list(least) if sum(least) <= room else [0.0] * len(least)
    low, high = 0.0, room
    for _ in range(40):  # halves the interval of what the widest columns have
        level = (low + high) / 2
        whole = sum(max(need, min(one, level)) for one, need in zip(natural, needed, strict=True))
        low, high = (level, high) if whole <= room else (low, level)
    return [max(need, min(one, low)) for one, need in zip(natural, needed, strict=True)]


def _broken(text: str, width: float) -> str:
    """Return LaTeX of a text whose lines may end within words that are wider than a column."""
    words = []
    for word in text.split():
        pieces = [word] if _width(word) <= width else _PIECE.findall(word)
        letters = [part for piece in pieces for part in ([piece] if _width(piece) <= width else piece)]
        words.append("\\allowbreak{}".join(map(latex_text, letters)))
    return " ".join(words)


def floats(table: Table, caption: str, bold: Collection[tuple[int, int]] = ()) -> Iterator[str]:
    r"""Yield the lines of a table; of a long one, of several, each at most as tall as a page.

    Parameters
    ----------
    table
        A table wider than half a page spans both columns of a paper that has two.
    caption
        Whole sentences.
    bold
        Rows and columns of cells in bold.
    """
    layout = _Layout.of([[row[at] for row in (table.header, *table.rows)] for at in range(len(table.header))])
    parts = _parts(layout, table, caption)
    for number, (start, end) in enumerate(parts, 1):
        said = f" Part {number} of {len(parts)}." if len(parts) > 1 else ""
        kind = "table*" if layout.whole > _COLUMN else "table"
        yield f"\\begin{{{kind}}}"
        yield "\\centering"
        words = _broken(f"{caption}{said}", _COLUMN / 2)
        yield f"\\caption[{latex_text(table.title)}]{{\\raggedright {words}}}"
        yield f"\\label{{tab:mcd-{table.name}{f'-{number}' if number > 1 else ''}}}"
        yield f"{layout.size}\\setlength{{\\tabcolsep}}{{{layout.gap:g}pt}}"
        yield f"\\begin{{tabular}}{{{_columns(layout, table)}}}"
        yield "\\toprule"
        yield _row(layout, table, table.header)
        yield "\\midrule"
        for at in range(start, end):
            yield _row(layout, table, table.rows[at], {column for row, column in bold if row == at})
        yield "\\bottomrule"
        yield "\\end{tabular}"
        yield f"\\end{{{kind}}}"


def _parts(layout: _Layout, table: Table, caption: str) -> list[tuple[int, int]]:
    """Return from which to which row each part goes."""
    room = _TALL - 12 * (2 + math.ceil(_width(caption) / (0.9 * min(layout.whole, _PAGE)))) - 30
    room = max(room, _TALL / 3) - layout.line * layout.lines(table.header)
    parts, start, height = [], 0, 0.0
    for at, row in enumerate(table.rows):
        own = layout.line * layout.lines(row)
        if height + own > room and at > start:
            parts.append((start, at))
            start, height = at, 0.0
        height += own
    return [*parts, (start, len(table.rows))]


def _columns(layout: _Layout, table: Table) -> str:
    if layout.widths is None:
        return "".join("l" if name in table.words else "r" for name in table.header)
    return "".join(f"p{{{width / 345:.4f}\\linewidth}}" for width in layout.widths)


def _row(layout: _Layout, table: Table, cells: Sequence[str], bold: Collection[int] = ()) -> str:
    if layout.widths is None:
        set_as = [latex_text(one) for one in cells]
    else:
        sides = ["\\raggedright " if name in table.words else "\\raggedleft " for name in table.header]
        each = zip(sides, cells, layout.widths, strict=True)
        set_as = [side + _broken(cell, width / layout.scale) for side, cell, width in each]
    found = [f"\\textbf{{{one}}}" if at in bold else one for at, one in enumerate(set_as)]
    return " & ".join(found) + (" \\\\" if layout.widths is None else " \\tabularnewline")
