"""Colours of broad categories: distinct in colour-blind vision too, the same wherever a category is drawn."""

from __future__ import annotations

import re
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
from matplotlib.colors import to_hex
from numpy.typing import NDArray
from tests.figures.conftest import data_of, outcomes_of

import mcd
from mcd.components import Kind
from mcd.figures import HUES, category_colours
from mcd.host import PluginHost
from mcd.study.preparer import Preparer
from mcd.study.study import Choice

Values = NDArray[np.float64]

# Machado, Oliveira, Fernandes, A physiologically-based model for simulation of color vision deficiency, IEEE TVCG 15
# (6), 2009: severity 1.0, of linear RGB
VISION = {
    "normal": np.eye(3),
    "protanopia": np.array(
        [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]]
    ),
    "deuteranopia": np.array(
        [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]]
    ),
    "tritanopia": np.array(
        [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]]
    ),
}
TO_XYZ = np.array(
    [[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.0721750], [0.0193339, 0.1191920, 0.9503041]]
)
LEAST = 12.0
"""CIEDE2000 between any two; those of Okabe & Ito differ by 11 at least."""
STYLE = Path(__file__).parents[2] / "plugins" / "mcd_plugins" / "explorer" / "style.css"


def linear(colour: str) -> Values:
    values = np.array([int(colour[at : at + 2], 16) for at in (1, 3, 5)]) / 255
    return np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4)


def lab(rgb: Values) -> Values:
    """Return CIELAB under D65 of linear RGB."""
    relative = TO_XYZ @ np.clip(rgb, 0, 1) / np.array([0.95047, 1.0, 1.08883])
    f = np.where(relative > (6 / 29) ** 3, np.cbrt(relative), relative / (3 * (6 / 29) ** 2) + 4 / 29)
    return np.array([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])])


def difference(one: Values, other: Values) -> float:
    """Return CIEDE2000, as Sharma, Wu & Dalal (2005) write it."""
    mean = float(np.hypot(*one[1:]) + np.hypot(*other[1:])) / 2
    stretch = 1.5 - 0.5 * np.sqrt(mean**7 / (mean**7 + 25**7))
    (c1, h1), (c2, h2) = (
        (np.hypot(stretch * a, b), np.degrees(np.arctan2(b, stretch * a)) % 360) for _, a, b in (one, other)
    )
    turn = (h2 - h1 + 180) % 360 - 180
    hue = (h1 + turn / 2) % 360
    lightness, chroma = (one[0] + other[0]) / 2, (c1 + c2) / 2
    waves = ((1, -0.17, -30), (2, 0.24, 0), (3, 0.32, 6), (4, -0.2, -63))
    t = 1 + sum(size * np.cos(np.radians(times * hue + by)) for times, size, by in waves)
    parts = (
        (other[0] - one[0]) / (1 + 0.015 * (lightness - 50) ** 2 / np.sqrt(20 + (lightness - 50) ** 2)),
        (c2 - c1) / (1 + 0.045 * chroma),
        2 * np.sqrt(c1 * c2) * np.sin(np.radians(turn / 2)) / (1 + 0.015 * chroma * t),
    )
    rotation = np.sin(np.radians(60 * np.exp(-(((hue - 275) / 25) ** 2)))) * 2
    rotation *= np.sqrt(chroma**7 / (chroma**7 + 25**7))
    return float(np.sqrt(sum(part**2 for part in parts) - rotation * parts[1] * parts[2]))


def contrast(one: str, other: str) -> float:
    high, low = sorted((float((TO_XYZ @ linear(colour))[1]) + 0.05 for colour in (one, other)), reverse=True)
    return high / low


def test_the_difference_is_that_of_published_pairs() -> None:
    for one, other, expected in (
        ((50.0, 2.6772, -79.7751), (50.0, 0.0, -82.7485), 2.0425),
        ((50.0, 2.5, 0.0), (73.0, 25.0, -18.0), 27.1492),
        ((2.0776, 0.0795, -1.1350), (0.9033, -0.0636, -0.5514), 0.9082),
    ):
        assert difference(np.array(one), np.array(other)) == pytest.approx(expected, abs=1e-4)


