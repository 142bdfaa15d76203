"""How every figure looks, and how it becomes a file: colours, letters, captions, the same bytes each time."""

from __future__ import annotations

import functools
import io
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from typing import Literal, ParamSpec

import matplotlib as mpl
import numpy as np
from matplotlib import style
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.legend import Legend

from mcd.comparison.heading import Heading
from mcd.errors import amount
from mcd.figures.captions import Captioned, made_caption, wrapped
from mcd.runs.limits import FEW_IMAGES

__all__ = [
    "BLUE",
    "FAINT",
    "GREEN",
    "INK",
    "LETTER",
    "MUTED",
    "ORANGE",
    "PURPLE",
    "RUNS",
    "SKY",
    "SMALL",
    "VERMILLION",
    "WIDTH",
    "YELLOW",
    "Format",
    "Style",
    "canvas",
    "figure_bytes",
    "finish",
    "key",
    "light",
    "styled",
    "tidy",
]

BLUE, ORANGE, GREEN, PURPLE = "#0072B2", "#E69F00", "#009E73", "#CC79A7"
SKY, VERMILLION, YELLOW = "#56B4E9", "#D55E00", "#F0E442"
"""Okabe & Ito, Color universal design, 2008: safe for colour-blind readers."""
INK, MUTED, FAINT = "#1a1a1a", "#5f5f5f", "#dcdcdc"

WIDTH = 7.0
"""Inches: two columns of most journals."""
SMALL = 7.0
"""Points: no letter is smaller."""
_TITLE = 9.0

Format = Literal["png", "svg", "pdf"]

Style = tuple[str, str, str]
"""Colour, marker and line of a run."""
RUNS: tuple[Style, ...] = (
    (BLUE, "o", "-"),
    (ORANGE, "s", "--"),
    (INK, "^", "-."),
    (PURPLE, "D", ":"),
    (GREEN, "v", "-"),
    (SKY, "P", "--"),
    (VERMILLION, "X", "-."),
)
"""Of runs in turn. The first three are dark, light and black in print without colour."""

_RC: dict[str, object] = {
    "font.family": "DejaVu Sans",
    "font.size": 8.0,
    "axes.titlesize": 8.0,
    "axes.labelsize": 8.0,
    "xtick.labelsize": SMALL,
    "ytick.labelsize": SMALL,
    "legend.fontsize": SMALL,
    "figure.titlesize": _TITLE,
    "text.color": INK,
    "axes.labelcolor": INK,
    "axes.edgecolor": MUTED,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "axes.linewidth": 0.6,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "hatch.linewidth": 0.5,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titlelocation": "left",
    "legend.frameon": False,
    "figure.facecolor": "white",
    "savefig.facecolor": "white",
    "svg.hashsalt": "mcd",
    "pdf.fonttype": 42,
    "path.simplify": True,
    "axes.unicode_minus": True,
    "text.usetex": False,
    "text.parse_math": False,
}

LETTER = 0.56 * SMALL / 72
"""Inches that a small letter takes, on average and with something to spare."""

P = ParamSpec("P")


class Inline(Captioned):
    """A figure that a notebook shows as it would be saved, whether or not pyplot has been imported."""

    def _repr_png_(self) -> tuple[bytes, dict[str, float]]:
        width, height = self.get_size_inches()
        return figure_bytes(self), {"width": round(96 * width), "height": round(96 * height)}


def styled(function: Callable[P, Figure]) -> Callable[P, Figure]:
    """Have a function draw in our style, whatever style the session is set to."""

    @functools.wraps(function)
    def drawn(*args: P.args, **kwargs: P.kwargs) -> Figure:
        with style.context(_RC, after_reset=True):
            return function(*args, **kwargs)

    return drawn


def canvas(
    height: float,
    rows: int = 1,
    columns: int = 1,
    *,
    width: float = WIDTH,
    sharey: bool | Literal["row"] = False,
    ratios: Sequence[float] | None = None,
    heights: Sequence[float] | None = None,
) -> tuple[Figure, list[Axes]]:
    """Return a figure and its axes, row by row; sizes in inches, of columns and rows as ratios."""
    figure = Inline(figsize=(width, height), layout="constrained")
    found = figure.subplots(rows, columns, squeeze=False, sharey=sharey, width_ratios=ratios, height_ratios=heights)
    return figure, [axes for axes in np.asarray(found).ravel().tolist() if isinstance(axes, Axes)]


def tidy(axes: Axes, along: Literal["x", "y", "none"] = "x") -> None:
    """Leave thin lines along one direction, behind what is drawn."""
    axes.set_axisbelow(True)
    if along != "none":
        axes.grid(axis=along, color=FAINT, linewidth=0.5)
    axes.tick_params(length=2.5)


def light(colour: str) -> bool:
    """Say whether black letters are read better on a colour than white ones."""
    red, green, blue = mpl.colors.to_rgb(colour)
    return 0.299 * red + 0.587 * green + 0.114 * blue > 0.5


