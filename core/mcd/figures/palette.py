"""Colours of categories: those of the published figure 4C, in distinguishable shades."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

import matplotlib as mpl

from mcd.figures.drawing import BLUE, GREEN, ORANGE, PURPLE, SKY, VERMILLION, YELLOW

__all__ = ["colours_of"]

_BROWN = "#7A4A1E"
_GREY = "#B8B8B8"
_FOREIGN = "////"

_PUBLISHED = (
    ("anatomy", _BROWN),
    ("location", ORANGE),
    ("finding", PURPLE),
    ("interpretation", BLUE),
    ("action", VERMILLION),
    ("environmental", GREEN),
    ("miscellaneous", _GREY),
)
"""What the broad categories of the published set are called, in part, and brown, orange, violet, blue, red, green and
grey as they are in figure 4C."""

_FREE = (YELLOW, SKY, BLUE, ORANGE, GREEN, PURPLE, VERMILLION, _BROWN)


def colours_of(
    names: Sequence[str], counterparts: Mapping[str, str], foreign: Collection[str] = ()
) -> dict[str, tuple[str, str]]:
    """Return colour and hatch of each category.

    Parameters
    ----------
    counterparts
        Category → the one of the published set that it stands for. Of several that stand for one, all but the first
        are lighter. A category without one goes by its own name, where that is like a published one; others take
        colours that are left.
    foreign
        Categories that are not mammographic: these are hatched.
    """
    found: dict[str, str] = {}
    for name in names:
        colour = _published(counterparts.get(name, name))
        while colour and colour in found.values():
            colour = _lighter(colour)
        if name == "others":
            colour = _GREY
        if colour:
            found[name] = colour
    free = (colour for colour in _FREE if colour not in found.values())
    for name in names:
        if name not in found:
            found[name] = next(free, _GREY)
    return {name: (found[name], _FOREIGN if name in foreign else "") for name in names}


def _published(name: str) -> str:
    low = name.lower()
    return next((colour for part, colour in _PUBLISHED if part in low), "")


def _lighter(colour: str) -> str:
    red, green, blue = mpl.colors.to_rgb(colour)
    return mpl.colors.to_hex((0.5 + 0.5 * red, 0.5 + 0.5 * green, 0.5 + 0.5 * blue))
