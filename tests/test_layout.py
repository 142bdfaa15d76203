"""The page about the layout of the code says what is there, and the linter holds the same order."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "explanation" / "code-layout.md").read_text(encoding="utf-8")
ENGINE = ROOT / "core" / "mcd"
ABOVE = {"__main__", "testing", "templates"}
"""What stands above all floors and is not in the drawing."""


def floors() -> list[set[str]]:
    """Return the packages on each floor of the drawing, from the top."""
    drawing = PAGE.split("```")[1]
    return [set(names) for line in drawing.splitlines() if (names := re.findall(r"[a-z_]+", line))]


def named(suffix: str) -> list[str]:
    """Return what the tables name in their first column."""
    return re.findall(rf"^\| `(\w+){re.escape(suffix)}` \|", PAGE, flags=re.MULTILINE)


def layers() -> list[set[str]]:
    """Return the layers that the linter holds, from the top."""
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["importlinter"]
    (contract,) = [one for one in settings["contracts"] if one["type"] == "layers"]
    assert contract["exhaustive"]
    return [set(re.findall(r"\w+", layer)) for layer in contract["layers"]]


def test_every_package_is_named_once() -> None:
    packages = sorted(path.parent.name for path in ENGINE.glob("*/__init__.py"))
    assert sorted(named("")) == packages
    assert sorted(name for floor in floors() for name in floor) == sorted(set(packages) - ABOVE)


def test_every_file_of_the_root_is_named_once_and_there_are_few() -> None:
    files = sorted(path.stem for path in ENGINE.glob("*.py"))
    assert sorted(named(".py")) == files
    assert len(files) <= 12


def test_the_linter_holds_the_order_of_the_drawing() -> None:
    top, *middle, root = layers()
    assert top <= ABOVE
    assert middle == floors()
    assert root == {path.stem for path in ENGINE.glob("*.py")} - {"__init__", "__main__"}
