"""A measure of every layer over depth: the paper's figure 4A, on a scale that may be compared."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, PercentFormatter

from mcd.errors import UsageError
from mcd.figures.axes import (
    DEPTH,
    LABELLED,
    NOT_JUDGED,
    SIGNIFICANT,
    Below,
    check_any,
    chosen,
    layers_of,
    runs_of,
    same_layers,
    width_of,
)
from mcd.figures.data import FigureData
from mcd.figures.drawing import RUNS, Style, canvas, finish, key, styled, tidy

__all__ = ["Measure", "depth", "interval_note"]

_INCHES = 6.2
"""How wide the axes are, about."""
Measure = Literal["z", "share", "concepts", "score"]


@dataclass(frozen=True)
class _Drawn:
    column: str
    label: str
    title: str
    note: str = ""


_MEASURES: dict[Measure, _Drawn] = {
    "z": _Drawn(
        "mean_z",
        "mean z of first labels",
        "Mean z of first labels, over depth",
        "Values of z are deviations from what neurons that respond to nothing reach",
    ),
    "share": _Drawn("share", "significant neurons", "Neurons with a significant first label, over depth"),
    "concepts": _Drawn(
        "concepts",
        "different concepts",
        "Different concepts that first labels name, over depth",
        "Significant first labels; a wider layer has room for more",
    ),
    "score": _Drawn("mean_score", "mean score of first labels", "Mean similarity of first labels, over depth"),
}

_NOT_COMPARABLE = (
    "Scores of {} are on a scale of their own layer and model: differences may come from that alone, "
    "and scores do not show significance"
)


@styled
def depth(data: FigureData, measure: Measure = "z", layers: Sequence[str] = ()) -> Figure:
    """Return a line for each run, over its layers in the order of the model; figure 4A of the paper.

    Where runs have other layers, they are drawn over depth: 0 the first dissected layer, 1 the last.

    Parameters
    ----------
    measure
        ``"z"``: mean z of first labels. ``"share"``: neurons with a significant first label. ``"concepts"``: how
        many different concepts these name. ``"score"``: the mean score of first labels, which is what the paper draws;
        of a scorer whose scores may not be compared it needs
        ``ComparisonSettings(threshold=…)``, and says so below the figure.
    layers
        Patterns that pick layers; all of them by default.

    Raises
    ------
    UsageError
        When the scores may not be compared, no layer is left, or no neuron has a label; a significant one for
        ``"share"`` and ``"concepts"``.
    """
    drawn = _MEASURES[measure]
    table = chosen(_scored(data) if measure == "score" else data.comparison.layers, layers)
    of_significant = measure in ("share", "concepts")
    counts = table["significant"] if of_significant else table[drawn.column].notna()
    check_any(counts.tolist(), runs_of(table), SIGNIFICANT if of_significant else LABELLED)
    by_name = same_layers(table)
    named = layers_of(table, runs_of(table)[0])
    below = Below.of(named, _common(table, named), _INCHES) if by_name else None
    figure, (axes,) = canvas(3.3 + (below.inches if below else 0.15))
    tidy(axes, "y")
    for run, style in zip(runs_of(table), _styles(len(runs_of(table))), strict=True):
        rows = table[table["run"] == run]
        _line(axes, rows, drawn.column, range(len(rows)) if by_name else rows["depth"].tolist(), run, style)
    if below:
        below.write(axes)
    else:
        axes.set_xlabel(DEPTH)
    axes.set_ylabel(drawn.label)
    _limits(axes, measure)
    key(figure, axes.get_legend_handles_labels()[0])
    runs = data.comparison.heading.runs["scorer"].iloc[0]
    note = _NOT_COMPARABLE.format(runs) if measure == "score" and _incomparable(data) else drawn.note
    if not data.judged and measure == "concepts":
        note = f"{NOT_JUDGED}; a wider layer has room for more"
    return finish(figure, drawn.title, data.comparison.heading, note, interval_note(data, table, drawn.column))


def _styles(count: int) -> list[Style]:
    return [RUNS[at % len(RUNS)] for at in range(count)]


def _line(axes: Axes, rows: pd.DataFrame, column: str, places: Sequence[float], run: str, style: Style) -> None:
    colour, marker, line = style
    places = list(places)
    if f"{column}_low" in rows and rows[f"{column}_low"].notna().any():
        low, high = (rows[f"{column}_{end}"].to_numpy(float) for end in ("low", "high"))
        axes.fill_between(places, low, high, color=colour, alpha=0.15, linewidth=0)
    axes.plot(
        places,
        rows[column].to_numpy(float),
        color=colour,
        marker=marker,
        linestyle=line,
        markersize=4,
        linewidth=1.2,
        label=run,
    )


def _common(table: pd.DataFrame, layers: Sequence[str]) -> list[str]:
    each = table.groupby("layer", sort=False)["neurons"].unique()
    return [width_of(each[layer].tolist()) for layer in layers]


def _limits(axes: Axes, measure: Measure) -> None:
    if measure == "share":
        axes.set_ylim(0, 1)
        axes.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    elif measure == "concepts":
        axes.set_ylim(0, max(1.0, axes.get_ylim()[1]))
        axes.yaxis.set_major_locator(MaxNLocator(integer=True))
    elif axes.get_ylim()[0] > 0:
        axes.set_ylim(bottom=0)


def _incomparable(data: FigureData) -> bool:
    return bool(data.comparison.layers["mean_score"].isna().all())


def _scored(data: FigureData) -> pd.DataFrame:
    """Return mean scores by layer: of a scorer that allows it, or with the mean-score threshold of the paper."""
    found = data.comparison
    if len(found.thresholds):
        depths = found.layers[["run", "layer", "depth"]]
        return found.thresholds.merge(depths, on=["run", "layer"], how="left", validate="one_to_one")
    if _incomparable(data):
        raise UsageError(
            f"scores of {found.heading.runs['scorer'].iloc[0]} may not be compared across layers or models",
            "ask for the mean-score threshold of the paper, which compares them anyway: --threshold global",
        )
    return found.layers


def interval_note(data: FigureData, table: pd.DataFrame, column: str) -> str:
    """Return the remark about intervals below a figure."""
    if f"{column}_low" not in table:
        return ""
    if table[f"{column}_low"].isna().all():
        return "Intervals were not computed"
    unit = "images" if (data.comparison.heading.runs["patients"] < 0).any() else "patients"
    return f"Shown are 95 % intervals over {unit}"
