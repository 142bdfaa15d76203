"""``mcd runs``: stored runs themselves."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from mcd.cli.flags import trust_flag
from mcd.cli.paths import RUN_FOLDER
from mcd.cli.terminal import echo, echo_lines

if TYPE_CHECKING:
    from mcd.runs.verifying import Verified

__all__ = ["runs"]


@click.group()
def runs() -> None:
    """Look after stored runs."""


@runs.command()
@click.argument("folders", nargs=-1, required=True, type=RUN_FOLDER, metavar="RUN [RUN…]")
@click.option("--json", "as_json", is_flag=True, help="Print everything as JSON.")
@trust_flag
@click.pass_context
def verify(ctx: click.Context, folders: tuple[Path, ...], as_json: bool, trust: bool) -> None:
    """Verify that run folders are what the runs wrote: every file by its SHA-256, then what is in it.

    \b
    mcd runs verify runs/x

    Controls and scorings in a run folder are verified with it. This finds accidents, such as damaged disks and broken
    copies, not forgery: whoever changes a file on purpose can change its digest too.

    Exit code 4 when a file differs or is missing.
    """
    from mcd.runs.verifying import verify as verified

    found = [one for folder in folders for one in verified(folder, trust=trust)]
    if as_json:
        echo_lines(json.dumps(_record(found), indent=2, ensure_ascii=False))
    else:
        for one in found:
            _print(one)
    if not all(one.sound for one in found):
        ctx.exit(4)


def _print(found: Verified) -> None:
    for name, state in found.wrong.items():
        echo(f"{found.folder / name}: {state}")
    for problem in found.problems:
        echo(f"{found.folder}: {problem}")
    if not found.complete:
        echo(f"{found.folder}: made by a version of mcd that wrote no digests; only contents were verified")
    elif found.sound:
        echo(f"{found.folder}: all {len(found.files)} files are as they were written")


def _record(found: list[Verified]) -> dict[str, object]:
    return {
        "schema": "mcd.verification/1",
        "sound": all(one.sound for one in found),
        "runs": [
            {
                "run": str(one.folder),
                "sound": one.sound,
                "digests": one.complete,
                "files": dict(one.files),
                "problems": list(one.problems),
            }
            for one in found
        ],
    }