@pytest.mark.parametrize("vision", VISION)
@pytest.mark.parametrize("theme", [0, 1], ids=["light", "dark"])
def test_any_two_colours_differ_for_everybody(theme: int, vision: str) -> None:
    seen = {name: lab(VISION[vision] @ linear(pair[theme])) for name, pair in HUES.items()}
    for one, other in combinations(seen, 2):
        assert difference(seen[one], seen[other]) >= LEAST, (one, other)


def test_every_colour_stands_out_from_the_page_and_none_is_grey() -> None:
    papers = re.findall(r"--(?:page|paper): (#\w{6});", STYLE.read_text())
    light, dark = ["#ffffff", *papers[:2]], papers[2:4]
    for name, pair in HUES.items():
        for colour, backgrounds in zip(pair, (light, dark), strict=True):
            assert all(contrast(colour, one) >= 3 for one in backgrounds), name
            assert np.hypot(*lab(linear(colour))[1:]) > 15, name


def test_each_broad_category_of_the_built_in_sets_has_a_colour_of_its_own() -> None:
    host = PluginHost.discover([])
    names = [offer.component.name for offer in host.offers(Kind.CONCEPTS)]
    every = {name: Preparer(host).concepts([Choice(plugin=name)])[0].broad_categories for name in names}
    whole = category_colours(broad for found in every.values() for broad in found)
    assert len({one.hue for one in whole.values()}) == len(whole) == 9
    for found in every.values():  # alone they have the same as together
        assert category_colours(found).items() <= whole.items()


NAMES = ["Location", "Pets", "Lines", "Blobs", "Action or follow-up", "Tubes", "Interpretation"]


def test_a_colour_depends_on_the_name_alone() -> None:
    found = category_colours(NAMES)
    assert category_colours(reversed(NAMES)) == found
    assert found["Location"] == category_colours(["Location"])["Location"]
    assert category_colours(["Breast_locations"])["Breast_locations"].hue == found["Location"].hue
    assert len({one.hue for one in found.values()}) == len(NAMES)  # one that is not known avoids those that are


def test_a_category_may_say_which_of_the_published_set_it_stands_for() -> None:
    found = category_colours(["Blobs", "Dots"], {"Blobs": "Findings and characterizations", "Dots": "Nothing"})
    assert found["Blobs"].hue == category_colours(["Findings and characterisation"]).popitem()[1].hue


@pytest.mark.parametrize("count", [11, 40])
def test_beyond_ten_categories_a_pattern_tells_colours_apart(count: int) -> None:
    found = category_colours(f"category {at}" for at in range(count))
    assert len({(one.hue, one.pattern) for one in found.values()}) == count
    assert len({one.hue for one in found.values()}) == len(HUES)
    assert len(category_colours(f"category {at}" for at in range(60))) == 60


def test_what_is_no_mammographic_category_has_a_pattern() -> None:
    found = category_colours(NAMES, foreign=["Pets", "Lines"])
    assert {name for name, one in found.items() if one.pattern in ("stripes", "crosses")} == {"Pets", "Lines"}


def test_a_colour_stays_when_no_neuron_has_another_category() -> None:
    widths = {"a": 40, "b": 40}
    whole = mcd.figures.categories(data_of([outcomes_of("run", widths, 1)]))
    upper = data_of([outcomes_of("run", widths, 1)])
    table = upper.comparison.categories
    table.loc[table["name"] == "Findings", ["neurons", "share"]] = 0
    colours = [
        {one.get_label(): to_hex(one[0].get_facecolor()) for one in figure.axes[0].containers}
        for figure in (whole, mcd.figures.categories(upper))
    ]
    assert colours[1].items() < colours[0].items()
    assert "Findings" not in colours[1]


def test_the_palette_is_declared_once() -> None:
    roots = [STYLE.parents[2], Path(mcd.__file__).parent]
    every = {colour for pair in HUES.values() for colour in pair}
    for path in (one for root in roots for one in root.rglob("*.*") if one.suffix in {".py", ".css", ".js", ".j2"}):
        if path.name != "palette.py":
            assert not every & set(re.findall(r"#[0-9a-f]{6}", path.read_text(encoding="utf-8").lower())), path
