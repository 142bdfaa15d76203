"""Scorers and their null beside a straightforward transcription of the published loop; prints ratios.

The null of a scorer is what significance adds to the scores of a layer: patients of four images, activations of which
half are 0, moments from half as many draws besides. Processor seconds, so that load beside it matters less.

python benchmarks/scorers.py [--images 20000 --concepts 763 --neurons 512 --rounds 3 --draws 1000]
"""

from __future__ import annotations

import argparse
import math
import time
from collections.abc import Callable, Sequence
from statistics import median

import torch

import mcd
from mcd.api.concepts import Concept
from mcd.scoring.labelling import Labeller
from mcd.scoring.scores import evidence
from mcd.scoring.similarity import Matrix
from mcd.study.calibration import Calibration
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


def looped_soft_wpmi(activations: Tensor, cosine: Tensor) -> Tensor:
    """Score as the published formula reads: a neuron at a time, a logarithm a factor."""
    probability = torch.softmax(10 * cosine, dim=1)
    top = activations.topk(100, dim=0).indices
    membership = (0.998 - torch.arange(100) / 100 * (0.998 - 0.97))[:, None]
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


def seconds(work: Callable[[], object], rounds: int) -> float:
    found = []
    for _ in range(rounds):
        start = time.perf_counter()
        work()
        found.append(time.perf_counter() - start)
    return median(found)


def main(images: int, concepts: int, neurons: int, rounds: int, draws: int) -> None:
    generator = torch.Generator().manual_seed(0)
    cosine = 0.2 + 0.05 * torch.randn(images, concepts, generator=generator)
    activations = torch.randn(images, neurons, generator=generator)
    print(f"{images} images, {concepts} concepts, {neurons} neurons, {torch.get_num_threads()} threads")
    pairs: list[tuple[str, mcd.Scorer, Callable[[Tensor, Tensor], Tensor] | None]] = [
        ("soft-wpmi", SoftWPMI(), looped_soft_wpmi),
        ("wpmi", WPMI(), looped_wpmi),
        ("rank-reorder", RankReorder(), looped_rank_reorder),
        ("cosine", Cosine(), None),
        ("cosine-cubed", CosineCubed(), None),
    ]
    print(f"{'scorer':<14}{'ours':>9}{'loop':>9}{'ratio':>8}")
    for name, scorer, loop in pairs:
        few = activations[:, : max(8, neurons // 16)] if name == "rank-reorder" else activations
        ours = seconds(lambda s=scorer, a=few: s.score(a, cosine), rounds)
        if loop is None:
            gemm = seconds(lambda: activations.T @ cosine, rounds)
            print(f"{name:<14}{ours:>9.3f}{gemm:>9.3f}{gemm / ours:>8.2f}   (beside one matrix product)")
            continue
        theirs = seconds(lambda f=loop, a=few: f(a, cosine), max(1, rounds // 2))
        print(f"{name:<14}{ours:>9.3f}{theirs:>9.3f}{theirs / ours:>8.1f}")
    ranked = mcd.plugins.ordered_top_k(activations, 100)
    print(f"top k         {seconds(lambda: mcd.plugins.ordered_top_k(activations, 100), rounds):>9.3f}")
    print(f"softmax alone {seconds(lambda: torch.softmax(cosine, dim=1), rounds):>9.3f}")
    print(f"evidence      {seconds(lambda: evidence(SoftWPMI(), ranked, Matrix(cosine)), rounds):>9.3f}")
    print(f"\n{draws:,} draws       {'without':>9}{'with':>9}{'null':>9}   processor seconds")
    patients = [f"p{at // 4}" for at in range(images)]
    for scorer in (Cosine(), Pearson(), SoftWPMI(), WPMI()):
        for unit in ("image", "patient"):
            without, with_it = (
                labelled(scorer, activations.relu(), cosine, patients, unit, count, rounds) for count in (0, draws)
            )
            print(f"{scorer.name:<10}{unit:<8}{without:>9.2f}{with_it:>9.2f}{with_it - without:>9.2f}")


def labelled(
    scorer: mcd.Scorer,
    activations: Tensor,
    cosine: Tensor,
    patients: Sequence[str],
    unit: str,
    draws: int,
    rounds: int,
) -> float:
    """Return the least processor seconds that the labels of a layer take, with significance from so many draws."""
    concepts = [Concept(f"c{at}", f"category {at}", "broad") for at in range(cosine.shape[1])]
    settings = Calibration.model_validate({"draws": draws, "most_draws": max(1, draws), "exchangeable": unit})
    found = []
    for _ in range(rounds):
        labeller = Labeller(scorer, Matrix(cosine), concepts, settings, patients, 1)
        start = time.process_time()
        list(labeller.scored({"layer": lambda: activations}))
        found.append(time.process_time() - start)
    return min(found)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--images", type=int, default=20_000)
    parser.add_argument("--concepts", type=int, default=763)
    parser.add_argument("--neurons", type=int, default=512)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--draws", type=int, default=1000)
    chosen = parser.parse_args()
    main(chosen.images, chosen.concepts, chosen.neurons, chosen.rounds, chosen.draws)
