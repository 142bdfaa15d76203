"""Evaluations of runs that nothing was judged for: numbers drawn at random, in the tables that runs keep."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

import mcd
from mcd.runs.evaluated import BASELINES, EVALUATION, FIRST, Evaluation, EvaluationRecord, labels_digest

__all__ = ["drawn_evaluation", "drawn_faithfulness", "judged_copy", "with_evaluation"]

_LEVEL = {"first": 0.42, "runner-up": 0.33, "random": 0.22, "constant": 0.2, "untrained": 0.36}


def drawn_evaluation(
    run: mcd.Dissection,
    against: Sequence[str] = ("annotations", "held-out"),
    measures: Sequence[str] = ("pearson", "auprc", "mad (annotated positives)"),
    *,
    known: bool = True,
    patients: int | None = 12,
) -> Evaluation:
    """Return an evaluation of a run; with ``known`` false every value of it is NaN, as where no label was judged."""
    rng = np.random.default_rng(7)
    first = run.labels[run.labels["rank"] == 1]
    summary, neurons = [], []
    for judge in against:
        for measure in measures:
            for layer in ("", *run.layers):
                own = first if not layer else first[first["layer"] == layer]
                for kind, level in _LEVEL.items():
                    value = level + rng.normal(0, 0.02) if known else np.nan
                    row = (judge, layer, measure, kind, value, value - 0.05, value + 0.06, len(own), patients or 0)
                    summary.append(row)
                for kind in BASELINES:
                    gain = _LEVEL["first"] - _LEVEL[kind] if known else np.nan
                    label = f"{FIRST} - {kind}"
                    row = (judge, layer, measure, label, gain, gain - 0.07, gain + 0.08, len(own), patients or 0)
                    summary.append(row)
            for kind in ("first", "runner-up", "random"):
                values = (
                    np.round(rng.normal(_LEVEL[kind], 0.1, len(first)), 3) if known else np.full(len(first), np.nan)
                )
                named = run.labels[run.labels["rank"] == (1 if kind == "first" else 2)]
                concepts = named.set_index(["layer", "neuron"])["concept"]
                for at, (layer, neuron) in enumerate(zip(first["layer"], first["neuron"], strict=True)):
                    concept = str(concepts.get((layer, neuron), ""))
                    neurons.append((run.manifest.target, layer, neuron, judge, measure, kind, concept, values[at]))
    share = np.round(rng.random(len(first)) ** 0.2, 2)
    other = "; " + str(first["concept"].iloc[0])
    stability = pd.DataFrame(
        {
            "layer": first["layer"].to_numpy(),
            "neuron": first["neuron"].to_numpy(),
            "concept": first["concept"].to_numpy(),
            "share": share,
            "set": [name if one >= 0.95 else name + other for name, one in zip(first["concept"], share, strict=True)],
            "size": np.where(share >= 0.95, 1, 2),
            "coverage": np.maximum(share, 0.96),
            "certain": share >= 0.95,
        }
    )
    geometry = pd.DataFrame(
        {
            "layer": first["layer"].to_numpy(),
            "neuron": first["neuron"].to_numpy(),
            **{name: rng.random(len(first)).round(3) for name in ("clarity", "polysemanticity", "redundancy")},
            "nearest": np.where(first["neuron"].to_numpy(dtype=int) > 0, 0, -1).astype(float),
        }
    )
    columns = ["against", "layer", "measure", "labels", "value", "low", "high", "neurons", "units"]
    record = EvaluationRecord(
        labels=labels_digest(run.folder, run.manifest),
        scorer=run.manifest.scorer,
        against=list(against),
        held_out_patients=patients,
        held_out_images=48,
        problems=["the other dissector judges nothing: no run of it was given"],
        notes=["the clarity of images drawn at random is 0.192"],
    )
    names = ["target", "layer", "neuron", "against", "measure", "labels", "concept", "value"]
    return Evaluation(
        record,
        summary=pd.DataFrame(summary, columns=columns),
        neurons=pd.DataFrame(neurons, columns=names),
        stability=stability,
        geometry=geometry,
    )


def drawn_faithfulness(run: mcd.Dissection, concept: str = "mass", output: str = "0") -> pd.DataFrame:
    """Return what ablating one group did to one output: more than random groups, and nothing that has a p."""
    group = {"layer": run.layers[0], "concept": concept, "neurons": 3, "units": 12, "random_groups": 20, "finding": ""}
    moved = {"value": 0.5, "low": 0.25, "high": 0.75, "random": 0.1, "random_least": 0.05, "random_most": 0.2}
    changed = {name: -value for name, value in moved.items()}
    return pd.DataFrame(
        [
            {**group, "measure": "moved, all outputs", "output": "", **moved, "p": 1 / 21, "q": 0.25},
            {**group, "measure": "change", "output": output, **changed, "p": np.nan, "q": np.nan},
        ]
    )


def with_evaluation(run: mcd.Dissection, evaluation: Evaluation) -> mcd.Dissection:
    """Write an evaluation into a run folder, and return the run as it is read anew."""
    evaluation.write(run.folder / EVALUATION)
    return mcd.load(run.folder)


def judged_copy(run: mcd.Dissection, place: Path, **settings: object) -> mcd.Dissection:
    """Return a copy of a run with an evaluation; settings as of `drawn_evaluation`."""
    copy = mcd.load(Path(shutil.copytree(run.folder, place)))
    return with_evaluation(copy, drawn_evaluation(copy, **settings))  # type: ignore[arg-type]  # one that it takes


def whole(found: mcd.Evaluation, against: str) -> pd.DataFrame:
    """Return the means of the whole run, a row a measure, a column a kind of label."""
    rows = found.summary[(found.summary["layer"] == "") & (found.summary["against"] == against)]
    return rows.pivot(index="measure", columns="labels", values="value")
