"""Scorers and their nulls.

Scorers beside a straightforward transcription of the published loop, the cosines beside one matrix product; soft-WPMI
also beside a kernel in C that fuses its steps and is compiled when it is measured (`fused.c`): no one could be much
faster. The null of a scorer is what significance adds to the scores of a layer: patients of four images, activations of
which half are 0, moments from half as many draws besides; that of each scorer with fewer images, concepts and neurons.
Processor seconds. Goal: significance of cosine and of pearson with 1,000 draws at 20,000 images takes at most 3 s.
"""

from __future__ import annotations

import math
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from importlib import import_module
from pathlib import Path
from statistics import median

import pandas as pd
import torch

import mcd
from benchmarks.fused import fused_soft_wpmi
from benchmarks.report import Cell, Line, Report, Table
from benchmarks.timing import in_turn, ratio
from mcd.api.concepts import Concept
from mcd.api.probe import FACTS
from mcd.scoring.labelling import Labeller
from mcd.scoring.scores import evidence
from mcd.scoring.similarity import Cosines, Matrix, Similarity
from mcd.study.calibration import Calibration
from mcd_plugins.scorers import mcd_register_scorers
from mcd_plugins.scorers.cosine import Cosine
from mcd_plugins.scorers.cosine_cubed import CosineCubed
from mcd_plugins.scorers.pearson import Pearson
from mcd_plugins.scorers.rank_reorder import RankReorder
from mcd_plugins.scorers.soft_wpmi import SoftWPMI
from mcd_plugins.scorers.wpmi import WPMI

Tensor = torch.Tensor


def gathered(table: Tensor, rows: Tensor) -> Tensor:
    """Return rows as the released code takes them."""
    return table.gather(0, rows[:, None].expand(-1, table.shape[1]))


def looped_soft_wpmi(activations: Tensor, cosine: Tensor, top_k: int = 100) -> Tensor:
    """Score as the published formula reads: a neuron at a time, a logarithm a factor."""
    probability = torch.softmax(10 * cosine, dim=1)
    top = activations.topk(top_k, dim=0).indices
    membership = (0.998 - torch.arange(top_k) / top_k * (0.998 - 0.97))[:, None]
    log_p = torch.stack(
        [
            torch.log(1 + membership * (gathered(probability, top[:, one]) - 1) + 1e-7).sum(dim=0)
            for one in range(activations.shape[1])
        ]
    )
    return log_p - (torch.logsumexp(log_p, dim=0) - math.log(len(log_p)))


def looped_wpmi(activations: Tensor, cosine: Tensor) -> Tensor:
    probability = torch.softmax(2 * cosine, dim=1)
    top = activations.topk(28, dim=0).indices
    log_p = torch.stack(
        [torch.log(gathered(probability, top[:, one]) + 1e-7).sum(dim=0) for one in range(activations.shape[1])]
    )
    return log_p - 0.6 * (torch.logsumexp(log_p, dim=0) - math.log(len(log_p)))


def looped_rank_reorder(activations: Tensor, cosine: Tensor) -> Tensor:
    count = int(0.05 * len(activations))
    rows = []
    for one in range(activations.shape[1]):
        values, top = activations[:, one].topk(count)
        chosen = cosine[top]
        baseline = torch.stack([(values - values[torch.randperm(count)]).abs().pow(3).mean() for _ in range(5)]).mean()
        ordered = values.flip(0)[chosen.argsort(dim=0).argsort(dim=0)]
        error = (values[:, None] - ordered).abs().pow(3).mean(dim=0)
        rows.append(-(error / baseline) / chosen.mean(dim=0).abs().pow(0.5))
    return torch.stack(rows)


LOOPS: Sequence[tuple[mcd.Scorer, Callable[[Tensor, Tensor], Tensor] | None]] = (
    (SoftWPMI(), looped_soft_wpmi),
    (WPMI(), looped_wpmi),
    (RankReorder(), looped_rank_reorder),
    (Cosine(), None),
    (CosineCubed(), None),
)
"""Scorers with the loop that was released; None: one matrix product is the limit."""


