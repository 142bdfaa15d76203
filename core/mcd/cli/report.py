"""``mcd report``: pages and tables about stored runs."""

from __future__ import annotations

from pathlib import Path

import click

from mcd.cli.candidates import components, settings
from mcd.cli.flags import output_flag, trust_flag
from mcd.cli.groups import option_group
from mcd.cli.paths import RUN_FOLDER
from mcd.cli.settings import named, with_arguments
from mcd.cli.state import State
from mcd.cli.terminal import echo
from mcd.components import Kind
from mcd.study.groups import Group

__all__ = ["report"]

_DEFAULT = "html"


@click.command()
@click.argument("runs", nargs=-1, type=RUN_FOLDER, metavar="RUN [RUN…]")
@option_group(
    Group.OUTPUT.value,
    click.option(
        "--reporter",
        "reporters",
        multiple=True,
        metavar="NAME[:VALUE]",
        shell_complete=components(Kind.REPORTER),
        help=f"What to write. Repeatable.  [default: {_DEFAULT}]",
    ),
    click.option(
        "--reporter-arg",
        multiple=True,
        shell_complete=settings(Kind.REPORTER, "--reporter"),
        metavar="[NAME.]KEY=VALUE",
        help="A setting of it. Repeatable.",
    ),
    output_flag("Where it goes; needed for several runs.  [default: RUN/report]"),
)
@trust_flag
@click.pass_context
def report(
    ctx: click.Context,
    runs: tuple[Path, ...],
    reporters: tuple[str, ...],
    reporter_arg: tuple[str, ...],
    output: Path | None,
    trust: bool,
) -> None:
    """Report on one stored run, or on several side by side.

    \b
    mcd report runs/x --reporter html
    mcd report runs/before runs/after --reporter html -o runs/compared

    A reporter that fails does not end the others: they write, and the exit code is that of the failure.
    """
    from mcd.runs.report import write_report
    from mcd.study.study import Choice

    named_ones = with_arguments(named(reporters or (_DEFAULT,)), reporter_arg, "--reporter-arg")
    wanted = [Choice.model_validate(one) for one in named_ones]
    found = write_report(ctx.ensure_object(State).host, runs, wanted, output, trust=trust)
    for path in found.written:
        echo(f"written: {path}")
    found.check()
