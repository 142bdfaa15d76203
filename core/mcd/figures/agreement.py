"""How right labels are: what an evaluation found, beside what chance and other labels reach."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from mcd.errors import UnknownNameError, UsageError, amount, nearest
from mcd.figures.captions import sentence
from mcd.figures.data import FigureData
from mcd.figures.drawing import BLUE, FAINT, GREEN, MUTED, ORANGE, SKY, VERMILLION, canvas, finish, key, styled, tidy
from mcd.runs.evaluated import AGAINST, BASELINES, FIRST, MEASURES, Evaluation

__all__ = ["evaluation"]

_LOOKS = {
    FIRST: (BLUE, "o"),
    "runner-up": (SKY, "s"),
    "random": (ORANGE, "D"),
    "constant": (GREEN, "v"),
    "untrained": (VERMILLION, "X"),
}
_ROW = 0.5
"""Inches that the marks of a measure take."""
_STEP = 0.15
"""Between two of them, in parts of that."""
_OWN_SCALE = "mad (annotated positives)"
"""The one measure without bounds, in standard deviations; all others are at most 1."""


@styled
def evaluation(data: FigureData, run: str | None = None, layer: str | None = None) -> Figure:
    """Return what labels were measured to be worth, a panel for each thing they were judged against.

    Marks are means over neurons, lines 95 % intervals over held-out patients: first labels, and the baselines below
    them.

    Parameters
    ----------
    run
        The first by default.
    layer
        All layers together by default.

    Raises
    ------
    UsageError
        When the run was not evaluated, no label of it could be judged, or there is no such layer.
    StoreError
        When its evaluation is damaged, or of labels that the run no longer has.
    """
    name, dissection = data.one(run)
    if layer is not None and layer not in dissection.layers:
        raise UnknownNameError(f"{name} has no layer '{layer}'", nearest(layer, dissection.layers))
    found = dissection.evaluation
    if found is None:
        raise UsageError(f"{name} has no evaluation", "mcd evaluate RUN judges its labels")
    table = _drawn(found, layer or "")
    if not len(table):
        raise UsageError(f"of {name} no label could be judged", "; ".join(found.problems))
    judges = [one for one in AGAINST if (table["against"] == one).any()]
    measures = [one for one in MEASURES if (table["measure"] == one).any()]
    groups = [[one for one in measures if (one == _OWN_SCALE) == own] for own in (False, True)]
    groups = [group for group in groups if group]
    height = 1.9 + len(measures) * _ROW
    figure, axes = canvas(
        height, len(groups), len(judges), sharey="row", heights=[len(group) + 0.4 for group in groups]
    )
    for at, (group, judge) in enumerate((group, judge) for group in groups for judge in judges):
        _panel(axes[at], table[table["against"] == judge], group)
        if at < len(judges):
            axes[at].set_title(f"against {judge}")
        if at % len(judges):
            axes[at].tick_params(axis="y", labelleft=False, length=0)
    for at in range(len(groups)):
        _same_scale(axes[at * len(judges) : (at + 1) * len(judges)])
    kinds = [kind for kind in _LOOKS if (table["labels"] == kind).any()]
    key(figure, [_mark(kind) for kind in kinds], 5)
    return finish(
        figure,
        f"How right the labels of {name} are{f', {layer}' if layer else ''}",
        data.comparison.heading,
        *_notes(found, table, kinds),
    )


def _drawn(found: Evaluation, layer: str) -> pd.DataFrame:
    """Return the rows of a summary that have a place in the figure."""
    table = found.summary
    if not len(table):
        return table
    known = {"against": AGAINST, "measure": MEASURES, "labels": _LOOKS}
    table = table[table["layer"] == layer].replace([np.inf, -np.inf], np.nan)
    for column, names in known.items():
        table = table[table[column].isin(list(names))]
    return table[table["value"].notna()]


def _panel(axes: Axes, table: pd.DataFrame, measures: Sequence[str]) -> None:
    tidy(axes)
    shown = table[table["measure"].isin(measures)]
    if not len(shown):
        axes.set_frame_on(False)
        axes.tick_params(bottom=False, labelbottom=False)
        axes.grid(visible=False)
    for at, kind in enumerate(_LOOKS):
        rows = shown[shown["labels"] == kind]
        colour, marker = _LOOKS[kind]
        y = [measures.index(one) + (at - 2) * _STEP for one in rows["measure"]]
        axes.hlines(y, rows["low"], rows["high"], color=colour, linewidth=1.1)
        axes.plot(
            rows["value"],
            y,
            marker=marker,
            linestyle="",
            markersize=4.5 if kind == FIRST else 3.8,
            markerfacecolor=colour if kind == FIRST else "white",
            markeredgecolor=colour,
            markeredgewidth=1.0,
            label=kind,
        )
    axes.set_yticks(range(len(measures)), [MEASURES.get(one, one).replace(" (", "\n(") for one in measures])
    axes.set_ylim(len(measures) - 0.5, -0.5)
    axes.tick_params(axis="y", length=0)
    for edge in range(1, len(measures)):
        axes.axhline(edge - 0.5, color=FAINT, linewidth=0.5, zorder=0)
    axes.xaxis.set_major_locator(MaxNLocator(4, steps=[1, 2, 2.5, 5, 10]))


def _same_scale(row: Sequence[Axes]) -> None:
    """Give panels beside each other the same scale, with 0 in sight."""
    drawn = [axes for axes in row if axes.get_frame_on()]
    low = min(axes.dataLim.x0 for axes in drawn)
    high = max(axes.dataLim.x1 for axes in drawn)
    pad = 0.04 * max(high - min(low, 0.0), 0.1)
    for axes in drawn:
        axes.set_xlim(min(low, 0.0) - pad, max(high, 0.0) + pad)
        if low < 0:
            axes.axvline(0, color=MUTED, linewidth=0.6)


def _mark(kind: str) -> Line2D:
    colour, marker = _LOOKS[kind]
    return Line2D(
        [],
        [],
        color=colour,
        marker=marker,
        markersize=4.5,
        markerfacecolor=colour if kind == FIRST else "white",
        label=kind,
    )


def _notes(found: Evaluation, table: pd.DataFrame, kinds: Sequence[str]) -> list[str]:
    patients = found.record.held_out_patients
    unit = "image" if patients is None else "patient"
    held = amount(found.record.held_out_images if patients is None else patients, f"held-out {unit}")
    bounded = table["low"].notna().any()
    said = [
        f"Means over neurons on {held}" + (f"; lines: 95 % intervals over {unit}s" if bounded else ", no intervals")
    ]
    said += [f"{kind[:1].upper()}{kind[1:]}: {BASELINES[kind]}" for kind in kinds if kind in BASELINES]
    return [*said, *map(sentence, found.problems)]
