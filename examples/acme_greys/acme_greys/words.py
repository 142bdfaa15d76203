"""What words say of grey values. The lexicon is the whole of what the dissector knows: read it, and change it."""

from __future__ import annotations

import re
from collections.abc import Mapping

__all__ = ["LEXICON", "STATISTICS", "known"]

STATISTICS = ("area", "brightness", "specks", "lumps", "regions")
"""What is measured of an image: the share that is breast, its mean, and bright detail at three scales."""

LEXICON: Mapping[str, Mapping[str, float]] = {
    "bright": {"brightness": 1},
    "dark": {"brightness": -1},
    "dense": {"brightness": 1},
    "fatty": {"brightness": -1},
    "large": {"area": 1},
    "small": {"area": -1},
    "calcification": {"specks": 1, "lumps": -0.5},
    "calcifications": {"specks": 1, "lumps": -0.5},
    "mass": {"lumps": 1, "specks": -0.5},
    "asymmetry": {"regions": 1},
    "smooth": {"specks": -1, "lumps": -0.5},
}
"""Word → statistic → how many spreads above the usual it means."""


def known(text: str) -> list[str]:
    """Return the words of a text that are in the lexicon.

    >>> known("A fatty breast with a mass.")
    ['fatty', 'mass']
    """
    return [word for word in re.findall(r"\w+", text.lower()) if word in LEXICON]
