"""What a command that a plugin brings is given by the command line."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import TYPE_CHECKING, Concatenate, ParamSpec, TypeVar

import click

from mcd.cli import State
from mcd.cli.flags import plugin_file_flag

if TYPE_CHECKING:
    from mcd.host import PluginHost

__all__ = ["with_host"]

P = ParamSpec("P")
R = TypeVar("R")


def with_host(command: Callable[Concatenate[PluginHost, P], R]) -> Callable[P, R]:
    """Give a command the plugins as its first argument, and the flags --plugin-file, --offline and --debug.

    Examples
    --------
    >>> @click.command()
    ... @with_host
    ... def count(host: PluginHost) -> None:
    ...     click.echo(f"{len(host.plugins)} plugins")
    """

    @plugin_file_flag
    @click.pass_context
    @functools.wraps(command)
    def hosted(context: click.Context, /, *args: P.args, **kwargs: P.kwargs) -> R:
        return command(context.ensure_object(State).host, *args, **kwargs)

    return hosted
