"""A package laid out as an installer leaves it."""

from __future__ import annotations

import shutil
import tomllib
from pathlib import Path

__all__ = ["lay_out"]


def lay_out(package: Path, site: Path) -> Path:
    """Copy the import package of a project, with its metadata, into the folder ``site``, which is returned."""
    settings = tomllib.loads((package / "pyproject.toml").read_text(encoding="utf-8"))
    project, (module,) = settings["project"], settings["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]
    shutil.copytree(package / module, site / module)
    info = site / f"{module}-{project['version']}.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: {project['version']}\n")
    groups = {
        group: "\n".join(f"{a} = {b}" for a, b in names.items()) for group, names in project["entry-points"].items()
    }
    (info / "entry_points.txt").write_text("".join(f"[{group}]\n{names}\n" for group, names in groups.items()))
    return site
