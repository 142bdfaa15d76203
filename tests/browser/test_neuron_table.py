"""The table of neurons on the page: its order and its pages."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from tests.browser.conftest import Opened, saved

Open = Callable[..., Opened]


def test_a_sorted_column_says_so_and_unknown_values_come_last(opened: Open, single: Path) -> None:
    page = opened(single).at("neurons")
    assert page.locator("#neurons th[aria-sort]").get_attribute("aria-sort") == "ascending"
    first = [(float(row["q"]), -float(row["z"])) for row in saved(page, "Download as CSV")]
    assert first == sorted(first)
    page.get_by_role("button", name="q", exact=True).click()
    page.get_by_role("button", name="q", exact=True).click()
    assert page.locator("#neurons th[aria-sort]").inner_text().startswith("q")
    rows = [float(row["q"]) for row in saved(page, "Download as CSV")]
    assert rows == sorted(rows)


def test_pages_of_the_table_show_every_neuron_once(opened: Open, single: Path) -> None:
    page = opened(single).at("neurons")
    seen: list[str] = []
    while True:
        seen += page.locator("#neurons tbody a").evaluate_all("all => all.map((one) => one.hash)")
        if page.get_by_role("button", name="Next", exact=True).is_disabled():
            break
        page.get_by_role("button", name="Next", exact=True).click()
    assert len(seen) == len(set(seen)) == 307
