"""``examples/``: one package of each kind, installed as its README says, and used by the commands of its README."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.command_line import ROOT, Outcome
from tests.installed import Environment
from tests.readmes import commands

from mcd.cli.catalogue import catalogue
from mcd.cli.new_plugin import Scaffolds

Command = Callable[..., Outcome]
pytestmark = pytest.mark.slow
PACKAGES = sorted(path.parent for path in (ROOT / "examples").glob("*/pyproject.toml"))
SMALLER = {"phantom:60": "phantom:25"}
SHOWN = {
    "acme_arrays": "dissected by annotations on 120 images",
    "acme_backbone": "acme-net-32",
    "acme_contrasts": "",
    "acme_equal": "",
    "acme_greys": "dissected by acme-greys on 100 images",
    "acme_lines": "",
    "acme_log": "",
    "acme_shared": "concepts are carried by both",
    "acme_words": "acme-words 0.1 · 12 concepts · CC0-1.0",
    "acme_xi": "scored with acme-xi",
}
"""What the commands of a README show; where that is nothing, a test below looks at what they wrote."""


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where all of them lie once ``mcd install`` has installed them; nothing was fetched."""
    made = Environment.made(tmp_path_factory.mktemp("environment") / "own")
    done = made.mcd("install", "--offline", *PACKAGES)
    assert done.code == 0, done.err
    return made.site


@pytest.fixture(scope="module")
def one_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The store of all examples: most dissect the same network on the same phantoms."""
    return tmp_path_factory.mktemp("examples") / "store"


@pytest.fixture
def written(
    mcd_command: Command, site: Path, one_store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., str]:
    """Return what runs the commands of a README in the test's folder and returns what they show."""

    monkeypatch.setenv("MCD_STORE", str(one_store))

    def run(name: str, **environment: str) -> str:
        said = ""
        for words in commands(ROOT / "examples" / name / "README.md", SMALLER):
            if words[0] != "install":
                done = mcd_command(*words, cwd=tmp_path, PYTHONPATH=str(site), **environment)
                assert done.code == 0, done.err
                said += done.out + done.err
        return " ".join(said.split())

    return run


def test_there_is_one_of_each_kind_and_all_are_listed() -> None:
    known = {one.install: one.offers for one in catalogue()}
    offered = [kind for package in PACKAGES for kind in known[f"./examples/{package.name}"]]
    assert sorted(offered) == sorted(Scaffolds().kinds)
    listed = (ROOT / "examples" / "README.md").read_text(encoding="utf-8")
    assert [one.name for one in PACKAGES if f"]({one.name}/README.md)" not in listed] == []


def test_a_vocabulary_needs_no_python() -> None:
    assert list((ROOT / "examples" / "acme_words" / "acme_words").rglob("*.py")) == []


@pytest.mark.parametrize("name", [name for name, text in SHOWN.items() if text])
def test_the_commands_of_a_readme_show_the_plugin(written: Callable[..., str], tmp_path: Path, name: str) -> None:
    readme = (ROOT / "examples" / name / "README.md").read_text(encoding="utf-8")
    for code in re.findall(r"```python\n(.*?)```", readme, re.DOTALL):
        subprocess.run([sys.executable, "-c", code], cwd=tmp_path, check=True)
    assert SHOWN[name] in written(name)


def test_the_recipe_is_part_of_its_run(written: Callable[..., str], tmp_path: Path) -> None:
    written("acme_equal")
    study = json.loads((tmp_path / "runs" / "equal" / "manifest.json").read_text(encoding="utf-8"))["study"]
    assert study["recipe"]["plugin"] == "acme-equal"


def test_a_layer_seen_through_units_stands_beside_its_neurons(written: Callable[..., str], tmp_path: Path) -> None:
    written("acme_contrasts")
    layers = json.loads((tmp_path / "runs" / "contrasts" / "manifest.json").read_text(encoding="utf-8"))["layers"]
    assert [(one["name"], one["neurons"]) for one in layers] == [("stem", 16), ("stem/contrasts", 16)]


def test_the_reporter_writes_a_line_for_each_layer(written: Callable[..., str], tmp_path: Path) -> None:
    written("acme_lines")
    lines = (tmp_path / "runs" / "lines" / "report" / "layers.txt").read_text(encoding="utf-8").splitlines()
    assert len(lines) > 1
    assert all(re.fullmatch(r"stages\S*\s+█*·* +\d+ of +\d+.*", line) for line in lines)


def test_the_observer_writes_down_the_run(written: Callable[..., str], tmp_path: Path) -> None:
    written("acme_log", ACME_LOG=str(tmp_path / "run.jsonl"))
    events = [json.loads(line)["event"] for line in (tmp_path / "run.jsonl").read_text(encoding="utf-8").splitlines()]
    assert (events[0], events[-1]) == ("RunStarted", "RunFinished")
    assert "LayerScored" in events
