"""Which colours a page and a figure give to broad categories."""

from __future__ import annotations

import re
from collections.abc import Sequence
from html.parser import HTMLParser
from pathlib import Path

from matplotlib.colors import to_hex

import mcd

__all__ = ["in_figure", "on_page"]


class _Legend(HTMLParser):
    """Which class each name in the legend of a page has."""

    def __init__(self) -> None:
        super().__init__()
        self.inside, self.last = False, ""
        self.found: dict[str, str] = {}

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        said = dict(attrs)
        self.inside = said.get("class") == "legend" if tag == "ul" else self.inside
        self.last = str(said.get("class")) if tag == "rect" else self.last

    def handle_endtag(self, tag: str) -> None:
        self.inside = self.inside and tag != "ul"

    def handle_data(self, data: str) -> None:
        if self.inside and data.strip():
            self.found[data.strip()] = self.last


def on_page(dissections: Sequence[mcd.Dissection], folder: Path) -> dict[str, tuple[str, str]]:
    """Return colour and pattern of each category in the legend of a page."""
    (path,) = mcd.report(dissections, reporters="html", output=folder)
    text = path.read_text(encoding="utf-8")
    values = dict(reversed(re.findall(r"--(hue-\w+): (#\w{6});", text)))  # the first are those of light pages
    legend = _Legend()
    legend.feed(text)
    found = {}
    for name, said in legend.found.items():
        if said.startswith("hue-"):
            hue, _, pattern = said.removeprefix("hue-").partition("-")
            assert not pattern or f'<pattern id="{said}"' in text
            found[name] = (values[f"hue-{hue}"], pattern)
    return found


def in_figure(dissections: Sequence[mcd.Dissection]) -> dict[str, tuple[str, bool]]:
    """Return the colour of each category in a figure, and whether something is drawn over it."""
    figure = mcd.figures.categories(mcd.figures.collect(dissections))
    return {
        str(one.get_label()): (to_hex(one[0].get_facecolor()), bool(one[0].get_hatch()))
        for one in figure.axes[0].containers
        if one.get_label() and len(one)
    }
