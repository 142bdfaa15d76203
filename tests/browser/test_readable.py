"""The page for everybody: accessible, dark, printed, without scripts."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from tests.browser.conftest import Opened

with contextlib.suppress(ImportError):  # every test here asks for the browser, which then says so
    from playwright.sync_api import expect

Open = Callable[..., Opened]
VIEWS = ("overview", "neurons", "neuron/0/2/63", "concepts", "compare")


@pytest.mark.parametrize(
    ("scheme", "width"),
    [
        ("light", 1280),
        pytest.param("dark", 400, marks=pytest.mark.slow),
        pytest.param("light", 400, marks=pytest.mark.nightly),
        pytest.param("dark", 1280, marks=pytest.mark.nightly),
    ],
)
def test_every_view_is_accessible(opened: Open, double: Path, axe: str, scheme: str, width: int) -> None:
    tab = opened(double, color_scheme=scheme)
    tab.page.set_viewport_size({"width": width, "height": 900})
    for view in VIEWS:
        page = tab.at(view)
        page.evaluate(axe)
        found = page.evaluate("axe.run(document, {resultTypes: ['violations']})")
        assert [(one["id"], one["nodes"][0]["html"][:200]) for one in found["violations"]] == [], view
        assert page.evaluate("document.documentElement.scrollWidth") <= width, view


def test_a_link_to_a_view_opens_with_the_navigation_in_sight(opened: Open, double: Path) -> None:
    for view in VIEWS:
        page = opened(double).at(view)
        expect(page.get_by_role("navigation", name="Views")).to_be_in_viewport()


def test_dark_is_dark(opened: Open, single: Path) -> None:
    def brightness(scheme: str) -> float:
        page = opened(single, color_scheme=scheme).at()
        colour = page.evaluate("getComputedStyle(document.body).backgroundColor")
        return float(np.mean([int(one) for one in re.findall(r"\d+", colour)[:3]]))

    assert brightness("dark") < 60
    assert brightness("light") > 220


def test_print_leaves_out_what_only_a_screen_can_use(opened: Open, single: Path) -> None:
    page = opened(single).at("neuron/0/2/63")
    page.emulate_media(media="print")
    assert not page.get_by_role("navigation", name="Views").is_visible()
    assert page.locator("#neuron h1").is_visible()
    assert "never a medical device" in page.locator("footer").inner_text()


def test_without_scripts_there_is_still_the_overview(opened: Open, single: Path) -> None:
    page = opened(single, scripts=False).at()
    assert "Without JavaScript" in page.locator("main").inner_text()
    assert page.locator("table.layers tbody tr").count() == 5
    assert page.locator("button:visible:not([popovertarget])").count() == 0, "what remains needs no script"
