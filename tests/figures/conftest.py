"""Runs that figures are drawn of: made of arrays, so that what must be drawn is known."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pydantic
import pytest

import mcd
from mcd.api.concepts import Concept
from mcd.comparison.changes import Pairing, changes
from mcd.comparison.compared import Comparison
from mcd.comparison.heading import Heading
from mcd.comparison.layers import AlignedLayer, category_table, joined, layer_table, threshold_table
from mcd.comparison.outcomes import NOTHING, Outcome, Vocabulary
from mcd.comparison.represented import ANSWERS
from mcd.comparison.resampling import Replicated
from mcd.figures import FigureData
from mcd.runs.controls import COLUMNS, CONTROLS
from mcd.runs.manifest import LayerRecord, Manifest, StoreRecord
from mcd.scoring.calibration.thresholds import MeanScoreThreshold
from mcd.scoring.results import LayerSummary, Results
from mcd.scoring.rungs import NUISANCE, RIGHT, RungCount

WORDS = Vocabulary(
    (
        Concept("round", "shape", "Findings"),
        Concept("oval", "shape", "Findings"),
        Concept("spiculated", "margin", "Findings"),
        Concept("dense", "density", "Anatomy"),
        Concept("upper", "quadrant", "Place"),
        Concept("sky", "nature", "Everyday words", mammographic=False),
        Concept("table", "things", "Everyday words", mammographic=False),
    )
)
COUNTERPARTS = {
    "Findings": "Findings and characterizations",
    "Anatomy": "Breast_anatomy_or_structure",
    "Place": "Breast_locations",
    "Everyday words": "Environmental_and_Natural",
}


STUDY: dict[str, pydantic.JsonValue] = {"models": "object", "dissectors": "object", "dataset": "object"}


@dataclass(frozen=True)
class Run:
    """A run as it was drawn at random: its outcomes, and what figures are made from."""

    name: str
    outcomes: Sequence[Outcome]


def outcomes_of(name: str, widths: dict[str, int], seed: int) -> Run:
    rng = np.random.default_rng(seed)
    found = []
    for layer, neurons in widths.items():
        first = rng.integers(0, len(WORDS.concepts), neurons)
        first[rng.random(neurons) < 0.1] = NOTHING
        z = np.where(first == NOTHING, np.nan, rng.gamma(6, 0.7, neurons))
        found.append(Outcome(layer, first, z > 4, z, z * 0.5))
    return Run(name, found)


def _seen(run: Run, seed: int, resamples: int) -> list[AlignedLayer]:
    rng = np.random.default_rng(seed)
    last = max(1, len(run.outcomes) - 1)
    found = []
    for at, one in enumerate(run.outcomes):
        again = None
        if resamples:
            z = one.z + rng.normal(0, 0.5, (resamples, one.neurons))
            again = Replicated(np.where(z > 4, one.first, NOTHING), z, 1.0)
        found.append(AlignedLayer(run.name, one.layer, at / last, one, again))
    return found


def _heading(runs: Sequence[Run], images: int, patients: int) -> Heading:
    rows = [
        {
            "run": run.name,
            "target": run.name,
            "dissector": "clip",
            "scorer": "soft-wpmi",
            "probe_set": "vindr",
            "images": images,
            "patients": patients,
            "top_k": 100,
            "null": "top-k",
            "permutation_unit": "patient",
            "draws": 1000,
            "layer_draws": "1,000 draws (no p is counted below 1/1,001)",
            "q": 0.05,
            "correction": "benjamini-hochberg",
            "comparable": False,
            "layers": len(run.outcomes),
            "neurons": sum(one.neurons for one in run.outcomes),
        }
        for run in runs
    ]
    return Heading(pd.DataFrame(rows))


def _concepts(run: Run) -> pd.DataFrame:
    rows = []
    for at, one in enumerate(WORDS.concepts):
        if one.mammographic:
            carriers = sum(int((outcome.concept == at).sum()) for outcome in run.outcomes)
            answer = ANSWERS[0] if carriers else ANSWERS[2]
            rows.append(
                {
                    "run": run.name,
                    "concept": one.term,
                    "category": one.category,
                    "broad_category": one.broad_category,
                    "answer": answer,
                    "carriers": carriers,
                    "detectable_auroc": np.nan,
                }
            )
    return pd.DataFrame(rows)


def _carriers(run: Run) -> pd.DataFrame:
    rows = [
        (run.name, outcome.layer, WORDS.concepts[at].term, int(count))
        for outcome in run.outcomes
        for at, count in enumerate(WORDS.counts(outcome.concept)[0])
        if count
    ]
    return pd.DataFrame(rows, columns=["run", "layer", "concept", "carriers"])


def _dissection(run: Run) -> mcd.Dissection:
    labels, neurons, null, controls = [], [], [], []
    levels = np.linspace(0, 1, 101)
    for one in run.outcomes:
        there = one.first != NOTHING
        labels.append(
            pd.DataFrame(
                {
                    "layer": one.layer,
                    "neuron": np.arange(one.neurons),
                    "rank": np.where(there, 1.0, np.nan),
                    "z": one.z,
                    "concept": [WORDS.concepts[at].term if at >= 0 else "" for at in one.first],
                    "verdict": np.where(one.significant, "significant", np.where(there, "not significant", "")),
                    "q": np.where(one.significant, 0.01, np.where(there, 0.5, np.nan)),
                    "status": "labelled",
                }
            )
        )
        neurons.append(
            pd.DataFrame(
                {"layer": one.layer, "neuron": np.arange(one.neurons), "stratum": 0, "p_any": 0.5, "critical": 4.0}
            )
        )
        null.append(pd.DataFrame({"layer": one.layer, "stratum": 0, "level": levels, "z": 1 + 2 * levels}))
        for at, control in enumerate(("none", *CONTROLS)):
            above = int(one.significant.sum()) // (at + 1)
            controls.append((control, one.layer, one.neurons, one.labelled, above, above // 2, 3, 4.0 - at))
    record = Manifest(
        target=run.name,
        dissector="clip",
        scorer="soft-wpmi",
        study=STUDY,
        fingerprints={"target": run.name},
        preprocessing={},
        store=StoreRecord(activations="a", embeddings="e", embedding_width=1),
        layers=[LayerRecord(name=one.layer, type="Conv2d", layout="NCHW", neurons=one.neurons) for one in run.outcomes],
    )
    record.rungs = {NUISANCE: "", RIGHT: "nothing is annotated"}
    record.summary = [
        LayerSummary(
            layer=one.layer,
            neurons=one.neurons,
            labelled=one.labelled,
            significant=int(one.significant.sum()),
            rungs={NUISANCE: RungCount(significant=int(one.significant.sum()) // 2, testable=one.labelled)},
        )
        for one in run.outcomes
    ]
    results = Results(
        pd.concat(labels),
        (),
        pd.concat(neurons),
        pd.concat(null),
        controls=pd.DataFrame(controls, columns=list(COLUMNS)),
    )
    return mcd.Dissection(Path("nowhere"), record, results)


def data_of(
    runs: Sequence[Run],
    *,
    resamples: int = 20,
    threshold: MeanScoreThreshold | None = None,
    images: int = 400,
    patients: int = 100,
) -> FigureData:
    each = [_seen(run, at, resamples) for at, run in enumerate(runs)]
    everything = [one for seen in each for one in [*seen, joined(seen)]]
    found = []
    for run, seen in zip(runs[1:], each[1:], strict=True):
        pairs = [(a, b) for a, b in zip(each[0], seen, strict=False) if a.outcome.neurons == b.outcome.neurons]
        pairings = [Pairing.unseen(a.outcome.neurons) for a, _ in pairs]
        if len(pairs) == len(seen):
            found.append(changes(*map(list, zip(*pairs, strict=True)), pairings, WORDS))
            assert found[-1].run == run.name
    thresholds = pd.DataFrame()
    if threshold:
        thresholds = threshold_table([list(group) for group in zip(*each, strict=True)], WORDS, threshold)
    comparison = Comparison(
        _heading(runs, images, patients),
        (),
        layers=layer_table(everything, WORDS, scores_comparable=False),
        categories=category_table(everything, WORDS),
        thresholds=thresholds,
        changes=tuple(found),
        concepts=pd.concat(list(map(_concepts, runs)), ignore_index=True),
        carriers=pd.concat(list(map(_carriers, runs)), ignore_index=True),
    )
    return FigureData({run.name: _dissection(run) for run in runs}, comparison, COUNTERPARTS)


Make = Callable[..., FigureData]


@pytest.fixture(scope="session")
def blocks() -> dict[str, int]:
    """Thirteen layers whose names sort otherwise than they come, each with its own width."""
    return {f"blocks.{at}": 8 + 2 * at for at in range(13)}


@pytest.fixture(scope="session")
def pair(blocks: dict[str, int]) -> FigureData:
    """A model before and after fine-tuning."""
    return data_of([outcomes_of("before", blocks, 1), outcomes_of("after", blocks, 2)])


@pytest.fixture(scope="session")
def alone(blocks: dict[str, int]) -> FigureData:
    """A single run."""
    return data_of([outcomes_of("alone", blocks, 3)])
