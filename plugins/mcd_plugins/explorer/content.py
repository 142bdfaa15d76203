"""What the page knows of a run's neurons: labels, nulls, activations, as columns."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

import mcd
from mcd.errors import StoreError
from mcd.plugins import RUNG_COLUMNS, above_chance, by_evidence, ordered_top_k
from mcd_plugins.explorer.packing import Json, Names, packed, rounded
from mcd_plugins.reporters.absent import left_out

__all__ = ["Neurons", "histograms", "learned_of", "neurons_of", "responses_of"]

_BINS = 24
_AT_ONCE = 256
"""Neurons whose histograms are counted at a time: what bounds the memory."""

Numbers = NDArray[np.int64]
Values = NDArray[np.float64]


@dataclass(frozen=True)
class Neurons:
    """Where the neurons of a run stand in its columns.

    Parameters
    ----------
    layers
        Names of the layers.
    offsets
        Number of the first neuron of each, and of all neurons at the end.
    """

    layers: tuple[str, ...]
    offsets: Numbers

    @classmethod
    def of(cls, dissection: mcd.Dissection) -> Neurons:
        """Return those of a run."""
        layers = dissection.manifest.layers
        return cls(tuple(one.name for one in layers), np.cumsum([0, *(one.neurons for one in layers)]))

    @property
    def count(self) -> int:
        """How many there are."""
        return int(self.offsets[-1])

    def places(self, table: pd.DataFrame) -> Numbers:
        """Return which neuron each row of a table with ``layer`` and ``neuron`` is about."""
        start = dict(zip(self.layers, self.offsets[:-1].tolist(), strict=True))
        found: Numbers = table["layer"].map(start).to_numpy(np.int64) + table["neuron"].to_numpy(np.int64)
        return found


def neurons_of(dissection: mcd.Dissection, concepts: Names, rate: float) -> dict[str, Json]:
    """Return the neurons of a run with their labels, those with the strongest evidence first, and their nulls.

    Parameters
    ----------
    concepts
        Names that all runs of a page share: term, category, broad category.
    rate
        The false discovery rate of the run.
    """
    neurons = Neurons.of(dissection)
    table = by_evidence(dissection.labels, ("layer", "neuron"))
    where = neurons.places(table)
    order = np.argsort(where, kind="stable")
    table, where = table.iloc[order], where[order]
    kept = table["rank"].notna().to_numpy(np.bool_)
    labels, above = table[kept], above_chance(table, rate).to_numpy(np.bool_)
    named = zip(labels["concept"], labels["category"], labels["broad_category"], strict=True)
    numbers = np.fromiter((concepts.number(*map(str, one)) for one in named), dtype=np.int64, count=len(labels))
    return {
        "layers": [
            {"name": one.name, "neurons": one.neurons, "units": list(one.through.names) if one.through else []}
            for one in dissection.manifest.layers
        ],
        **_words(table, where, neurons.count),
        "labels": packed(np.bincount(where[kept], minlength=neurons.count)),
        "above": packed(np.bincount(where[above], minlength=neurons.count)),
        "rank": packed(labels["rank"].to_numpy(np.int64)),
        "concept": packed(numbers),
        **{name: packed(labels[name].to_numpy(np.float64)) for name in ("score", "z", "p", "q")},
        **_chance(dissection, neurons),
        "explanations": _explanations(dissection, neurons),
    }


def _words(table: pd.DataFrame, where: Numbers, count: int) -> dict[str, Json]:
    """Return status and verdict of each neuron, and how far its first label gets, each word once."""
    each = np.unique(where, return_index=True)[1]
    first = np.flatnonzero((table["rank"] == 1).to_numpy(np.bool_, na_value=False))
    columns: dict[str, Json] = {}
    for name, words, rows in (("status", "statuses", each), ("verdict", "verdicts", each), ("rung", "rungs", first)):
        known = Names()
        numbers = np.full(count, known.number(""))
        if name in table:  # the rung is not in runs of before
            numbers[where[rows]] = [known.number(str(one)) for one in table[name].iloc[rows]]
        columns |= {name: packed(numbers), words: known.column()}
    return {**columns, "climbed": _climbed(table.iloc[first], where[first], count)}


def _climbed(first: pd.DataFrame, where: Numbers, count: int) -> Json:
    """Return the q of first labels at each rung above the first that was tested: rung and column."""
    found: list[Json] = []
    for rung, column in list(RUNG_COLUMNS.items())[1:]:
        if column in first and first[column].notna().any():
            q = np.full(count, np.nan)
            q[where] = first[column].to_numpy(np.float64)
            found.append([rung, packed(q)])
    return found


def learned_of(dissection: mcd.Dissection, concepts: Names) -> Json:
    """Return for each concept that labels some neuron the highest rung over all layers, in words, and its q there."""
    table = dissection.results.learned
    if not len(table):
        return []
    named = zip(table["concept"], table["category"], table["broad_category"], strict=True)
    numbers = [concepts.number(*map(str, one)) for one in named]
    return [list(one) for one in zip(numbers, table["rung"], rounded(table["q"].to_numpy(np.float64), 6), strict=True)]


def _chance(dissection: mcd.Dissection, neurons: Neurons) -> dict[str, Json]:
    """Return the nulls, each once, and which of them every neuron has (0: none)."""
    table, null = dissection.results.neurons, dissection.results.null
    p_any, critical = np.full(neurons.count, np.nan), np.full(neurons.count, np.nan)
    which = np.zeros(neurons.count, dtype=np.int64)
    curves = Names()
    found: list[Json] = []
    if len(table) and len(null):
        where = neurons.places(table)
        p_any[where] = table["p_any"].to_numpy(np.float64)
        if "critical" in table:
            critical[where] = table["critical"].to_numpy(np.float64)
        numbers: dict[object, int] = {}
        for pair, rows in null.groupby(["layer", "stratum"], sort=False):
            level, z = (rounded(rows[name].to_numpy(np.float64)) for name in ("level", "z"))
            number = curves.number(repr(level), repr(z))
            if number == len(found):
                found.append({"level": level, "z": z})
            numbers[pair] = number + 1
        which[where] = [numbers.get(pair, 0) for pair in zip(table["layer"], table["stratum"], strict=True)]
    return {"p_any": packed(p_any), "critical": packed(critical), "nulls": found, "null": packed(which)}


def _explanations(dissection: mcd.Dissection, neurons: Neurons) -> Json:
    """Return explanations by several concepts together, where a run has them: neuron, text, fit elsewhere, q."""
    table = dissection.results.explanations
    if not len(table):
        return []
    where = neurons.places(table).tolist()
    found = zip(
        where,
        table["explanation"],
        rounded(table["held_out"].to_numpy(np.float64)),
        rounded(table["q"].to_numpy(np.float64), 6),
        strict=True,
    )
    return [list(one) for one in found]


def histograms(values: NDArray[np.float32], bins: int) -> tuple[Numbers, Values, Values]:
    """Return for each neuron how many images fall into each of equally wide bins between its extremes.

    Parameters
    ----------
    values
        Activations A, ``(images, neurons)``.

    Returns
    -------
    tuple
        Counts ``(neurons, bins)``; lowest and highest activation ``(neurons,)``. A neuron with an activation that is
        not finite has no counts and NaN.
    """
    fine = np.asarray(np.isfinite(values).all(axis=0))
    known = np.where(fine, values, 0).astype(np.float64)
    low, high = known.min(axis=0), known.max(axis=0)
    span = np.where(high > low, high - low, 1)
    at = np.minimum((known - low) / span * bins, bins - 1).astype(np.int64)
    flat = at + bins * np.arange(values.shape[1])
    counts = np.bincount(flat.ravel(), minlength=values.shape[1] * bins).reshape(-1, bins)
    return counts * fine[:, None], np.where(fine, low, np.nan), np.where(fine, high, np.nan)


def responses_of(dissection: mcd.Dissection, images: int) -> tuple[dict[str, Json], Numbers]:
    """Return histograms and highest activations of a run's neurons, and the rows of their top images.

    Parameters
    ----------
    images
        How many top images a neuron has.

    Returns
    -------
    tuple
        The columns, and rows of A ``(neurons, images)``; no columns where activations cannot be read, which is said.
    """
    images = min(images, dissection.manifest.images)
    try:
        layers = [_layer(dissection.activations(layer), images) for layer in dissection.layers]
    except StoreError as error:
        left_out("activations and top images", error)
        return {}, np.zeros((0, images), dtype=np.int64)
    counts, low, high, rows, values = (np.concatenate(parts) for parts in zip(*layers, strict=True))
    columns: dict[str, Json] = {
        "bins": _BINS,
        "counts": packed(counts),
        "low": packed(low),
        "high": packed(high),
        "top": images,
        "activation": packed(values),
    }
    return columns, rows


_Layer = tuple[Numbers, Values, Values, Numbers, NDArray[np.float32]]


def _layer(activations: torch.Tensor, images: int) -> _Layer:
    """Return counts, extremes, and rows and activations of the top images, of the neurons of a layer."""
    top = ordered_top_k(activations, images) if images else activations[:0].long()
    whole = activations.numpy()
    parts = [histograms(whole[:, at : at + _AT_ONCE], _BINS) for at in range(0, whole.shape[1], _AT_ONCE)]
    counts, low, high = (np.concatenate(found) for found in zip(*parts, strict=True))
    return counts, low, high, top.T.numpy(), activations.gather(0, top).T.numpy()
