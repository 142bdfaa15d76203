"""How often do labels, and sets of labels, come back with other patients altogether? Drawn patients, as many again.

    python benchmarks/stability_coverage.py --sets 10

Sixty neurons follow four of twenty concepts, some hardly; an image is a patient. Printed is, by scorer, how often the
label of all patients comes first on resamples of these (the table's ``share``) and on as many new patients, and how
often one of the set that comes first in 95 % of the resamples does on new patients.
"""

from __future__ import annotations

import argparse

import numpy as np
import torch

from mcd.api.scorer import Scorer
from mcd.evaluation.stability import firsts
from mcd.evaluation.stability import stability_table as table_of
from mcd.scoring.calibration.resamples import Resamples
from mcd.scoring.renaming import Renaming
from mcd.scoring.similarity import Matrix
from mcd_plugins.scorers.pearson import Pearson
from mcd_plugins.scorers.soft_wpmi import SoftWPMI

NEURONS, CONCEPTS, DRAWS, NEW = 60, 20, 100, 40


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


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=200)
    parser.add_argument("--sets", type=int, default=10)
    asked = parser.parse_args()
    for scorer in (Pearson(), SoftWPMI(SoftWPMI.Options(top_k=20))):
        share, back, inside, size = np.mean([covered(scorer, asked.images, seed) for seed in range(asked.sets)], axis=0)
        print(
            f"{scorer.name}: first on resamples {share:.2f}, on new patients {back:.2f}; "
            f"sets of {size:.1f} concepts hold {inside:.2f} of the labels by new patients"
        )


if __name__ == "__main__":
    main()
