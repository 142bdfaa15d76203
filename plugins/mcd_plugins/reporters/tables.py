"""A table of text, before it is written in one format or another."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

__all__ = ["Table"]


@dataclass(frozen=True)
class Table:
    """A table of text, nothing escaped.

    Parameters
    ----------
    name
        What it is called in references, a word.
    title
        Its heading.
    header, rows
        Its cells.
    words
        Columns that hold words and stand to the left; others hold numbers.
    wide
        The column whose cells may be long; empty where there is none.
    note
        What a reader must know about it.
    dense
        Whether its cells hold numbers with intervals, which need room.
    """

    name: str
    title: str
    header: Sequence[str]
    rows: Sequence[Sequence[str]]
    words: Collection[str] = ()
    wide: str = ""
    note: str = ""
    dense: bool = False
