"""What tests need besides the repository: data, packages, programs; absent, they skip or fail."""

from __future__ import annotations

import importlib
import os
from pathlib import Path
from typing import NoReturn

import pytest

__all__ = ["ABSENT", "absent", "package"]

ABSENT = "not on this machine: "


def absent(what: str) -> NoReturn:
    """Skip the test; with ``MCD_TEST_DATA=required`` fail it."""
    if os.environ.get("MCD_TEST_DATA") == "required":
        pytest.fail(ABSENT + what)
    pytest.skip(ABSENT + what)


def package(name: str) -> Path:
    """Return the folder of a package of test data from the test extra."""
    try:
        return Path(str(importlib.import_module(name).__file__)).parent
    except ImportError:
        absent(f"package {name}; pip install 'mammo-clip-dissect[test]'")
