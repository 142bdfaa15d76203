"""Measures of agreement: against scikit-learn and scipy, and the closed forms of NeuronEval's sanity checks."""

from __future__ import annotations

from collections.abc import Callable
from math import sqrt

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.stats import pearsonr
from sklearn.metrics import average_precision_score, f1_score, jaccard_score, roc_auc_score

from mcd.evaluation.agreement import Ranked, cosine, overlap, pearson, predicted, top_thresholds
from mcd.evaluation.positives import mad, responsiveness

Values = NDArray[np.float64]

SEEDS = st.integers(0, 2**32 - 1)


def example(seed: int, images: int = 40, neurons: int = 5, levels: int = 4) -> tuple[Values, NDArray[np.bool_], Values]:
    """Activations with many ties, a concept that some images have, and weights of 1 and 0."""
    rng = np.random.default_rng(seed)
    activations = np.maximum(rng.integers(-2, levels, (images, neurons)), 0) + 0.0
    concept = rng.random(images) < 0.4
    concept[:4] = True, True, False, False
    weights = (rng.random((3, images)) < 0.7).astype(np.float64)
    weights[0], weights[:, :4] = 1, 1
    return activations, concept, weights


@settings(max_examples=15)
@given(SEEDS)
def test_areas_are_those_of_scikit_learn_under_any_weights(seed: int) -> None:
    activations, concept, weights = example(seed)
    area, precision, balanced = Ranked.of(activations).measured(concept, weights)
    for row, weight in enumerate(weights):
        even = np.where(concept, weight / weight[concept].sum(), weight / weight[~concept].sum())
        for neuron, values in enumerate(activations.T):
            assert area[row, neuron] == pytest.approx(roc_auc_score(concept, values, sample_weight=weight))
            assert precision[row, neuron] == pytest.approx(
                average_precision_score(concept, values, sample_weight=weight)
            )
            assert balanced[row, neuron] == pytest.approx(average_precision_score(concept, values, sample_weight=even))


@settings(max_examples=15)
@given(SEEDS)
def test_correlation_cosine_and_difference_are_those_of_the_images_that_count(seed: int) -> None:
    activations, concept, weights = example(seed)
    values = np.random.default_rng(seed).standard_normal(len(concept))
    found, turned, apart = (
        pearson(activations, values, weights),
        cosine(activations, values, weights),
        mad(activations, concept, weights),
    )
    for row, weight in enumerate(weights):
        some = weight > 0
        for neuron, a in enumerate(activations.T):
            own, c = a[some], values[some]
            if own.std() > 0:
                assert found[row, neuron] == pytest.approx(pearsonr(own, c).statistic)
            else:
                assert np.isnan(found[row, neuron])
            if own.any():
                assert turned[row, neuron] == pytest.approx(own @ c / np.linalg.norm(own) / np.linalg.norm(c))
            there, lacking = a[some & concept], a[some & ~concept]
            if lacking.std() > 0:
                assert apart[row, neuron] == pytest.approx((there.mean() - lacking.mean()) / lacking.std())
            else:
                assert np.isnan(apart[row, neuron])


@settings(max_examples=15)
@given(SEEDS)
def test_overlap_is_that_of_scikit_learn_at_the_threshold(seed: int) -> None:
    activations, concept, weights = example(seed)
    active = predicted(activations, top_thresholds(activations, np.array([0.2]))[0])
    f1, iou = overlap(active, concept, weights)
    for row, weight in enumerate(weights):
        for neuron, there in enumerate(active.T):
            assert f1[row, neuron] == pytest.approx(f1_score(concept, there, sample_weight=weight))
            assert iou[row, neuron] == pytest.approx(jaccard_score(concept, there, sample_weight=weight))


def test_a_share_of_the_images_is_active_and_never_all_of_a_neuron_that_is_mostly_zero() -> None:
    ascending = np.arange(100.0)[:, None]
    for share in (0.05, 0.1, 0.33):
        active = predicted(ascending, top_thresholds(ascending, np.array([share]))[0])
        assert active.mean() == pytest.approx(share)
        assert active[-1].all()
    sparse = np.zeros((100, 1))
    sparse[:3] = 1
    assert predicted(sparse, top_thresholds(sparse, np.array([0.5]))[0]).sum() == 3


