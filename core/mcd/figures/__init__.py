"""Figures of stored runs: functions that return a `matplotlib.figure.Figure`, and need neither notebook nor display.

The public names are imported on first use.

>>> import mcd
>>> shown = mcd.figures.prepare([mcd.load("runs/general"), mcd.load("runs/mammo")])  # doctest: +SKIP
>>> mcd.figures.depth(shown).savefig("depth.pdf")  # doctest: +SKIP
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mcd.figures.catalogue import FIGURES, Drawn, Refused, Wanted, draw
    from mcd.figures.chance import controls, null
    from mcd.figures.change import specialisation
    from mcd.figures.drawing import figure_bytes
    from mcd.figures.images import top_images
    from mcd.figures.lines import depth
    from mcd.figures.material import Material, prepare
    from mcd.figures.matrix import coverage
    from mcd.figures.shares import above, categories

_HOME = {
    "Drawn": "catalogue",
    "FIGURES": "catalogue",
    "Material": "material",
    "Refused": "catalogue",
    "Wanted": "catalogue",
    "above": "shares",
    "categories": "shares",
    "controls": "chance",
    "coverage": "matrix",
    "depth": "lines",
    "draw": "catalogue",
    "figure_bytes": "drawing",
    "null": "chance",
    "prepare": "material",
    "specialisation": "change",
    "top_images": "images",
}

__all__ = [
    "FIGURES",
    "Drawn",
    "Material",
    "Refused",
    "Wanted",
    "above",
    "categories",
    "controls",
    "coverage",
    "depth",
    "draw",
    "figure_bytes",
    "null",
    "prepare",
    "specialisation",
    "top_images",
]


def __getattr__(name: str) -> object:
    """Import a public name on first use (PEP 562)."""
    if name not in _HOME:
        raise AttributeError(f"module 'mcd.figures' has no attribute {name!r}")
    value: object = getattr(importlib.import_module(f"mcd.figures.{_HOME[name]}"), name)
    globals()[name] = value
    return value
