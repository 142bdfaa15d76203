"""Fixtures that all tests share: the test data beside the repository, and a command line that runs in a process."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of test data beside the repository; absent: skipped, in CI: failed."""
    folder = ROOT.parent / "shared"
    if not folder.is_dir():
        absent = "the test data is not there: no folder 'shared' beside the repository"
        if os.environ.get("CI"):
            pytest.fail(absent)
        pytest.skip(absent)
    return folder


@dataclass(frozen=True)
class Outcome:
    """What a command left: exit code, standard output, standard error."""

    code: int
    out: str
    err: str


@pytest.fixture(scope="session")
def mcd_command() -> Callable[..., Outcome]:
    """Run ``mcd`` in a process of its own, as a person does."""

    def run(*arguments: object, cwd: Path | None = None, **environment: str) -> Outcome:
        done = subprocess.run(
            [sys.executable, "-m", "mcd", *map(str, arguments)],
            capture_output=True,
            text=True,
            cwd=cwd,
            env={**os.environ, "COLUMNS": "80", **environment},
            check=False,
        )
        return Outcome(done.returncode, done.stdout, done.stderr)

    return run
