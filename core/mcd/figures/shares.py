"""What layers are made of: neurons above a threshold, mammographic or not (4B), and by category (4C)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from matplotlib.patheffects import withStroke
from matplotlib.ticker import MaxNLocator, PercentFormatter

from mcd.errors import UsageError
from mcd.figures.axes import (
    LABELLED,
    NEURONS,
    NOT_JUDGED,
    SIGNIFICANT,
    beside,
    check_any,
    chosen,
    down,
    evenly,
    layers_of,
    picked,
    runs_of,
    same_layers,
    short,
    width_of,
)
from mcd.figures.data import FigureData
from mcd.figures.drawing import FAINT, INK, LETTER, MUTED, RUNS, SMALL, WIDTH, canvas, finish, key, light, styled, tidy
from mcd.figures.lines import interval_note
from mcd.figures.palette import CategoryColour, Pattern, category_colours

__all__ = ["categories", "significant"]

_LAYERS = 6
_LEAST = 0.05
"""Share that an axis reaches to at least: its ticks are whole per cents."""
_REACHES = "whose score reaches the mean of the layer"
_BAR = 0.15
"""Inches that a bar takes."""


@styled
def significant(data: FigureData, layers: Sequence[str] = (), threshold: Literal["q", "published"] = "q") -> Figure:
    """Return neurons above a threshold at some layers, mammographic and not; figure 4B of the paper.

    Bars are shares of all neurons of the layer; beside each stands how many these are.

    Parameters
    ----------
    layers
        Patterns that pick layers of the reference; by default six, spread evenly from the first to the last.
    threshold
        ``"q"``: significant first labels. ``"published"``: those whose score reaches a mean of scores, as
        ``ComparisonSettings(threshold=…)`` says which; it is not a test of significance, as the figure says.

    Raises
    ------
    UsageError
        When the mean-score threshold was not applied, a pattern picks no layer, or no neuron is above the threshold.
    """
    table, note = _above_threshold(data) if threshold == "published" else (_judged(data), "")
    places = [str(place) for place in dict.fromkeys(table["place"])]
    places = picked(places, layers) if layers else evenly(places, _LAYERS)
    table = table[table["place"].isin(places)]
    runs = runs_of(table)
    above = (table["mammographic"] + table["other"]).tolist()
    check_any(above, runs, f"has a first label {_REACHES}" if note else SIGNIFICANT)
    figure, panels = canvas(1.3 + len(places) * (len(runs) * _BAR + 0.13), 1, 2, sharey=True)
    for axes, part, title in zip(panels, ("mammographic", "other"), ("mammographic", "not mammographic"), strict=True):
        axes.set_title(title)
        _bars(axes, table, places, runs, part)
    names = [_named(table[table["place"] == place]) for place in places]
    down(panels[0], [name for name, _ in names], [count for _, count in names])
    panels[0].set_ylabel(NEURONS)
    panels[1].tick_params(axis="y", labelleft=False, length=0)
    highest = max(_LEAST, *(axes.get_xlim()[1] for axes in panels))
    for axes in panels:
        axes.set_xlim(0, min(1.0, highest))
        axes.set_xlabel("share of the layer's neurons")
    key(figure, [Patch(facecolor=RUNS[at % len(RUNS)][0], label=run) for at, run in enumerate(runs)])
    what = f"with a first label {_REACHES}" if note else "with a significant first label"
    return finish(
        figure,
        f"Neurons {what}, mammographic or not",
        data.comparison.heading,
        note,
        interval_note(data, table, "mammographic_share"),
    )


def _judged(data: FigureData) -> pd.DataFrame:
    table = data.comparison.layers
    return chosen(table[table["place"] != ""], ())


def _above_threshold(data: FigureData) -> tuple[pd.DataFrame, str]:
    """Return what the mean-score threshold keeps, in columns as `layer_table` has them, and the remark about it."""
    thresholds = data.comparison.thresholds
    if not len(thresholds):
        raise UsageError("the mean-score threshold was not applied", "--threshold local, or global")
    table = thresholds.rename(columns={"kept_mammographic": "mammographic", "kept_other": "other"})
    for part in ("mammographic", "other"):
        table[f"{part}_share"] = table[part] / table["neurons"]
    name = str(thresholds["kind"].iloc[0])
    return table, (
        f"Mean-score threshold of the paper ({name} threshold): no test of significance; it keeps almost half of the "
        "neurons that respond to nothing"
    )


def _named(rows: pd.DataFrame) -> tuple[str, str]:
    """Return the name of a place and how many neurons it has; of layers with other names, each."""
    return " | ".join(short(str(one), 24) for one in dict.fromkeys(rows["layer"])), width_of(rows["neurons"].tolist())


def _bars(axes: Axes, table: pd.DataFrame, places: Sequence[str], runs: Sequence[str], part: str) -> None:
    tidy(axes)
    height = 0.84 / len(runs)
    for at, run in enumerate(runs):
        rows = table[table["run"] == run].set_index("place")
        here = [(number, place) for number, place in enumerate(places) if place in rows.index]
        rows = rows.loc[[place for _, place in here]]
        y = np.array([number for number, _ in here]) + (at - (len(runs) - 1) / 2) * height
        share = rows[f"{part}_share"].to_numpy(float)
        axes.barh(y, share, height * 0.88, color=RUNS[at % len(RUNS)][0], label=run)
        if f"{part}_share_low" in rows:
            reach = [
                np.clip(share - rows[f"{part}_share_low"].to_numpy(float), 0, None),
                np.clip(rows[f"{part}_share_high"].to_numpy(float) - share, 0, None),
            ]
            axes.errorbar(
                share,
                y,
                xerr=reach,
                fmt="none",
                ecolor=INK,
                elinewidth=0.8,
                capsize=1.5,
                path_effects=[withStroke(linewidth=2.2, foreground="white")],
            )
        for place, count in zip(y.tolist(), rows[part].tolist(), strict=True):
            beside(axes, f"{count}", place)
    axes.annotate(
        "n", (1, 1), (4, 4), xycoords="axes fraction", textcoords="offset points", fontsize=SMALL, color=MUTED
    )
    axes.xaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    axes.xaxis.set_major_locator(MaxNLocator(5, steps=[1, 2, 2.5, 5, 10]))


@styled
def categories(
    data: FigureData,
    layers: Sequence[str] = (),
    level: Literal["broad_category", "category"] = "broad_category",
    top: int = 10,
) -> Figure:
    """Return the categories of significant first labels, layer by layer; figure 4C of the paper.

    Bars are shares of all neurons of the layer; numbers within are neurons, and beside each bar how many of how many
    are significant. The colour of a broad category is that of `category_colours`, the same in every figure and on
    pages; categories take colours of the same palette, figure by figure. Those that are not mammographic are hatched.

    Parameters
    ----------
    layers
        Patterns that pick layers; all by default.
    level
        Broad categories, or categories.
    top
        How many of them have a colour of their own; the others are drawn together.

    Raises
    ------
    UsageError
        When a pattern picks no layer, or no neuron has a significant first label.
    """
    table = chosen(data.comparison.categories, layers)
    table = table[table["level"] == level]
    check_any(table["neurons"].tolist(), runs_of(table), SIGNIFICANT if data.judged else LABELLED)
    shown, rest = _most(table, top)
    colours = _colours(data, level, shown)
    runs = runs_of(table)
    longest = max(len(layers_of(table, run)) for run in runs)
    figure, panels = canvas(1.6 + longest * 0.18, 1, len(runs))
    highest = max(_LEAST, min(1.0, 1.04 * float(table.groupby(["run", "layer"])["share"].sum().max())))
    inch = highest / max(0.3, WIDTH / len(runs) - 1.2)  # of the axis, about
    for at, (axes, run) in enumerate(zip(panels, runs, strict=True)):
        _stacks(axes, table[table["run"] == run], shown, colours, data.comparison.layers, inch)
        axes.set_title(run)
        axes.set_xlim(0, highest)
        axes.set_xlabel("share of neurons")
        if at and same_layers(table):
            axes.tick_params(axis="y", labelleft=False)
    panels[0].set_ylabel(NEURONS)
    key(figure, [_key(name, colours[name]) for name in shown], 3)
    note = f"The key's others are {rest} more {'category' if rest == 1 else 'categories'}" if rest else ""
    named = "significant first labels" if data.judged else "first labels"
    title = f"{'Broad categories' if level == 'broad_category' else 'Categories'} of {named}"
    return finish(
        figure,
        title,
        data.comparison.heading,
        note,
        "" if data.judged else NOT_JUDGED,
        "Numbers are neurons; a category without one is too small for it",
    )


_OTHERS = "others"
_HATCHES: dict[Pattern, str] = {
    "": "",
    "dots": "....",
    "bars": "----",
    "rings": "ooo",
    "stripes": "////",
    "crosses": "xxxx",
}


@dataclass(frozen=True)
class _Fill:
    """How bars of a category are filled."""

    colour: str
    hatch: str = ""
    edge: str = "white"

    @classmethod
    def of(cls, found: CategoryColour) -> _Fill:
        return cls(found.light, _HATCHES[found.pattern])


_REST = _Fill("white", "....", MUTED)
"""Of others: they are no category, and have no colour."""


def _colours(data: FigureData, level: str, shown: Sequence[str]) -> dict[str, _Fill]:
    """Return the fill of each name that is shown; of a broad category whatever else is."""
    foreign = _foreign(data, level)
    if level == "broad_category":
        table = data.comparison.categories
        found = category_colours(table.loc[table["level"] == level, "name"], data.counterparts, foreign)
    else:
        found = category_colours([name for name in shown if name != _OTHERS], foreign=foreign)
    return {name: _Fill.of(found[name]) if name in found else _REST for name in shown}


def _most(table: pd.DataFrame, top: int) -> tuple[list[str], int]:
    """Return the names with most neurons in the order of the vocabulary, others last; and how many these are."""
    counts = table.groupby("name", sort=False)["neurons"].sum()
    there = counts[counts > 0].sort_values(ascending=False, kind="stable")
    if len(there) == top + 1:  # a single other has its own name
        top += 1
    kept = set(there.index[:top])
    names = [str(name) for name in counts.index if name in kept]
    return ([*names, _OTHERS], len(there) - top) if len(there) > top else (names, 0)


def _foreign(data: FigureData, level: str) -> set[str]:
    """Return the names of a level that mammographic concepts do not have."""
    own = set(data.comparison.concepts[level])
    table = data.comparison.categories
    return set(table.loc[table["level"] == level, "name"]) - own


def _key(name: str, fill: _Fill) -> Patch:
    return Patch(facecolor=fill.colour, hatch=fill.hatch, edgecolor=fill.edge, linewidth=0, label=name)


def _stacks(
    axes: Axes,
    rows: pd.DataFrame,
    shown: Sequence[str],
    colours: Mapping[str, _Fill],
    layers: pd.DataFrame,
    inch: float,
) -> None:
    tidy(axes)
    names = layers_of(rows)
    totals = layers[layers["run"] == rows["run"].iloc[0]].set_index("layer").loc[names]
    rows = rows.assign(name=rows["name"].where(rows["name"].isin(shown), _OTHERS))
    wide = rows.pivot_table(index="layer", columns="name", values=["neurons", "share"], aggfunc="sum", sort=False)
    left = np.zeros(len(names))
    for name in shown:
        share = wide[("share", name)].loc[names].to_numpy(float)
        fill = colours[name]
        axes.barh(
            range(len(names)),
            share,
            0.8,
            left=left,
            color=fill.colour,
            hatch=fill.hatch,
            edgecolor=fill.edge,
            linewidth=0.5,
            label=name,
        )
        for at, count in enumerate(wide[("neurons", name)].loc[names].tolist()):
            if share[at] > inch * (len(f"{count:.0f}") * LETTER + 0.03):
                text = axes.text(
                    left[at] + share[at] / 2,
                    at,
                    f"{count:.0f}",
                    ha="center",
                    va="center",
                    fontsize=SMALL,
                    color=INK if light(fill.colour) else "white",
                )
                text.set_bbox({"facecolor": fill.colour, "edgecolor": "none", "pad": 0.6} if fill.hatch else None)
        left += share
    for at, (count, neurons) in enumerate(zip(totals["significant"].tolist(), totals["neurons"].tolist(), strict=True)):
        beside(axes, f"{count} of {neurons}", at)
    down(axes, names, totals["neurons"].tolist())
    axes.xaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    axes.xaxis.set_major_locator(MaxNLocator(4, steps=[1, 2, 2.5, 5, 10]))
    axes.spines["left"].set_color(FAINT)
