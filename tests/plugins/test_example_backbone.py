"""``examples/acme_backbone``: the commands of its README do what they say."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from tests.installed import lay_out

EXAMPLE = Path(__file__).parents[2] / "examples" / "acme_backbone"


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """Where the example lies as an installer leaves it."""
    return lay_out(EXAMPLE, tmp_path / "site")


@pytest.mark.slow
def test_the_commands_of_its_readme_run(site: Path, tmp_path: Path) -> None:
    (block,) = re.findall(r"```\n(.*?)```", (EXAMPLE / "README.md").read_text(), re.DOTALL)
    lines = [shlex.split(line) for line in block.replace("\\\n", " ").splitlines() if line.startswith("mcd ")]
    assert [line[1] for line in lines] == ["layers", "dissect"]
    for line in lines:
        command = ["phantom:25" if word == "phantom" else word for word in line[1:]]  # a small part of it will do
        done = subprocess.run(
            [sys.executable, "-m", "mcd", *command],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
            env={**os.environ, "PYTHONPATH": str(site)},
        )
        assert done.returncode == 0, done.stderr
    assert (tmp_path / "runs" / "acme" / "manifest.json").is_file()
