"""Stability: how often do labels, and sets of labels, come back with other patients altogether?

Drawn patients, as many again. Sixty neurons follow four of twenty concepts, some hardly; an image is a patient. How
often the label of all patients comes first on resamples of these (the table's `share`) and on as many new patients, and
how often one of the set that comes first in 95 % of the resamples does on new patients. The table is in [how right
labels are](../docs/explanation/evaluation.md#stability).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from benchmarks.report import Report, Table
from mcd.api.scorer import Scorer
from mcd.evaluation.stability import firsts
from mcd.evaluation.stability import stability_table as table_of
from mcd.scoring.calibration.resamples import Resamples
from mcd.scoring.renaming import Renaming
from mcd.scoring.similarity import Matrix
from mcd_plugins.scorers.pearson import Pearson
from mcd_plugins.scorers.soft_wpmi import SoftWPMI

NEURONS, CONCEPTS, DRAWS, NEW = 60, 20, 100, 40
DOCUMENT = "../docs/explanation/evaluation.md"


def drawn(images: int, follows: np.ndarray, rng: np.random.Generator) -> tuple[torch.Tensor, Matrix]:
    shown = rng.standard_normal((images, CONCEPTS))
    responses = shown @ follows.T + rng.standard_normal((images, NEURONS))
    return torch.from_numpy(responses).float(), Matrix(torch.from_numpy(shown).float())


def named(scorer: Scorer, activations: torch.Tensor, similarity: Matrix) -> np.ndarray:
    first, _ = Renaming(scorer, similarity).measure(activations)(np.ones(len(activations), dtype=np.int64))
    return first[:, 0].numpy()


def covered(scorer: Scorer, images: int, seed: int) -> np.ndarray:
    """Return share on resamples, share on new patients, share of new patients in the set, and its mean size."""
    rng = np.random.default_rng(seed)
    follows = np.zeros((NEURONS, CONCEPTS))
    follows[:, :4] = np.array([0.5, 0.4, 0.3, 0.2]) * rng.uniform(0.3, 1.5, (NEURONS, 1))
    activations, similarity = drawn(images, follows, rng)
    label = named(scorer, activations, similarity)
    again = Resamples.draw([f"p{row}" for row in range(images)], DRAWS, seed)
    terms = [str(one) for one in range(CONCEPTS)]
    found = firsts(Renaming(scorer, similarity), activations, again)
    table = table_of("", np.arange(NEURONS), label, found, terms)
    new = np.stack([named(scorer, *drawn(images, follows, rng)) for _ in range(NEW)])
    sets = [[int(one) for one in text.split("; ")] for text in table["set"]]
    inside = np.mean([np.isin(new[:, at], one).mean() for at, one in enumerate(sets)])
    return np.array([table["share"].mean(), (new == label).mean(), inside, table["size"].mean()])


@dataclass(frozen=True)
class Settings:
    """Images, and sets of them."""

    images: int = 200
    sets: int = 10


TOY = Settings(images=60, sets=1)
COLUMNS = ("scorer", "first on resamples", "on new patients", "concepts in a set", "labels by new patients in it")


def measure(settings: Settings) -> Report:
    """Return a row for each scorer."""
    rows = []
    for scorer in (Pearson(), SoftWPMI(SoftWPMI.Options(top_k=20))):
        found = [covered(scorer, settings.images, seed) for seed in range(settings.sets)]
        share, back, inside, size = np.mean(found, axis=0).tolist()
        rows.append((scorer.name, share, back, size, inside))
    return Report([Table(f"{settings.sets} sets of {settings.images} images", COLUMNS, rows)])
