"""What the page knows of an evaluation, neuron by neuron, as columns."""

from __future__ import annotations

import numpy as np
import pandas as pd

from mcd.plugins import AGAINST, FIRST_LABELS, MEASURES
from mcd_plugins.explorer.content import Neurons, Numbers
from mcd_plugins.explorer.packing import Json, Names, packed
from mcd_plugins.reporters.evaluations import Evaluated

__all__ = ["judged_of"]

_KINDS = (FIRST_LABELS, "runner-up")
"""The labels that have numbers of their own for each neuron in the page."""


def judged_of(found: Evaluated, neurons: Neurons) -> Json:
    """Return what was found of each neuron; only why there is nothing where there is no evaluation.

    Returns
    -------
    Json
        ``missing``, empty where there is an evaluation; ``measures``: against, measure, and a column for first labels
        and one for runner-ups; ``terms`` and for each of the two which of them each neuron has; ``stability`` and
        ``geometry``, null where they are not known.
    """
    if found.source is None:
        return {"missing": found.missing}
    table = found.source.neurons
    terms = Names()
    terms.number("")
    return {
        "missing": "",
        "measures": _measures(table, neurons) if len(table) else [],
        "concepts": [_concepts(table, kind, terms, neurons) for kind in _KINDS],
        "terms": terms.column(),
        "stability": _stability(found.source.stability, neurons),
        "geometry": _geometry(found.source.geometry, neurons),
    }


def _spread(table: pd.DataFrame, column: str, neurons: Neurons) -> Json:
    """Return a column of numbers, NaN for neurons without a row."""
    values = np.full(neurons.count, np.nan)
    if len(table):
        values[neurons.places(table)] = table[column].to_numpy(np.float64)
    return packed(values)


def _measures(table: pd.DataFrame, neurons: Neurons) -> list[Json]:
    each = dict(list(table.groupby(["against", "measure", "labels"], sort=False)))
    found: list[Json] = []
    for against in AGAINST:
        for measure, name in MEASURES.items():
            rows = [each.get((against, measure, kind), table.iloc[:0]) for kind in _KINDS]
            if any(one["value"].notna().any() for one in rows):
                found.append([against, name, [_spread(one, "value", neurons) for one in rows]])
    return found


def _concepts(table: pd.DataFrame, kind: str, terms: Names, neurons: Neurons) -> Json:
    numbers = np.zeros(neurons.count, dtype=np.int64)
    if len(table):
        rows = table[table["labels"] == kind].drop_duplicates(["layer", "neuron"])
        numbers[neurons.places(rows)] = [terms.number(str(one)) for one in rows["concept"]]
    return packed(numbers)


def _stability(table: pd.DataFrame, neurons: Neurons) -> Json:
    if not len(table):
        return None
    sets = Names()
    sets.number("")
    which = np.zeros(neurons.count, dtype=np.int64)
    which[neurons.places(table)] = [sets.number(str(one)) for one in table["set"]]
    shares = {name: _spread(table, name, neurons) for name in ("share", "coverage")}
    return {**shares, "set": packed(which), "sets": sets.column()}


def _geometry(table: pd.DataFrame, neurons: Neurons) -> Json:
    if not len(table):
        return None
    names = ("clarity", "redundancy", "polysemanticity")
    widths = dict(zip(neurons.layers, np.diff(neurons.offsets).tolist(), strict=True))
    nearest = table["nearest"].to_numpy(np.float64)
    inside = (nearest >= 0) & (nearest < table["layer"].map(widths).to_numpy(np.float64))
    number: Numbers = np.where(inside, nearest, -1).astype(np.int64) + 1
    columns = {name: _spread(table, name, neurons) for name in names}
    similar = np.zeros(neurons.count, dtype=np.int64)
    similar[neurons.places(table)] = number
    return {**columns, "nearest": packed(similar)}
