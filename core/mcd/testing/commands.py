"""The checks of commands and observers."""

from __future__ import annotations

from collections.abc import Callable

import click
from click.testing import CliRunner

from mcd import events
from mcd.testing.contract import called, kind_of, require

__all__ = ["check_command", "check_observer"]


def check_command(command: click.Command) -> None:
    """Make sure that a command says what it does, and what each of its options does.

    Raises
    ------
    ContractError
        When it is no `click.Command`, its help fails, or it or an option has no help.
    """
    given: object = command
    require(isinstance(given, click.Command), f"{kind_of(given)} is no command", "decorate it: @click.command()")
    name = command.name or "the command"
    done = CliRunner().invoke(command, ["--help"])
    require(done.exit_code == 0, f"{name} --help ended with {done.exit_code}: {done.exception!r}", "correct it")
    require(command.help, f"{name} has no help", "give the function a docstring: mcd --help prints its first sentence")
    mute = [one.opts[0] for one in command.params if isinstance(one, click.Option) and not (one.help or one.hidden)]
    require(not mute, f"option {', '.join(mute)} of {name} has no help", 'write help="…"')
    for part in command.commands.values() if isinstance(command, click.Group) else ():
        check_command(part)


def check_observer(observer: Callable[[events.Event], object]) -> None:
    """Make sure that an observer takes every event of a run, also those that later versions add.

    Parameters
    ----------
    observer
        The function ``mcd_on_event`` of a plugin.

    Raises
    ------
    ContractError
        When it raises: in a run it is then not called again.
    """
    for event in _EVENTS:
        with called(f"the observer, given {type(event).__name__},"):
            observer(event)


class _Later(events.Event):
    """An event that there is not yet."""


_EVENTS: tuple[events.Event, ...] = (
    events.RunStarted("tiny, dissected with tiny"),
    events.StageStarted("sweep", 24, "images", done=8),
    events.StageAdvanced("sweep", 16),
    events.StageFinished("sweep", 0.5),
    events.Warned("a remark"),
    events.LayerScored("tiny", "0", neurons=8, labelled=5),
    events.StageStarted("nothing", 0, "layers"),
    events.StageFinished("nothing", 0.0),
    _Later(),
    events.RunFinished("runs/tiny", 1.0),
    events.RunFailed("it was stopped"),
)
