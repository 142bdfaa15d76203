"""Units on the page: their names are shown and found, and no name becomes part of the page."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from tests.browser.conftest import Opened
from tests.runs.test_dissect import Patches, dissect
from tests.runs.test_run_target import Plain
from torch import nn

import mcd


def test_a_unit_is_found_by_its_name(opened: Callable[[Path], Opened], axe: str, tmp_path: Path) -> None:
    names = ("round mass", "<img src=x onerror=alert(1)>", "other")
    units = mcd.Units("mine", nn.Linear(6, 3), 6, 3, names=names, facts={"<b>kind": "<i>drawn"})
    run = dissect(model=Plain(), dataset=Patches(), layers="conv", units=units, neurons=True)
    (path,) = mcd.report(run, output=tmp_path)
    tab = opened(path)
    assert "<b>kind: <i>drawn" in tab.at().inner_text(".seen")
    tab.page.evaluate(axe)
    problems = tab.page.evaluate("async () => (await axe.run()).violations.map((one) => one.id)")
    assert problems == []
    page = tab.at("neurons")
    page.fill("#f-text", "round mass")
    assert page.inner_text("#neurons .counted") == "1 of 9 neurons"
    page.click("#neurons tbody a")
    assert page.inner_text("#neuron-title") == "conv/mine neuron 0: round mass"
    assert tab.at("neuron/0/1/1").inner_text("#neuron-title").endswith("<img src=x onerror=alert(1)>")
