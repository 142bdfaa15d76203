"""Packages of other kinds: they need and run what the project says."""

from __future__ import annotations

import importlib.util
import re
import tomllib

import pytest
import yaml
from packaging.requirements import Requirement
from tests.command_line import ROOT

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
IN_CONDA = {
    "matplotlib": "matplotlib-base",
    "open_clip_torch": "open-clip-torch",
    "opencv-python-headless": "py-opencv",
    "PyYAML": "pyyaml",
    "torch": "pytorch",
}
"""Names that differ there."""


def test_the_conda_recipe_needs_what_the_project_needs() -> None:
    recipe = yaml.safe_load((ROOT / "deploy" / "conda" / "recipe.yaml").read_text(encoding="utf-8"))
    needed = [Requirement(one) for one in PROJECT["dependencies"]]
    wanted = {IN_CONDA.get(one.name, one.name): str(one.specifier) for one in needed}
    wanted["python"] = PROJECT["requires-python"]
    wanted["py-opencv"] = ">=4.10.0"  # conda's versions have three numbers
    said = dict(one.split(" ", 1) for one in recipe["requirements"]["run"])
    parts = {name: set(bounds.split(",")) for name, bounds in said.items()}
    assert parts == {name: set(bounds.split(",")) for name, bounds in wanted.items()}
    assert recipe["build"]["python"]["entry_points"] == [f"mcd = {PROJECT['scripts']['mcd']}"]


def test_the_container_installs_and_tries_what_the_readme_says() -> None:
    lines = (ROOT / "deploy" / "Dockerfile").read_text(encoding="utf-8").splitlines()
    typed = [line.removeprefix("RUN ").replace("--no-cache-dir /src", ".") for line in lines if line.startswith("RUN ")]
    (first, *_) = re.findall(r"```sh\n(.*?)\n", (ROOT / "README.md").read_text(encoding="utf-8"))
    install, demo = first.split(" && ")
    assert typed[0] == install
    assert typed[-1].split(" && ")[0] == demo
    assert lines.index("USER mcd") < lines.index(f"RUN {typed[-1]}")
    kept = (ROOT / "deploy" / "Dockerfile.dockerignore").read_text(encoding="utf-8")
    for path in ("pyproject.toml", "README.md", "LICENSE", "core", "plugins", "concept_sets", "tools/readme_hook.py"):
        assert f"!{path}\n" in kept
        assert (ROOT / path).exists()


@pytest.mark.parametrize(
    ("repository", "expected"),
    [
        (None, "[a](https://x/y) b  c [d](#e)"),
        (
            "https://own/",
            "[a](https://x/y) [b](https://own/blob/main/docs/b.md#f) ![p](https://own/raw/main/p.png) c [d](#e)",
        ),
    ],
)
def test_links_of_the_description_lead_somewhere_or_are_text(repository: str | None, expected: str) -> None:
    place = importlib.util.spec_from_file_location("readme_hook", ROOT / "tools" / "readme_hook.py")
    assert place is not None
    assert place.loader is not None
    hook = importlib.util.module_from_spec(place)
    place.loader.exec_module(hook)
    assert hook.portable("[a](https://x/y) [b](docs/b.md#f) ![p](p.png) c [d](#e)", repository) == expected


def test_the_citation_file_has_what_its_format_asks_for() -> None:
    found = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert {"cff-version", "message", "title", "authors"} <= set(found)
    assert len({one["title"] for one in found["references"]}) == len(found["references"]) >= 10
    for one in found["references"]:
        assert {"type", "title", "authors", "year"} <= set(one)
        assert one["type"] in {"article", "conference-paper"}
        assert all(author["family-names"] for author in one["authors"])
