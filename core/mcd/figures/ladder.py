"""How far the labels of each layer get: neurons at every rung of significance."""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib.figure import Figure
from matplotlib.patches import Patch
from matplotlib.ticker import PercentFormatter

from mcd.errors import UsageError
from mcd.figures.axes import NEURONS, check_any, down, picked
from mcd.figures.data import FigureData
from mcd.figures.drawing import SMALL, canvas, finish, key, styled, tidy
from mcd.scoring.rungs import IMAGE, NUISANCE, RIGHT, UNTRAINED

__all__ = ["rungs"]

_COLOURS = {IMAGE: "#cfe1f2", NUISANCE: "#85bcdc", UNTRAINED: "#2f7fbc", RIGHT: "#08306b"}
"""The higher the rung, the darker: bars of higher rungs lie before those of lower ones."""
_ROW = 0.26


@styled
def rungs(data: FigureData, run: str | None = None, layers: Sequence[str] = ()) -> Figure:
    """Return the share of a layer's neurons whose first label is significant at each rung that was tested.

    Parameters
    ----------
    run
        The first by default.
    layers
        Patterns that pick layers; all by default.

    Raises
    ------
    UsageError
        When no rung above the first was tested, a pattern picks no layer, or no neuron has a significant first label.
    """
    name, dissection = data.one(run)
    summaries = {one.layer: one for one in dissection.manifest.summary if one.significant is not None}
    shown = [layer for layer in picked(dissection.layers, layers) if layer in summaries]
    check_any([summaries[layer].significant or 0 for layer in shown], [name])
    tested = [rung for rung in _COLOURS if rung != IMAGE and any(rung in summaries[layer].rungs for layer in shown)]
    if not tested:
        reasons = "; ".join(f"{rung}: {why}" for rung, why in dissection.manifest.rungs.items() if why)
        raise UsageError(
            f"of {name} no rung above the first was tested" + (f" ({reasons})" if reasons else ""),
            "" if reasons else "label it again: mcd score RUN",
        )
    figure, (axes,) = canvas(1.5 + len(shown) * _ROW)
    tidy(axes)
    counts = {
        layer: {IMAGE: one.significant or 0, **{rung: found.significant for rung, found in one.rungs.items()}}
        for layer, one in summaries.items()
    }
    for rung in (IMAGE, *tested):
        shares = [counts[layer].get(rung, 0) / max(1, summaries[layer].neurons) for layer in shown]
        axes.barh(range(len(shown)), shares, 0.72, color=_COLOURS[rung])
    for at, layer in enumerate(shown):
        axes.annotate(
            " · ".join(str(counts[layer].get(rung, 0)) for rung in (IMAGE, *tested)),
            (1, at),
            (4, 0),
            xycoords=axes.get_yaxis_transform(),
            textcoords="offset points",
            fontsize=SMALL,
            va="center",
            annotation_clip=False,
        )
    down(axes, shown, [summaries[layer].neurons for layer in shown])
    axes.set_ylabel(NEURONS)
    axes.xaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    axes.set_xlabel("share of the layer's neurons")
    total = {rung: sum(counts[layer].get(rung, 0) for layer in shown) for rung in (IMAGE, *tested)}
    key(figure, [Patch(facecolor=_COLOURS[rung], label=f"{rung}: {total[rung]}") for rung in total], 2)
    missing = [f"{rung}: {why}" for rung, why in dissection.manifest.rungs.items() if why]
    return finish(
        figure,
        f"How far the labels of {name} get",
        data.comparison.heading,
        "Each rung has a false discovery rate of its own; beside the bars, neurons",
        *([f"Not available: {'; '.join(missing)}"] if missing else []),
    )
