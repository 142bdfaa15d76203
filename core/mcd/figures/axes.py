"""Layers along an axis: in the order of the model, however they are called and however many there are."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import pandas as pd
from matplotlib.axes import Axes

from mcd.comparison.layers import ALL
from mcd.errors import UsageError
from mcd.figures.drawing import INK, LETTER, SMALL
from mcd.networks.patterns import match_layers

__all__ = [
    "DEPTH",
    "LABELLED",
    "NEURONS",
    "NOT_JUDGED",
    "SIGNIFICANT",
    "UPRIGHT",
    "Below",
    "beside",
    "check_any",
    "chosen",
    "down",
    "evenly",
    "layers_of",
    "picked",
    "runs_of",
    "same_layers",
    "short",
    "width_of",
]

_LONGEST = 30
UPRIGHT = 0.14
"""Inches that a name takes when it stands upright."""

NEURONS = "layer (neurons)"
DEPTH = "depth: 0 the first dissected layer, 1 the last"


def layers_of(table: pd.DataFrame, run: str | None = None) -> list[str]:
    """Return the layers of a table, of one run or of all, in the order of the model.

    Tables of a comparison are in that order. Names are never sorted: ``blocks.10`` would come before ``blocks.2``.
    """
    rows = table if run is None else table[table["run"] == run]
    return [str(layer) for layer in dict.fromkeys(rows["layer"]) if layer != ALL]


def runs_of(table: pd.DataFrame) -> list[str]:
    """Return the runs of a table, the reference first."""
    return [str(run) for run in dict.fromkeys(table["run"])]


def same_layers(table: pd.DataFrame) -> bool:
    """Say whether all runs of a table have layers of the same names."""
    return len({tuple(layers_of(table, run)) for run in runs_of(table)}) == 1


def picked(layers: Sequence[str], patterns: Sequence[str]) -> list[str]:
    """Return the layers that patterns pick, in the order of the model; all of them where there are none.

    Raises
    ------
    UnknownNameError
        When a pattern picks none.
    """
    return match_layers(patterns, layers) if patterns else list(layers)


def chosen(table: pd.DataFrame, patterns: Sequence[str]) -> pd.DataFrame:
    """Return the rows of the layers that patterns pick; of all layers where there are none.

    Raises
    ------
    UnknownNameError
        When a pattern picks no layer of any run.
    """
    each = table[table["layer"] != ALL]
    return each[each["layer"].isin(picked(layers_of(each), patterns))]


NOT_JUDGED = "All first labels are drawn, significant or not: they were imported, and some label always comes first"
LABELLED = "has a label"
SIGNIFICANT = "has a significant first label"
_WHY = {
    LABELLED: "neurons that respond to all images alike have none; status in labels.csv says it of each",
    SIGNIFICANT: "--only null shows how far they are from it; more images detect smaller effects",
}
"""Hints where no neuron has it."""


def check_any(counts: Iterable[int], runs: Sequence[str], what: str = SIGNIFICANT) -> None:
    """Make sure that a figure has something to show.

    Parameters
    ----------
    counts
        Of neurons that have it, in what the figure shows.
    runs
        Which runs it shows.
    what
        What they have: `LABELLED`, `SIGNIFICANT`.

    Raises
    ------
    UsageError
        When no neuron has it.
    """
    if not any(counts):
        raise UsageError(f"nothing to show: no neuron of {' or '.join(runs)} {what}", _WHY.get(what, _WHY[SIGNIFICANT]))


def evenly(layers: Sequence[str], count: int) -> list[str]:
    """Return at most so many layers, spread evenly from the first to the last."""
    if len(layers) <= count:
        return list(layers)
    step = (len(layers) - 1) / max(1, count - 1)
    return [layers[round(at * step)] for at in range(count)]


def short(name: str, longest: int = _LONGEST) -> str:
    """Return a name that is not too long; its end, which distinguishes layers, is kept."""
    return name if len(name) <= longest else f"…{name[1 - longest :]}"


def width_of(neurons: Sequence[int]) -> str:
    """Return how many neurons a layer has; from the fewest to the most where runs differ, as in a new head."""
    few, many = min(neurons), max(neurons)
    return f"{few}" if few == many else f"{few}–{many}"


@dataclass(frozen=True)
class Below:
    """Names of layers side by side below axes.

    Parameters
    ----------
    names
        Of those that are named; every ``step``-th.
    count
        How many layers there are.
    step
        1, or more where there are too many.
    upright
        Whether they stand upright, for want of room.
    """

    names: tuple[str, ...]
    count: int
    step: int
    upright: bool

    @classmethod
    def of(cls, layers: Sequence[str], neurons: Sequence[object], inches: float) -> Below:
        """Return how to name layers, each with how many neurons it has, below axes so many inches wide."""
        step = -(-len(layers) // max(1, int(inches / UPRIGHT)))
        names = tuple(f"{short(layers[at])} ({neurons[at]})" for at in range(0, len(layers), step))
        return cls(names, len(layers), step, max(map(len, names)) * LETTER > inches / len(names))

    @property
    def inches(self) -> float:
        """How much height they take."""
        return 0.15 + (max(map(len, self.names)) * LETTER if self.upright else 0.0)

    def write(self, axes: Axes) -> None:
        """Name the layers at 0, 1, 2 and so on."""
        axes.set_xticks(range(0, self.count, self.step), self.names, rotation=90 if self.upright else 0)
        axes.set_xlim(-0.5, self.count - 0.5)
        axes.set_xlabel(NEURONS if self.step == 1 else f"{NEURONS}; one in {self.step} is named")


def beside(axes: Axes, text: str, at: float, color: str = INK) -> None:
    """Write a text to the right of an axis, at a height in its data."""
    axes.annotate(
        text,
        (1, at),
        (4, 0),
        xycoords=axes.get_yaxis_transform(),
        textcoords="offset points",
        fontsize=SMALL,
        color=color,
        va="center",
        annotation_clip=False,
    )


def down(axes: Axes, layers: Sequence[str], neurons: Sequence[object], at: Sequence[float] | None = None) -> None:
    """Name layers beside an axis from top to bottom, each with how many neurons it has."""
    names = [f"{short(layer)} ({count})" for layer, count in zip(layers, neurons, strict=True)]
    places = list(range(len(layers))) if at is None else list(at)
    axes.set_yticks(places, names)
    axes.set_ylim(max(places, default=0) + 0.6, min(places, default=0) - 0.6)
    axes.tick_params(axis="y", length=0)
