"""``mcd store``: what runs share."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import click

from mcd.cli.numbers import number
from mcd.cli.paths import PATH
from mcd.cli.terminal import echo, echo_lines
from mcd.errors import amount
from mcd.options import Bounds

if TYPE_CHECKING:
    from mcd.extraction.shared_store import SharedStore

__all__ = ["store"]

Command = TypeVar("Command", bound=Callable[..., object])

_GB = 10**9


def _store_flag(command: Command) -> Command:
    return click.option(
        "--store", "folder", type=PATH, metavar="DIR", help="Which store.  [default: MCD_STORE, or that of this user]"
    )(command)


@click.group()
def store() -> None:
    """Look after the store: what runs have computed and share.

    Removing anything of it harms no run folder. What a later run needs is computed again.
    """


@store.command(name="list")
@_store_flag
@click.option("--json", "as_json", is_flag=True, help="Print everything as JSON.")
def list_(folder: Path | None, as_json: bool) -> None:
    """List what the store keeps: how much of what, and when it was last used.

    "Only here" are the bytes that no run folder has too: what pruning frees.
    """
    from mcd.cli.tables import print_table
    from mcd.extraction.shared_store import store_limit
    from mcd.extraction.store_care import contents
    from mcd.files import size_text

    found, limit = _opened(folder), store_limit()
    kept = contents(found)
    if as_json:
        record = {
            "schema": "mcd.store/1",
            "folder": str(found.folder),
            "limit": limit,
            "kept": [vars(one) for one in kept],
        }
        echo_lines(json.dumps(record, indent=2))
        return
    header = ("what", "entries", "files", "size", "only here", "last used")
    rows = [
        (one.what, f"{one.entries}", f"{one.files}", size_text(one.size), size_text(one.only_here), _day(one.used))
        for one in kept
    ]
    print_table(header, rows, right=header[1:5])
    echo(f"store: {found.folder}; only here at most {limit / _GB:g} GB after a run (MCD_STORE_LIMIT)")


@store.command()
@_store_flag
@click.option(
    "--keep-days",
    type=number(Bounds(0, 36500)),
    metavar="X",
    help="Remove what no run has used for so many days; 0 removes everything.",
)
@click.option(
    "--limit-gb",
    type=number(Bounds(0, 1_000_000)),
    metavar="X",
    help="Then remove what was not used for longest, until the store holds no more.",
)
def prune(folder: Path | None, keep_days: float | None, limit_gb: float | None) -> None:
    """Remove what has not been used for long, or is too much.

    \b
    mcd store prune --keep-days 30 --limit-gb 50

    Runs that are on at the same time are not harmed.
    """
    from mcd.errors import UsageError
    from mcd.extraction.store_care import prune as pruned
    from mcd.files import size_text

    if keep_days is None and limit_gb is None:
        raise UsageError("what is to be removed is not said", "mcd store prune --keep-days 30, or --limit-gb 50")
    found = _opened(folder)
    removed = pruned(found, keep_days=keep_days, limit=None if limit_gb is None else int(limit_gb * _GB))
    freed = sum(one.size for one in removed if not one.shared)
    files = amount(len(removed), "file")
    echo(f"removed {files}, {size_text(sum(one.size for one in removed))}; {size_text(freed)} are freed")


@store.command()
@_store_flag
@click.pass_context
def verify(ctx: click.Context, folder: Path | None) -> None:
    """Hold every file of the store against its SHA-256; damaged ones are removed.

    A run verifies what it takes anyway.

    Exit code 4 when a file was damaged. Run folders may hold the same file: mcd runs verify.
    """
    from mcd.extraction.store_care import verify_store

    count, damaged = verify_store(_opened(folder))
    for one in damaged:
        echo(f"{one.path}: differs; it is removed")
    if damaged:
        ctx.exit(4)
    echo(f"all {count} files are as they were written")


def _opened(folder: Path | None) -> SharedStore:
    from mcd.errors import UsageError
    from mcd.extraction.shared_store import SharedStore, store_folder

    found = store_folder(folder)
    if found is None:
        raise UsageError("there is no store: it is off", "give --store DIR")
    made = SharedStore(found)
    made.check()
    return made


def _day(seconds: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M", time.localtime(seconds)) if seconds else "never"
