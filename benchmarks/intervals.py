"""Intervals over patients: do they cover what other patients would have shown?

Measured on disjoint sets of phantom patients, for two models. Every set of patients is a probe set of its own. What it
says (share of significant neurons, mean z, shares of categories) has a true deviation over the sets, and a true mean.
Four ways to resample a set's patients are asked for both: `twice`, the bootstrap, where an image drawn twice stands
twice among the top images; `once`, the same with each counted once; `chosen`, as many without replacement (what
`mcd.comparison` does); `half`, half of them. The table is in [comparing](../docs/explanation/comparing.md).
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch

import mcd
from benchmarks.report import Report, Table
from mcd.api.ranking import ordered_top_k
from mcd.api.scorer import TopKScorer
from mcd.runs.dissection import Dissection
from mcd.runs.revived import StoredScores
from mcd.scoring.calibration.judging import Judged
from mcd.scoring.calibration.resamples import SHARE
from mcd.scoring.labelling import Labeller
from mcd.scoring.scores import best, evidence, null_evidence
from mcd.scoring.similarity import Matrix
from mcd.study.calibration import Calibration
from mcd.study.preparer import Preparer

DOCUMENT = "../docs/explanation/comparing.md"
WAYS = {"twice": None, "once": 1 - np.exp(-1), "chosen": SHARE, "half": 0.5}


@dataclass
class Layer:
    """A layer of one model on one set of patients."""

    activations: torch.Tensor
    judged: Judged


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
    above = z > layer.judged.another
    counts = np.bincount(category[first[:, 0].numpy()[above]], minlength=category.max() + 1)
    return [above.mean(), z.mean(), *(counts / len(z))]


def probe_sets(patients: np.ndarray, size: int) -> Iterator[torch.Tensor]:
    number = {one: at for at, one in enumerate(dict.fromkeys(patients))}
    of = np.array([number[one] for one in patients]) // size
    for at in range(len(number) // size):
        yield torch.from_numpy(np.flatnonzero(of == at))


@dataclass(frozen=True)
class Settings:
    """Patients of a set, sets, sets whose patients are resampled, resamples; ``noise`` shuffles images."""

    patients: int = 50
    sets: int = 32
    top_k: int = 40
    layers: tuple[str, ...] = ("stages.1", "stages.3")
    resampled: int = 12
    resamples: int = 60
    noise: bool = False


TOY = Settings(patients=12, sets=2, top_k=8, layers=("stages.3",), resampled=1, resamples=2)


def measure(settings: Settings) -> Report:
    """Return, for each way, how far its deviations and intervals are from those of real probe sets."""
    with tempfile.TemporaryDirectory() as scratch:
        runs = [dissected(name, Path(scratch), settings) for name in ("phantom-mammo", "phantom-clip")]
        return Sets(runs, settings).report()


def dissected(model: str, folder: Path, settings: Settings) -> Dissection:
    """Return a run of all patients, without significance."""
    return mcd.dissect(
        model,
        dissector="phantom-clip",
        layers=list(settings.layers),
        concepts="phantom",
        output=folder / model,
        progress=False,
        store="off",
        calibration={"draws": 0},
        scorer={"plugin": "soft-wpmi", "options": {"top_k": settings.top_k}},
        dataset={"plugin": "phantom", "options": {"patients": settings.patients * settings.sets}},
    )


class Sets:
    """Disjoint sets of the patients of two runs."""

    def __init__(self, runs: Sequence[Dissection], settings: Settings) -> None:
        self.settings = settings
        stored = StoredScores(runs[0])
        self.concepts = stored.concepts.concepts
        scorer = Preparer(runs[0].host).scorer(stored.study.scorer)[0]
        assert isinstance(scorer, TopKScorer)
        self.scorer, self.patients = scorer, np.array(runs[0].patients)
        self.similarity = stored.material().similarity.whole()
        names = list(dict.fromkeys(one.category for one in self.concepts))
        self.category = np.array([names.index(one.category) for one in self.concepts])
        every = [{layer: run.activations(layer) for layer in settings.layers} for run in runs]
        if settings.noise:
            generator = torch.Generator().manual_seed(0)
            every = [{name: a[torch.randperm(len(a), generator=generator)] for name, a in one.items()} for one in every]
        self.every = every

    def judged(self, rows: torch.Tensor, cosine: Matrix) -> list[Layer]:
        """Return the layers of both models on some images."""
        found = []
        for one in self.every:
            calibration = Calibration(most_draws=4000)
            patients = list(self.patients[rows])
            labeller = Labeller(self.scorer, cosine, self.concepts, calibration, patients, 1)
            for layer in labeller.scored({name: partial(torch.Tensor.__getitem__, a, rows) for name, a in one.items()}):
                assert layer.judged is not None
                found.append(Layer(one[layer.layer][rows], layer.judged))
        return found

    def report(self) -> Report:
        """Measure every set, and resamples of the first ones."""
        whole: list[list[list[float]]] = []
        again: dict[str, list[np.ndarray]] = {way: [] for way in WAYS}
        for number, rows in enumerate(probe_sets(self.patients, self.settings.patients)):
            cosine, mine = Matrix(self.similarity[rows]), self.patients[rows]
            chance, layers = null_evidence(self.scorer, cosine), self.judged(rows, cosine)

            def of(
                layer: Layer, chosen: torch.Tensor, cosine: Matrix = cosine, chance: torch.Tensor = chance
            ) -> list[float]:
                return measured(layer, chosen, cosine, self.scorer, chance, self.category)

            whole.append([of(one, torch.arange(len(rows))) for one in layers])
            people = [np.flatnonzero(mine == one) for one in dict.fromkeys(mine)]
            for way, kept in again.items():
                if number < self.settings.resampled:
                    rng = np.random.default_rng([number, *way.encode()])
                    kept.append(
                        np.array([[of(one, chosen) for one in layers] for chosen in self.resamples(way, people, rng)])
                    )
        return table(np.array(whole), {way: np.array(kept) for way, kept in again.items()}, len(self.settings.layers))

    def resamples(self, way: str, people: list[np.ndarray], rng: np.random.Generator) -> Iterator[torch.Tensor]:
        for _ in range(self.settings.resamples):
            chosen = np.concatenate([people[at] for at in drawn(way, len(people), rng)])
            yield torch.from_numpy(np.sort(chosen))


COLUMNS = (
    "way",
    "share: mean less estimate",
    "z: mean less estimate",
    "share: deviation / true",
    "z: deviation / true",
    "share covered by estimate ± 1.96 deviations",
    "z covered",
    "categories covered",
    "difference covered",
    "half width of the share",
)


def table(whole: np.ndarray, again: Mapping[str, np.ndarray], layers: int) -> Report:
    """Return a row for each way."""
    truth, deviation = whole.mean(axis=0), whole.std(axis=0, ddof=1)
    rows = []
    for way, values in again.items():
        factor = 1.0 if WAYS[way] is None else (1 - float(WAYS[way] or 0)) ** -0.5
        estimate = whole[: len(values)]
        spread = values.std(axis=1, ddof=1) * factor
        covered = np.abs(estimate - truth) <= 1.96 * spread
        ratio = (spread.mean(axis=0) / np.where(deviation > 1e-6, deviation, np.nan))[:, :2]
        more, between = values[:, :, layers:] - values[:, :, :layers], estimate[:, layers:] - estimate[:, :layers]
        paired = np.abs(between - (truth[layers:] - truth[:layers])) <= 1.96 * factor * more.std(axis=1, ddof=1)
        off = (values.mean(axis=1) - estimate).mean(axis=(0, 1))
        wide = np.nanmedian(ratio, axis=0)
        covers = [covered[..., 0], covered[..., 1], covered[..., 2:], paired[..., :2]]
        shares = [float(one.mean()) for one in covers]
        rows.append((way, *off[:2].tolist(), *wide.tolist(), *shares, float(1.96 * spread[..., 0].mean())))
    return Report([Table(f"{len(whole)} sets", COLUMNS, rows)])
