"""``mcd reproduce``: the ledger derived anew."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from mcd.plugins import PATH, check_writable, echo, echo_lines, outputs, print_table, say, write_atomically

if TYPE_CHECKING:
    from mcd_plugins.reproduce.deriving import Derived
    from mcd_plugins.reproduce.ledger import Data, Ledger, Row

__all__ = ["reproduce"]

PAGE = "reproduced.md"


@click.command()
@click.option("--list", "listed", is_flag=True, help="Show the rows; compute nothing.")
@click.option("--only", multiple=True, metavar="ID", help="This row, or all whose id begins so. Repeatable.")
@click.option(
    "--data",
    "folders",
    type=PATH,
    multiple=True,
    metavar="DIR",
    help="Where files of other people are, PAPER/NAME as --list says. Repeatable.",
)
@click.option("--json", "as_json", is_flag=True, help="Print rows as JSON.")
@click.option(
    "--output", "-o", type=PATH, metavar="DIR", help=f"Also write the page {PAGE}: what reproduces and what does not."
)
@click.pass_context
def reproduce(
    context: click.Context,
    listed: bool,
    only: tuple[str, ...],
    folders: tuple[Path, ...],
    as_json: bool,
    output: Path | None,
) -> None:
    """Derive published numbers of this field anew, offline, and say which hold.

    Each row is a number that a paper prints or implies. Its verdict: matches; artefact, where only the published
    procedure with a known fault gives it; or wrong. Files of other people are not part of mcd: rows that need some are
    derived where --data has them, and left out without it.

    \b
    mcd reproduce                               # all that needs no file
    mcd reproduce --data DIR                    # all
    mcd reproduce --only neuron-eval            # of one paper

    Exits with 1 where a verdict is not that of the ledger.
    """
    from mcd_plugins.reproduce.ledger import Data, ledger

    book = ledger()
    rows = _chosen(book, only)
    if listed:
        _list(book, rows, as_json)
        return
    data = Data(folders, book.files)
    rows, left = _with_data(rows, data)
    if output is not None:
        check_writable(output / PAGE)
    derived = _derived(rows, data, as_json)
    if as_json:
        echo_lines(json.dumps([_record(book, one) for one in derived], indent=2, ensure_ascii=False))
    else:
        _print(derived, left)
    if output is not None:
        from mcd_plugins.reproduce.page import page

        with outputs(output) as fresh:
            write_atomically(fresh / PAGE, page(book, derived, left))
        say(f"written: {output / PAGE}", err=as_json)
    if not all(one.as_recorded for one in derived):
        context.exit(1)


def _chosen(book: Ledger, only: Sequence[str]) -> list[Row]:
    """Return the rows that are asked for, in the ledger's order.

    Raises
    ------
    UnknownNameError
        When no row has such an id.
    """
    from mcd.errors import UnknownNameError, nearest

    known = [row.id for row in book.rows]
    for asked in only:
        if not any(_is(one, asked) for one in known):
            raise UnknownNameError(f"no row of the ledger is called '{asked}'", nearest(asked, [*known, *book.papers]))
    return [row for row in book.rows if not only or any(_is(row.id, asked) for asked in only)]


def _is(name: str, asked: str) -> bool:
    return name == asked or name.startswith(asked.rstrip("/") + "/")


def _with_data(rows: Sequence[Row], data: Data) -> tuple[list[Row], list[Row]]:
    """Return the rows that can be derived, and those left out: no folder was named, or a distribution is missing.

    Raises
    ------
    UsageError
        When a folder is none, or nothing can be derived.
    DataError
        When folders were named and lack a file.
    """
    from mcd.errors import DataError, UsageError

    for folder in data.folders:
        if not folder.is_dir():
            raise UsageError(f"--data: {folder} is not a folder", "name the folder that has PAPER/NAME")
    missing = {name for row in rows for name in row.data if data.path(name) is None}
    if missing and data.folders:
        first = sorted(missing)[0]
        raise DataError(
            f"{len(missing)} files of the ledger are in none of the folders; the first is {first}, "
            f"of {data.known[first].source}",
            "add its folder with --data, or name rows with --only",
        )
    left = [row for row in rows if missing & set(row.data) or not row.computable]
    if len(left) == len(rows):
        raise UsageError("no row that is asked for can be derived with what is here", next(_left(left)))
    return [row for row in rows if row not in left], left


def _left(left: Sequence[Row]) -> Iterator[str]:
    """Yield why rows are left out, and what to do."""
    if files := [row for row in left if row.data]:
        yield f"of the ledger, for want of files of other people (--data DIR): {len(files)}."
    if lacking := [row for row in left if not row.computable]:
        how = "python -m pip install 'mammo-clip-dissect[reproduce]'"
        wanting = " and ".join(sorted({str(row.requires) for row in lacking}))
        yield f"of the ledger, for want of {wanting} ({how}): {len(lacking)}."


def _derived(rows: Sequence[Row], data: Data, quiet: bool) -> list[Derived]:
    from mcd_plugins.reproduce.deriving import derive

    found = []
    for number, row in enumerate(rows, 1):
        if not quiet:
            say(f"{number} of {len(rows)}: {row.id}", err=True)
        found.append(derive(row, data))
    return found


def _list(book: Ledger, rows: Sequence[Row], as_json: bool) -> None:
    if as_json:
        echo_lines(json.dumps([_listed(book, row) for row in rows], indent=2, ensure_ascii=False))
        return
    print_table(
        ["row", "source", "published", "needs"],
        [[row.id, row.source, f"{row.value:g}", ", ".join(row.data)] for row in rows],
        right={"published"},
    )


def _listed(book: Ledger, row: Row) -> dict[str, object]:
    paper = book.papers[row.paper]
    files = [{"file": name, **book.files[name].model_dump()} for name in row.data]
    return {
        "id": row.id,
        "source": row.source,
        "paper": f"{paper.title} ({paper.where})",
        "place": row.place,
        "quantity": row.quantity,
        "value": row.value,
        "tolerance": row.tolerance,
        "data": files,
        "command": row.command,
    }


def _record(book: Ledger, one: Derived) -> dict[str, object]:
    found = {"ours": one.ours, "as_published": one.as_published, "verdict": one.verdict, "reason": one.reason}
    return {**_listed(book, one.row), **found, "recorded": one.row.verdict}


def _print(derived: Sequence[Derived], left: Sequence[Row]) -> None:
    from mcd_plugins.reproduce.page import shown

    print_table(
        ["row", "published", "ours", "verdict"],
        [[one.row.id, f"{one.row.value:g}", shown(one.ours), one.verdict] for one in derived],
        right={"published", "ours"},
    )
    echo()
    for line in _said(derived, left):
        say(line)


def _said(derived: Sequence[Derived], left: Sequence[Row]) -> Iterator[str]:
    counts = Counter(one.verdict for one in derived)
    yield (
        f"{counts['matches']} of {len(derived)} numbers match, {counts['artefact']} are artefacts of the published "
        f"procedure, {counts['wrong']} are wrong."
    )
    for one in derived:
        if one.verdict != "matches":
            yield f"{one.row.id}: {one.verdict}: {one.reason}."
    yield from (f"Rows left out {line}" for line in _left(left))
    for one in derived:
        if not one.as_recorded:
            yield f"error: {one.row.id} is {one.verdict}, and the ledger says {one.row.verdict}."
