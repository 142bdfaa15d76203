"""Flags that commands share."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import click

from mcd.cli import State, go_offline
from mcd.cli.numbers import RESAMPLES, SEED
from mcd.cli.paths import PATH

__all__ = ["bootstrap_flag", "plugin_file_flag", "seed_flag", "trust_flag"]

Command = TypeVar("Command", bound=Callable[..., object])


trust_flag = click.option(
    "--trust",
    is_flag=True,
    help="Run, read and fetch what the study of a stored run names outside of its folder: code, images, vocabularies, "
    "weights. Only for runs that are yours, or of people you trust.",
)
"""The flag of every command that reads stored runs."""

bootstrap_flag = click.option(
    "--bootstrap",
    type=RESAMPLES,
    default=200,
    show_default=True,
    metavar="N",
    help="How often patients are drawn anew for intervals; 0 leaves them out.",
)
seed_flag = click.option("--seed", type=SEED, default=0, show_default=True, help="Decides which are drawn.")
"""With ``bootstrap_flag``, of commands whose intervals are by resampling."""


def _add_files(ctx: click.Context, _parameter: click.Parameter, files: tuple[Path, ...]) -> None:
    ctx.ensure_object(State).plugin_files += files


def _set_debug(ctx: click.Context, _parameter: click.Parameter, debug: bool) -> None:
    ctx.ensure_object(State).debug |= debug


def _set_offline(_ctx: click.Context, _parameter: click.Parameter, offline: bool) -> None:
    if offline:
        go_offline()


def plugin_file_flag(command: Command) -> Command:
    """Add --plugin-file, --offline and --debug after the command's name too, where people write them."""
    decorators = (
        click.option(
            "--plugin-file",
            multiple=True,
            type=PATH,
            metavar="FILE.py",
            is_eager=True,
            expose_value=False,
            callback=_add_files,
            help="Load a local plugin file. Repeatable.",
        ),
        click.option(
            "--offline",
            is_flag=True,
            is_eager=True,
            expose_value=False,
            callback=_set_offline,
            help="Fetch nothing: what would be downloaded is an error.",
        ),
        click.option(
            "--debug",
            is_flag=True,
            is_eager=True,
            expose_value=False,
            callback=_set_debug,
            help="Show the traceback of an error.",
        ),
    )
    for decorator in reversed(decorators):
        command = decorator(command)
    return command
