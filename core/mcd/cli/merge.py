"""``mcd merge``: the parts of a run joined and labelled."""

from __future__ import annotations

from pathlib import Path

import click

from mcd.cli.flags import output_flag, trust_flag
from mcd.cli.groups import option_group
from mcd.cli.paths import PATH
from mcd.cli.settings import given_settings, named, with_arguments
from mcd.cli.state import State
from mcd.cli.study_flags import study_flags
from mcd.cli.terminal import echo
from mcd.study.groups import Group

__all__ = ["merge"]


@click.command()
@click.argument("parts", nargs=-1, required=True, type=PATH, metavar="PART [PART…]")
@click.option(
    "--scorer",
    metavar="FILE.py:FUNCTION",
    help="The scorer of the run where that is code of a file: it is run only when it is named.",
)
@click.option(
    "--allow-different",
    is_flag=True,
    help="Merge parts that were computed by other settings, versions or machines that decide last bits; the manifest "
    "says so.",
)
@study_flags("reporters")
@option_group(
    Group.SPEED.value,
    click.option("--device", default="auto", show_default=True, help="Where texts are encoded that no part has."),
    click.option(
        "--store",
        type=PATH,
        metavar="DIR",
        help="The folder that keeps embedded texts and nulls for other runs, or off.  [default: as in mcd score]",
    ),
)
@option_group(
    Group.OUTPUT.value, output_flag("The run folder, or that of the study: the parts are joined there.", required=True)
)
@trust_flag
@click.pass_context
def merge(
    ctx: click.Context,
    /,
    parts: tuple[Path, ...],
    scorer: str | None,
    allow_different: bool,
    reporter: tuple[str, ...],
    reporter_arg: tuple[str, ...],
    output: Path,
    device: str,
    store: Path | None,
    trust: bool,
) -> None:
    """Join the parts of a run, and label it: to a bit what one process makes. Only maps need images, and --trust.

    \b
    mcd merge parts/1 parts/2 parts/3 -o runs/x

    Every part must be there once, computed by the same command but for --part and --output. Without --reporter those
    of the study write their reports.
    """
    from mcd.files import check_folder
    from mcd.runs.merging import merge as merged
    from mcd.runs.report import write_reports
    from mcd.study.preparer import Preparer
    from mcd.study.study import Choice

    check_folder(output)
    host, given = ctx.ensure_object(State).host, given_settings(ctx)
    reporters = with_arguments(named(reporter), reporter_arg, "--reporter-arg")
    made = Preparer(host).reporters([Choice.model_validate(one) for one in reporters])
    found = merged(
        parts,
        output,
        host,
        scorer=None if scorer is None else Choice(plugin=scorer),
        allow_different=allow_different,
        device=device,
        shared=store,
        reporters=made if given else None,
        trust=trust,
    )
    if not given and not found[0].manifest.study.get("reporters"):
        write_reports(found, made)  # a person at a terminal sees a summary
    for one in found:
        echo(f"run folder: {one.folder}")
