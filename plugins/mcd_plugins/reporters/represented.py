"""Which concepts no neuron carries although images show them, and which none could be shown to carry."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from weakref import WeakKeyDictionary

import pandas as pd

import mcd
from mcd.errors import MCDError, StoreError, amount
from mcd.plugins import ANSWERS, echo
from mcd_plugins.reporters.absent import left_out

__all__ = ["CARRIED", "HIDDEN", "UNDER", "UNKNOWN", "Represented", "represented_of"]

CARRIED, UNDER, HIDDEN, UNKNOWN = ANSWERS
_KNOWN: WeakKeyDictionary[mcd.Dissection, Represented] = WeakKeyDictionary()
"""All reporters of a run say it, and it takes as long as scoring the run."""
_FAILED = "it could not be computed from this run, and mcd report says why"


@dataclass(frozen=True)
class Represented:
    """Which mammographic concepts neurons of a run carry, and what is known of the others.

    Parameters
    ----------
    table
        A row a concept, those that no neuron carries first: the columns of the concepts of `mcd.Comparison`, and
        ``why``: the reason for the answer, in words. Without rows where nothing is known.
    missing
        Why nothing is known, which goes on after *Not known:*; empty where it is.
    """

    table: pd.DataFrame = field(default_factory=pd.DataFrame)
    missing: str = ""

    def of(self, answer: str) -> pd.DataFrame:
        """Return the concepts that have an answer, those of most images first."""
        if not len(self.table):
            return self.table
        found = self.table[self.table["answer"] == answer]
        return found.sort_values("positives", ascending=False, kind="stable")

    def count(self, answer: str) -> int:
        """Return how many concepts have an answer."""
        return len(self.of(answer))


def represented_of(dissections: Sequence[mcd.Dissection], found: mcd.Comparison | None = None) -> list[Represented]:
    """Return for each run which concepts its neurons carry.

    Parameters
    ----------
    found
        The comparison of the runs, which may have the answers already.
    """
    if found is not None and len(found.concepts):
        names = found.heading.runs["run"].tolist()
        tables = [found.concepts[found.concepts["run"] == name] for name in names]
        return [_said(one, table) for one, table in zip(dissections, tables, strict=True)]
    return [_alone(one) for one in dissections]


def _alone(dissection: mcd.Dissection) -> Represented:
    found = _KNOWN.get(dissection)
    if found is None:
        found = _KNOWN[dissection] = _computed(dissection)
    return found


def _computed(dissection: mcd.Dissection) -> Represented:
    if not any(one.labelled for one in dissection.manifest.summary):
        return Represented(missing="no neuron has a label")
    if dissection.manifest.imported is not None:
        return Represented(missing="the labels were imported, and which are significant is not known")
    if all(one.significant is None for one in dissection.manifest.summary):
        return Represented(missing="significance was not computed")
    try:
        found = mcd.figures.collect([dissection], mcd.ComparisonSettings(resamples=0)).comparison
        return _said(dissection, found.concepts)
    except StoreError as error:
        left_out("the concepts that no neuron carries", error)
    except MCDError as error:  # its message may name folders: it goes to the terminal, not into the report
        advice = f"; {error.hint.splitlines()[0]}" if error.hint else ""
        echo(f"note: left out: the concepts that no neuron carries: {error.message}{advice}", err=True)
    return Represented(missing=_FAILED)


def _said(dissection: mcd.Dissection, table: pd.DataFrame) -> Represented:
    annotated = dissection.results.annotations
    reasons = dict(zip(annotated["concept"], annotated["reason"], strict=True)) if len(annotated) else {}
    why = [_why(row, str(reasons.get(row["concept"], ""))) for row in table.to_dict("records")]
    return Represented(table.assign(why=why).reset_index(drop=True))


def _why(row: Mapping[Hashable, object], reason: str) -> str:
    """Return the reason for an answer; ``reason`` is that of a dissector of annotations."""
    answer, images = row["answer"], int(str(row["positives"]))
    if answer == CARRIED:
        return f"significant for {amount(int(str(row['carriers'])), 'neuron')}"
    if answer == UNDER:
        return (
            f"a neuron that separates its images with an AUROC of {float(str(row['detectable_auroc'])):g} would be "
            f"significant in {row['detectable_layer']}"
        )
    if answer == UNKNOWN:
        return reason or "the data set does not annotate it"
    if images <= 0:
        return "no image shows it"
    return reason or (
        "not even a neuron that separates its images would be significant: they are too few, or the dissector does not "
        "separate them"
    )
