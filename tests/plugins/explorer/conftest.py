"""Runs to look at: the phantom's, and one in which everything that has a name has a hostile one."""

from __future__ import annotations

import base64
import json
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tests.evaluations import judged_copy
from torch import nn

import mcd
from mcd_plugins.explorer.reporter import HtmlReporter

HOSTILE = ("</script><script>window.broken=1</script>", "<img src=x onerror=broken=1>", "=1+1", '"<b>&amp;')
"""Concepts that would be markup, or a formula, to whoever does not escape them."""


def phantom_run(output: Path, **settings: object) -> mcd.Dissection:
    usual = {"layers": ["stages.*", "head"], "concepts": "phantom", "dissector": "phantom-clip"}
    options: dict[str, object] = {**usual, **settings}
    return mcd.dissect(
        "phantom-mammo",
        dataset={"plugin": "phantom", "options": {"patients": 25}},
        output=output,
        progress=False,
        workers=0,
        **options,
    )


def hostile_run(place: Path, **settings: object) -> mcd.Dissection:
    """Dissect a network whose layer has a hostile name, with images and concepts that have too. 24 images."""
    rng = np.random.default_rng(0)
    folder = place / "Jane_Doe"
    for number in range(24):
        path = folder / "<" / f"script><img src=x onerror=broken=1>{number:02d}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(rng.integers(0, 255, (40, 30), dtype=np.uint8)).save(path)
    net = nn.Sequential()
    net.add_module("<img src=x onerror=broken=1>", nn.Conv2d(1, 6, 5))
    net.add_module("</script>", nn.Conv2d(6, 4, 5))
    return mcd.dissect(
        net.eval(),
        layers="*",
        dataset=f"images:{folder}",
        dissector="phantom-clip",
        concepts=list(HOSTILE),
        scorer="cosine",
        output=place / "run",
        progress=False,
        workers=0,
        **settings,
    )


def page_of(dissections: mcd.Dissection | list[mcd.Dissection], folder: Path, **options: object) -> Path:
    reporter = HtmlReporter(HtmlReporter.Options.model_validate(options))
    folder.mkdir(parents=True, exist_ok=True)
    if isinstance(dissections, list):
        return reporter.report_several(dissections, folder)[0]
    return reporter.report(dissections, folder)[0]


class Parsed(HTMLParser):
    """What a browser would find in a page: elements with attributes, text of scripts and styles, all other text."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str]]] = []
        self.inside: dict[str, list[str]] = {"script": [], "style": []}
        self.text = ""
        self._open = ""
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, {name: value or "" for name, value in attrs}))
        self._open = tag if tag in self.inside else ""

    def handle_endtag(self, tag: str) -> None:
        self._open = ""

    def handle_data(self, data: str) -> None:
        if self._open:
            self.inside[self._open].append(data)
        else:
            self.text += " ".join(data.split()) + " "

    @property
    def content(self) -> dict:
        return json.loads(self.inside["script"][0])


def column(packed: dict[str, str]) -> np.ndarray:
    ((kind, text),) = packed.items()
    return np.frombuffer(base64.b64decode(text), dtype=f"<{kind}")


@pytest.fixture(scope="session")
def phantom(tmp_path_factory: pytest.TempPathFactory) -> mcd.Dissection:
    return phantom_run(tmp_path_factory.mktemp("phantom") / "run")


@pytest.fixture(scope="session")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> mcd.Dissection:
    return hostile_run(tmp_path_factory.mktemp("hostile"), keep_identifiers=True)


@pytest.fixture(scope="session")
def mapped(tmp_path_factory: pytest.TempPathFactory) -> mcd.Dissection:
    return phantom_run(tmp_path_factory.mktemp("mapped") / "run", layers=["stages.3", "head"], maps=3)


@pytest.fixture(scope="session")
def controlled(tmp_path_factory: pytest.TempPathFactory) -> mcd.Dissection:
    return phantom_run(tmp_path_factory.mktemp("controlled") / "run", layers=["stages.3", "head"], controls=True)


@pytest.fixture(scope="session")
def judged(phantom: mcd.Dissection, tmp_path_factory: pytest.TempPathFactory) -> mcd.Dissection:
    return judged_copy(phantom, tmp_path_factory.mktemp("judged") / "run")
