"""Tables on the terminal."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from textwrap import fill

from mcd.cli.terminal import echo_lines
from mcd.errors import printable

__all__ = ["print_table", "say"]


def say(text: str, *, err: bool = False) -> None:
    """Print a sentence in 79 columns, on standard error where asked."""
    echo_lines(fill(text, 79, subsequent_indent="  ", break_long_words=False, break_on_hyphens=False), err=err)


def print_table(header: Sequence[str], rows: Sequence[Sequence[str]], right: Collection[str] = ()) -> None:
    """Print a table that fits the terminal; where output is piped, lines are not cut."""
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    from mcd.cli.consoles import Terminal

    console = Terminal()
    if not console.is_terminal:
        console = Terminal(
            width=max(80, sum(max(len(row[at]) for row in [header, *rows]) + 3 for at in range(len(header))))
        )
    table = Table(box=SIMPLE_HEAD, pad_edge=False, show_edge=False)
    for name in header:
        table.add_column(name, justify="right" if name in right else "left", overflow="fold")
    for row in rows:
        table.add_row(*(printable(cell).replace("[", r"\[") for cell in row))
    console.print(table)
