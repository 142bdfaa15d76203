"""``mcd demo``: the main job on what the package brings along."""

from __future__ import annotations

from pathlib import Path

import click

from mcd.cli import State
from mcd.cli.flags import plugin_file_flag

__all__ = ["demo"]


@click.command()
@click.option("--output", "-o", type=click.Path(path_type=Path), default=Path("mcd-demo"), show_default=True,
              metavar="DIR", help="The run folder.")  # fmt: skip
@click.option("--patients", type=click.IntRange(min=25), default=50, show_default=True,
              help="Phantom patients, four views each.")  # fmt: skip
@plugin_file_flag
@click.pass_context
def demo(ctx: click.Context, output: Path, patients: int) -> None:
    """Dissect the built-in model on phantom mammograms.

    Everything is synthetic: drawn mammograms, and two small networks trained on them. It shows what a run does
    and leaves; it says nothing about patients.
    """
    from mcd.cli.check import checked_study
    from mcd.prepare import prepare
    from mcd.run import run

    state = ctx.ensure_object(State)
    settings = {
        "models": [{"plugin": "phantom-mammo", "layers": ["stages.*", "head"]}],
        "dissectors": "phantom-clip",
        "dataset": {"plugin": "phantom", "options": {"patients": patients}},
        "concepts": "phantom",
        "reporters": ["console"],
    }
    prepared = prepare(state.host, checked_study(state.host, settings, None), output)
    for dissection in run(prepared, state.host.emit):
        click.echo(f"run folder: {dissection.folder}")
        click.echo(f"next: mcd score {dissection.folder} --concepts birads")
