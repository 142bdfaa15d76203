"""From measures of neurons to means of layers and of the run, with intervals over held-out patients."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mcd.evaluation.measuring import Judged
from mcd.runs.evaluated import AGAINST, BASELINES, FIRST, MEASURES
from mcd.scoring.calibration.resamples import Interval, interval

__all__ = ["FEWEST_UNITS", "NEURON_COLUMNS", "SUMMARY_COLUMNS", "Tally"]

Values = NDArray[np.float64]

SUMMARY_COLUMNS = ("against", "layer", "measure", "labels", "value", "low", "high", "neurons", "units")
NEURON_COLUMNS = ("target", "layer", "neuron", "against", "measure", "labels", "concept", "value")
FEWEST_UNITS = 10
"""Held-out patients from which on there are intervals."""
UNTRAINED = "untrained"
ALL = ""
"""The layer of rows about the whole run."""


@dataclass
class _Mean:
    """A mean of neurons: sums and counts on all held-out patients, then on each resample."""

    total: Values
    count: Values
    neurons: int

    @classmethod
    def of(cls, values: NDArray[np.float32]) -> _Mean:
        """Sum values ``(1 + resamples, neurons)`` over the neurons that have one on all held-out patients."""
        own = values[:, ~np.isnan(values[0])].astype(np.float64)
        return cls(np.nansum(own, axis=1), (~np.isnan(own)).sum(axis=1).astype(np.float64), own.shape[1])

    def plus(self, other: _Mean) -> _Mean:
        return _Mean(self.total + other.total, self.count + other.count, self.neurons + other.neurons)

    @property
    def values(self) -> Values:
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.where(self.count > 0, self.total / self.count, np.nan)


Key = tuple[str, str, str, str]
"""Against, layer, measure, labels."""


@dataclass
class Tally:
    """Gathers what was judged, a layer at a time.

    Parameters
    ----------
    target
        Its name, for the table of neurons.
    terms
        Of the concepts.
    units
        How many held-out patients there are, or images.
    factor
        See `mcd.scoring.calibration.resamples.Resamples.factor`.
    """

    target: str
    terms: Sequence[str]
    units: int
    factor: float
    means: dict[Key, _Mean] = field(default_factory=dict)
    tables: list[pd.DataFrame] = field(default_factory=list)

    def add(self, against: str, layer: str, judged: Judged) -> None:
        """Add the labels of a layer, judged."""
        for kind, measures in judged.values.items():
            for measure, values in measures.items():
                self._count((against, layer, measure, kind), values)
                first = judged.values.get(FIRST, {}).get(measure)
                if kind not in (FIRST, UNTRAINED) and first is not None:
                    self._count((against, layer, measure, difference(kind)), first - values)
        if UNTRAINED not in judged.values:
            self.tables.append(self._of_neurons(against, layer, judged))

    def _count(self, key: Key, values: NDArray[np.float32]) -> None:
        found = _Mean.of(values)
        against, _, measure, kind = key
        for place in (key, (against, ALL, measure, kind)):
            self.means[place] = self.means[place].plus(found) if place in self.means else found

    def _of_neurons(self, against: str, layer: str, judged: Judged) -> pd.DataFrame:
        parts = []
        terms = np.array([*self.terms, ""], dtype=object)
        for kind, measures in judged.values.items():
            for measure, values in measures.items():
                neurons = np.flatnonzero(~np.isnan(values[0]))
                part = {
                    "target": self.target,
                    "layer": layer,
                    "neuron": neurons,
                    "against": against,
                    "measure": measure,
                    "labels": kind,
                    "concept": terms[judged.labels[kind][neurons]],
                    "value": values[0, neurons].astype(np.float64),
                }
                parts.append(pd.DataFrame(part, columns=list(NEURON_COLUMNS)))
        return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=list(NEURON_COLUMNS))

    def summary(self) -> pd.DataFrame:
        """Return the table of means; see `mcd.runs.evaluated.Evaluation`."""
        rows = [self._row(key, mean.values, mean.neurons) for key, mean in self.means.items() if mean.neurons]
        for against, layer, measure, kind in list(self.means):
            first, beside = (self.means.get((against, layer, measure, one)) for one in (FIRST, UNTRAINED))
            if kind == UNTRAINED and first and beside and first.neurons and beside.neurons:
                apart = first.values - beside.values
                rows.append(self._row((against, layer, measure, difference(kind)), apart, first.neurons))
        if not rows:
            return pd.DataFrame()
        return _sorted(pd.DataFrame(rows, columns=list(SUMMARY_COLUMNS)))

    def neurons(self) -> pd.DataFrame:
        """Return the table of neurons."""
        some = [one for one in self.tables if len(one)]
        return pd.concat(some, ignore_index=True) if some else pd.DataFrame()

    def _row(self, key: Key, values: Values, neurons: int) -> Sequence[object]:
        around = Interval(np.array(np.nan), np.array(np.nan))
        if self.units >= FEWEST_UNITS and len(values) > 2:
            around = interval(values[0], values[1:], self.factor)
        return [*key, float(values[0]), float(around.low), float(around.high), neurons, self.units]


def difference(kind: str) -> str:
    """Return how tables call the difference of first labels and a baseline."""
    return f"{FIRST} - {kind}"


def _sorted(table: pd.DataFrame) -> pd.DataFrame:
    """Return a summary in the order of readers: what judges, the run before its layers, measures, labels."""
    kinds = [FIRST, *BASELINES, *map(difference, BASELINES)]
    orders: Mapping[str, Mapping[str, int]] = {
        "against": {name: at for at, name in enumerate(AGAINST)},
        "layer": {name: at for at, name in enumerate(dict.fromkeys([ALL, *table["layer"]]))},
        "measure": {name: at for at, name in enumerate(MEASURES)},
        "labels": {name: at for at, name in enumerate(kinds)},
    }
    keys = pd.DataFrame({name: table[name].map(order) for name, order in orders.items()})
    return table.loc[keys.sort_values(list(orders), kind="stable").index].reset_index(drop=True)
