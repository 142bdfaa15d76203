"""Print the lowest versions that ``pyproject.toml`` allows, as constraints for pip.

``python tools/lowest.py > lowest.txt && pip install -c lowest.txt .`` installs them. What only tests, checks
and the site need (the extras ``test`` and ``docs``) is not constrained: linters and type checkers of old versions say
other things.
"""

from __future__ import annotations

import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

from packaging.requirements import Requirement

_NOT_CONSTRAINED = ("docs", "test")


def lowest(project: str) -> list[str]:
    """Return a line ``NAME==VERSION`` for each requirement of a project.

    Parameters
    ----------
    project
        The text of its ``pyproject.toml``.

    Raises
    ------
    ValueError
        When a requirement has no lower bound.
    """
    return sorted(f"{one.name}=={_bound(one)}" for one in _requirements(tomllib.loads(project)["project"]))


def _requirements(project: dict[str, object]) -> Iterator[Requirement]:
    own, extras = project.get("dependencies", []), project.get("optional-dependencies", {})
    assert isinstance(own, list)
    assert isinstance(extras, dict)
    groups = [own, *(lines for name, lines in extras.items() if name not in _NOT_CONSTRAINED)]
    found = (Requirement(line) for lines in groups for line in lines)
    return (one for one in found if one.name != project["name"])  # an extra that is made of other extras


def _bound(requirement: Requirement) -> str:
    versions = [one.version for one in requirement.specifier if one.operator in (">=", "~=", "==")]
    if len(versions) != 1:
        raise ValueError(f"{requirement} has no lower bound: write {requirement.name}>=VERSION")
    return versions[0]


def main() -> None:
    """Print the constraints of this repository."""
    root = Path(__file__).resolve().parent.parent
    try:
        print("\n".join(lowest((root / "pyproject.toml").read_text(encoding="utf-8"))))
    except ValueError as error:
        sys.exit(f"error: {error}")


if __name__ == "__main__":
    main()
