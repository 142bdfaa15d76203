"""Evaluations in tables of text: of one run, or of several beside each other."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import pandas as pd

from mcd.plugins import AGAINST, BASELINES, FIRST_LABELS
from mcd_plugins.reporters.evaluations import Evaluated, Judged, MeasureRow, Value, known_first
from mcd_plugins.reporters.tables import Table

__all__ = ["differences_table", "evaluation_tables", "side_tables"]

_MOST = 20
"""Rows of a table that are shown; the file of the run has all."""

Runs = Mapping[str, Evaluated]
"""What each run is called, and its evaluation; one run is called nothing."""


def evaluation_tables(runs: Runs) -> list[Table]:
    """Return what evaluations found, in the order in which it is read; none where no run has one."""
    against = known_first([one.against for found in runs.values() for one in found.judged], list(AGAINST))
    tables = [table for one in against for table in _judged(one, runs)]
    return [*tables, *side_tables(runs)]


def side_tables(runs: Runs) -> list[Table]:
    """Return what evaluations found besides how labels agree: stability, top images, faithfulness."""
    return [*_stability(runs), *_images(runs), *_faithfulness(runs)]


def differences_table(one: Judged) -> list[Table]:
    """Return the differences of first labels of one run from its baselines; no table where there are none."""
    return _judged(one.against, {"": Evaluated(judged=[one])})[1:]


def _judged(against: str, runs: Runs) -> list[Table]:
    found = [(name, one) for name, each in runs.items() for one in each.judged if one.against == against and one.rows]
    if not found:
        return []
    word, meaning = found[0][1].word, found[0][1].meaning
    kinds = known_first([kind for _, one in found for kind in one.kinds], [FIRST_LABELS, *BASELINES])
    values = Table(
        f"evaluation-{word}",
        f"Evaluation against {against}",
        (*_run(runs), "measure", *kinds, "neurons"),
        [
            [*_run(runs, name), row.name, *(row.values.get(kind, Value()).whole() for kind in kinds), _neurons(row)]
            for name, one, row in _by_measure(found)
        ],
        words=(*_run(runs), "measure"),
        note=(f"{against[:1].upper()}{against[1:]}: {meaning}. " if meaning else "")
        + "Means over neurons; in brackets 95 % intervals over held-out patients. First: concepts that the other half "
        "of the patients names first."
        + "".join(f" {kind[:1].upper()}{kind[1:]}: {BASELINES[kind]}." for kind in kinds if kind in BASELINES),
    )
    compared = [kind for kind in BASELINES if any(kind in one.compared for _, one in found)]
    if not compared:
        return [values]
    differences = Table(
        f"evaluation-{word}-differences",
        f"First labels less others, against {against}",
        (*_run(runs), "measure", *compared),
        [
            [*_run(runs, name), row.name, *(row.differences.get(kind, Value()).whole("+") for kind in compared)]
            for name, one, row in _by_measure(found)
        ],
        words=(*_run(runs), "measure"),
        note="Mean differences over neurons that have both, in brackets 95 % intervals over held-out patients; "
        "untrained: the difference of the two means. An interval that holds 0 shows no difference.",
    )
    return [values, differences]


def _run(runs: Runs, name: str = "run") -> list[str]:
    return [name] if len(runs) > 1 else []


def _neurons(row: MeasureRow) -> str:
    known = row.values.get(FIRST_LABELS)
    return str(known.neurons) if known else "–"


def _by_measure(found: Sequence[tuple[str, Judged]]) -> list[tuple[str, Judged, MeasureRow]]:
    """Return rows of the same measure next to each other."""
    names = known_first([row.name for _, one in found for row in one.rows], [])
    return [(run, one, row) for name in names for run, one in found for row in one.rows if row.name == name]


def _stability(runs: Runs) -> list[Table]:
    rows = [
        [
            *_run(runs, name),
            one.layer,
            str(one.labels),
            str(one.stable),
            f"{one.stable / one.labels:.0%}" if one.labels else "–",
            f"{one.size:g}" if one.labels else "–",
        ]
        for name, found in runs.items()
        for one in found.stability
    ]
    note = (
        "Come back: labels that are first in at least 95 % of resamples of the patients. Set: the fewest concepts that "
        "are first in 95 % of them together."
    )
    header = (*_run(runs), "layer", "labels", "come back", "share", "median size of set")
    return [Table("stability", "Stability of labels", header, rows, (*_run(runs), "layer"), note=note)] if rows else []


def _images(runs: Runs) -> list[Table]:
    rows = [
        [
            *_run(runs, name),
            one.layer,
            str(one.neurons),
            *(Value(value).text() for value in (one.clarity, one.redundancy, one.polysemanticity)),
        ]
        for name, found in runs.items()
        for one in found.images
    ]
    note = (
        "Of the images that a neuron responds to most, by their embeddings: medians. Labels play no part. Clarity: how "
        "alike they are. Redundancy: how alike those of the most similar neuron of the layer. Polysemanticity: how far "
        "apart two groups of them lie."
    )
    header = (*_run(runs), "layer", "neurons", "clarity", "redundancy", "polysemanticity")
    return [Table("images", "Top images of neurons", header, rows, (*_run(runs), "layer"), note=note)] if rows else []


def _faithfulness(runs: Runs) -> list[Table]:
    """Return what ablating a named group does to outputs of the network, beside random groups."""
    words = (*_run(runs), "layer", "concept", "measure", "output", "finding")
    rows = [
        [
            *_run(runs, name),
            *(str(row[column]) for column in ("layer", "concept")),
            str(row["measure"]).replace("auroc", "AUROC"),
            *(str(row[column]) or "–" for column in ("output", "finding")),
            str(row["neurons"]),
            Value(float(row["value"]), float(row["low"]), float(row["high"])).whole(),
            Value(float(row["random"]), float(row["random_least"]), float(row["random_most"])).whole(),
            *(_chance(float(row[column])) for column in ("p", "q")),
        ]
        for name, found in runs.items()
        for row in _clearest(found.faithfulness).to_dict("records")
    ]
    if not rows:
        return []
    left = sum(max(0, len(found.faithfulness) - _MOST) for found in runs.values())
    note = (
        "What happens to outputs of the network on held-out images when the neurons that a concept names are ablated. "
        "Named: with 95 % intervals. Random: the mean of random groups of as many neurons of the layer, in brackets "
        "the least and the most of them. All outputs together first, then single ones, smallest p first."
    )
    note += f" {left:,} more rows are in evaluation/faithfulness.csv of the run." if left else ""
    header = (*words, "neurons", "named", "random", "p", "q")
    return [Table("faithfulness", "Faithfulness", header, rows, words, note=note)]


def _clearest(table: pd.DataFrame) -> pd.DataFrame:
    """Return the rows that are shown: what is of no single output before the others, these by p."""
    if not len(table):
        return table
    whole = table["output"].astype(str) == ""
    return pd.concat([table[whole], table[~whole].sort_values("p", kind="stable")]).head(_MOST)


def _chance(value: float) -> str:
    return f"{value:.2g}" if math.isfinite(value) else "–"