def _cautions(heading: Heading) -> list[str]:
    runs = heading.runs[heading.runs["images"] > 0]  # of imported labels no images are known
    if not len(runs):
        return []
    images = int(runs["images"].min())
    found = []
    if images < FEW_IMAGES:
        found.append(f"Only {amount(images, 'image')}: large effects alone can be seen")
    if (runs["patients"] < 0).any():
        found.append("Patients are not known: images of one woman count as independent")
    return found


def key(figure: Figure, handles: Sequence[Artist], columns: int = 4) -> None:
    """Say below the title what stands for what."""
    width, height = figure.get_size_inches()
    made = figure.legend(handles=list(handles), ncols=columns, loc="upper left", borderaxespad=0, borderpad=0)
    _place(made, width, height)
    made.set_in_layout(False)
    made.set_gid(f"{-(-len(handles) // columns)} lines")


def _place(legend: Legend, width: float, height: float, title: float = 0.3) -> None:
    legend.set_bbox_to_anchor((0.1 / width, 1 - title / height))


_LEAST = 1.5
"""Inches that axes need with their titles and labels, however few lines they have."""


def _height(legend: Legend) -> float:
    return 0.08 + 0.15 * int(str(legend.get_gid()).split()[0])


def finish(figure: Figure, title: str, heading: Heading, *notes: str) -> Figure:
    """Set the title above a figure, and below it what it rests on and how it is to be read.

    Parameters
    ----------
    heading
        What went in: probe set, images, patients, k, scorer, null, q.
    notes
        Remarks about this figure in particular, whole sentences without their full stop.
    """
    assert isinstance(figure, Captioned)
    width, height = figure.get_size_inches()
    lines = [line[0].upper() + line[1:] for line in heading.lines()]
    figure.caption = made_caption(title, [*(note for note in notes if note), *lines, *_cautions(heading)])
    above = wrapped(figure.caption.title, width - 0.2, _TITLE, "bold")
    below = wrapped(figure.caption.text.replace(" = ", "\u00a0=\u00a0"), width - 0.2, SMALL)
    figure.title_inches = 0.28 + above.count("\n") * _TITLE * 1.2 / 72
    figure.text_inches = (below.count("\n") + 1) * SMALL * 1.3 / 72 + 0.12
    figure.text(0, 0, above, ha="left", va="top", fontsize=_TITLE, fontweight="bold", gid="title", in_layout=False)
    figure.text(
        *(0, 0, below), ha="left", va="bottom", fontsize=SMALL, color=MUTED, linespacing=1.3, gid="caption"
    ).set_in_layout(False)
    around = figure.title_inches + figure.text_inches
    _arrange(figure, max(height - around, _LEAST + sum(map(_height, figure.legends))), words=True)
    figure.set_label(figure.caption.title)
    return figure


_BARE = 0.06
"""Inches that stay free above and below a picture without words."""


def _arrange(figure: Captioned, inches: float, *, words: bool) -> None:
    """Give what is drawn, with its keys, so many inches of height; title and caption have theirs, or are left out."""
    head, foot = (figure.title_inches, figure.text_inches) if words else (_BARE, _BARE)
    width, height = figure.get_size_inches()[0], head + inches + foot
    figure.set_size_inches(width, height)
    for one in figure.legends:
        _place(one, width, height, head + 0.02)
    engine = figure.get_layout_engine()
    assert isinstance(engine, ConstrainedLayoutEngine)
    room = inches - sum(map(_height, figure.legends))
    engine.set(rect=(0, foot / height, 1, room / height), wspace=0.03)
    for text in figure.texts:
        if text.get_gid() in ("title", "caption"):
            text.set_visible(words)
            text.set_position((0.1 / width, 1 - 0.08 / height if text.get_gid() == "title" else 0.06 / height))


@contextmanager
def _without_words(figure: Figure) -> Iterator[None]:
    """Leave title and caption out of a figure for a while."""
    if not isinstance(figure, Captioned) or figure.caption is None:
        yield
        return
    inches = figure.get_size_inches()[1] - figure.title_inches - figure.text_inches
    _arrange(figure, inches, words=False)
    try:
        yield
    finally:
        _arrange(figure, inches, words=True)


def figure_bytes(figure: Figure, kind: Format = "png", dpi: int = 200, *, words: bool = True) -> bytes:
    """Return a figure as a file; the same figure gives the same bytes.

    Parameters
    ----------
    kind
        ``png``, or one of the two that stay sharp at any size: ``svg``, ``pdf``.
    dpi
        Dots an inch of a PNG, and of images within the others.
    words
        Whether title and caption are in the picture: without them it is as much lower, and `caption` returns them.
        Both are in the metadata of the file all the same.
    """
    said = figure.caption if isinstance(figure, Captioned) else None
    title, text = (said.title, said.text) if said else (str(figure.get_label()), "")
    metadata: dict[Format, dict[str, str | None]] = {
        "png": {"Software": None, "Title": title, "Description": text},
        "svg": {"Date": None, "Title": title, "Description": text},
        "pdf": {"CreationDate": None, "Title": title, "Subject": text},
    }
    out = io.BytesIO()
    with style.context(_RC, after_reset=True), nullcontext() if words else _without_words(figure):
        figure.savefig(out, format=kind, dpi=dpi, metadata=metadata[kind])
    return out.getvalue()
