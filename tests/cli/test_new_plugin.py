"""``mcd plugins new``: what it writes is a plugin."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from collections.abc import Callable
from importlib.resources import files
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from tests.command_line import Outcome
from tests.installed import lay_out

from mcd.components import Kind
from mcd.version import DISTRIBUTION, __version__

Command = Callable[..., Outcome]
KINDS = yaml.safe_load((files("mcd.templates") / "copier.yml").read_text(encoding="utf-8"))["kind"]["choices"]


def written(mcd_command: Command, folder: Path, kind: str) -> Path:
    """Return the folder of a new plugin."""
    outcome = mcd_command("plugins", "new", kind, f"acme-{kind}", "-o", folder)
    assert (outcome.code, outcome.err) == (0, "")
    return folder / f"acme-{kind}"


def test_there_is_a_scaffold_for_every_kind_and_for_observers() -> None:
    assert set(KINDS) == {kind.slug for kind in Kind} | {"observer"}


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_written_can_be_installed_and_found(mcd_command: Command, tmp_path: Path, kind: str) -> None:
    package = written(mcd_command, tmp_path, kind)
    (needed,) = map(Requirement, tomllib.loads((package / "pyproject.toml").read_text())["project"]["dependencies"])
    assert needed.name == DISTRIBUTION
    assert needed.specifier.contains(__version__)
    site = lay_out(package, tmp_path / "site")
    found = mcd_command("plugins", "list", PYTHONPATH=str(site))
    assert f"acme-{kind}" in found.out or kind == "observer"
    assert "broken" not in found.out
    words = re.findall(r"{[{%]|[%}]}|\bundefined\b", "".join(p.read_text() for p in package.rglob("*") if p.is_file()))
    assert words == []


@pytest.mark.slow
def test_what_is_written_is_typed_and_in_order(mcd_command: Command, tmp_path: Path) -> None:
    packages = [written(mcd_command, tmp_path, kind) for kind in KINDS]
    code = [str(package / package.name.replace("-", "_")) for package in packages if "concept" not in package.name]
    root = Path(__file__).parents[2]
    for command in (
        ["ruff", "check", "--config", str(root / "pyproject.toml"), "--ignore", "I001,D", *map(str, packages)],
        ["ruff", "format", "--check", "--config", str(root / "pyproject.toml"), *map(str, packages)],
        ["mypy", "--strict", "--config-file", str(root / "pyproject.toml"), *code],
    ):
        done = subprocess.run([sys.executable, "-m", *command], cwd=root, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout


@pytest.mark.parametrize(
    ("kind", "name", "message"),
    [
        ("scoer", "acme", "did you mean 'scorer'?"),
        ("scorer", "9acme", "cannot be the name of a package"),
        ("scorer", "../acme", "cannot be the name of a package"),
        ("scorer", "acme/net", "cannot be the name of a package"),
        ("scorer", "a" * 61, "cannot be the name of a package"),
        ("scorer", "torch", "Python has a module 'torch' already"),
        ("scorer", "class", "Python has a module 'class' already"),
        ("scorer", "soft-wpmi", "there is a scorer 'soft-wpmi' already"),
    ],
)
def test_what_cannot_be_is_refused(mcd_command: Command, tmp_path: Path, kind: str, name: str, message: str) -> None:
    outcome = mcd_command("plugins", "new", kind, name, cwd=tmp_path)
    assert outcome.code == 2
    assert message in " ".join(outcome.err.split())
    assert list(tmp_path.iterdir()) == []


def test_nothing_is_written_over(mcd_command: Command, tmp_path: Path) -> None:
    package = written(mcd_command, tmp_path, "scorer")
    (package / "README.md").write_text("mine")
    outcome = mcd_command("plugins", "new", "scorer", "acme-scorer", "-o", tmp_path)
    assert outcome.code == 2
    assert "exists" in outcome.err
    assert (package / "README.md").read_text() == "mine"
