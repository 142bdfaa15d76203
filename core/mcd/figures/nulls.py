"""First labels and the null of each layer, and the controls of a run."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import PercentFormatter
from numpy.typing import NDArray

from mcd.comparison.outcomes import significance
from mcd.errors import UsageError
from mcd.figures.axes import LABELLED, NEURONS, beside, check_any, down, picked
from mcd.figures.data import FigureData
from mcd.figures.drawing import (
    BLUE,
    GREEN,
    INK,
    MUTED,
    ORANGE,
    PURPLE,
    VERMILLION,
    canvas,
    finish,
    key,
    styled,
    tidy,
)
from mcd.runs.dissection import Dissection

__all__ = ["controls", "null"]

_ROW = 0.24
_QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)
_APART = 12
"""Layers below which the controls of each are drawn below each other."""
_GRID = (np.arange(200) + 0.5) / 200

Values = NDArray[np.float64]


@styled
def null(data: FigureData, run: str | None = None, layers: Sequence[str] = ()) -> Figure:
    """Return z of first labels and the null distribution, layer by layer.

    Null: the highest z over all concepts of permuted neurons, as the run drew it. Neurons of a layer
    may have different nulls (by how many images they are silent on); these are pooled as the neurons have them.

    Parameters
    ----------
    run
        The first by default.
    layers
        Patterns that pick layers; all by default.

    Raises
    ------
    UsageError
        When the run keeps no nulls, a pattern picks no layer, or no neuron has a label.
    """
    name, dissection = data.one(run)
    chosen = picked(dissection.layers, layers)
    check_any((one.labelled for one in dissection.manifest.summary if one.layer in chosen), [name], LABELLED)
    if not len(dissection.results.null) or not len(dissection.results.neurons):
        raise UsageError(f"{name} has no stored null", "label it again: mcd score RUN")
    first = dissection.labels[(dissection.labels["rank"] == 1) & dissection.labels["z"].notna()]
    calibrated = set(first["layer"]) & set(dissection.results.null["layer"])
    shown = [layer for layer in chosen if layer in calibrated]
    figure, (axes,) = canvas(1.5 + len(shown) * _ROW)
    tidy(axes)
    neurons = {one.name: one.neurons for one in dissection.manifest.layers}
    for at, layer in enumerate(shown):
        rows = first[first["layer"] == layer]
        _boxes(axes, at - 0.2, _null_of(dissection, layer), "#9a9a9a", INK)
        _boxes(axes, at + 0.2, rows["z"].to_numpy(np.float64), BLUE, "white")
        _must_pass(axes, at, dissection, layer)
        significant = int((rows["q"] <= significance(dissection)).sum())
        beside(axes, f"{significant} of {neurons[layer]}", at)
    down(axes, shown, [neurons[layer] for layer in shown])
    axes.set_ylabel(NEURONS)
    axes.set_xlabel("z")
    key(figure, _null_keys(), 3)
    return finish(
        figure,
        f"First labels of {name} and their null",
        data.comparison.heading,
        "Thin bars: 5 to 95 % of neurons or draws; thick bars: 25 to 75 %; dots: medians",
        "Beside them, significant neurons",
    )


def _null_of(dissection: Dissection, layer: str) -> Values:
    """Return values spread as the nulls of a layer are, each weighing as many neurons as share it."""
    tables = dissection.results
    null = tables.null[tables.null["layer"] == layer]
    shared = tables.neurons.loc[tables.neurons["layer"] == layer, "stratum"].value_counts()
    parts = []
    for stratum, rows in null.groupby("stratum"):
        values = np.interp(_GRID, rows["level"].to_numpy(np.float64), rows["z"].to_numpy(np.float64))
        parts.append(np.repeat(values, int(shared.get(stratum, 0))))
    return np.concatenate(parts) if parts else np.empty(0)


def _boxes(axes: Axes, at: float, values: Values, colour: str, dot: str) -> None:
    values = values[np.isfinite(values)]  # a draw in which no concept has a value is infinitely low
    if not len(values):
        return
    low, quarter, middle, most, high = np.quantile(values, _QUANTILES).tolist()
    axes.plot([low, high], [at, at], color=colour, linewidth=1.0, solid_capstyle="butt")
    axes.plot([quarter, most], [at, at], color=colour, linewidth=5.0, solid_capstyle="butt")
    axes.plot(
        [middle],
        [at],
        color=dot,
        marker="o",
        markersize=3,
        markeredgecolor=colour,  # of a single neuron there is nothing else to see
        markeredgewidth=1.0,
        linestyle="none",
    )


def _must_pass(axes: Axes, at: int, dissection: Dissection, layer: str) -> None:
    """Mark the z that a label must exceed to be significant, where all neurons of the layer share one."""
    table = dissection.results.neurons
    if "critical" not in table:
        return
    needed = table.loc[table["layer"] == layer, "critical"]
    needed = needed[np.isfinite(needed)]
    if len(needed):
        axes.plot([needed.median()] * 2, [at - 0.4, at + 0.4], color=VERMILLION, linewidth=1.2, linestyle=(0, (2, 1)))


def _null_keys() -> list[Line2D]:
    return [
        Line2D([], [], color=BLUE, linewidth=5, label="first labels of the run"),
        Line2D([], [], color="#9a9a9a", linewidth=5, label="null: highest z over all concepts"),
        Line2D([], [], color=VERMILLION, linewidth=1.2, linestyle=(0, (2, 1)), label="must be passed (median neuron)"),
    ]


_MARKS = (("o", BLUE), ("s", ORANGE), ("^", GREEN), ("D", PURPLE), ("v", INK), ("P", VERMILLION))
_PANELS = (("significant", "significant"), ("mammographic", "significant, mammographic"), ("mean_z", "mean z"))


@styled
def controls(data: FigureData, run: str | None = None, layers: Sequence[str] = ()) -> Figure:
    """Return a run and its negative controls: shares of neurons, mean z.

    Parameters
    ----------
    run
        The first by default.
    layers
        Patterns that pick layers; all by default.

    Raises
    ------
    UsageError
        When the run has no controls, a pattern picks no layer, or no neuron of the run or a control has a label.
    """
    name, dissection = data.one(run)
    table = dissection.results.controls
    if not len(table):
        raise UsageError(f"{name} was run without controls", "mcd dissect … --controls")
    shown = [layer for layer in picked(dissection.layers, layers) if layer in set(table["layer"])]
    table = table[table["layer"].isin(shown)]
    names = [str(one) for one in dict.fromkeys(table["control"])]
    check_any(table["labelled"], [name, "its controls"], LABELLED)
    apart = len(shown) <= _APART
    figure, panels = canvas(1.6 + len(shown) * (0.1 * len(names) + 0.08 if apart else _ROW), 1, 3, sharey=True)
    for axes, (column, title) in zip(panels, _PANELS, strict=True):
        _dots(axes, table, shown, names, column, 0.8 / len(names) if apart else 0.0)
        axes.set_title(title)
    own = table[table["control"] == names[0]].set_index("layer")["neurons"]
    down(panels[0], shown, own.loc[shown].tolist())
    panels[0].set_ylabel(NEURONS)
    for axes in panels[1:]:
        axes.tick_params(axis="y", labelleft=False, length=0)
    handles = [_control_key(table, name, control, at) for at, control in enumerate(names)]
    key(figure, handles, 3)
    return finish(
        figure,
        f"Run {name} beside its controls",
        data.comparison.heading,
        "Shares are of all neurons of the layer; numbers in the key are significant neurons, of all layers shown",
        "Labels as frequent in a control as in the run are not evidence about the model",
    )


def _dots(
    axes: Axes, table: pd.DataFrame, shown: Sequence[str], names: Sequence[str], column: str, apart: float
) -> None:
    tidy(axes)
    for at, control in enumerate(names):
        rows = table[table["control"] == control].set_index("layer").reindex(list(shown))
        values = rows[column].to_numpy(np.float64)
        if column != "mean_z":
            values = values / np.maximum(rows["neurons"].to_numpy(np.float64), 1)
        marker, colour = _MARKS[at % len(_MARKS)]
        y = np.arange(len(shown)) + (at - (len(names) - 1) / 2) * apart
        axes.plot(
            values,
            y,
            marker=marker,
            color=colour,
            markerfacecolor=colour if not at else "white",
            markersize=4.5,
            markeredgewidth=1.0,
            linestyle="none",
            clip_on=False,
            label=control,
        )
    for at in range(len(shown) - 1):
        axes.axhline(at + 0.5, color="#ececec", linewidth=0.5)
    if column == "mean_z":
        axes.set_xlim(min(0.0, axes.get_xlim()[0]), 1.05 * max(1.0, axes.get_xlim()[1]))
        axes.set_xlabel("z of first labels")
    else:
        axes.set_xlim(0, 1)
        axes.xaxis.set_major_formatter(PercentFormatter(1, decimals=0))
        axes.set_xlabel("share of neurons")
    axes.spines["left"].set_color(MUTED)


def _control_key(table: pd.DataFrame, run: str, control: str, at: int) -> Line2D:
    rows = table[table["control"] == control]
    marker, colour = _MARKS[at % len(_MARKS)]
    name = run if control == "none" else control
    label = f"{name}: {rows['significant'].sum()} of {rows['neurons'].sum()}"
    return Line2D(
        [],
        [],
        marker=marker,
        color=colour,
        markerfacecolor=colour if not at else "white",
        markersize=4.5,
        linestyle="none",
        label=label,
    )
