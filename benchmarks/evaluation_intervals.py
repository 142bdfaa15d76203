"""Intervals of an evaluation: do they cover what very many patients would show?

Drawn patients, of whom all is known. Twenty neurons respond, some hardly, to one of four findings; a patient has four
images, which share her findings and what else moves her neurons. Names are fixed: an interval is about the patients
that judge. In which share of the sets the 95 % interval has the value of 4,000 patients, by measure: for first labels,
and for their difference from wrong ones. The table is in [how right labels
are](../docs/explanation/evaluation.md#intervals).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch

from benchmarks.report import Report, Table
from mcd.evaluation.measuring import Judge
from mcd.evaluation.references import Reference
from mcd.evaluation.tallying import Tally
from mcd.scoring.calibration.permutation import PermutationUnits
from mcd.scoring.calibration.resamples import Resamples
from mcd.scoring.similarity import Matrix

NEURONS, FINDINGS, IMAGES = 20, 4, 4
MANY = 4000
DOCUMENT = "../docs/explanation/evaluation.md"


@dataclass
class Drawn:
    """Images of some patients: activations and findings."""

    activations: np.ndarray
    shown: np.ndarray


def drawn(patients: int, strength: np.ndarray, label: np.ndarray, rng: np.random.Generator) -> Drawn:
    has = np.repeat(rng.random((patients, FINDINGS)) < 0.4, IMAGES, axis=0)
    shown = has & (rng.random(has.shape) < 0.8)
    own = np.repeat(0.7 * rng.standard_normal((patients, NEURONS)), IMAGES, axis=0)
    noise = rng.standard_normal((len(shown), NEURONS))
    return Drawn(np.maximum(strength * shown[:, label] + own + noise, 0), shown)


def evaluated(naming: Drawn, judging: Drawn, label: np.ndarray, draws: int, seed: int) -> pd.DataFrame:
    """Return the summary of all neurons, by measure and kind of label."""
    count = len(judging.shown)
    units = PermutationUnits.of([str(row // IMAGES) for row in range(count)], "patient")
    weights, factor = np.ones((1, count)), 1.0
    if draws:
        again = Resamples.of(units, "patient", draws, seed)
        weights, factor = np.concatenate([weights, again.weights.astype(float)]), again.factor("permutation")
    values = torch.from_numpy(np.concatenate([naming.shown, judging.shown]).astype(np.float32))
    held_out = np.arange(len(values)) >= len(naming.shown)
    reference = Reference("annotations", Matrix(values), np.ones(FINDINGS, dtype=bool), annotated=True)
    labels = {"first": label, "random": (label + 1) % FINDINGS}
    judge = Judge(reference, held_out, weights, dict.fromkeys(labels, (0.2, 0.2)))
    activations = np.concatenate([naming.activations, judging.activations])
    tally = Tally("", [""] * FINDINGS, units.patients, factor)
    tally.add("annotations", "layer", judge.judge(activations, labels, np.ones(NEURONS, dtype=bool)))
    table = tally.summary()
    return table[table["layer"] == ""].set_index(["measure", "labels"])


@dataclass(frozen=True)
class Settings:
    """Numbers of held-out patients, sets of them, and draws."""

    patients: tuple[int, ...] = (12, 25, 60)
    sets: int = 200
    draws: int = 100


TOY = Settings(patients=(12,), sets=2, draws=10)


def measure(settings: Settings) -> Report:
    """Return the coverage."""
    rng = np.random.default_rng(0)
    strength, label = rng.uniform(0, 1.5, NEURONS), rng.integers(0, FINDINGS, NEURONS)
    naming = drawn(60, strength, label, rng)
    truth = evaluated(naming, drawn(MANY, strength, label, rng), label, 0, 0)["value"]
    found = {}
    for patients in settings.patients:
        inside = []
        for seed in range(settings.sets):
            judging = drawn(patients, strength, label, np.random.default_rng([seed, patients]))
            table = evaluated(naming, judging, label, settings.draws, seed)
            inside.append((table["low"] <= truth) & (truth <= table["high"]))
        found[patients] = pd.concat(inside, axis=1).mean(axis=1)
    covered = pd.DataFrame(found).unstack("labels").drop(columns="random", level="labels")
    columns = ["measure", *(f"{one[0]} patients: {one[1]}" for one in covered.columns)]
    values: list[list[float]] = covered.to_numpy().tolist()
    rows: list[tuple[str | float, ...]] = [(str(name), *row) for name, row in zip(covered.index, values, strict=True)]
    return Report([Table(f"{settings.sets} sets", columns, rows)])
