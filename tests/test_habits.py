"""Rules of the source that no linter holds."""

from __future__ import annotations

import json
import re
import tomllib
from pathlib import Path

import yaml

import mcd

ROOT = Path(__file__).parent.parent
SOURCES = ("core", "plugins", "concept_sets", "tests", "examples", "benchmarks", "tools")


def test_no_line_is_exempt_from_the_formatter() -> None:
    exempt = re.compile(r"#\s*fmt:\s*(skip|off)")
    files = [path for folder in SOURCES for path in (ROOT / folder).rglob("*.py")]
    assert [str(path) for path in files if exempt.search(path.read_text(encoding="utf-8"))] == []


def test_what_is_exempt_from_a_check_has_its_reason_on_the_line() -> None:
    bare = re.compile(
        r"# type: ignore(\[[^]]*\])?\s*$|# noqa(: [A-Z0-9, ]+)?\s*$|except (Base)?Exception( as \w+)?:\s*$"
    )
    files = [path for folder in SOURCES for path in (ROOT / folder).rglob("*.py")]
    lines = [(path, line) for path in files for line in path.read_text(encoding="utf-8").splitlines()]
    assert [f"{path}: {line.strip()}" for path, line in lines if bare.search(line)] == []


def test_no_run_begins_with_a_second_of_scipy() -> None:
    at_the_top = re.compile(r"^(from|import) scipy", re.MULTILINE)  # in a function it costs only who calls that
    plugins = (f"plugins/mcd_plugins/{name}" for name in ("console", "datasets", "explorer", "reporters", "scorers"))
    files = [path for folder in ("core", *plugins) for path in (ROOT / folder).rglob("*.py")]
    assert [str(path) for path in files if at_the_top.search(path.read_text(encoding="utf-8"))] == []


def test_scripts_of_pages_are_checked_by_type() -> None:
    scripts = list((ROOT / "plugins").rglob("*.js"))
    assert scripts
    assert [str(path) for path in scripts if not path.read_text(encoding="utf-8").startswith("// @ts-check\n")] == []


def test_what_checks_the_scripts_is_pinned() -> None:
    versions = json.loads((ROOT / "package.json").read_text(encoding="utf-8"))["devDependencies"]
    assert [name for name, version in versions.items() if not re.fullmatch(r"\d+\.\d+\.\d+", version)] == []


def test_the_version_stands_in_one_place_and_heads_the_changelog() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    assert project["project"]["dynamic"] == ["readme", "version"]
    assert project["tool"]["hatch"]["version"]["path"] == "core/mcd/version.py"
    heads = re.findall(r"^## (\S+)", (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert heads[0] == re.sub(r"\.dev\d+$", "", mcd.__version__)


def test_the_changelog_has_every_change_under_its_kind() -> None:
    text = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    for version in text.split("\n## ")[1:]:
        kinds = re.findall(r"^### (.+)$", version, re.MULTILINE)
        assert kinds == [
            kind for kind in ("Added", "Changed", "Deprecated", "Fixed", "Removed", "Security") if kind in kinds
        ]


def test_ci_runs_every_python_of_the_classifiers_and_the_lowest_versions() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    pythons = re.findall(r"Python :: (3\.\d+)", "\n".join(project["classifiers"]))
    flow = yaml.safe_load((ROOT / ".github" / "workflows" / "ci.yml").read_text(encoding="utf-8"))
    runs = [(one["python"], one["constraints"]) for one in flow["jobs"]["run"]["strategy"]["matrix"]["include"]]
    assert runs == [*((one, "") for one in pythons), ("3.11", "lowest")]


def test_local_hooks_fetch_nothing() -> None:
    hooks = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text(encoding="utf-8"))["repos"]
    assert {repo["repo"] for repo in hooks} == {"local"}
    assert {hook["language"] for repo in hooks for hook in repo["hooks"]} == {"system"}
