"""Colours of broad categories: by name, so that they are the same in every figure and on every page."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

__all__ = ["HUES", "CategoryColour", "Pattern", "category_colours"]

Pattern = Literal["", "dots", "bars", "rings", "stripes", "crosses"]

HUES: dict[str, tuple[str, str]] = {
    "teal": ("#2e806f", "#8cfef0"),
    "brown": ("#512b04", "#b49877"),
    "ochre": ("#ae7701", "#feca38"),
    "purple": ("#984493", "#8e6a9a"),
    "indigo": ("#352670", "#cbb8fd"),
    "blue": ("#0183e8", "#248aee"),
    "rust": ("#a2420d", "#d5531d"),
    "green": ("#104d39", "#3c7e66"),
    "olive": ("#809562", "#d7f1b0"),
    "pink": ("#f54f9b", "#fc86b2"),
}
"""On a light page and on a dark one.

The hues are those of Okabe & Ito (Color universal design, 2008) and of Tol's muted scheme (Colour schemes,
SRON/EPS/TN/09-002, 2021), assigned as in figure 4C of the paper. The lightness is chosen so that each has a contrast
of at least 3:1 with the page (WCAG 2.2, 1.4.11), and any two differ by a CIEDE2000 of at least 12 in normal vision,
protanopia, deuteranopia and tritanopia (Machado et al. 2009); the smallest difference of Okabe & Ito's is 11.
"""

_DECLARED = {
    "acquisition and quality": "teal",
    "anatomy and composition": "brown",
    "location": "ochre",
    "findings and characterisation": "purple",
    "comparison with priors": "indigo",
    "interpretation": "blue",
    "action or follow-up": "rust",
    "everyday words": "green",
    "technical confounders": "olive",
}
"""The broad categories of the built-in concept sets."""

_PUBLISHED = {
    "breast anatomy or structure": "brown",
    "breast locations": "ochre",
    "findings and characterizations": "purple",
    "interpretations": "blue",
    "action or follow up": "rust",
    "environmental and natural": "green",
    "miscellaneous": "pink",
}
"""Those of the published set, as near as possible to their colours in figure 4C."""

_OWN: tuple[Pattern, ...] = ("", "dots", "bars", "rings")
_FOREIGN: tuple[Pattern, ...] = ("stripes", "crosses")
"""Patterns in turn, of categories that are mammographic and of those that are not."""


@dataclass(frozen=True)
class CategoryColour:
    """How a broad category is drawn.

    Parameters
    ----------
    hue
        Its name in the palette.
    light, dark
        ``#rrggbb`` on a light page, as in figures, and on a dark one.
    pattern
        Drawn over the colour; empty for none. ``stripes`` and ``crosses`` are of categories that are not mammographic.
    """

    hue: str
    light: str
    dark: str
    pattern: Pattern = ""


def category_colours(
    names: Iterable[str], counterparts: Mapping[str, str] | None = None, foreign: Collection[str] = ()
) -> dict[str, CategoryColour]:
    """Return the colour of each broad category of a vocabulary.

    Those of the built-in and of the published concept set have colours of their own. Any other takes one by a digest of
    its name; where another of the vocabulary has it, the next that is free. Beyond ten categories, colours come again
    with a pattern over them.

    Parameters
    ----------
    names
        All broad categories of the vocabulary, in any order, also those that nothing is labelled with: the colour of
        one then does not depend on which others are shown.
    counterparts
        Category → the one of the published set that it stands for, as the concept set says.
    foreign
        Categories that are not mammographic: these have a pattern.
    """
    said = counterparts or {}
    every = sorted(set(names))
    wanted: dict[str, list[str]] = {}  # hues in the order in which a category may have them; who chooses first, first
    for known in (_DECLARED, _PUBLISHED):
        wanted |= {name: [known[_plain(name)]] for name in every if _plain(name) in known and name not in wanted}
    stands = {name: _PUBLISHED.get(_plain(said.get(name, "")), "") for name in every}
    wanted |= {name: [hue] for name, hue in stands.items() if hue and name not in wanted}
    wanted |= {name: _by_digest(name) for name in every if name not in wanted}
    taken: set[tuple[str, Pattern]] = set()
    found: dict[str, CategoryColour] = {}
    for name, hues in wanted.items():
        hue, pattern = _free(hues, _FOREIGN if name in foreign else _OWN, taken)
        taken.add((hue, pattern))
        found[name] = CategoryColour(hue, *HUES[hue], pattern)
    return {name: found[name] for name in every}


def _by_digest(name: str) -> list[str]:
    return sorted(HUES, key=lambda hue: hashlib.sha256(f"{hue}\0{name}".encode()).digest())


def _free(
    hues: Sequence[str], patterns: Sequence[Pattern], taken: Collection[tuple[str, Pattern]]
) -> tuple[str, Pattern]:
    """Return a hue that nothing has, or one with a pattern that is free; where all are taken, the first."""
    slots = [(hue, pattern) for pattern in patterns for hue in hues]
    free = [slot for slot in slots if slot not in taken] or slots
    used = {hue for hue, _ in taken}
    return next((slot for slot in free if slot[0] not in used), free[0])


def _plain(name: str) -> str:
    return " ".join(name.replace("_", " ").casefold().split())