def test_the_order_of_images_changes_nothing() -> None:
    activations, concept, weights = example(7)
    order = np.random.default_rng(1).permutation(len(concept))
    before = Ranked.of(activations).measured(concept, weights)
    after = Ranked.of(activations[order]).measured(concept[order], weights[:, order])
    for one, other in zip(before, after, strict=True):
        np.testing.assert_allclose(one, other)


def test_what_is_undefined_is_no_number() -> None:
    activations, concept, weights = example(3)
    assert np.isnan(Ranked.of(activations).measured(np.ones_like(concept), weights)[0]).all()
    assert np.isnan(pearson(activations, np.ones(len(concept)), weights)).all()
    assert np.isnan(cosine(np.zeros_like(activations), concept.astype(float), weights)).all()
    assert np.isnan(overlap(np.zeros_like(activations, dtype=bool), np.zeros_like(concept), weights)[0]).all()


def test_many_neurons_in_parts_are_as_one_by_one(monkeypatch: pytest.MonkeyPatch) -> None:
    activations, concept, weights = example(5, neurons=9)
    whole = Ranked.of(activations).measured(concept, weights)
    monkeypatch.setattr("mcd.evaluation.agreement._HELD", 2 * activations.shape[0] * len(weights))
    for one, other in zip(whole, Ranked.of(activations).measured(concept, weights), strict=True):
        np.testing.assert_array_equal(one, other)


IMAGES = 2000
Measure = Callable[[Values, NDArray[np.bool_]], float]
ONE = np.ones((1, IMAGES))


def of_overlap(which: int) -> Measure:
    return lambda a, c: float(overlap(a[:, None] > 0, c, ONE)[which][0, 0])


MEASURES: dict[str, tuple[Measure, float]] = {
    "f1": (of_overlap(0), 1),
    "iou": (of_overlap(1), 1),
    "cosine": (lambda a, c: float(cosine(a[:, None], c.astype(float), ONE)[0, 0]), 2),
    "pearson": (lambda a, c: float(pearson(a[:, None], c.astype(float), ONE)[0, 0]), 2),
    "auprc": (lambda a, c: float(Ranked.of(a[:, None]).measured(c, ONE)[1][0, 0]), 1),
    "auc": (lambda a, c: float(Ranked.of(a[:, None]).measured(c, ONE)[0][0, 0]), 1),
}


def changes(name: str, gamma: float) -> tuple[float, float]:
    """Return how a perfect label's score changes where half of the concept is missing, and where as much is too much.

    NeuronEval's theoretical test, in shares of the score's range: the neuron is 1 on a share gamma of the inputs, and
    so is the concept.
    """
    measure, width = MEASURES[name]
    count = round(gamma * IMAGES)
    place = np.arange(IMAGES)
    neuron = (place < count).astype(float)
    best = measure(neuron, place < count)
    missing, extra = measure(neuron, place < count // 2), measure(neuron, place < 2 * count)
    return (missing - best) / width, (extra - best) / width


@pytest.mark.parametrize("gamma", [0.4, 0.1, 0.01])
def test_five_measures_lose_what_neuron_eval_says_where_labels_are_missing_or_extra(gamma: float) -> None:
    for name, expected in (("f1", -1 / 3), ("iou", -1 / 2), ("cosine", (1 / sqrt(2) - 1) / 2)):
        assert changes(name, gamma) == pytest.approx((expected, expected))
    missing = (sqrt((1 - gamma) / (2 - gamma)) - 1) / 2
    extra = (sqrt((1 - 2 * gamma) / (2 * (1 - gamma))) - 1) / 2
    assert changes("pearson", gamma) == pytest.approx((missing, extra))
    assert changes("auprc", gamma) == pytest.approx((-1 / 2, gamma - 1 / 2))


def test_auc_alone_forgives_a_rare_concept_that_is_half_missing() -> None:
    for gamma in (0.4, 0.1, 0.01):
        assert changes("auc", gamma) == pytest.approx((-gamma / 4 / (1 - gamma / 2), -1 / 4))


def test_responsiveness_is_nothing_by_chance_and_one_at_best() -> None:
    np.testing.assert_allclose(responsiveness(np.array([0.5, 1.0, 0.0])), [0, 1, -1])
