"""Pages that are made from the source: they are as the source says, and leave nothing out."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib

import pytest
from tests.command_line import ROOT

_REFERENCE = ROOT / "docs" / "reference"


@pytest.mark.parametrize(
    ("tool", "page"),
    [
        ("contracts.py", "contracts.md"),
        ("commands_reference.py", "commands.md"),
        ("catalogue.py", "catalogue.md"),
    ],
)
def test_the_page_is_what_its_tool_prints(tool: str, page: str) -> None:
    command = [sys.executable, str(ROOT / "tools" / tool)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, encoding="utf-8")
    assert (_REFERENCE / page).read_text(encoding="utf-8") == done.stdout, (
        f"python tools/{tool} > docs/reference/{page}"
    )


def test_every_contract_has_a_version_a_state_and_a_sentence() -> None:
    lines = (_REFERENCE / "contracts.md").read_text(encoding="utf-8").splitlines()
    rows = [[cell.strip() for cell in line.strip("|").split("|", 3)] for line in lines if line.startswith("| `")]
    assert len(rows) > 200
    for name, since, state, sentence in rows:
        assert since.count(".") == 1, name
        assert state in ("stable", "experimental"), name
        assert sentence, name
    known = tomllib.loads((ROOT / "tools" / "contracts.toml").read_text(encoding="utf-8"))
    listed = {*known["experimental"], *(name for names in known["since"].values() for name in names)}
    assert listed <= {name.strip("`") for name, *_ in rows}


def test_every_command_and_option_says_what_it_does() -> None:
    text = (_REFERENCE / "commands.md").read_text(encoding="utf-8")
    for section in text.split("\n## ")[1:]:
        title, _, rest = section.partition("\n")
        assert rest.strip().split("\n")[0].strip(), title
        assert "\\b" not in rest, title  # the docstring is raw: click does not keep its lines
        options = [line for line in rest.splitlines() if line.startswith("| `")]
        assert all(line.split(" | ", 1)[1].strip(" |") for line in options), title


def test_every_command_that_takes_an_output_has_a_row_of_what_it_writes() -> None:
    command = re.compile(r"`(mcd(?: [a-z][a-z-]*)+)")
    sections = (_REFERENCE / "commands.md").read_text(encoding="utf-8").split("\n## ")[1:]
    writing = {name for one in sections if "\n| `-o, --output" in one for name in command.findall(one.split("\n")[0])}
    assert len(writing) > 20
    rows = (_REFERENCE / "outputs.md").read_text(encoding="utf-8").splitlines()
    assert writing <= {name for row in rows if row.startswith("| ") for name in command.findall(row.split(" | ")[0])}
