"""What a command that a plugin brings is given by the command line."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Concatenate, ParamSpec, TypeVar

import click

from mcd.cli.state import State

__all__ = ["with_plugin_files"]

P = ParamSpec("P")
R = TypeVar("R")


def with_plugin_files(command: Callable[Concatenate[Sequence[Path], P], R]) -> Callable[P, R]:
    """Give a command the local plugin files (--plugin-file) as its first argument.

    They are what `mcd.run`, `mcd.report` and the other verbs take as ``plugin_files``.

    Examples
    --------
    >>> @click.command()
    ... @with_plugin_files
    ... def again(plugin_files: Sequence[Path]) -> None:
    ...     mcd.run("study.yaml", plugin_files=plugin_files)
    """

    @click.pass_context
    @functools.wraps(command)
    def hosted(context: click.Context, /, *args: P.args, **kwargs: P.kwargs) -> R:
        return command(tuple(context.ensure_object(State).plugin_files), *args, **kwargs)

    return hosted
