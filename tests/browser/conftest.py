"""Chromium, and pages opened in it from files. Absent: skipped."""

from __future__ import annotations

import csv
import io
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import pytest
from tests.absence import absent
from tests.plugins.explorer.conftest import (
    controlled,
    hostile,
    hostile_run,
    judged,
    mapped,
    page_of,
    phantom,
    phantom_run,
)

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

    import mcd

__all__ = ["axe", "controlled", "hostile", "hostile_run", "judged", "mapped", "phantom", "phantom_run"]


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """Debian's Chromium, or another that is on the path."""
    program = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if program is None:
        absent("there is no Chromium: apt-get install chromium")
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        absent("Playwright is not installed: pip install 'mammo-clip-dissect[test]'")
    with sync_playwright() as playwright:
        # as root, in a container, Chromium has no sandbox of its own; the pages are ours
        started = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        yield started
        started.close()


class Opened:
    """A page in a tab of its own, and what went wrong in it: errors, console messages, requests."""

    def __init__(
        self,
        browser: Browser,
        path: Path,
        *,
        color_scheme: Literal["light", "dark"] | None = None,
        java_script_enabled: bool = True,
    ) -> None:
        self.context = browser.new_context(
            viewport={"width": 1280, "height": 900}, color_scheme=color_scheme, java_script_enabled=java_script_enabled
        )
        self.page: Page = self.context.new_page()
        self.path = path
        self.wrong: list[str] = []
        self.page.on("pageerror", lambda error: self.wrong.append(str(error)))
        self.page.on("console", lambda message: self.wrong.append(message.text))
        self.page.on("request", self._asked)

    def _asked(self, request: object) -> None:
        address = str(getattr(request, "url", ""))
        beside = f"{self.path.parent.as_uri()}/explorer-images/"
        if address.partition("#")[0] != self.path.as_uri() and not address.startswith(("data:", "blob:", beside)):
            self.wrong.append(address)

    def at(self, view: str = "") -> Page:
        self.page.goto("about:blank")
        self.page.goto(f"{self.path.as_uri()}#{view}")
        return self.page


def saved(page: Page, button: str) -> list[dict[str, str]]:
    with page.expect_download() as waiting:
        page.get_by_role("button", name=button).click()
    return list(csv.DictReader(io.StringIO(Path(waiting.value.path()).read_text(encoding="utf-8"))))


@pytest.fixture
def opened(browser: Browser) -> Iterator[object]:
    """Open pages; afterwards nothing may have gone wrong in any of them."""
    tabs: list[Opened] = []

    def open_(path: Path, color_scheme: Literal["light", "dark"] | None = None, scripts: bool = True) -> Opened:
        tabs.append(Opened(browser, path, color_scheme=color_scheme, java_script_enabled=scripts))
        return tabs[-1]

    yield open_
    wrong = [one for tab in tabs for one in tab.wrong if one != "about:blank"]
    for tab in tabs:
        tab.context.close()
    assert wrong == []


@pytest.fixture(scope="session")
def single(phantom: mcd.Dissection, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return page_of(phantom, tmp_path_factory.mktemp("single"))


@pytest.fixture(scope="session")
def double(phantom: mcd.Dissection, tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("double")
    return page_of([phantom, phantom_run(place / "run", pooling="max")], place)


@pytest.fixture(scope="session")
def mapped_page(mapped: mcd.Dissection, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return page_of(mapped, tmp_path_factory.mktemp("mapped"))


@pytest.fixture(scope="session")
def axe() -> str:
    """Return the source of axe-core, from the folder that AXE_CORE names or a node_modules that npm knows."""
    places = [Path(os.environ["AXE_CORE"])] if os.environ.get("AXE_CORE") else []
    for flags in ([], ["-g"]):
        npm = shutil.which("npm")
        if npm is not None:
            told = subprocess.run([npm, "root", *flags], capture_output=True, text=True, check=False).stdout.strip()
            places.append(Path(told) / "axe-core")
    for place in places:
        if (place / "axe.min.js").is_file():
            return (place / "axe.min.js").read_text(encoding="utf-8")
    return absent("there is no axe-core: npm install axe-core somewhere, and AXE_CORE=FOLDER/node_modules/axe-core")
