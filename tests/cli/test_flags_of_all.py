"""Flags that every command takes, before its name and after it; commands that a plugin file brings."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import click
import pytest
from tests.command_line import Outcome

from mcd.cli import cli
from mcd.cli.state import State

Command = Callable[..., Outcome]

_PLUGIN = """
import click, mcd

@mcd.hookimpl
def mcd_register_commands():
    return [mcd.Component("greet", "greeting:greet", "says hello"), mcd.Component("many", "greeting:many", "has more")]

@click.command()
@click.option("--loud", is_flag=True, help="in capitals")
def greet(loud):
    "Say hello."
    click.echo("HELLO" if loud else "hello")

@click.group()
def many():
    "Has commands."

many.add_command(greet)
"""


def _below(command: click.Command, words: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    yield words, command
    if isinstance(command, click.Group):
        context = click.Context(command, obj=State())
        for name in command.list_commands(context):
            found = command.get_command(context, name)
            assert found is not None
            yield from _below(found, (*words, name))


def test_every_command_and_every_one_below_it_takes_them() -> None:
    commands = dict(_below(cli, ()))
    assert len(commands) > 30
    del commands[()]  # which has them when it runs
    lacking = [
        words
        for words, command in commands.items()
        if not {"--plugin-file", "--offline", "--debug"} <= {name for one in command.params for name in one.opts}
    ]
    assert lacking == []


@pytest.mark.parametrize(
    "line",
    [
        "--plugin-file greeting.py greet",
        "greet --plugin-file greeting.py",
        "greet --plugin-file=greeting.py",
        "--plugin-file greeting.py greet --plugin-file greeting.py",
        "many greet --plugin-file greeting.py",
        "many --plugin-file greeting.py greet",
        "--debug --offline --plugin-file greeting.py many --debug greet --offline",
    ],
)
def test_a_command_of_a_plugin_file_runs(mcd_process: Command, tmp_path: Path, line: str) -> None:
    (tmp_path / "greeting.py").write_text(_PLUGIN)
    found = mcd_process(*line.split(), cwd=tmp_path)
    assert (found.code, found.out, found.err) == (0, "hello\n", "")


def test_its_own_options_reach_it(mcd_command: Command, tmp_path: Path) -> None:
    (tmp_path / "greeting.py").write_text(_PLUGIN)
    assert mcd_command("greet", "--loud", "--plugin-file", "greeting.py", cwd=tmp_path).out == "HELLO\n"


@pytest.mark.parametrize("line", ["plugins list", "plugins --plugin-file greeting.py list", "plugins show greet"])
def test_what_a_file_brings_is_known_wherever_it_is_named(mcd_command: Command, tmp_path: Path, line: str) -> None:
    (tmp_path / "greeting.py").write_text(_PLUGIN)
    more = [] if "--plugin-file" in line else ["--plugin-file", "greeting.py"]
    assert "greet" in mcd_command(*line.split(), *more, cwd=tmp_path).out


@pytest.mark.parametrize("line", ["greet", "greet --plugin-file", "--plugin-file greeting.py greeet"])
def test_what_no_file_brings_is_one_message(mcd_command: Command, tmp_path: Path, line: str) -> None:
    (tmp_path / "greeting.py").write_text(_PLUGIN)
    found = mcd_command(*line.split(), cwd=tmp_path)
    assert found.code == 2
    assert found.err.startswith("error: no command named")
