"""Terms explained at their place: by keyboard, by touch, and for every heading of the page."""

from __future__ import annotations

import contextlib
from pathlib import Path

from tests.browser.test_explorer import Open
from tests.plugins.explorer.conftest import page_of

import mcd

with contextlib.suppress(ImportError):  # every test here asks for the browser, which then says so
    from playwright.sync_api import expect

_ASKED = "main th[scope^=col], main .verdict, main .rungs dt, main .field:not(.grow)"  # a search needs no explanation
_UNEXPLAINED = """(asked) => [...document.querySelectorAll(asked)]
    .filter((one) => !one.closest('.facts'))  // its columns are letters of runs
    .filter((one) => {
      const button = one.matches('[popovertarget]') ? one : one.querySelector('[popovertarget]');
      return !button || !document.getElementById(button.getAttribute('popovertarget'));
    })
    .map((one) => one.textContent)"""


def test_every_heading_filter_and_verdict_has_its_explanation(
    opened: Open, double: Path, judged: mcd.Dissection, controlled: mcd.Dissection, tmp_path: Path
) -> None:
    pages = (page_of(judged, tmp_path / "judged"), page_of(controlled, tmp_path / "controlled"), double)
    for path in pages:
        tab = opened(path)
        for view in ("overview", "neurons", "neuron/0/0/3", "concepts", *(["compare"] if path == double else [])):
            page = tab.at(view)
            assert page.locator("main th[scope^=col]").count() > 3
            assert page.evaluate(_UNEXPLAINED, _ASKED) == [], view


def test_a_term_is_explained_by_keyboard_and_closed_by_escape(opened: Open, single: Path) -> None:
    page = opened(single).at("neurons")
    ask = page.get_by_role("button", name="What is q?")
    ask.focus()
    page.keyboard.press("Enter")
    expect(page.locator("#about-q")).to_be_visible()
    expect(page.locator("#about-q")).to_contain_text("smallest false discovery rate")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Glossary"  # what is explained comes next
    page.keyboard.press("Escape")
    expect(page.locator("#about-q")).to_be_hidden()
    assert page.evaluate("document.activeElement.getAttribute('aria-label')") == "What is q?"
    page.keyboard.press("Enter")
    page.locator("#about-q a").click()
    expect(page.locator("#term-q")).to_be_focused()
    expect(page.locator("#glossary h1")).to_be_visible()


def test_the_glossary_and_an_open_explanation_fit_a_phone(opened: Open, single: Path, axe: str) -> None:
    page = opened(single, "dark").at("neuron/0/2/63")
    page.set_viewport_size({"width": 390, "height": 844})
    page.locator("#neuron .lead .verdict").click()
    expect(page.locator("#about-significant")).to_be_visible()
    page.evaluate(axe)
    assert page.evaluate("axe.run(document, {resultTypes: ['violations']})")["violations"] == []
    page.goto(page.url.partition("#")[0] + "#glossary")
    expect(page.locator("#glossary dd").first).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    assert page.evaluate("axe.run(document, {resultTypes: ['violations']})")["violations"] == []


def test_without_scripts_terms_are_explained_too(opened: Open, single: Path) -> None:
    page = opened(single, None, scripts=False).at("overview")
    page.locator("table.layers").get_by_role("button", name="Non-null").click()
    expect(page.locator("#about-non-null-fraction")).to_be_visible()
