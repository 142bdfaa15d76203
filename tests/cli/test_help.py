"""``--help``: options in groups, at the width of a terminal."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from tests.command_line import Outcome

from mcd.cli.groups import GENERAL
from mcd.study.groups import Group
from mcd.study.leaves import leaves

Command = Callable[..., Outcome]
LONG = ("dissect", "run", "score", "compare", "evaluate", "figures", "report", "embed", "zero-shot", "bench")


def _headings(text: str) -> list[str]:
    return [line[:-1] for line in text.splitlines() if line.endswith(":") and line[0] not in " U"]


def test_every_setting_that_has_a_flag_is_in_a_group() -> None:
    assert [leaf.key for leaf in leaves() if leaf.group is None] == ["schema"]


@pytest.mark.parametrize("command", LONG)
def test_long_commands_show_their_options_in_groups(command: str, mcd_command: Command) -> None:
    shown = mcd_command(command, "--help").out
    assert max(map(len, shown.splitlines())) <= 80
    headings = _headings(shown)
    assert len(headings) > 1
    assert "Options" not in headings
    assert headings[-1] == GENERAL
    assert len(headings) == len(set(headings))
    known = [one for one in headings if one in {group.value for group in Group}]
    assert known == [group.value for group in Group if group.value in known]


def test_dissect_has_all_groups_in_little_room(mcd_command: Command) -> None:
    shown = mcd_command("dissect", "--help").out
    assert _headings(shown) == [*(group.value for group in Group), GENERAL]
    assert len(shown.splitlines()) < 160
    assert "--[no-]controls" in shown
    scoring = shown.split("Scoring and significance:")[1].split("Speed and storage:")[0]
    assert "--scorer" in scoring
    assert "[default: soft-wpmi]" in " ".join(scoring.split())
    assert "--batch-size" not in scoring


def test_commands_stand_by_what_they_are_for(mcd_command: Command) -> None:
    shown = mcd_command("--help").out
    assert max(map(len, shown.splitlines())) <= 80
    assert _headings(shown)[1:] == ["Run a study", "Read it", "Data", "Vocabularies", "Plugins and shell", "Of plugins"]
    assert "demo" in shown.split("Of plugins:")[1]


def test_an_option_group_of_a_plugin_is_a_heading(mcd_command: Command, tmp_path: Path) -> None:
    (tmp_path / "acme.py").write_text(
        "import click, mcd\nfrom mcd.plugins import option_group\n"
        "@mcd.hookimpl\ndef mcd_register_commands():\n    return [mcd.Component('greet', 'acme:greet', 'says hello')]\n"
        "@click.command()\n@option_group('Manners', click.option('--loud', is_flag=True, help='In capitals.'))\n"
        "def greet(loud):\n    'Say hello.'\n    click.echo(f'hello {loud}')\n"
    )
    shown = mcd_command("greet", "--help", "--plugin-file", "acme.py", cwd=tmp_path).out
    assert _headings(shown) == ["Manners", GENERAL]
    assert mcd_command("greet", "--loud", "--plugin-file", "acme.py", cwd=tmp_path).out == "hello True\n"
