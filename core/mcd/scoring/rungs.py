"""The ladder of significance: how far a label got, and the q of each rung."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
import pydantic
from numpy.typing import NDArray

from mcd.options import Record
from mcd.scoring.calibration.fdr import QValues
from mcd.study.calibration import Calibration

__all__ = ["COLUMNS", "IMAGE", "NUISANCE", "RIGHT", "RUNGS", "UNTRAINED", "RungCount", "Rungs", "climbed"]

Values = NDArray[np.float64]

IMAGE = "depends on the image"
NUISANCE = "beyond nuisances"
UNTRAINED = "beyond untrained"
RIGHT = "right"

RUNGS: Mapping[str, str] = MappingProxyType(
    {
        IMAGE: "the neuron depends on some property of the image that the dissector sees too",
        NUISANCE: "it still does where view × side × vendor and global image statistics are held fixed",
        UNTRAINED: "it does more than the neurons of the same architecture with random weights",
        RIGHT: "it agrees with what is annotated on patients that were not used to name it",
    }
)
"""The rungs from the lowest, and what a label says that got there."""

COLUMNS: Mapping[str, str] = MappingProxyType(
    {IMAGE: "q", NUISANCE: "q_nuisance", UNTRAINED: "q_untrained", RIGHT: "q_right"}
)
"""The column of the label table that has the q of a rung."""


class RungCount(Record):
    """First labels of a layer at a rung.

    ``significant`` counts those that are significant there, ``testable`` how many that are significant at the first
    rung could be tested.
    """

    significant: pydantic.NonNegativeInt
    testable: pydantic.NonNegativeInt


@dataclass(frozen=True)
class Rungs:
    """How far the first labels of a layer got.

    Parameters
    ----------
    p, q
        By rung ``(units,)``: the largest p up to it, and the q of that; NaN where the label cannot be tested.
    reached
        The highest rung of each label, ``(units,)``: significant there and at every rung below; empty where none.
    """

    p: Mapping[str, Values]
    q: Mapping[str, Values]
    reached: tuple[str, ...]

    def counts(self, level: float) -> dict[str, RungCount]:
        """Return what became of the labels at each rung above the first that was tested."""
        first = self.q[IMAGE] <= level
        return {
            rung: RungCount(significant=int((q <= level).sum()), testable=int((first & ~np.isnan(q)).sum()))
            for rung, q in self.q.items()
            if rung != IMAGE
        }


def climbed(p: Mapping[str, Values], settings: Calibration) -> Rungs:
    """Return how far labels got, given the p of each at every rung that was tested, ``(units,)``.

    The p of a rung is the largest of those up to it, and the false discovery rate is controlled over all units at
    every rung: each has its own. A label that cannot be tested at a rung (NaN) counts as one that fails it.
    """
    worst = np.zeros(len(next(iter(p.values()))))
    largest: dict[str, Values] = {}
    q: dict[str, Values] = {}
    passed = np.ones(len(worst), dtype=bool)
    reached = np.full(len(worst), "", dtype=object)
    for rung in RUNGS:
        if rung not in p:
            passed[:] = False  # never passed where it is not available
            continue
        untested = np.isnan(p[rung])
        worst = np.maximum(worst, np.where(untested, 1.0, p[rung]))
        largest[rung] = np.where(untested, np.nan, worst)
        q[rung] = np.where(untested, np.nan, QValues.of(worst, settings.correction)(worst))
        passed &= q[rung] <= settings.q
        reached[passed] = rung
    return Rungs(largest, q, tuple(reached.tolist()))
