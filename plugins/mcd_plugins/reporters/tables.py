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
    note
        What a reader must know about it.
    """

    name: str
    title: str
    header: Sequence[str]
    rows: Sequence[Sequence[str]]
    words: Collection[str] = ()
    note: str = ""
