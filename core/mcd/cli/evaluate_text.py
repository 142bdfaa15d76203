"""An evaluation in words and numbers on the terminal."""

from __future__ import annotations

import math

import pandas as pd

from mcd.cli.tables import print_table, say
from mcd.cli.terminal import echo
from mcd.errors import amount
from mcd.runs.evaluated import AGAINST, BASELINES, FIRST, Evaluation

__all__ = ["print_evaluation"]

_POSITIVES = " (annotated positives)"
_SHORT = {"pearson": "Pearson", "auprc": "AUPRC", "f1": "F1", "iou": "IoU", "auc": "AUC", "mad": "MAD"}
_COLUMNS = (FIRST, *BASELINES)


def print_evaluation(found: Evaluation, *, by_layer: bool = False) -> None:
    """Print how right labels are: a table for each judge, what is better than chance, stability, what is missing."""
    record = found.record
    of = "images" if record.held_out_patients is None else f"images of {amount(record.held_out_patients, 'patient')}"
    say(f"Judged on {record.held_out_images} held-out {of}; the other half named the neurons anew.")
    for against in record.against:
        rows = found.summary[found.summary["against"] == against] if len(found.summary) else found.summary
        if not len(rows):
            continue
        echo()
        say(f"Against {against}: {AGAINST[against]}.")
        for layer in rows["layer"].unique() if by_layer else [""]:
            _print_layer(layer, rows[rows["layer"] == layer])
        judged = max([0, *rows.loc[(rows["layer"] == "") & (rows["labels"] == FIRST), "neurons"]])
        if judged < record.labelled:
            of_all = amount(record.labelled, "labelled neuron")
            say(f"{judged} of {of_all}: of the others, the concept cannot be judged.")
        _say_better(rows[rows["layer"] == ""])
    if any(one.endswith(_POSITIVES) for one in found.summary.get("measure", ())):
        echo("* on annotated positives, in the place of generated images")
    echo()
    _say_stable(found.stability)
    _print_faithfulness(found.faithfulness)
    for note in record.notes:
        say(f"Note: {note}.")
    for problem in record.problems:
        say(f"Not evaluated: {problem}")


def _print_layer(layer: str, rows: pd.DataFrame) -> None:
    bounds = zip(*(rows[name].astype(float) for name in ("value", "low", "high")), strict=True)
    names = zip(*(rows[name].astype(str) for name in ("measure", "labels")), strict=True)
    cells = {name: _cell(*around) for name, around in zip(names, bounds, strict=True)}
    kinds = [kind for kind in _COLUMNS if any(labels == kind for _, labels in cells)]
    measures = list(rows["measure"].unique())
    title = layer or "all layers"
    lines = [[_short(one), *(cells.get((one, kind), "") for kind in kinds)] for one in measures]
    print_table([title, *kinds], lines, kinds)


def _short(measure: str) -> str:
    name = measure.removesuffix(_POSITIVES)
    return _SHORT.get(name, name) + ("*" if measure.endswith(_POSITIVES) else "")


def _cell(value: float, low: float, high: float) -> str:
    """Return a value with half the width of its interval.

    >>> _cell(0.5, 0.4, 0.6), _cell(-0.123, float("nan"), float("nan"))
    ('0.50 ±.10', '-0.12')
    """
    if math.isnan(low):
        return f"{value:.2f}"
    return f"{value:.2f} ±{_without_zero((high - low) / 2)}"


def _without_zero(value: float) -> str:
    return f"{value:.2f}".removeprefix("0") if value < 1 else f"{value:.1f}"


def _say_better(rows: pd.DataFrame) -> None:
    """Say for each baseline in how many measures first labels are better beyond their interval."""
    said = []
    for kind in BASELINES:
        apart = rows[rows["labels"] == f"{FIRST} - {kind}"]
        if len(apart) and apart["low"].notna().any():
            said.append(f"{kind} in {int((apart['low'] > 0).sum())} of {len(apart)}")
    if said:
        say(f"First labels are above (95 % interval of the difference) {', '.join(said)} measures.")


def _say_stable(table: pd.DataFrame) -> None:
    if not len(table):
        return
    certain, few = int(table["certain"].sum()), float(table["size"].median())
    say(
        f"Stability: a label comes first in {table['share'].mean():.0%} of the resamples of patients on average; "
        f"{certain} of {len(table)} come first in 95 % of them; the median set that does has {few:.0f} "
        f"{'concept' if few == 1 else 'concepts'}."
    )


_P = 0.05
"""AUROCs that are lost are printed up to this p; the table has all."""


def _print_faithfulness(table: pd.DataFrame) -> None:
    """Print what ablating each group does, beside the random groups."""
    if not len(table):
        return
    echo()
    say("Neurons that share a name ablated, beside random groups like them: outputs moved (sd), and AUROC lost.")
    lost = table["measure"] == "auroc lost"
    rows = table[(table["measure"] == "moved, all outputs") | (lost & (table["p"] <= _P))]
    lines = [
        [
            f"{row['concept']} ({row['layer']}, {row['neurons']})",
            f"AUROC {row['output']}" if row["finding"] else "all outputs",
            _cell(row["value"], row["low"], row["high"]),
            f"{row['random_least']:.2f} … {row['random_most']:.2f}",
            f"{row['p']:.3f}",
            f"{row['q']:.3f}",
        ]
        for row in rows.to_dict("records")
    ]
    numbers = ["value", "random", "p", "q"]
    print_table(["group (layer, neurons)", "output", *numbers], lines, numbers)
    if lost.any():
        shown = int((lost & (table["p"] <= _P)).sum())
        say(f"AUROC lost with p ≤ {_P}: {shown} of {int(lost.sum())} groups and findings.")
