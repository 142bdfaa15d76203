"""What fine-tuning gains and loses: categories before and after, a line each."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from numpy.typing import NDArray

from mcd.comparison.changes import MAY_BE_CHANCE, Changes, chance_rule, may_be_chance
from mcd.comparison.comparing import ALIKE
from mcd.comparison.layers import ALL
from mcd.errors import UsageError
from mcd.figures.axes import check_any, short
from mcd.figures.data import FigureData
from mcd.figures.drawing import BLUE, INK, MUTED, SMALL, VERMILLION, canvas, finish, key, styled, tidy

__all__ = ["specialisation"]

_LINE = 0.15
"""Inches between two names."""
_LINES = 18
"""Names that find room between the fewest and the most neurons, before they are moved apart."""

Values = NDArray[np.float64]


@styled
def specialisation(data: FigureData, run: str | None = None, top: int = 16) -> Figure:
    """Return how many neurons carry each category in the reference and in another run, joined by a line.

    Parameters
    ----------
    run
        The other run; the first that was compared neuron by neuron by default.
    top
        How many categories are drawn: those that change most.

    Raises
    ------
    UsageError
        When there is no other run, neurons were not compared one by one, or none has a significant first label.
    """
    found = _changes(data, run)
    table = found.categories
    check_any(table["before"] + table["after"], [data.name(), found.run])
    table = table.iloc[np.argsort(-table["change"].abs().to_numpy(), kind="stable")[:top]]
    sure = (~may_be_chance(table)).tolist()
    ends = [table[column].to_numpy(float) for column in ("before", "after")]
    step = max(1.0, float(np.ptp(ends))) / _LINES
    places = [_apart(values, step) for values in ends]
    low, high = float(np.min(places)) - step, float(np.max(places)) + step
    figure, (axes,) = canvas(1.6 + (high - low) / step * _LINE)
    tidy(axes, "none")
    axes.set_ylim(low, high)
    for side in (0, 1):
        _names(axes, table, side, places[side], sure)
    for before, after, certain, change in zip(
        *(table[name].tolist() for name in ("before", "after")), sure, table["change"].tolist(), strict=True
    ):
        colour, line, width = _style(change, certain)
        axes.plot([0, 1], [before, after], color=colour, linestyle=line, linewidth=width, marker="o", markersize=3)
    reference = data.name()
    axes.set_xlim(-0.02, 1.02)
    axes.set_xticks([0, 1], [f"{reference}\n(before)", f"{found.run}\n(after)"], fontsize=8)
    axes.spines["bottom"].set_visible(False)
    axes.spines["left"].set_visible(False)
    axes.tick_params(length=0)
    axes.yaxis.set_visible(False)
    key(figure, _keys(table))
    pairs = found.layers.loc[found.layers["place"] == ALL, "pairs"].iloc[0]
    left = len(found.categories) - len(table)
    return finish(
        figure,
        f"What {found.run} gains and loses over {reference}",
        data.comparison.heading,
        f"Numbers are neurons with a significant first label, of {pairs} that are compared one by one",
        f"Shown are the {len(table)} that change most of {len(table) + left} categories" if left else "",
        *_warnings(found),
        f"In brackets the change with its 95 % interval. {chance_rule(intervals=True)}"
        if table["low"].notna().any()
        else chance_rule(intervals=False),
    )


def _changes(data: FigureData, run: str | None) -> Changes:
    comparison = data.comparison
    names = list(comparison.heading.runs["run"])
    if len(names) < 2:
        raise UsageError("what changes takes two runs", "give the run before fine-tuning and the one after")
    if run is not None:
        data.name(run)
    found = [one for one in comparison.changes if run in (None, one.run)]
    if found:
        return found[0]
    if len({one.manifest.fingerprints["target"] for one in data.runs.values()}) == 1:
        raise UsageError(
            "the runs are of the same neurons: nothing changes but dissector or scorer", "give runs of two networks"
        )
    raise UsageError(
        f"neurons of {run or names[1]} were not compared one by one: its layers are not equally wide",
        "compare runs of networks that are alike, or draw other figures with --only",
    )


def _warnings(found: Changes) -> list[str]:
    if not found.correlation < ALIKE:
        return []
    return [
        f"Neurons compared correlate by {found.correlation:.2f} (median): these are hardly one model grown out of the "
        "other, and only sums over neurons mean something"
    ]


def _style(change: int, certain: bool) -> tuple[str, Literal["-", "--"], float]:
    if not certain:
        return "#a8a8a8", "-", 0.8
    return (BLUE, "-", 1.6) if change > 0 else (VERMILLION, "--", 1.6)


def _keys(table: pd.DataFrame) -> list[Line2D]:
    groups = ((1, True, "gained"), (-1, True, "lost"), (1, False, MAY_BE_CHANCE))
    keys = []
    for change, certain, label in groups:
        colour, line, width = _style(change, certain)
        keys.append(
            Line2D([], [], color=colour, linestyle=line, linewidth=width, marker="o", markersize=3, label=label)
        )
    return keys if table["low"].notna().any() else keys[2:]


def _names(axes: Axes, table: pd.DataFrame, side: int, places: Values, sure: Sequence[bool]) -> None:
    """Write category and number beside each end of a line, moved apart where they would overlap."""
    out = 0.06 if side else -0.06
    values = table["after" if side else "before"].tolist()
    for at, (value, place) in enumerate(zip(values, places.tolist(), strict=True)):
        row = table.iloc[at]
        name = short(str(row["name"]), 34)
        text = f"{value}  {name}  {_change(row)}" if side else f"{name}  {value}"
        axes.plot([side + out * 0.15, side + out * 0.9], [value, place], color="#c8c8c8", linewidth=0.5, clip_on=False)
        axes.text(
            side + out,
            place,
            text,
            fontsize=SMALL,
            va="center",
            ha="left" if side else "right",
            color=INK if sure[at] else MUTED,
        )


def _change(row: pd.Series) -> str:
    if pd.isna(row["low"]):
        return f"({row['change']:+.0f})".replace("-", "−")
    return f"({row['change']:+.0f}: {row['low']:+.1f} to {row['high']:+.1f})".replace("-", "−")


def _apart(values: Values, step: float) -> Values:
    """Return places near values, none nearer to another than ``step``: the nearest such, by pooling neighbours."""
    order = np.argsort(values, kind="stable")
    blocks: list[list[float]] = []  # sum of what each place would be without the step, and how many
    for rank, value in enumerate(values[order].tolist()):
        blocks.append([value - rank * step, 1])
        while len(blocks) > 1 and blocks[-2][0] / blocks[-2][1] >= blocks[-1][0] / blocks[-1][1]:
            total, count = blocks.pop()
            blocks[-1] = [blocks[-1][0] + total, blocks[-1][1] + count]
    places = np.empty_like(values)
    level = np.concatenate([np.full(int(count), total / count) for total, count in blocks])
    places[order] = level + np.arange(len(values)) * step
    return places
