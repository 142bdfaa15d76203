"""``examples/acme_words``: a vocabulary as an installable package without Python."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLE = Path(__file__).parents[3] / "examples" / "acme_words"


@pytest.mark.slow
def test_it_is_found_shown_and_used_once_it_is_installed(tmp_path: Path) -> None:
    assert list(EXAMPLE.rglob("*.py")) == []
    subprocess.run(
        [
            sys.executable,
            "-m",
            "pip",
            "install",
            "--quiet",
            "--disable-pip-version-check",
            "--no-deps",
            "--target",
            str(tmp_path / "site"),
            str(EXAMPLE),
        ],
        check=True,
    )

    def said(*arguments: str) -> str:
        environment = {**os.environ, "PYTHONPATH": str(tmp_path / "site")}
        command = [sys.executable, "-m", "mcd", *arguments]
        return subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout

    assert ["concept", "set", "acme-words", "acme-words"] in [
        line.split()[:4] for line in said("plugins", "list").splitlines()
    ]
    assert said("concepts", "show", "acme-words/acme-words").startswith("acme-words 0.1 · 12 concepts · CC0-1.0")
    assert "no findings" in said("concepts", "lint", "acme-words", "--ignore", "small")
