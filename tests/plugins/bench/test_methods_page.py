"""The page about the methods lists every one of them, in the order of the tables."""

from __future__ import annotations

import re
from pathlib import Path

from mcd_plugins.bench.methods import published

PAGE = Path(__file__).parents[3] / "docs" / "reference" / "bench-methods.md"


def test_every_method_is_on_the_page_in_order() -> None:
    text = PAGE.read_text(encoding="utf-8").split("| method | source |")[0]
    rows = re.findall(r"^\| ([^|]+?) \|.*\| ([^|]+?) \|$", text, flags=re.MULTILINE)[2:]
    assert [name for name, _ in rows] == [one.name for one in published()]


def test_a_method_without_a_rule_always_claims() -> None:
    text = PAGE.read_text(encoding="utf-8")
    for one in published():
        (said,) = re.findall(rf"^\| {re.escape(one.name)} \|.*\| ([^|]+?) \|$", text, flags=re.MULTILINE)[:1]
        assert (said == "always") == (not one.rule), one.name
