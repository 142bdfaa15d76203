"""Do intervals over patients cover what other patients would have shown? Measured on disjoint sets of phantom patients.

    mcd run STUDY.yaml -o big      # two models, dissector phantom-clip, 1600 phantom patients, calibration: {draws: 0}
    python benchmarks/intervals.py big/phantom-mammo big/phantom-clip-tower --patients 50 --top-k 40

Every set of patients is a probe set of its own. What it says (share of significant neurons, mean z, shares of
categories) has a true deviation over the sets, and a true mean. Four ways to resample a set's patients are asked for
both: ``twice``, the bootstrap, where an image drawn twice stands twice among the top images; ``once``, the same with
each counted once; ``chosen``, as many without replacement (what `mcd.comparison` does); ``half``, half of them.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch

from mcd.api.concepts import Concept
from mcd.api.ranking import ordered_top_k
from mcd.api.scorer import TopKScorer
from mcd.comparison.resampling import critical_z
from mcd.runs.dissection import load
from mcd.runs.revived import StoredScores
from mcd.scoring.calibration.judging import Judged
from mcd.scoring.calibration.resamples import SHARE
from mcd.scoring.labelling import Labeller
from mcd.scoring.scores import best, evidence, null_evidence
from mcd.scoring.similarity import Matrix
from mcd.study.calibration import Calibration
from mcd.study.preparer import Preparer

WAYS = {"twice": None, "once": 1 - np.exp(-1), "chosen": SHARE, "half": 0.5}


@dataclass
class Layer:
    """A layer of one model on one set of patients."""

    activations: torch.Tensor
    judged: Judged
    critical: np.ndarray


def drawn(way: str, patients: int, rng: np.random.Generator) -> np.ndarray:
    if way in ("twice", "once"):
        found = rng.integers(patients, size=patients)
        return found if way == "twice" else np.unique(found)
    return rng.permutation(patients)[: round(float(WAYS[way] or 0) * patients)]


def measured(
    layer: Layer, rows: torch.Tensor, cosine: Matrix, scorer: TopKScorer, chance: torch.Tensor, category: np.ndarray
) -> list[float]:
    ranked = rows[ordered_top_k(layer.activations[rows], scorer.top_k)]
    values = evidence(scorer, ranked, cosine)
    first = best(scorer.scores(values, scorer.context(values, lambda: chance)), 1, higher_is_better=True)
    z = layer.judged.null.z(values.gather(1, first), first, torch.from_numpy(layer.judged.stratum))[:, 0].numpy()
    above = z > layer.critical
    counts = np.bincount(category[first[:, 0].numpy()[above]], minlength=category.max() + 1)
    return [above.mean(), z.mean(), *(counts / len(z))]


def probe_sets(patients: np.ndarray, size: int) -> Iterator[torch.Tensor]:
    number = {one: at for at, one in enumerate(dict.fromkeys(patients))}
    of = np.array([number[one] for one in patients]) // size
    for at in range(len(number) // size):
        yield torch.from_numpy(np.flatnonzero(of == at))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("runs", nargs=2, type=Path)
    parser.add_argument("--patients", type=int, default=50)
    parser.add_argument("--top-k", type=int, default=40)
    parser.add_argument("--layers", nargs="*", default=["stages.1", "stages.3"])
    parser.add_argument("--resampled", type=int, default=12, help="sets whose patients are resampled")
    parser.add_argument("--resamples", type=int, default=60)
    parser.add_argument("--noise", action="store_true", help="shuffle images against activations")
    asked = parser.parse_args()

    runs = [load(one) for one in asked.runs]
    stored = StoredScores(runs[0])
    concepts: tuple[Concept, ...] = stored.concepts.concepts
    choice = stored.study.scorer
    choice = choice.model_copy(update={"options": choice.options | {"top_k": asked.top_k}})
    scorer = Preparer(runs[0].host).scorer(choice)[0]
    assert isinstance(scorer, TopKScorer)
    similarity, patients = stored.material().similarity.whole(), np.array(runs[0].patients)
    names = list(dict.fromkeys(one.category for one in concepts))
    category = np.array([names.index(one.category) for one in concepts])
    every = [{layer: run.activations(layer) for layer in asked.layers} for run in runs]
    if asked.noise:
        generator = torch.Generator().manual_seed(0)
        every = [{name: a[torch.randperm(len(a), generator=generator)] for name, a in one.items()} for one in every]

    whole: list[list[list[float]]] = []
    again: dict[str, list[np.ndarray]] = {way: [] for way in WAYS}
    for number, rows in enumerate(probe_sets(patients, asked.patients)):
        cosine, mine = Matrix(similarity[rows]), patients[rows]
        chance = null_evidence(scorer, cosine)
        layers = []
        for one in every:
            labeller = Labeller(scorer, cosine, concepts, Calibration(most_draws=4000), list(mine), 1)
            for found in labeller.scored({name: partial(torch.Tensor.__getitem__, a, rows) for name, a in one.items()}):
                assert found.judged is not None
                layers.append(Layer(one[found.layer][rows], found.judged, critical_z(found.judged, 0.05)))
        everything = torch.arange(len(rows))
        whole.append([measured(one, everything, cosine, scorer, chance, category) for one in layers])
        people = [np.flatnonzero(mine == one) for one in dict.fromkeys(mine)]
        for way, kept in again.items():
            if number < asked.resampled:
                rng = np.random.default_rng([number, *way.encode()])
                kept.append(
                    np.array(
                        [
                            [measured(one, chosen, cosine, scorer, chance, category) for one in layers]
                            for _ in range(asked.resamples)
                            for chosen in [
                                torch.from_numpy(
                                    np.sort(np.concatenate([people[at] for at in drawn(way, len(people), rng)]))
                                )
                            ]
                        ]
                    )
                )
    report(np.array(whole), {way: np.array(kept) for way, kept in again.items()}, len(asked.layers))


def report(whole: np.ndarray, again: dict[str, np.ndarray], layers: int) -> None:
    """Print, for each way, how far its deviations and intervals are from those of real probe sets."""
    truth, deviation = whole.mean(axis=0), whole.std(axis=0, ddof=1)
    print(f"share significant {truth[:, 0].round(3)} ± {deviation[:, 0].round(3)}, mean z {truth[:, 1].round(2)}")
    print("way     mean less estimate   deviation/true   covered by estimate ± 1.96 deviations   half width")
    print("        share      z         share     z      share    z   categories   difference    share")
    for way, values in again.items():
        factor = 1.0 if WAYS[way] is None else (1 - float(WAYS[way] or 0)) ** -0.5
        estimate = whole[: len(values)]
        spread = values.std(axis=1, ddof=1) * factor
        covered = np.abs(estimate - truth) <= 1.96 * spread
        ratio = spread.mean(axis=0) / np.where(deviation > 1e-6, deviation, np.nan)
        more, between = values[:, :, layers:] - values[:, :, :layers], estimate[:, layers:] - estimate[:, :layers]
        paired = np.abs(between - (truth[layers:] - truth[:layers])) <= 1.96 * factor * more.std(axis=1, ddof=1)
        off = (values.mean(axis=1) - estimate).mean(axis=(0, 1))
        wide = np.nanmedian(ratio, axis=0)
        print(
            f"{way:7} {off[0]:+.3f}   {off[1]:+.2f}          {wide[0]:.2f}   {wide[1]:.2f}   "
            f"{covered[..., 0].mean():.2f}   {covered[..., 1].mean():.2f}     {covered[..., 2:].mean():.2f}         "
            f"{paired[..., :2].mean():.2f}        {1.96 * spread[..., 0].mean():.3f}"
        )


if __name__ == "__main__":
    main()
