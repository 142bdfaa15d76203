"""Figures of stored runs: functions that return a `matplotlib.figure.Figure`, and need neither notebook nor display.

The public names are imported on first use.

>>> import mcd
>>> shown = mcd.figures.collect([mcd.load("runs/general"), mcd.load("runs/mammo")])  # doctest: +SKIP
>>> mcd.figures.depth(shown).savefig("depth.pdf")  # doctest: +SKIP
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mcd.lazy import lazily

if TYPE_CHECKING:
    from mcd.figures.agreement import evaluation
    from mcd.figures.captions import Caption, caption
    from mcd.figures.catalogue import FIGURES, Drawn, Refused, Wanted, check_names, draw, figure
    from mcd.figures.change import specialisation
    from mcd.figures.data import FigureData, collect
    from mcd.figures.drawing import figure_bytes
    from mcd.figures.images import top_images
    from mcd.figures.ladder import rungs
    from mcd.figures.lines import depth
    from mcd.figures.matrix import coverage
    from mcd.figures.nulls import controls, null
    from mcd.figures.palette import HUES, CategoryColour, category_colours
    from mcd.figures.shares import categories, significant

_HOME = {
    "Caption": "mcd.figures.captions",
    "CategoryColour": "mcd.figures.palette",
    "Drawn": "mcd.figures.catalogue",
    "FIGURES": "mcd.figures.catalogue",
    "FigureData": "mcd.figures.data",
    "HUES": "mcd.figures.palette",
    "Refused": "mcd.figures.catalogue",
    "Wanted": "mcd.figures.catalogue",
    "significant": "mcd.figures.shares",
    "caption": "mcd.figures.captions",
    "categories": "mcd.figures.shares",
    "category_colours": "mcd.figures.palette",
    "check_names": "mcd.figures.catalogue",
    "controls": "mcd.figures.nulls",
    "coverage": "mcd.figures.matrix",
    "depth": "mcd.figures.lines",
    "draw": "mcd.figures.catalogue",
    "evaluation": "mcd.figures.agreement",
    "figure": "mcd.figures.catalogue",
    "figure_bytes": "mcd.figures.drawing",
    "null": "mcd.figures.nulls",
    "collect": "mcd.figures.data",
    "rungs": "mcd.figures.ladder",
    "specialisation": "mcd.figures.change",
    "top_images": "mcd.figures.images",
}

__all__ = [
    "FIGURES",
    "HUES",
    "Caption",
    "CategoryColour",
    "Drawn",
    "FigureData",
    "Refused",
    "Wanted",
    "caption",
    "categories",
    "category_colours",
    "check_names",
    "collect",
    "controls",
    "coverage",
    "depth",
    "draw",
    "evaluation",
    "figure",
    "figure_bytes",
    "null",
    "rungs",
    "significant",
    "specialisation",
    "top_images",
]

__getattr__ = lazily(__name__, _HOME)
