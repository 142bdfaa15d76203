"""How right decisions are, by method and plant; docs/explanation/planted-truth.md defines every measure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from mcd_plugins.bench.contract import DEAD, FOLLOWING, NOISE, PLANTS, Decision, Flags, Method, Values
from mcd_plugins.bench.plants import Planted, Truth

__all__ = ["ALL", "COLUMNS", "NOTHING", "Outcome", "Row", "Tally", "rows_of", "tally"]

ALL = "all"
"""The plant of a row about all planted units."""
NOTHING = (NOISE, DEAD)
"""Plants that every other is set against."""
LEVEL = 0.05
_FEWEST_P = 5
"""Fewer p are no distribution."""


@dataclass(frozen=True, eq=False)
class Tally:
    """What a method decided of planted units, of all repeats together; each array is ``(units,)``.

    Parameters
    ----------
    plant
        Its kind.
    snr
        Of its signal.
    claimed
        Whether the method claims a label.
    right, cluster
        Whether the first concept is one that the unit follows; or that, or a near-synonym of one.
    said
        Share of the concepts that the unit follows that the method names at all; NaN where it follows none.
    p
        Of the unit; NaN where there is none.
    seconds
        Mean time of a case.
    """

    plant: np.ndarray[tuple[int, ...], np.dtype[np.str_]]
    snr: Values
    claimed: Flags
    right: Flags
    cluster: Flags
    said: Values
    p: Values
    seconds: float

    def of(self, chosen: Flags) -> Tally:
        """Return the same of some units."""
        names = ("plant", "snr", "claimed", "right", "cluster", "said", "p")
        return replace(self, **{name: getattr(self, name)[chosen] for name in names})


@dataclass(frozen=True)
class Row:
    """One method on one plant; NaN where a measure says nothing.

    Parameters
    ----------
    method, source
        See `mcd_plugins.bench.contract.Method`.
    plant
        Or `ALL`.
    snr
        Of the signal; NaN for all together.
    units
        How many there are of the plant.
    made_for
        Whether the method is made for it. Of units that follow nothing it is True: every method is to leave them alone.
    claimed
        Share of the plant's units with a claimed label.
    precision, recall, fdr, name, cluster, said, p_below, ks
        Measures, 0…1.
    seconds
        Of a case; the same in all rows of a method.
    """

    method: str
    source: str
    plant: str
    snr: float
    units: int
    made_for: bool
    claimed: float
    precision: float
    recall: float
    fdr: float
    name: float
    cluster: float
    said: float
    p_below: float
    ks: float
    seconds: float


@dataclass(frozen=True)
class Outcome:
    """What became of a method: its rows, or why it could not be tried."""

    method: Method
    rows: tuple[Row, ...]
    lacking: str = ""

    def row(self, plant: str = ALL) -> Row:
        """Return the row of a plant, all strengths together."""
        return next(one for one in self.rows if one.plant == plant and np.isnan(one.snr))


COLUMNS = tuple(Row.__dataclass_fields__)
"""Columns of the CSV."""


def tally(cases: Sequence[Planted], decisions: Sequence[Decision], seconds: float) -> Tally:
    """Return what was decided of planted units; of those of the layer itself the truth is not known."""
    found = [
        (truth, decision, unit)
        for one, decision in zip(cases, decisions, strict=True)
        for unit, truth in enumerate(one.truths)
        if truth is not None
    ]
    first = [int(decision.first[unit]) for _, decision, unit in found]
    return Tally(
        plant=np.array([truth.plant for truth, _, _ in found], dtype=np.str_),
        snr=np.array([truth.snr for truth, _, _ in found]),
        claimed=np.array([bool(decision.claimed[unit]) for _, decision, unit in found], dtype=bool),
        right=np.array([name in one[0].right for name, one in zip(first, found, strict=True)], dtype=bool),
        cluster=np.array([name in one[0].cluster for name, one in zip(first, found, strict=True)], dtype=bool),
        said=np.array([_said(*one) for one in found]),
        p=np.array([np.nan if one.p is None else float(one.p[unit]) for _, one, unit in found]),
        seconds=seconds,
    )


def _said(truth: Truth, decision: Decision, unit: int) -> float:
    if not truth.right:
        return float("nan")
    names = {int(decision.first[unit]), *(decision.more[unit] if decision.more else ())}
    return len(names & truth.right) / len(truth.right)


def rows_of(method: Method, found: Tally) -> tuple[Row, ...]:
    """Return the rows of a method: all plants together, each plant, and each plant by the strength of its signal."""
    return tuple(_rows(method, found))


def _rows(method: Method, found: Tally) -> Iterator[Row]:
    every = np.ones(len(found.plant), dtype=bool)
    yield _row(method, found, ALL, every, every, float("nan"))
    nothing: Flags = np.isin(found.plant, NOTHING)
    for plant in PLANTS:
        own: Flags = found.plant == plant
        if own.any():
            yield _row(method, found, plant, own, own | nothing, float("nan"))
            if plant in FOLLOWING:
                for snr in np.unique(found.snr[own]).tolist():
                    strong: Flags = own & (found.snr == snr)
                    yield _row(method, found, plant, strong, strong | nothing, snr)


def _row(method: Method, found: Tally, plant: str, own: Flags, family: Flags, snr: float) -> Row:
    """Return a row: the plant's own units, judged among a family of them and those that follow nothing."""
    mine, among = found.of(own), found.of(family)
    follows: Flags = np.isin(among.plant, FOLLOWING)
    hits: Flags = among.claimed & follows
    p = found.p[(found.plant == NOISE) & ~np.isnan(found.p)]
    alone = plant not in (ALL, *FOLLOWING)  # units of which no label is right
    return Row(
        method=method.name,
        source=method.source,
        plant=plant,
        snr=snr,
        units=int(own.sum()),
        made_for=plant not in FOLLOWING or plant in method.made_for,
        claimed=_share(mine.claimed),
        precision=float("nan") if alone else _share(follows[among.claimed]),
        recall=float("nan") if alone else _share(among.claimed[follows]),
        fdr=_share(~(hits & among.cluster)[among.claimed]),
        name=_share(among.right[hits]),
        cluster=_share(among.cluster[hits]),
        said=_mean(among.said[hits]),
        p_below=_share(p <= LEVEL) if len(p) >= _FEWEST_P and plant in (ALL, NOISE) else float("nan"),
        ks=_distance(p) if len(p) >= _FEWEST_P and plant in (ALL, NOISE) else float("nan"),
        seconds=found.seconds,
    )


def _share(flags: Flags) -> float:
    return int(flags.sum()) / len(flags) if len(flags) else float("nan")


def _mean(values: Values) -> float:
    return float(values.mean()) if len(values) else float("nan")


def _distance(p: Values) -> float:
    """Return how far p are from uniform: the largest distance of their distribution from it (Kolmogorov 1933)."""
    ordered, steps = np.sort(p), np.arange(len(p) + 1) / len(p)
    return float(max((steps[1:] - ordered).max(), (ordered - steps[:-1]).max()))
