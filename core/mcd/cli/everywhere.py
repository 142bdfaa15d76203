"""What every command shares, those of plugins too: the plugin host, and flags that stand before and after its name."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path

import click

from mcd.cli.groups import in_general, in_groups
from mcd.cli.paths import PATH
from mcd.cli.state import State

__all__ = ["State", "add_named_files", "with_flags_of_all"]

_FILE = "--plugin-file"


def _add_files(ctx: click.Context, _parameter: click.Parameter, files: tuple[Path, ...]) -> None:
    ctx.ensure_object(State).add(files)


def _set_debug(ctx: click.Context, _parameter: click.Parameter, debug: bool) -> None:
    ctx.ensure_object(State).debug |= debug


def _set_offline(ctx: click.Context, _parameter: click.Parameter, offline: bool) -> None:
    if offline:
        ctx.ensure_object(State).offline = True
        os.environ["HF_HUB_OFFLINE"] = "1"  # the hub's client reads it when it is imported, which is after the flags


def _flag(name: str, callback: Callable[..., None], text: str) -> click.Option:
    return in_general(
        click.Option([name], is_flag=True, is_eager=True, expose_value=False, callback=callback, help=text)
    )


_FLAGS = (
    in_general(
        click.Option(
            [_FILE],
            multiple=True,
            type=PATH,
            metavar="FILE.py",
            is_eager=True,
            expose_value=False,
            callback=_add_files,
            help="Load a local plugin file. Repeatable.",
        )
    ),
    _flag("--offline", _set_offline, "Fetch nothing: what would be downloaded is an error."),
    _flag("--debug", _set_debug, "Show the traceback of an error."),
)


def with_flags_of_all(command: click.Command) -> click.Command:
    """Return a command, and the commands below it, with --plugin-file, --offline and --debug.

    People write them before the command's name and after it. One that a plugin's command has itself stays as it is.
    """
    made = in_groups(command)
    taken = {name for one in command.params for name in one.opts}
    made.params = [*command.params, *(one for one in _FLAGS if taken.isdisjoint(one.opts))]
    if isinstance(made, click.Group):
        made.commands = {name: with_flags_of_all(one) for name, one in made.commands.items()}
    return made


def add_named_files(state: State, arguments: Sequence[str]) -> None:
    """Add the plugin files that stand behind a command which is none of mcd's own: one of them may bring it."""
    for at, word in enumerate(arguments):
        name, _, value = word.partition("=")
        if name == _FILE:
            state.add([Path(one) for one in ([value] if value else arguments[at + 1 : at + 2])])
