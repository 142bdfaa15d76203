"""What a bench found, with all that a paper must cite: version, material, size, seed."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from math import isnan

import pandas as pd

import mcd
from mcd.plugins import csv_bytes, one_line
from mcd_plugins.bench.contract import CONFOUNDED, DEAD, FOLLOWING, NOISE
from mcd_plugins.bench.ranking import ALL, COLUMNS, Outcome, Row
from mcd_plugins.reporters.latex_tables import floats
from mcd_plugins.reporters.tables import Table

__all__ = ["BENCH_VERSION", "MEASURES", "PLANT_HEADS", "Report", "shown", "table"]

BENCH_VERSION = "1.0"
"""Raised whenever plants or measures change, so that numbers of two papers can be compared."""

SCHEMA = "mcd.bench/1"

MEASURES = {
    "precision": "prec",
    "recall": "recall",
    "fdr": "FDR",
    "p_below": "p≤.05",
    "ks": "KS",
    "name": "name",
    "cluster": "alike",
}
"""Measures of the first table, and their heads."""

PLANT_HEADS = {
    NOISE: "noise",
    DEAD: "dead",
    CONFOUNDED: "conf",
    "single": "singl",
    "and": "and",
    "or": "or",
    "two": "two",
    "superposed": "super",
    "tied": "tied",
}
"""Heads of the second table, by plant."""

_SMALLER_IS_BETTER = {"fdr", "ks", "seconds"}


def shown(value: float) -> str:
    """Return a share with three decimals, or a dash where there is none."""
    return "–" if isnan(value) else f"{value:.3f}"


def table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a table of plain lines of at most 80 columns: names to the left, shares to the right."""
    wide = max(len(row[0]) for row in [heads, *rows])
    cell = 1 + max(len(one) for row in [heads, *rows] for one in row[1:])
    lines = ["".join([f"{row[0]:<{wide}}", *(f"{one:>{cell}}" for one in row[1:])]) for row in [heads, *rows]]
    return "\n".join([lines[0], "─" * max(map(len, lines)), *lines[1:]])


