"""For how many neurons of each layer each concept is significant, and which were not detectable."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap, PowerNorm
from matplotlib.figure import Figure
from matplotlib.patches import Patch, Rectangle
from numpy.typing import NDArray

from mcd.comparison.represented import ANSWERS
from mcd.errors import UsageError
from mcd.figures.axes import LABELLED, UPRIGHT, Below, beside, check_any, chosen, layers_of
from mcd.figures.data import FigureData
from mcd.figures.drawing import BLUE, INK, LETTER, MUTED, SMALL, WIDTH, canvas, finish, key, light, styled

__all__ = ["Level", "coverage"]

Level = Literal["auto", "concept", "category"]

_ROWS = 100
"""Concepts that one figure can name."""
_ROW = 0.14
_WIDEST = 10.0
"""Inches of the widest matrix."""
_COUNTED = 12
"""Layers beside each other in which numbers can be read."""
_CARRIED, _UNDER, _HIDDEN, _UNKNOWN = ANSWERS
_EMPTY = "#f5f5f5"
_LETTERS = 44
_SHADES = LinearSegmentedColormap.from_list("mcd", ["#d9e8f3", BLUE, "#002f4b"])

Values = NDArray[np.float64]


@dataclass(frozen=True)
class _Rows:
    """Lines of the matrix: counts and shares ``(lines, layers)``, NaN in headings and where nothing is to be seen."""

    names: list[str]
    headings: list[bool]
    shares: Values
    counts: Values
    hidden: list[bool]
    remarks: list[str]


@styled
def coverage(data: FigureData, run: str | None = None, layers: Sequence[str] = (), level: Level = "auto") -> Figure:
    """Return a matrix of mammographic concepts by layers: for how many neurons each is significant.

    Hatched concepts were not detectable in the probe set: that no neuron has them is not evidence.

    Parameters
    ----------
    run
        The first by default.
    layers
        Patterns that pick layers; all by default.
    level
        ``"concept"``: a line each. ``"category"``: how many concepts of each category are carried. ``"auto"``: concepts
        where they fit.

    Raises
    ------
    UnknownNameError
        When there is no such run, or a pattern picks no layer.
    UsageError
        When the vocabulary has no mammographic concept, or no neuron has a label.
    """
    name = data.name(run)
    table = chosen(data.comparison.layers, layers)
    shown = layers_of(table, name)
    mine = table[table["run"] == name].set_index("layer").loc[shown]
    check_any(mine["labelled"], [name], LABELLED)
    neurons = mine["neurons"]
    said = data.comparison.concepts
    said = _in_order(said[said["run"] == name], data)
    if not len(said):
        raise UsageError(f"the vocabulary of {name} has no mammographic concept", "mcd score RUN --concepts birads")
    by_concept = level == "concept" or (level == "auto" and len(said) <= _ROWS)
    found = _carried(data, name, shown, said["concept"].tolist())
    rows = _concepts(said, found, neurons.to_numpy(float)) if by_concept else _categories(said, found)
    beside = (max(len(_cut(one)) for one in rows.names) + max(map(len, rows.remarks))) * LETTER + 0.3
    inches = max(WIDTH - beside, min(len(shown) * UPRIGHT, _WIDEST))
    below = Below.of(shown, neurons.tolist(), inches)
    figure, (axes,) = canvas(1.8 + len(rows.names) * _ROW + below.inches, width=beside + inches)
    _matrix(axes, rows, len(shown))
    below.write(axes)
    bar = figure.colorbar(
        mpl.cm.ScalarMappable(_norm(rows), _SHADES),
        ax=axes,
        location="top",
        aspect=40,
        shrink=min(1.0, 2.4 / inches),
        pad=0.01,
        anchor=(0.0, 1.0),
    )
    bar.ax.tick_params(length=2)
    bar.outline.set_visible(False)
    what = "share of the layer's neurons" if by_concept else "share of the category's concepts"
    bar.set_label(what, fontsize=SMALL)
    bar.ax.xaxis.set_major_locator(mpl.ticker.FixedLocator(_ticks(rows)))
    bar.ax.xaxis.set_major_formatter(mpl.ticker.PercentFormatter(1, decimals=None))
    hatched = [Patch(facecolor=_EMPTY, edgecolor="#b5b5b5", hatch="/////", linewidth=0, label=_HIDDEN)]
    if any(rows.hidden):
        key(figure, hatched)
    numbers = "neurons" if by_concept else "concepts that some neuron carries"
    note = f"Numbers are {numbers}" if len(shown) <= _COUNTED else ""
    return finish(
        figure,
        f"Mammographic concepts significant for neurons of {name}",
        data.comparison.heading,
        note,
        "Pale grey: none",
        _weakest(rows) if by_concept else "",
    )


def _in_order(said: pd.DataFrame, data: FigureData) -> pd.DataFrame:
    """Return concepts in the order of the vocabulary, categories together."""
    table = data.comparison.categories
    place = {name: at for at, name in enumerate(dict.fromkeys(table.loc[table["level"] == "concept", "name"]))}
    said = said.assign(at=said["concept"].map(place)).sort_values("at", kind="stable")
    groups = {name: at for at, name in enumerate(dict.fromkeys(said["category"]))}
    return said.assign(group=said["category"].map(groups)).sort_values(["group", "at"], kind="stable")


def _carried(data: FigureData, run: str, layers: Sequence[str], concepts: Sequence[str]) -> Values:
    """Return how many neurons respond to each concept in each layer, ``(concepts, layers)``."""
    table = data.comparison.carriers
    mine = table[table["run"] == run] if len(table) else table
    wide = mine.pivot(index="concept", columns="layer", values="carriers") if len(mine) else pd.DataFrame()
    found: Values = wide.reindex(index=list(concepts), columns=list(layers)).fillna(0).to_numpy(np.float64)
    return found


def _concepts(said: pd.DataFrame, carried: Values, neurons: Values) -> _Rows:
    rows = _Rows([], [], np.empty((0, len(neurons))), np.empty((0, len(neurons))), [], [])
    counts: list[Values] = []
    category = None
    blank = np.full(len(neurons), np.nan)
    columns = ("concept", "category", "answer", "detectable_auroc")
    for at, (concept, own, answer, auroc) in enumerate(zip(*(said[name].tolist() for name in columns), strict=True)):
        if own != category:
            category = own
            _line(rows, str(own), heading=True)
            counts.append(blank)
        _line(rows, str(concept), hidden=answer == _HIDDEN, remark=_remark(str(answer), float(auroc)))
        counts.append(np.where(carried[at] > 0, carried[at], np.nan))
    whole = np.stack(counts)
    return _Rows(rows.names, rows.headings, whole / np.maximum(neurons, 1), whole, rows.hidden, rows.remarks)


def _line(rows: _Rows, name: str, *, heading: bool = False, hidden: bool = False, remark: str = "") -> None:
    rows.names.append(name)
    rows.headings.append(heading)
    rows.hidden.append(hidden)
    rows.remarks.append(remark)


def _remark(answer: str, auroc: float) -> str:
    if answer == _UNDER and not np.isnan(auroc):
        return f"{answer} (AUROC {auroc:g} would do)"
    return "" if answer == _CARRIED else answer


def _categories(said: pd.DataFrame, carried: Values) -> _Rows:
    names, shares, counts, hidden, remarks = [], [], [], [], []
    for category, rows in said.groupby("category", sort=False):
        here = carried[said["category"].to_numpy() == category] > 0
        count = here.sum(axis=0).astype(np.float64)
        answers = rows["answer"].value_counts()
        names.append(str(category))
        counts.append(np.where(count > 0, count, np.nan))
        shares.append(counts[-1] / len(rows))
        hidden.append(int(answers.get(_HIDDEN, 0)) == len(rows))
        summary = [f"{answers.get(_CARRIED, 0)} of {len(rows)} carried"]
        summary += [f"{answers[answer]} {answer}" for answer in ANSWERS[1:] if answer in answers]
        remarks.append(", ".join(summary))
    return _Rows(names, [False] * len(names), np.stack(shares), np.stack(counts), hidden, remarks)


def _weakest(rows: _Rows) -> str:
    with_auroc = any("AUROC" in remark for remark in rows.remarks)
    return "AUROC: smallest detectable effect, the AUROC of a neuron for images with the concept" if with_auroc else ""


def _cut(name: str) -> str:
    return name if len(name) <= _LETTERS else f"{name[: _LETTERS - 1]}…"


def _norm(rows: _Rows) -> PowerNorm:
    highest = float(np.nanmax(rows.shares)) if (~np.isnan(rows.shares)).any() else 1.0
    return PowerNorm(0.5, 0, highest)


def _ticks(rows: _Rows) -> list[float]:
    """Return shares to name beside the shades: where these are a third and two thirds, and the highest."""
    highest = _norm(rows).vmax or 1.0
    return [0.0, highest / 9, highest * 4 / 9, highest]


def _matrix(axes: Axes, rows: _Rows, layers: int) -> None:
    norm = _norm(rows)
    edges = np.arange(layers + 1) - 0.5, np.arange(len(rows.names) + 1) - 0.5
    for at, hidden in enumerate(rows.hidden):
        if not rows.headings[at]:
            axes.add_patch(
                Rectangle(
                    (-0.5, at - 0.44),
                    layers,
                    0.88,
                    facecolor=_EMPTY,
                    edgecolor="#b5b5b5",
                    hatch="/////" if hidden else None,
                    linewidth=0,
                )
            )
    axes.pcolormesh(
        *edges, np.ma.masked_invalid(rows.shares), cmap=_SHADES, norm=norm, edgecolors="white", linewidth=0.5
    )
    if layers <= _COUNTED:
        for at, to in zip(*np.nonzero(~np.isnan(rows.counts)), strict=True):
            colour = mpl.colors.to_hex(_SHADES(norm(rows.shares[at, to])))
            axes.text(
                to,
                at,
                f"{rows.counts[at, to]:.0f}",
                ha="center",
                va="center",
                fontsize=SMALL,
                color=INK if light(colour) else "white",
            )
    axes.set_ylim(len(rows.names) - 0.5, -0.5)
    axes.set_yticks(range(len(rows.names)), [_cut(name) for name in rows.names])
    for label, heading in zip(axes.get_yticklabels(), rows.headings, strict=True):
        label.set_fontweight("bold" if heading else "normal")
    for at, remark in enumerate(rows.remarks):
        beside(axes, remark, at, MUTED)
    axes.tick_params(length=0)
    for side in ("left", "bottom"):
        axes.spines[side].set_visible(False)
