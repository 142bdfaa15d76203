"""Scorers that look at all activations: against slow oracles, and what leaves their scores as they are."""

from __future__ import annotations

import doctest
import importlib
import math
from collections.abc import Callable

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mcd.api.scorer import Scorer
from mcd.errors import DataError
from mcd.options import validate_options
from mcd_plugins.scorers.adaptive_cosine import AdaptiveCosine
from mcd_plugins.scorers.auprc import AUPRC
from mcd_plugins.scorers.auroc import AUROC
from mcd_plugins.scorers.normalised_wpmi import NormalisedWPMI
from mcd_plugins.scorers.overlap import F1, IoU
from mcd_plugins.scorers.pearson import Pearson
from mcd_plugins.scorers.spearman import Spearman

Column = list[float]
Rows = list[Column]
Oracle = Callable[[Rows, Rows], Rows]


def made(cls: type[Scorer], **options: object) -> Scorer:
    return cls(validate_options(cls.Options, options, cls.__name__))


# Slow oracles: the formulas, one number at a time in double precision, with nothing of ours in them.


def pairs(of: Callable[[Column, Column], float]) -> Oracle:
    def oracle(a: Rows, p: Rows) -> Rows:
        neurons, concepts = ([list(c) for c in zip(*rows, strict=True)] for rows in (a, p))
        return [[of(neuron, concept) for concept in concepts] for neuron in neurons]

    return oracle


def slow_pearson(a: Column, p: Column) -> float:
    mean_a, mean_p = sum(a) / len(a), sum(p) / len(p)
    both = sum((x - mean_a) * (y - mean_p) for x, y in zip(a, p, strict=True))
    return both / math.sqrt(sum((x - mean_a) ** 2 for x in a) * sum((y - mean_p) ** 2 for y in p))


def slow_ranks(column: Column) -> Column:
    return [sum(y < x for y in column) + (1 + sum(y == x for y in column)) / 2 for x in column]


def slow_spearman(a: Column, p: Column) -> float:
    return slow_pearson(slow_ranks(a), slow_ranks(p))


def slow_top(column: Column, count: int) -> list[bool]:
    taken = sorted(range(len(column)), key=lambda row: (-column[row], row))[:count]
    return [row in taken for row in range(len(column))]


def slow_auroc(a: Column, p: Column) -> float:
    label = slow_top(p, math.floor(len(p) / 4 + 0.5))
    yes, no = [x for x, c in zip(a, label, strict=True) if c], [x for x, c in zip(a, label, strict=True) if not c]
    return sum((x > y) + (x == y) / 2 for x in yes for y in no) / (len(yes) * len(no))


def slow_auprc(a: Column, p: Column) -> float:
    label = slow_top(p, math.floor(len(p) / 4 + 0.5))
    total, recall = 0.0, 0.0
    for threshold in sorted(set(a), reverse=True):
        hits = [c for x, c in zip(a, label, strict=True) if x >= threshold]
        total += (sum(hits) / sum(label) - recall) * sum(hits) / len(hits)
        recall = sum(hits) / sum(label)
    return total


def slow_overlap(a: Column, p: Column) -> tuple[int, int, int]:
    """Return how many images are the neuron's and the concept's, the neuron's only, the concept's only."""
    active, label = slow_top(a, math.floor(len(a) / 5 + 0.5)), slow_top(p, math.floor(len(p) / 4 + 0.5))
    both = list(zip(active, label, strict=True))
    return both.count((True, True)), both.count((True, False)), both.count((False, True))


def slow_f1(a: Column, p: Column) -> float:
    both, only_active, only_label = slow_overlap(a, p)
    return 2 * both / (2 * both + only_active + only_label)


def slow_iou(a: Column, p: Column) -> float:
    return slow_overlap(a, p)[0] / sum(slow_overlap(a, p))


def slow_normalised_wpmi(a: Rows, p: Rows) -> Rows:
    q = [[max(math.exp(10 * x) / sum(math.exp(10 * y) for y in row), 1e-8) for x in row] for row in p]
    found = []
    for neuron in (list(column) for column in zip(*a, strict=True)):
        active = slow_top(neuron, math.floor(len(a) / 5 + 0.5))
        found.append(
            [
                sum(math.log(row[c]) for row, here in zip(q, active, strict=True) if here) / sum(active)
                - math.log(sum(row[c] for row in q) / len(q))
                for c in range(len(p[0]))
            ]
        )
    return found