@dataclass(frozen=True)
class Report:
    """The outcomes of a bench, in the order of a measure.

    Parameters
    ----------
    material
        What the units were planted into, in words.
    truth_is
        ``"annotations"`` or ``"similarity"``.
    settings
        Size, repeats, seed, how many units of each plant.
    outcomes
        Of every method; see `sorted_by`.
    """

    material: str
    truth_is: str
    settings: dict[str, object]
    outcomes: tuple[Outcome, ...] = field(repr=False)

    def sorted_by(self, measure: str) -> Report:
        """Return the same, the best method first; of equal ones that with the larger recall."""
        ordered = sorted(self.outcomes, key=lambda one: (_height(one, measure), _height(one, "recall")))
        return Report(self.material, self.truth_is, self.settings, tuple(ordered))

    @property
    def tried(self) -> list[Outcome]:
        """The methods that had all that they need."""
        return [one for one in self.outcomes if one.rows]

    @property
    def citation(self) -> str:
        """What a paper cites."""
        given = ", ".join(f"{name} {value}" for name, value in self.settings.items() if name in ("size", "seed"))
        return (
            f"mcd bench {BENCH_VERSION} (mammo-clip-dissect {mcd.__version__}): {self.material}; {given}, "
            f"{self.settings['repeats']} repeats"
        )

    @property
    def truth(self) -> str:
        """What units follow, in a sentence."""
        if self.truth_is == "annotations":
            return "Units follow what is annotated of the images; methods see the dissector's similarity."
        return "Nothing is annotated: units follow what the dissector sees, so its errors are no part of this."

    def measures(self) -> list[list[str]]:
        """Return the rows of the first table: a method, and its measures over all plants."""
        rows = [(one.method.name, one.row()) for one in self.tried]
        return [[name, *(shown(_value(row, measure)) for measure in MEASURES)] for name, row in rows]

    def plants(self) -> list[list[str]]:
        """Return the rows of the second table: a method, and its share of units for each plant.

        Of units that follow concepts, the share that is claimed with one of them or a near-synonym; of others, the
        share that is claimed.
        """
        return [[one.method.name, *(shown(_found(one, plant)) for plant in PLANT_HEADS)] for one in self.tried]

    def not_made_for(self) -> list[str]:
        """Return which methods were not made for which plants, a sentence for each set of plants."""
        by: dict[tuple[str, ...], list[str]] = {}
        for one in self.tried:
            rest = tuple(plant for plant in FOLLOWING if plant not in one.method.made_for)
            by.setdefault(rest, []).append(one.method.name)
        return [f"not made for {', '.join(rest)}: {', '.join(names)}" for rest, names in by.items() if rest]

    def lacking(self) -> list[str]:
        """Return which methods were not tried, and why."""
        return [f"{one.method.name}: needs {one.lacking}" for one in self.outcomes if one.lacking]

    def ranks(self, measure: str) -> dict[str, int]:
        """Return the place of each method by a measure, 1 the best; equal ones share it."""
        heights = {one.method.name: _height(one, measure) for one in self.tried}
        known = {name: height for name, height in heights.items() if height != float("inf")}
        return {name: 1 + sum(other < height for other in known.values()) for name, height in known.items()}

    def csv(self) -> bytes:
        """Return every row as CSV: method × plant × strength of the signal, with the rank of those over all plants."""
        ranks = {name: self.ranks(name) for name in (*MEASURES, "seconds")}
        rows = []
        for one in self.tried:
            for row in one.rows:
                pooled = row.plant == ALL
                places = {f"rank_{name}": places.get(row.method) if pooled else None for name, places in ranks.items()}
                rows.append({**asdict(row), **places, "seconds": round(row.seconds, 3)})
        columns = [*COLUMNS, *(f"rank_{name}" for name in ranks)]
        table = pd.DataFrame(rows, columns=columns)
        table[[f"rank_{name}" for name in ranks]] = table[[f"rank_{name}" for name in ranks]].astype("Int64")
        return csv_bytes(table)

    def json(self) -> bytes:
        """Return everything as JSON."""
        methods = [
            {
                "name": one.method.name,
                "source": one.method.source,
                "rule": one.method.rule,
                "needs": list(one.method.needs),
                "made_for": list(one.method.made_for),
                "lacking": one.lacking,
                "rows": [{name: _plain(value) for name, value in asdict(row).items()} for row in one.rows],
            }
            for one in self.outcomes
        ]
        record = {
            "schema": SCHEMA,
            "bench": BENCH_VERSION,
            "mcd": mcd.__version__,
            "cite": self.citation,
            "material": self.material,
            "truth": self.truth_is,
            "settings": self.settings,
            "methods": methods,
        }
        return (json.dumps(record, indent=1, ensure_ascii=False, allow_nan=False) + "\n").encode()

    def latex(self) -> bytes:
        """Return the first table for a paper; the preamble needs booktabs."""
        best = {measure: {name for name, place in self.ranks(measure).items() if place == 1} for measure in MEASURES}
        rows = self.measures()
        bold = {
            (at, column)
            for at, row in enumerate(rows)
            for column, measure in enumerate(MEASURES, 1)
            if row[0] in best[measure]
        }
        whole = Table("bench", "Labelling methods on planted units", ("Method", *MEASURES.values()), rows, ("Method",))
        head = f"% {one_line(self.citation)}. Needs \\usepackage{{booktabs}}."
        return ("\n".join([head, *floats(whole, self._caption(), bold)]) + "\n").encode()

    def _caption(self) -> str:
        return (
            f"Labelling methods on planted units ({self.citation}): precision, recall and false discovery rate (FDR) "
            "of claimed labels, share of p at most 0.05 and distance from uniform (KS) on noise, share of claimed "
            "units named by a concept that they follow, and by that or a near-synonym."
        )


def _value(row: Row, measure: str) -> float:
    return float(getattr(row, measure))


def _found(one: Outcome, plant: str) -> float:
    """Return what the second table says of a method and a plant; NaN where no such unit was planted."""
    row = next((row for row in one.rows if row.plant == plant and isnan(row.snr)), None)
    if row is None:
        return float("nan")
    if isnan(row.recall):
        return row.claimed
    return row.claimed * (0.0 if isnan(row.cluster) else row.cluster)


def _height(one: Outcome, measure: str) -> float:
    """Return what methods are ordered by, the best smallest; infinite where there is nothing."""
    if not one.rows:
        return float("inf")
    value = _value(one.row(), "ks" if measure == "calibration" else measure)
    if measure == "p_below":
        value = abs(value - 0.05)  # neither more nor fewer than are due
    elif measure not in _SMALLER_IS_BETTER and measure != "calibration":
        value = -value
    return float("inf") if isnan(value) else round(value, 9)


def _plain(value: object) -> object:
    return None if isinstance(value, float) and isnan(value) else value
