"""The page about runs in which there is little or nothing to see, every view of it."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.browser.conftest import Opened
from tests.browser.test_first_screen import ALONE, TOGETHER, first_screen
from tests.plugins.explorer.conftest import page_of
from tests.thin import EVERY, dissected

from mcd.comparison.changes import chance_rule

VIEWS = ("", "neurons", "neurons?q=0.05&verdict=any", "neurons?text=zzz", "concepts", "compare", "neuron/0/0/0")


@pytest.mark.parametrize("shape", EVERY)
def test_every_view_of_it_is_shown(shape: str, browser: object, opened: Callable[..., Opened], tmp_path: Path) -> None:
    pair = dissected(shape, tmp_path)
    page = opened(page_of(list(pair), tmp_path / "both"))  # which makes sure that no script fails
    texts = {view: page.at(view).locator("main").inner_text() for view in VIEWS}
    for view, text in texts.items():
        assert len(text) > 40, view
        assert not re.search(r"\b(NaN|undefined|Infinity|nan)\b|^(true|false|null)$", text, re.MULTILINE), view
    assert "Shares only" in texts["compare"] or any(
        f"{chance_rule(intervals=given)}." in texts["compare"] for given in (True, False)
    )
    significant = sum(one.significant or 0 for run in pair for one in run.manifest.summary)
    named = significant or any(one.draws is None and one.labelled for one in pair[0].manifest.summary)
    assert ("There is nothing to compare" in texts["compare"]) == (not named)
    first_screen(page, TOGETHER)
    alone = opened(page_of(pair[0], tmp_path / "one"))
    first_screen(alone, ALONE)
    for link in alone.at().locator(".answer a").all():
        link.click()
        assert alone.page.locator("main tbody tr:visible").count() > 0, "a link leads to what there is"
        alone.page.go_back()
