"""What ``mcd plugins new`` writes, filled in by its own README: installed, tested, used, and removed again."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.command_line import Outcome
from tests.installed import Environment
from tests.readmes import commands

from mcd.cli.new_plugin import Scaffolds

Command = Callable[..., Outcome]
pytestmark = pytest.mark.slow
_SCAFFOLDS = Scaffolds()
_SMALLER = {"phantom:60": "phantom:25"}
"""Words of the commands of a README, and what does in a test: 100 images, the fewest for the default scorer."""


def _written(folder: Path) -> dict[str, Path]:
    """Write a plugin of each kind and return their folders."""
    for kind in _SCAFFOLDS.kinds:
        _SCAFFOLDS.write(_SCAFFOLDS.answers(kind, f"acme-{kind}"), folder)
    return {kind: folder / f"acme-{kind}" for kind in _SCAFFOLDS.kinds}


def _readme(package: Path) -> str:
    return (package / "README.md").read_text(encoding="utf-8")


def _fill_in(package: Path) -> None:
    """Change the file of a plugin as the section of its README says."""
    (found,) = re.findall(r"In `([^`]+)`:\n\n```diff\n(.*?)```", _readme(package), re.DOTALL)
    path, change = package / found[0], found[1]
    text = path.read_text(encoding="utf-8")
    for hunk in change.split("@@\n"):
        lines = hunk.splitlines(keepends=True)
        before, after = ("".join(line[1:] for line in lines if line[0] in signs) for signs in (" -", " +"))
        assert before != after
        assert text.count(before) == 1, before
        text = text.replace(before, after)
    path.write_text(text, encoding="utf-8")


def _promises(package: Path) -> list[tuple[str, str]]:
    """Return what a README says that is shown once it is filled in: by which command, or file, and the text."""
    (sentence,) = re.findall(r"^Then (.*?)\n\n", _readme(package), re.DOTALL | re.MULTILINE)
    where, shown = re.fullmatch(r"(`[^`]+`|a run)\s+shows\s+(.*)", sentence, re.DOTALL).groups()
    return [(where.strip("`"), text) for text in re.findall(r"`([^`]+)`", shown.partition(";")[0])]


@pytest.fixture(scope="module")
def packages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A plugin of each kind, filled in."""
    found = _written(tmp_path_factory.mktemp("filled"))
    for package in found.values():
        _fill_in(package)
    return found


@pytest.fixture(scope="module")
def environment(packages: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Environment:
    """An environment with all of them, as ``mcd install`` left it; nothing was fetched."""
    made = Environment.made(tmp_path_factory.mktemp("environment") / "own")
    done = made.mcd("install", "--offline", *packages.values())
    assert done.code == 0, done.err
    assert re.findall(r"^plugin '(\S+)' ", done.out, re.MULTILINE) == sorted(f"acme-{kind}" for kind in packages)
    return made


@pytest.fixture(scope="module")
def one_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The store of all scaffolds: most dissect the same network on the same phantoms."""
    return tmp_path_factory.mktemp("scaffolds") / "store"


def _assert_tests_pass(environment: Environment, packages: dict[str, Path]) -> None:
    tests = [package / "tests" for package in packages.values()]
    plugins = [f"-pno:{name}" for name in ("cacheprovider", "xdist")] + ["-pmcd.testing.fixtures"]
    done = environment.run("pytest", "-q", "--import-mode=importlib", *plugins, *tests, cwd=tests[0])
    assert done.code == 0, done.out
    assert "warning" not in done.out


def test_their_own_tests_pass(environment: Environment, packages: dict[str, Path]) -> None:
    _assert_tests_pass(environment, packages)


@pytest.mark.parametrize("kind", _SCAFFOLDS.kinds)
def test_the_commands_of_its_readme_run_and_show_what_it_promises(
    mcd_command: Command,
    environment: Environment,
    packages: dict[str, Path],
    one_store: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    kind: str,
) -> None:
    monkeypatch.setenv("MCD_STORE", str(one_store))
    package, said = packages[kind], ""
    for words in commands(package / "README.md", _SMALLER):
        done = mcd_command(*words, cwd=tmp_path, PYTHONPATH=str(environment.site))
        assert done.code == 0, done.err
        said += done.out + done.err
    assert list(tmp_path.glob("runs/*/manifest.json"))
    for where, text in _promises(package):
        if where.startswith("mcd "):
            done = mcd_command(*shlex.split(where)[1:], cwd=tmp_path, PYTHONPATH=str(environment.site))
            assert text in done.out
        else:
            shown = said if where == "a run" else (tmp_path / where).read_text(encoding="utf-8")
            assert text in " ".join(shown.split())


def test_one_run_is_made_of_all_of_them(environment: Environment, tmp_path: Path) -> None:
    chosen = {
        "--model-plugin": "acme-model",
        "--dissector": "acme-dissector",
        "--dataset": "acme-dataset:40",
        "--recipe": "acme-preprocessing",
        "--scorer": "acme-scorer",
        "--concepts": "acme-concept-set",
    }
    words = [word for pair in chosen.items() for word in pair]
    reporters = ("--reporter", "acme-reporter", "--reporter", "console")
    done = environment.mcd("dissect", "--layers", "stem", *words, *reporters, "-o", tmp_path / "all")
    assert done.code == 0, done.err
    heading = "acme-model dissected by ACME CLIP 0.1 on 40 images, scored with acme-scorer-squared"
    assert heading in " ".join(done.out.split())
    assert "acme-observer: stem has" in done.err
    assert (tmp_path / "all" / "report" / "acme-reporter.txt").is_file()
    assert "significant: 1" in environment.mcd("acme-command", tmp_path / "all").out


def test_they_are_removed_again(environment: Environment, packages: dict[str, Path]) -> None:
    """The last of these tests: the others use what it removes."""
    names = [package.name for package in packages.values()]
    listed = environment.mcd("plugins", "list").out
    assert [name for name in names if name not in listed] == ["acme-observer"]  # it offers nothing to choose
    assert environment.mcd("plugins", "check", "acme-observer").code == 0
    done = environment.mcd("uninstall", "--yes", *names)
    assert done.code == 0, done.err
    assert "acme" not in environment.mcd("plugins", "list", "--json").out


@pytest.mark.nightly
def test_their_tests_pass_as_they_are_written(tmp_path: Path) -> None:
    packages = _written(tmp_path)
    environment = Environment.made(tmp_path / "own")
    assert environment.mcd("install", "--offline", *packages.values()).code == 0
    _assert_tests_pass(environment, packages)