def slow_adaptive_cosine(a: Rows, p: Rows) -> Rows:
    found = []
    for neuron in (list(column) for column in zip(*a, strict=True)):
        edge = max(neuron) - (max(neuron) - min(neuron)) * (1 - 0.6)
        wanted = [x > edge or top for x, top in zip(neuron, slow_top(neuron, 3), strict=True)]
        rows = [row for row, here in zip(p, wanted, strict=True) if here]
        found.append([sum(row[c] - sum(row) / len(row) for row in rows) / len(rows) for c in range(len(p[0]))])
    return found


PAIRWISE: list[tuple[Scorer, Oracle]] = [
    (made(Pearson), pairs(slow_pearson)),
    (made(Spearman), pairs(slow_spearman)),
    (made(AUROC, quantile=0.75), pairs(slow_auroc)),
    (made(AUPRC, quantile=0.75), pairs(slow_auprc)),
    (made(F1, alpha=0.2, quantile=0.75), pairs(slow_f1)),
    (made(IoU, alpha=0.2, quantile=0.75), pairs(slow_iou)),
]
CASES = [
    *PAIRWISE,
    (made(NormalisedWPMI, alpha=0.2), slow_normalised_wpmi),
    (made(AdaptiveCosine, reach=0.6, min_images=3), slow_adaptive_cosine),
]
each_scorer = pytest.mark.parametrize(("scorer", "oracle"), CASES, ids=[scorer.name for scorer, _ in CASES])
each_pairwise = pytest.mark.parametrize("scorer", [one for one, _ in PAIRWISE], ids=[one.name for one, _ in PAIRWISE])


def drawn(seed: int, images: int, neurons: int, concepts: int, *, ties: bool) -> tuple[torch.Tensor, torch.Tensor]:
    """Return A and P; with ties, few different values, and no column without any difference."""
    generator = torch.Generator().manual_seed(seed)
    activations = torch.randn(images, neurons, generator=generator)
    cosines = torch.rand(images, concepts, generator=generator) * 0.5 - 0.1
    if ties:
        activations = (activations * 2).round().clamp_min(0) / 2
        activations[0] = 3.0
        cosines = (cosines * 16).round() / 16
        cosines[1] += 0.125
    return activations, cosines


@each_scorer
@settings(max_examples=20, deadline=None)
@given(st.integers(0, 10_000), st.integers(8, 24), st.integers(1, 5), st.integers(2, 6), st.booleans())
def test_each_scorer_equals_its_slow_oracle(
    scorer: Scorer, oracle: Oracle, seed: int, images: int, neurons: int, concepts: int, ties: bool
) -> None:
    activations, cosines = drawn(seed, images, neurons, concepts, ties=ties)
    expected = torch.tensor(oracle(activations.tolist(), cosines.tolist()))
    torch.testing.assert_close(scorer.score(activations, cosines), expected, atol=1e-5, rtol=1e-5)


@each_pairwise
@pytest.mark.parametrize("ties", [False, True])
def test_a_pair_is_scored_alike_whatever_others_are_beside_it(scorer: Scorer, ties: bool) -> None:
    assert scorer.depends_on == "pair"
    activations, cosines = drawn(1, 40, 6, 9, ties=ties)
    whole = scorer.score(activations, cosines)
    some, few = [7, 2, 3], [5, 0]
    torch.testing.assert_close(scorer.score(activations, cosines[:, some]), whole[:, some])
    torch.testing.assert_close(scorer.score(activations[:, few], cosines), whole[few])


@each_scorer
def test_order_of_images_neurons_and_concepts_does_not_matter(scorer: Scorer, oracle: Oracle) -> None:
    activations, cosines = drawn(3, 40, 6, 5, ties=False)
    generator = torch.Generator().manual_seed(0)
    rows, neurons, concepts = (torch.randperm(count, generator=generator) for count in (40, 6, 5))
    moved = scorer.score(activations[rows][:, neurons], cosines[rows][:, concepts])
    torch.testing.assert_close(moved, scorer.score(activations, cosines)[neurons][:, concepts])


@each_scorer
def test_chunks_do_not_change_the_scores(scorer: Scorer, oracle: Oracle, monkeypatch: pytest.MonkeyPatch) -> None:
    activations, cosines = drawn(5, 40, 7, 5, ties=True)
    whole = scorer.score(activations, cosines)
    module = importlib.import_module(type(scorer).__module__)
    for name in {"_CHUNK", "_TOGETHER"} & set(vars(module)):
        monkeypatch.setattr(module, name, 1)
    torch.testing.assert_close(scorer.score(activations, cosines), whole)


# What may be done to the activations without a change.


