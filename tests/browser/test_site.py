"""The site: it is built without a warning, has every public name, and asks no other host for anything."""

from __future__ import annotations

import importlib
import os
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from tests.command_line import ROOT

if TYPE_CHECKING:
    from playwright.sync_api import Browser

pytestmark = pytest.mark.slow

MODULES = ("mcd", "mcd.errors", "mcd.events", "mcd.figures", "mcd.plugins", "mcd.testing")
_FETCHED = {"script": "src", "img": "src", "iframe": "src", "link": "href", "source": "src"}


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if "MCD_SITE" in os.environ:  # .ci/run has built it
        return Path(os.environ["MCD_SITE"])
    folder = tmp_path_factory.mktemp("site") / "site"
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(folder)],
        cwd=ROOT,
        env={**os.environ, "NO_MKDOCS_2_WARNING": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout + done.stderr) == (0, "")
    return folder


class Fetched(HTMLParser):
    """What a page makes a browser fetch, and the anchors that it has."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.urls: list[str] = []
        self.anchors: set[str] = set()
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        self.anchors.add(values.get("id") or "")
        if tag in _FETCHED and values.get("rel") not in ("canonical", "prev", "next"):
            self.urls.append(values.get(_FETCHED[tag]) or "")


def test_every_public_name_has_its_place_in_the_reference(site: Path) -> None:
    for module in MODULES:
        text = (site / "reference" / "api" / f"{module}.html").read_text(encoding="utf-8")
        anchors = Fetched(text).anchors
        assert "<blockquote>" not in text, "what >>> begins in a docstring is code"
        names = {f"{module}.{name}" for name in importlib.import_module(module).__all__}
        assert names - anchors - set(MODULES) == set()


def test_no_page_fetches_anything_from_another_host(site: Path) -> None:
    pages = sorted(site.rglob("*.html"))
    assert len(pages) > 60
    for page in pages:
        urls = Fetched(page.read_text(encoding="utf-8")).urls
        assert urls, page
        assert [url for url in urls if re.match(r"([a-z]+:)?//", url)] == [], page
    for style in site.rglob("*.css"):
        found = re.findall(r"(?:@import|url\()\s*[\"']?(?:[a-z]+:)?//[^)\s]+", style.read_text(encoding="utf-8"))
        assert found == [], style


def test_every_page_of_the_repository_is_on_the_site(site: Path) -> None:
    for page in [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "examples").rglob("*.md")]:
        path = str(page.relative_to(ROOT)).removeprefix("docs/")
        path = re.sub(r"README\.md$", "index.md", path)
        assert (site / path).with_suffix(".html").is_file(), path


def test_the_search_answers_where_pages_are_opened_as_files(site: Path, browser: Browser) -> None:
    page = browser.new_page()
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.goto((site / "how-to" / "write-a-plugin.html").as_uri())
    page.locator("input[name=query]").click()
    page.keyboard.type("permutation")
    found = page.locator(".md-search-result__item a").first
    found.wait_for()
    assert found.get_attribute("href")
    assert [url for url in asked if not url.startswith(("file:", "data:"))] == []
    page.close()