@dataclass(frozen=True)
class Settings:
    """Sizes, rounds of the scores and of the nulls, draws, threads."""

    images: int = 20_000
    concepts: int = 763
    neurons: int = 512
    rounds: int = 5
    null_rounds: int = 2
    draws: int = 1000
    threads: int = 1


TOY = Settings(images=200, concepts=5, neurons=8, rounds=1, null_rounds=1, draws=40)


def measure(settings: Settings) -> Report:
    """Return seconds of scores beside the loop, their parts, and what nulls add."""
    torch.set_num_threads(settings.threads)
    generator = torch.Generator().manual_seed(0)
    cosine = 0.2 + 0.05 * torch.randn(settings.images, settings.concepts, generator=generator)
    activations = torch.randn(settings.images, settings.neurons, generator=generator)
    size = f"{settings.images:,} images, {settings.concepts:,} concepts, {settings.neurons:,} neurons"
    scores = [*as_a_run(activations, cosine, settings), *scored(activations, cosine, settings.rounds)]
    nulls = with_nulls(activations.relu(), cosine, settings)
    every, small = with_every_null(settings)
    lines = [
        Line(f"{name}, s", ours, beside, theirs, None if times is None else f"{float(times):.2g} ×")
        for name, ours, beside, theirs, times in scores
    ]
    for name, unit, _, _, added in nulls:
        goal, holds = ("≤ 3 s", added <= 3) if name in ("cosine", "pearson") else ("", None)
        lines.append(Line(f"null of {name}, {unit}s permuted, s", added, "", "", "", goal, holds))
    lines += [Line(f"null of {name}, {small}, s", added, "", "", "") for name, _, _, added in every]
    columns = ("scorer", "mcd", "beside", "there", "times as fast")
    return Report(
        [
            Table(f"{size}, {settings.threads} threads", columns, scores),
            Table("The parts of soft-wpmi", ("part", "seconds"), parts(activations, cosine, settings.rounds)),
            Table(f"{settings.draws:,} draws", ("null of", "permuted", "without", "with", "null"), nulls),
            Table(f"{settings.draws:,} draws of images, {small}", ("null of each", "without", "with", "null"), every),
        ],
        lines,
    )


FUSED = "a fused kernel in C"
Row = tuple[str, float, str, Cell, Cell]


def as_a_run(activations: Tensor, cosine: Tensor, settings: Settings) -> list[Row]:
    """Return the rows of soft-wpmi as a run scores: beside the loop, and beside the kernel where it compiles."""
    works = {
        "mcd": partial(as_engine, activations, Matrix(cosine)),
        "the released loop": partial(looped_soft_wpmi, activations, cosine),
    }
    with tempfile.TemporaryDirectory() as folder:
        kernel = fused_soft_wpmi(Path(folder), settings.threads)
        times = in_turn(works | ({FUSED: partial(kernel, activations, cosine)} if kernel else {}), settings.rounds)
    ours = times["mcd"]
    return [
        (
            "soft-wpmi, as a run scores",
            median(ours),
            beside,
            *([median(one), ratio(one, ours)] if one else [None, None]),
        )
        for beside, one in [(beside, times.get(beside)) for beside in ("the released loop", FUSED)]
    ]


def as_engine(activations: Tensor, similarity: Matrix) -> Tensor:
    """Score a layer as a run does: similarity is taken of the top images only."""
    return evidence(SoftWPMI(), mcd.plugins.ordered_top_k(activations, 100), similarity)