@each_scorer
@pytest.mark.parametrize("factor", [1e-30, 1e-6, 7.0, 1e30])
def test_scale_and_offset_of_the_activations_do_not_matter(scorer: Scorer, oracle: Oracle, factor: float) -> None:
    activations, cosines = drawn(6, 40, 5, 6, ties=False)
    expected = scorer.score(activations, cosines)
    torch.testing.assert_close(scorer.score(activations * factor, cosines), expected, atol=1e-5, rtol=1e-5)
    steps = (activations * 1024).round() / 1024  # adding 4096 loses nothing
    torch.testing.assert_close(scorer.score(steps + 4096, cosines), scorer.score(steps, cosines), atol=1e-5, rtol=1e-5)


ONLY_THE_ORDER = [scorer for scorer, _ in CASES if not isinstance(scorer, Pearson | AdaptiveCosine)]


@pytest.mark.parametrize("scorer", ONLY_THE_ORDER, ids=[scorer.name for scorer in ONLY_THE_ORDER])
@pytest.mark.parametrize("ties", [False, True])
def test_only_the_order_of_the_activations_counts(scorer: Scorer, ties: bool) -> None:
    activations, cosines = drawn(7, 40, 5, 6, ties=ties)
    expected = scorer.score(activations, cosines)
    for bent in (activations.exp(), activations.pow(3), activations.sigmoid()):
        torch.testing.assert_close(scorer.score(bent, cosines), expected)


def test_a_neuron_that_is_the_concept_bent_has_rank_correlation_one_and_pearson_below() -> None:
    cosines = drawn(8, 40, 1, 3, ties=False)[1]
    bent = (cosines * 20).exp()
    torch.testing.assert_close(made(Spearman).score(bent, cosines).diagonal(), torch.ones(3))
    assert (made(Pearson).score(bent, cosines).diagonal() < 0.9).all()


@pytest.mark.parametrize("cls", [Pearson, Spearman])
def test_by_chance_a_correlation_has_mean_zero_and_variance_one_over_images_less_one(cls: type[Scorer]) -> None:
    activations, cosines = drawn(9, 30, 1, 2, ties=True)
    generator = torch.Generator().manual_seed(1)
    shuffled = torch.stack([activations[torch.randperm(30, generator=generator), 0] for _ in range(4000)], dim=1)
    by_chance = made(cls).score(shuffled, cosines)
    assert by_chance.mean(dim=0).abs().max() < 0.01
    torch.testing.assert_close(by_chance.var(dim=0) * 29, torch.ones(2), atol=0.08, rtol=0)


@pytest.mark.parametrize("cls", [AUROC, AUPRC, F1, IoU])
def test_only_which_images_are_the_most_similar_counts(cls: type[Scorer]) -> None:
    activations, cosines = drawn(14, 40, 5, 6, ties=False)
    scorer = made(cls, quantile=0.75)
    torch.testing.assert_close(scorer.score(activations, cosines.exp()), scorer.score(activations, cosines))


def test_iou_is_f1_on_another_scale() -> None:
    activations, cosines = drawn(17, 40, 5, 6, ties=True)
    f1, iou = (made(cls, alpha=0.2, quantile=0.75).score(activations, cosines) for cls in (F1, IoU))
    torch.testing.assert_close(iou, f1 / (2 - f1))


@pytest.mark.parametrize("cls", [NormalisedWPMI, AdaptiveCosine])
def test_where_concepts_are_compared_the_scorer_says_so_and_a_nan_concept_leaves_no_score(cls: type[Scorer]) -> None:
    assert cls.depends_on != "pair"
    activations, cosines = drawn(18, 40, 4, 5, ties=False)
    whole = made(cls).score(activations, cosines)
    assert not torch.allclose(made(cls).score(activations, cosines[:, :3]), whole[:, :3])
    cosines[:, 3] = math.nan
    assert made(cls).score(activations, cosines).isnan().all()


def test_a_sharp_softmax_leaves_no_infinite_score() -> None:
    activations, cosines = drawn(19, 40, 4, 5, ties=False)
    cosines[:, 4] -= 1  # never the nearest: its probability is 0 everywhere
    assert made(NormalisedWPMI, temperature=1e5).score(activations, cosines).isfinite().all()


def test_a_neuron_is_represented_by_its_strongest_images_and_by_enough_of_them() -> None:
    neuron = torch.zeros(100, 2)
    neuron[:30, 0] = torch.linspace(1.0, 0.95, 30)  # 30 images near the strongest
    neuron[:2, 1] = 1.0  # two, and the rest ten times lower
    neuron[2:, 1] = torch.linspace(0.1, 0.0, 98)
    concepts = torch.zeros(100, 2)
    concepts[:30, 0] = 1.0
    concepts[2:5, 1] = 1.0
    first = made(AdaptiveCosine, min_images=5).score(neuron, concepts)
    torch.testing.assert_close(first[0], torch.tensor([0.45, -0.45]))  # 1 less (1 + 0)/2, and 1 less 1 of 3 in 30
    torch.testing.assert_close(first[1], torch.tensor([0.2, -0.2]))  # 5 images, the second concept in 3 of them
    torch.testing.assert_close(made(AdaptiveCosine, min_images=1).score(neuron, concepts)[1], torch.tensor([0.5, -0.5]))


