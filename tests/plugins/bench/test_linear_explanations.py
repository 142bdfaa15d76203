"""Linear Explanations against coordinate descent and least squares on the images themselves."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from mcd_plugins.bench.methods.linear import Sum, explain, probabilities, sparse_weights

Array = NDArray[np.float64]


def drawn(seed: int, concepts: int = 14) -> tuple[Array, Array]:
    rng = np.random.default_rng(seed)
    probability = 1 / (1 + np.exp(-rng.normal(size=(120, concepts)) - rng.normal(size=(120, 1))))
    activations = rng.normal(size=(120, 5))
    activations[:, 0] += 9 * probability[:, 3]
    activations[:, 1] += 9 * probability[:, 1] + 6 * probability[:, -2]
    activations[:, 2] -= 9 * probability[:, 2]
    activations[:, 4] = 0
    return activations, probability


def descended(x: Array, y: Array) -> list[float]:
    """Return the minimum of ``1/2N |y - x w|² + λ (α |w|₁ + (1 - α)/2 |w|²)``, one weight after the other."""
    lasso, ridge, count = 0.05 * 0.99, 0.05 * 0.01, len(y)
    weights = [0.0] * x.shape[1]
    for _ in range(400):
        for j in range(x.shape[1]):
            rest = y - sum(w * x[:, k] for k, w in enumerate(weights) if k != j)
            pull = float(x[:, j] @ rest) / count
            size = float(x[:, j] @ x[:, j]) / count
            weights[j] = float(np.sign(pull)) * max(abs(pull) - lasso, 0) / (size + ridge)
    return weights


def test_the_elastic_net_is_the_minimum() -> None:
    activations, probability = drawn(0, 6)
    scale = activations.std(axis=0, ddof=1)
    found = sparse_weights(probability, activations, scale)
    x = (probability - probability.mean(axis=0)) / probability.std(axis=0)
    for unit in (0, 1, 2, 3):
        y = (activations[:, unit] - activations[:, unit].mean()) / scale[unit]
        np.testing.assert_allclose(found[unit], descended(x, y), atol=1e-4)
    assert not found[4].any()


def slow(activations: Array, probability: Array, seed: int) -> list[Sum | None]:
    """Return the greedy sums, each fitted anew by least squares with an intercept."""
    rng = np.random.default_rng(seed)
    shuffled = rng.permutation(len(activations))
    cut = int(0.7 * len(shuffled))
    training, others = shuffled[:cut], shuffled[cut:]
    weights = sparse_weights(probability[training], activations[training], activations.std(axis=0, ddof=1))
    chance = rng.random(weights.shape)
    found: list[Sum | None] = []
    for unit in range(activations.shape[1]):
        y = activations[:, unit]
        order = sorted(range(probability.shape[1]), key=lambda c: (-weights[unit, c], chance[unit, c]))
        chosen: list[int] = []
        bad: set[int] = set()
        best, last = 0.0, np.zeros(0)
        while len(chosen) < 10:
            candidates = [c for c in order if c not in chosen and c not in bad][:10]
            winner, height, own = None, best, last
            for c in candidates:
                columns = [*chosen, c]
                design = np.column_stack([probability[training][:, columns], np.ones(cut)])
                solution = np.linalg.lstsq(design, y[training], rcond=None)[0]
                simulated = probability[others][:, columns] @ solution[:-1]
                flat = simulated.std() < 1e-12 or y[others].std() == 0
                correlation = 0.0 if flat else float(np.corrcoef(simulated, y[others])[0, 1])
                if chosen and correlation - best < 0.02:
                    bad.add(c)
                elif correlation > height:
                    winner, height, own = c, correlation, solution[:-1]
            if winner is None:
                break
            chosen.append(winner)
            best, last = height, own
        ranked = sorted(zip(chosen, last.tolist(), strict=True), key=lambda pair: -pair[1])
        found.append(Sum(tuple(c for c, _ in ranked), tuple(w for _, w in ranked), best) if chosen else None)
    return found


@pytest.mark.parametrize("seed", range(4))
def test_the_greedy_sums(seed: int) -> None:
    activations, probability = drawn(seed)
    for mine, expected in zip(
        explain(activations, probability, seed), slow(activations, probability, seed), strict=True
    ):
        assert (mine is None) == (expected is None)
        if mine is not None and expected is not None:
            assert mine.concepts == expected.concepts
            assert mine.weights == pytest.approx(expected.weights, abs=1e-6)
            assert mine.correlation == pytest.approx(expected.correlation, abs=1e-6)


def test_two_planted_concepts_are_both_said_and_a_dead_unit_is_not_explained() -> None:
    activations, probability = drawn(0)
    found = explain(activations, probability, 0)
    assert found[0] is not None
    assert found[0].concepts[0] == 3
    assert found[1] is not None
    assert {1, 12} <= set(found[1].concepts)
    assert found[4] is None


def test_a_concept_that_is_probable_nowhere_is_not_said_unless_none_is() -> None:
    activations, probability = drawn(0)
    rare = probability.copy()
    rare[:, 3] *= 0.4
    found = explain(activations, rare, 0)[0]
    assert found is None or 3 not in found.concepts
    as_cosines = explain(activations, probability * 0.4, 0)[0]
    assert as_cosines is not None
    assert as_cosines.concepts[0] == 3


def test_probabilities_are_the_logistic_regression_of_what_is_annotated() -> None:
    rng = np.random.default_rng(1)
    cosine = rng.normal(0.2, 0.1, size=(200, 3))
    truth = (rng.random((200, 3)) < 1 / (1 + np.exp(-20 * (cosine - 0.3)))).astype(float)
    truth[:, 2] = np.nan
    found = probabilities(cosine, truth)
    # at the maximum of the likelihood, the residuals add up to 0, alone and with the cosines
    rest = (truth - found)[:, :2]
    assert abs(rest.sum()) < 1e-3
    assert abs((rest * cosine[:, :2]).sum()) < 1e-3
    assert (np.argsort(found, axis=0) == np.argsort(cosine, axis=0)).all()
    np.testing.assert_array_equal(probabilities(cosine, truth * np.nan), cosine)
