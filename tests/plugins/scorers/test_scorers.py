"""The published scorers: against the published numbers, a slow oracle, and what must never happen."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mcd.api.scorer import Scorer
from mcd.errors import DataError, MCDError
from mcd.options import validate_options
from mcd.scoring.scores import score_layer
from mcd.scoring.similarity import Matrix
from mcd_plugins.scorers.cosine import Cosine
from mcd_plugins.scorers.cosine_cubed import CosineCubed
from mcd_plugins.scorers.rank_reorder import RankReorder
from mcd_plugins.scorers.soft_wpmi import SoftWPMI
from mcd_plugins.scorers.wpmi import WPMI

Rows = list[list[float]]
Oracle = Callable[[Rows, Rows], Rows]


def made(cls: type[Scorer], **options: object) -> Scorer:
    return cls(validate_options(cls.Options, options, cls.__name__))


@pytest.fixture(scope="module")
def golden(shared: Path) -> dict[str, np.ndarray]:
    with np.load(shared / "golden" / "scorers" / "expected.npz") as file:
        return {name: file[name] for name in file.files}


@pytest.mark.parametrize(("case", "top_k", "fraction"), [("small", 20, 0.25), ("medium", 100, 0.05)])
def test_the_published_numbers(golden: dict[str, np.ndarray], case: str, top_k: int, fraction: float) -> None:
    cosine = torch.from_numpy(golden[f"{case}/image_concept_similarity"]).float()
    activations = torch.from_numpy(golden[f"{case}/activations"]).float()

    def expected(name: str) -> torch.Tensor:
        return torch.from_numpy(golden[f"{case}/{name}"]).float()

    def check(scorer: Scorer, name: str, atol: float) -> None:
        torch.testing.assert_close(scorer.score(activations, cosine), expected(name), atol=atol, rtol=0)

    check(made(SoftWPMI, top_k=top_k, prior="layer"), "soft_wpmi", 2e-4)
    check(made(WPMI, top_k=min(28, top_k), prior="layer"), "wpmi", 2e-4)
    check(made(Cosine), "cos_similarity", 1e-5)
    check(made(CosineCubed), "cos_similarity_cubed", 1e-5)
    ours = made(RankReorder, top_fraction=fraction).score(activations, cosine.abs() + 0.05)
    for mine, theirs in zip(ours, expected("rank_reorder_seed0"), strict=True):
        assert spearman(mine, theirs) > 0.99


def spearman(one: torch.Tensor, two: torch.Tensor) -> float:
    ranks = [values.argsort().argsort().double() for values in (one, two)]
    return float(torch.corrcoef(torch.stack(ranks))[0, 1])


# Slow oracles: the formulas of the papers, one number at a time in double precision.


def softmax(row: list[float], a: float) -> list[float]:
    powers = [math.exp(a * value) for value in row]
    return [power / sum(powers) for power in powers]


def ranked(column: list[float], k: int) -> list[int]:
    return sorted(range(len(column)), key=lambda row: (-column[row], row))[:k]


def columns(rows: Rows) -> Rows:
    return [list(column) for column in zip(*rows, strict=True)]


def less_prior(evidence: Rows, lam: float) -> Rows:
    prior = [math.log(sum(math.exp(v - max(c)) for v in c) / len(c)) + max(c) for c in columns(evidence)]
    return [[value - lam * p for value, p in zip(row, prior, strict=True)] for row in evidence]


def slow_soft_wpmi(k: int) -> Oracle:
    def oracle(a: Rows, p: Rows) -> Rows:
        q = [softmax(row, 10) for row in p]
        member = [0.998 - r / k * (0.998 - 0.97) for r in range(k)]
        evidence = [
            [
                sum(math.log(1 + member[r] * (q[i][c] - 1) + 1e-7) for r, i in enumerate(ranked(neuron, k)))
                for c in range(len(p[0]))
            ]
            for neuron in columns(a)
        ]
        return less_prior(evidence, 1.0)

    return oracle


def slow_wpmi(k: int) -> Oracle:
    def oracle(a: Rows, p: Rows) -> Rows:
        q = [softmax(row, 2) for row in p]
        evidence = [
            [sum(math.log(q[i][c] + 1e-7) for i in ranked(neuron, k)) for c in range(len(p[0]))]
            for neuron in columns(a)
        ]
        return less_prior(evidence, 0.6)

    return oracle


def slow_cosine(a: Rows, p: Rows) -> Rows:
    def cosine(x: list[float], y: list[float]) -> float:
        size = math.sqrt(sum(v * v for v in x) * sum(v * v for v in y))
        return sum(v * w for v, w in zip(x, y, strict=True)) / size

    return [[cosine(neuron, concept) for concept in columns(p)] for neuron in columns(a)]


def slow_cosine_cubed(a: Rows, p: Rows) -> Rows:
    def cubed(column: list[float]) -> list[float]:
        mean = sum(column) / len(column)
        powers = [(value - mean) ** 3 for value in column]
        norm = max(math.sqrt(sum(value**2 for value in powers)), 1e-3)
        return [value / norm for value in powers]

    neurons, concepts = [cubed(c) for c in columns(a)], [cubed(c) for c in columns(p)]
    return [[sum(v * w for v, w in zip(n, c, strict=True)) for c in concepts] for n in neurons]


def slow_rank_reorder(fraction: float, power: float = 3) -> Oracle:
    def oracle(a: Rows, p: Rows) -> Rows:
        n = int(fraction * len(a))
        found = []
        for neuron in columns(a):
            top = ranked(neuron, n)
            values = [neuron[i] for i in top]
            baseline = sum(abs(x - y) ** power for x in values for y in values) / n**2
            row = []
            for concept in columns(p):
                order = sorted(range(n), key=lambda r: (concept[top[r]], r))
                given_by_concept = {r: values[n - 1 - place] for place, r in enumerate(order)}
                error = sum(abs(values[r] - given_by_concept[r]) ** power for r in range(n)) / n
                mean = sum(concept[i] for i in top) / n
                row.append(-(error / baseline) / mean**0.5)
            found.append(row)
        return found

    return oracle


CASES: list[tuple[Scorer, Oracle]] = [
    (made(SoftWPMI, top_k=5, prior="layer"), slow_soft_wpmi(5)),
    (made(WPMI, top_k=5, prior="layer"), slow_wpmi(5)),
    (made(Cosine), slow_cosine),
    (made(CosineCubed), slow_cosine_cubed),
    (made(RankReorder, top_fraction=0.5), slow_rank_reorder(0.5)),
    (made(RankReorder, top_fraction=0.5, p=2), slow_rank_reorder(0.5, 2)),
    (made(RankReorder, top_fraction=0.5, p=1.5), slow_rank_reorder(0.5, 1.5)),
]
each_scorer = pytest.mark.parametrize(("scorer", "oracle"), CASES, ids=[scorer.name for scorer, _ in CASES])


def drawn(seed: int, images: int, neurons: int, concepts: int, ties: bool) -> tuple[torch.Tensor, torch.Tensor]:
    rng = np.random.default_rng(seed)
    activations = rng.normal(size=(images, neurons))
    cosine = rng.uniform(0.05, 0.6, size=(images, concepts))
    if ties:
        activations = np.maximum(np.round(activations * 2) / 2, 0)
        activations[0] = 3.0  # no neuron is constant
        cosine = np.round(cosine * 16) / 16 + 1 / 16
        cosine[0] += 0.125  # no concept is constant
    return torch.from_numpy(activations).float(), torch.from_numpy(cosine).float()


@each_scorer
@settings(max_examples=15, deadline=None)
@given(st.integers(0, 10_000), st.integers(8, 20), st.integers(2, 5), st.integers(2, 6), st.booleans())
def test_each_scorer_equals_its_slow_oracle(
    scorer: Scorer, oracle: Oracle, seed: int, images: int, neurons: int, concepts: int, ties: bool
) -> None:
    activations, cosine = drawn(seed, images, neurons, concepts, ties)
    expected = torch.tensor(oracle(activations.tolist(), cosine.tolist()))
    torch.testing.assert_close(scorer.score(activations, cosine), expected, atol=2e-4, rtol=1e-3)


@each_scorer
def test_order_of_images_neurons_and_concepts_does_not_matter(scorer: Scorer, oracle: Oracle) -> None:
    activations, cosine = drawn(3, 30, 6, 5, ties=False)
    scores = scorer.score(activations, cosine)
    rows, neurons, concepts = (torch.from_numpy(np.random.default_rng(1).permutation(n)) for n in (30, 6, 5))
    moved = scorer.score(activations[rows][:, neurons], cosine[rows][:, concepts])
    torch.testing.assert_close(moved, scores[neurons][:, concepts], atol=2e-4, rtol=1e-4)


@pytest.mark.parametrize("scorer", [case[0] for case in CASES[:2]], ids=["soft-wpmi", "wpmi"])
def test_only_the_order_of_the_top_images_counts(scorer: Scorer) -> None:
    activations, cosine = drawn(4, 30, 6, 5, ties=False)
    torch.testing.assert_close(scorer.score(activations.exp() * 7, cosine), scorer.score(activations, cosine))


@each_scorer
def test_chunks_do_not_change_the_scores(scorer: Scorer, oracle: Oracle, monkeypatch: pytest.MonkeyPatch) -> None:
    activations, cosine = drawn(5, 30, 7, 5, ties=False)
    whole = scorer.score(activations, cosine)
    monkeypatch.setattr("mcd_plugins.scorers.evidence._CHUNK", 1)
    monkeypatch.setattr("mcd_plugins.scorers.rank_reorder._CHUNK", 1)
    torch.testing.assert_close(scorer.score(activations, cosine), whole, atol=2e-4, rtol=1e-5)


@each_scorer
def test_dead_constant_and_tied_neurons_change_nothing_for_the_others(scorer: Scorer, oracle: Oracle) -> None:
    activations, cosine = drawn(6, 30, 4, 5, ties=False)
    alone = score_layer(scorer, activations, Matrix(cosine))
    silent = torch.stack([torch.zeros(30), torch.full((30,), 2.5)], dim=1)
    together = score_layer(scorer, torch.cat([silent, activations], dim=1), Matrix(cosine))
    assert together.status == ("dead", "constant", *alone.status)
    torch.testing.assert_close(together.scores[2:], alone.scores)
    assert together.scores[:2].isnan().all()


def test_a_tied_top_k_is_marked() -> None:
    activations = torch.zeros(30, 2)
    activations[:3, 0] = torch.tensor([3.0, 2.0, 1.0])  # the other two of its top 5 are any of 27
    activations[:, 1] = torch.arange(30.0)
    assert score_layer(made(SoftWPMI, top_k=5), activations, Matrix(torch.rand(30, 4))).status == ("tied", "labelled")


def test_too_few_images_are_refused_with_the_setting_that_helps() -> None:
    with pytest.raises(DataError, match="top 100 images of a neuron, but the probe set has 8") as caught:
        made(SoftWPMI).check(8)
    assert "--scorer-arg top_k=1" in caught.value.hint
    made(WPMI).check(28)
    with pytest.raises(DataError, match="3 are needed") as caught:
        made(RankReorder).check(50)
    fraction = float(caught.value.hint.rpartition("=")[2])
    made(RankReorder, top_fraction=fraction).check(50)


def test_a_layer_of_one_neuron_is_not_labelled_by_its_own_prior() -> None:
    activations, cosine = drawn(7, 30, 1, 5, ties=False)
    scored = score_layer(made(SoftWPMI, top_k=5, prior="layer"), activations, Matrix(cosine))
    assert scored.status == ("unscored",)
    assert "only one" in scored.reason
    assert score_layer(made(SoftWPMI, top_k=5, lam=0.5, prior="layer"), activations, Matrix(cosine)).status == (
        "labelled",
    )


def test_a_concept_without_positive_mean_similarity_has_no_rank_reorder_score() -> None:
    activations, cosine = drawn(8, 30, 3, 5, ties=False)
    cosine[:, 2] *= -1
    scores = made(RankReorder, top_fraction=0.5).score(activations, cosine)
    assert scores[:, 2].isnan().all()
    assert not scores[:, [0, 1, 3, 4]].isnan().any()


@pytest.mark.parametrize(
    ("cls", "options"),
    [
        (SoftWPMI, {"top_k": 0}),
        (SoftWPMI, {"p_start": 1.5}),
        (WPMI, {"lam": -1}),
        (RankReorder, {"top_fraction": 2}),
        (Cosine, {"top_k": 3}),
    ],
)
def test_settings_out_of_range_are_refused(cls: type[Scorer], options: dict[str, object]) -> None:
    with pytest.raises(MCDError, match=next(iter(options))):
        made(cls, **options)
