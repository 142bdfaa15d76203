"""The page of a bench: accessible, on a narrow screen too, and it asks for nothing."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from tests.browser.conftest import Opened
from tests.plugins.bench.materials import material

from mcd_plugins.bench.contract import PLANTS
from mcd_plugins.bench.methods import published
from mcd_plugins.bench.page import page
from mcd_plugins.bench.report import Report
from mcd_plugins.bench.running import cases_of, outcomes

Open = Callable[..., Opened]


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the page of a bench of four methods on units planted without networks."""
    of = material()
    cases = cases_of(of, dict.fromkeys(PLANTS, 3), 1, 0)
    found = outcomes(cases, [one for one in published() if one.name.startswith(("CLIP-Dissect c", "Network", "WWW"))])
    path = tmp_path_factory.mktemp("bench") / "bench.html"
    path.write_bytes(page(Report(of.name, of.truth_is, {"size": "toy", "seed": 0, "repeats": 1}, tuple(found))))
    return path


@pytest.mark.parametrize(
    ("scheme", "width"),
    [
        ("light", 1280),
        pytest.param("dark", 400, marks=pytest.mark.slow),
        pytest.param("light", 400, marks=pytest.mark.nightly),
        pytest.param("dark", 1280, marks=pytest.mark.nightly),
    ],
)
def test_the_page_is_accessible(opened: Open, bench: Path, axe: str, scheme: str, width: int) -> None:
    tab = opened(bench, color_scheme=scheme)
    tab.page.set_viewport_size({"width": width, "height": 900})
    page = tab.at()
    page.evaluate(axe)
    found = page.evaluate("axe.run(document, {resultTypes: ['violations']})")
    assert [(one["id"], one["nodes"][0]["html"][:200]) for one in found["violations"]] == []
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    captions = page.evaluate("[...document.querySelectorAll('caption')].map(one => one.getBoundingClientRect().right)")
    assert len(captions) > 1
    assert max(captions) <= width  # read without scrolling, as wide as the table may be
