"""The examples in docstrings give what they show."""

from __future__ import annotations

import doctest
import importlib
from pathlib import Path

import pytest

import mcd
import mcd_concepts
import mcd_plugins


def modules_with_examples() -> list[str]:
    found = []
    for package in (mcd, mcd_concepts, mcd_plugins):
        for root in package.__path__:
            for file in sorted(Path(root).rglob("*.py")):
                if ">>> " in file.read_text(encoding="utf-8"):
                    name = ".".join((package.__name__, *file.relative_to(root).with_suffix("").parts))
                    found.append(name.removesuffix(".__init__"))
    return found


@pytest.mark.parametrize("name", modules_with_examples())
def test_examples_of_a_module(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    failed, _ = doctest.testmod(importlib.import_module(name), optionflags=doctest.ELLIPSIS)
    assert failed == 0, capsys.readouterr().out
