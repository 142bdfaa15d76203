"""``mcd report``: pages and tables about stored runs."""

from __future__ import annotations

from pathlib import Path

import click

from mcd.cli import State
from mcd.cli.flags import choices, plugin_file_flag

__all__ = ["report"]

_DEFAULT = "html"


@click.command()
@click.argument("runs", nargs=-1, type=click.Path(path_type=Path), metavar="RUN [RUN…]")
@click.option(
    "--reporter",
    "reporters",
    multiple=True,
    metavar="NAME[:VALUE]",
    help=f"What to write. Repeatable.  [default: {_DEFAULT}]",
)
@click.option("--reporter-arg", multiple=True, metavar="[NAME.]KEY=VALUE", help="A setting of it. Repeatable.")
@click.option(
    "--output",
    "-o",
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="Where it goes; needed for several runs.  [default: RUN/report]",
)
@plugin_file_flag
@click.pass_context
def report(
    ctx: click.Context,
    runs: tuple[Path, ...],
    reporters: tuple[str, ...],
    reporter_arg: tuple[str, ...],
    output: Path | None,
) -> None:
    """Report on one stored run, or on several side by side.

    \b
    mcd report runs/x --reporter html
    mcd report runs/before runs/after --reporter html -o runs/compared
    """
    from mcd.errors import StoreError, UsageError

    if not runs:
        raise UsageError("no run given", "mcd report RUN")
    if len(runs) > 1 and output is None:
        raise UsageError("where a report on several runs goes is not said", "give --output DIR")
    from mcd.files import check_folder
    from mcd.runs.dissection import load
    from mcd.study.preparer import Preparer
    from mcd.study.study import Choice

    folder = output if output is not None else runs[0] / "report"
    if output is not None:
        check_folder(output)
    host = ctx.ensure_object(State).host
    made = Preparer(host).reporters(
        [Choice.model_validate(one) for one in choices(reporters or (_DEFAULT,), reporter_arg, "--reporter-arg")]
    )
    found = [load(run, host) for run in runs]
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StoreError(f"cannot make the folder {folder}: {error.strerror}", "choose another --output") from None
    for reporter in made:
        written = reporter.report(found[0], folder) if len(found) == 1 else reporter.report_several(found, folder)
        for path in written:
            click.echo(f"written: {path}")