def scored(activations: Tensor, cosine: Tensor, rounds: int) -> list[Row]:
    """Return a row for each scorer: medians, and the median of the ratios."""
    rows: list[Row] = []
    for scorer, loop in LOOPS:
        few = activations[:, : max(8, activations.shape[1] // 16)] if isinstance(scorer, RankReorder) else activations
        other = partial(loop, few, cosine) if loop else partial(torch.matmul, activations.T, cosine)
        times = in_turn({"mcd": partial(scorer.score, few, cosine), "other": other}, rounds)
        ours, theirs = (median(one) for one in times.values())
        name = f"{scorer.name}, {few.shape[1]} neurons" if isinstance(scorer, RankReorder) else scorer.name
        beside = "the released loop" if loop else "one matrix product"
        rows.append((name, ours, beside, theirs, ratio(times["other"], times["mcd"])))
    return rows


def parts(activations: Tensor, cosine: Tensor, rounds: int) -> list[tuple[str, float]]:
    ranked = mcd.plugins.ordered_top_k(activations, 100)
    works: dict[str, Callable[[], object]] = {
        "top k": lambda: mcd.plugins.ordered_top_k(activations, 100),
        "softmax alone": lambda: torch.softmax(cosine, dim=1),
        "evidence": lambda: evidence(SoftWPMI(), ranked, Matrix(cosine)),
    }
    return [(name, median(one)) for name, one in in_turn(works, rounds).items()]


def with_nulls(activations: Tensor, cosine: Tensor, settings: Settings) -> list[tuple[str, str, float, float, float]]:
    """Return a row for each scorer and what is permuted."""
    patients = [f"p{at // 4}" for at in range(len(activations))]
    rows = []
    for scorer in (Cosine(), Pearson(), SoftWPMI(), WPMI()):
        for unit in ("image", "patient"):
            without, with_it = (
                labelled(scorer, activations, partial(Matrix, cosine), patients, unit, count, settings.null_rounds)
                for count in (0, settings.draws)
            )
            rows.append((scorer.name, unit, without, with_it, with_it - without))
    return rows


def with_every_null(settings: Settings) -> tuple[list[tuple[str, float, float, float]], str]:
    """Return a row for each scorer that mcd ships, images permuted, and of how many images it is."""
    images, concepts = max(200, settings.images // 5), max(2, settings.concepts // 4)
    neurons = max(2, settings.neurons // 4)
    generator = torch.Generator().manual_seed(0)
    embedded, texts = (torch.randn(count, 64, generator=generator) for count in (images, concepts))
    embedded, texts = (torch.nn.functional.normalize(one, dim=1) for one in (embedded, texts))
    activations = torch.randn(images, neurons, generator=generator).relu()
    facts = pd.DataFrame({name: ["", "a"] * images for name in FACTS}).head(images)
    facts["patient"] = patients = [f"p{at // 4}" for at in range(images)]
    probe = mcd.Probe(concepts_of(concepts), embedded, texts, lambda: facts, None)
    similarity = partial(Cosines, embedded, texts, [""] * images, [""] * concepts)
    rows = []
    for component in mcd_register_scorers():
        module, _, name = component.target.partition(":")
        scorer = getattr(import_module(module), name)().for_probe(probe)
        without, with_it = (
            labelled(scorer, activations, similarity, patients, "image", count, settings.null_rounds)
            for count in (0, settings.draws)
        )
        rows.append((component.name, without, with_it, with_it - without))
    return rows, f"{images:,} images, {concepts:,} concepts, {neurons:,} neurons"


def concepts_of(count: int) -> list[Concept]:
    return [Concept(f"c{at}", f"category {at}", "broad") for at in range(count)]


def labelled(
    scorer: mcd.Scorer,
    activations: Tensor,
    similarity: Callable[[], Similarity],
    patients: Sequence[str],
    unit: str,
    draws: int,
    rounds: int,
) -> float:
    """Return the least processor seconds that the labels of a layer take, with significance from so many draws."""
    concepts = concepts_of(similarity().concepts)
    settings = Calibration.model_validate({"draws": draws, "most_draws": max(1, draws), "exchangeable": unit})
    found = []
    for _ in range(rounds):
        labeller = Labeller(scorer, similarity(), concepts, settings, patients, 1)
        start = time.process_time()
        list(labeller.scored({"layer": lambda: activations}))
        found.append(time.process_time() - start)
    return min(found)
