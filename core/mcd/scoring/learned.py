"""What a model has learned: each concept over all layers, with a q of its own at every rung."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mcd.api.concepts import Concept
from mcd.scoring.rungs import COLUMNS as RUNG_COLUMNS
from mcd.scoring.rungs import UNTRAINED, climbed
from mcd.study.calibration import Calibration

__all__ = ["COLUMNS", "FirstLabels", "learned", "simes"]

Values = NDArray[np.float64]

COLUMNS = ("concept", "category", "broad_category", "layers", "neurons", *RUNG_COLUMNS.values(), "rung")
"""Columns of the table of what a model has learned: a concept that is the first label of some neuron; in how many
layers it is a significant one, and of how many neurons; the q of each rung, over all concepts of the vocabulary, and
the highest rung that it passes."""


@dataclass(frozen=True)
class FirstLabels:
    """The first labels of the live neurons of one layer.

    Parameters
    ----------
    concept
        ``(neurons,)``: their numbers.
    p
        By rung ``(neurons,)``: the largest p up to it; NaN where the label cannot be tested.
    significant
        ``(neurons,)``: at the first rung.
    """

    concept: NDArray[np.int64]
    p: Mapping[str, Values]
    significant: NDArray[np.bool_]


def simes(p: Values, tests: int) -> float:
    """Return the p of the hypothesis that all of so many hypotheses are true, given the p of some; the others have 1.

    Source: Simes 1986, Biometrika 73, 751: the smallest of ``tests · p_(i) / i``, which holds its level where the p are
    independent or positively dependent.
    """
    ordered = np.sort(np.where(np.isnan(p), 1.0, p))
    return float(min(1.0, (ordered * tests / np.arange(1, len(p) + 1)).min(initial=1.0)))


def learned(layers: Sequence[FirstLabels], concepts: Sequence[Concept], settings: Calibration) -> pd.DataFrame:
    """Return what is learned by the neurons of all layers together; see `COLUMNS`.

    A concept's family are all live neurons of the model: those that it labels with their p, the others with 1, so that
    the search for a label is paid for. Families are corrected over the concepts of the vocabulary (the first step of
    Benjamini & Bogomolov 2014, J. R. Stat. Soc. B 76, 297). The rung *beyond untrained* has no q here: its p are of
    units, and those of one network depend on each other, so that a sentence about the model would exchange networks,
    of which there are too few for a vocabulary.
    """
    if not layers:
        return pd.DataFrame(columns=list(COLUMNS))
    tests = sum(len(one.concept) for one in layers)
    first = np.concatenate([one.concept for one in layers])
    layer = np.repeat(np.arange(len(layers)), [len(one.concept) for one in layers])
    significant = np.concatenate([one.significant for one in layers])
    named = np.unique(first)
    p: dict[str, Values] = {}
    for rung in (one for one in layers[0].p if one != UNTRAINED):
        values = np.concatenate([one.p[rung] for one in layers])
        p[rung] = np.ones(len(concepts))
        for number in named.tolist():
            mine = values[first == number]
            p[rung][number] = simes(mine, tests) if not np.isnan(mine).all() else np.nan
    rungs = climbed(p, settings)
    untested = np.full(len(concepts), np.nan)
    by_column = {column: rungs.q.get(rung, untested) for rung, column in RUNG_COLUMNS.items()}
    rows = []
    for number in named.tolist():
        mine = (first == number) & significant
        rows.append(
            {
                **{name: getattr(concepts[number], name) for name in ("category", "broad_category")},
                "concept": concepts[number].term,
                "layers": len(np.unique(layer[mine])),
                "neurons": int(mine.sum()),
                **{column: q[number] for column, q in by_column.items()},
                "rung": rungs.reached[number],
            }
        )
    table = pd.DataFrame(rows, columns=list(COLUMNS))
    return table.sort_values(["q", "neurons", "concept"], ascending=[True, False, True]).reset_index(drop=True)
