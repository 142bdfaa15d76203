"""A package laid out as an installer leaves it, and an environment that packages can be installed into."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
import tomllib
from dataclasses import dataclass
from pathlib import Path

from tests.command_line import Outcome

__all__ = ["Environment", "lay_out"]


@dataclass(frozen=True)
class Environment:
    """A virtual environment on top of that of the tests: it has all that is installed there, and what is added.

    Attributes
    ----------
    python
        Its interpreter.
    site
        Where packages are installed into it.
    """

    python: Path
    site: Path

    @classmethod
    def made(cls, folder: Path) -> Environment:
        """Make one in a folder; nothing is fetched."""
        subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder], check=True)
        python = folder / "bin" / "python"
        asked = [python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"]
        site = Path(subprocess.run(asked, capture_output=True, text=True, check=True).stdout.strip())
        beneath = sysconfig.get_path("purelib")  # what the tests run with, pip among it, and what that links to
        (site / "beneath.pth").write_text(f"import site; site.addsitedir({beneath!r})\n")
        return cls(python, site)

    def mcd(self, *words: object, cwd: Path | None = None) -> Outcome:
        """Run ``mcd`` in it."""
        return self.run("mcd", *words, cwd=cwd)

    def run(self, module: str, *words: object, cwd: Path | None = None) -> Outcome:
        """Run a module in it, as ``python -m`` does."""
        command = [self.python, "-m", module, *map(str, words)]
        done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=cwd, env=dict(os.environ))
        return Outcome(done.returncode, done.stdout, done.stderr)


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