def test_what_an_image_has_in_common_with_every_text_does_not_count() -> None:
    activations, cosines = drawn(20, 40, 4, 5, ties=False)
    near_all = cosines + torch.linspace(0, 1, 40)[:, None]
    scorer = made(AdaptiveCosine)
    torch.testing.assert_close(scorer.score(activations, near_all), scorer.score(activations, cosines))


def test_the_wrong_way_round_the_area_is_one_less_what_it_was() -> None:
    activations, cosines = drawn(15, 40, 5, 6, ties=True)
    scorer = made(AUROC, quantile=0.75)
    torch.testing.assert_close(scorer.score(-activations, cosines), 1 - scorer.score(activations, cosines))


# Nothing to go by: no score, and no crash.


@each_scorer
@pytest.mark.parametrize("value", [0.0, 0.1, -2.7, math.nan], ids=["dead", "constant", "negative", "nan"])
def test_a_neuron_without_a_response_has_no_score_and_changes_no_other(
    scorer: Scorer, oracle: Oracle, value: float
) -> None:
    activations, cosines = drawn(10, 40, 4, 5, ties=False)
    scores = scorer.score(torch.cat([activations, torch.full((40, 1), value)], dim=1), cosines)
    assert scores[4].isnan().all()
    torch.testing.assert_close(scores[:4], scorer.score(activations, cosines))


@each_scorer
def test_one_nan_activation_takes_the_neuron_out(scorer: Scorer, oracle: Oracle) -> None:
    activations, cosines = drawn(11, 40, 4, 5, ties=False)
    activations[7, 1] = math.nan
    assert scorer.score(activations, cosines).isnan().all(dim=1).tolist() == [False, True, False, False]


@each_pairwise
@pytest.mark.parametrize("value", [0.0, 0.3, math.nan])
def test_a_concept_that_is_the_same_everywhere_has_no_score(scorer: Scorer, value: float) -> None:
    activations, cosines = drawn(12, 40, 4, 5, ties=False)
    whole = scorer.score(activations, cosines)
    cosines[:, 3] = value
    scores = scorer.score(activations, cosines)
    assert scores[:, 3].isnan().all()
    torch.testing.assert_close(scores[:, [0, 1, 2, 4]], whole[:, [0, 1, 2, 4]])
    cosines[:, 3] = 0.3
    cosines[5, 3] = math.nan
    assert scorer.score(activations, cosines)[:, 3].isnan().all()


@each_scorer
def test_different_numbers_of_images_are_refused(scorer: Scorer, oracle: Oracle) -> None:
    activations, cosines = drawn(13, 40, 4, 5, ties=False)
    for a, p in ((activations[:-1], cosines), (activations, cosines[:-1])):
        with pytest.raises(DataError, match="not the same set"):
            scorer.score(a, p)


@each_scorer
@settings(max_examples=20, deadline=None)
@given(st.data())
def test_scores_are_float32_inside_the_range_they_declare_and_leave_their_arguments_alone(
    scorer: Scorer, oracle: Oracle, data: st.DataObject
) -> None:
    floats = st.floats(-1, 1, width=32)

    def matrix(columns: int) -> torch.Tensor:
        count = 12 * columns
        return torch.tensor(data.draw(st.lists(floats, min_size=count, max_size=count))).view(12, columns)

    activations, cosines = matrix(3), matrix(4)
    before = activations.clone(), cosines.clone()
    scores = scorer.score(activations, cosines)
    assert torch.equal(activations, before[0])
    assert torch.equal(cosines, before[1])
    assert scores.dtype == torch.float32
    assert scores.shape == (3, 4)
    defined = scores[~scores.isnan()]
    low, high = scorer.score_range
    assert ((defined >= low) & (defined <= high)).all()
    assert defined.isfinite().all()


@each_scorer
def test_a_scorer_says_what_it_is_and_its_example_runs(scorer: Scorer, oracle: Oracle) -> None:
    assert scorer.null == "permutation"
    assert scorer.higher_is_better
    assert all(field.description for field in type(scorer).Options.model_fields.values())
    result = doctest.testmod(importlib.import_module(type(scorer).__module__))
    assert result.attempted > 0
    assert result.failed == 0
