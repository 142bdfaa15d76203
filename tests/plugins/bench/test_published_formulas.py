"""Published methods against slow oracles: the formulas of the papers, one number at a time in double precision."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from mcd_plugins.bench.methods import adaptive_cosine, clip_dissect, embeddings, neuron_eval

Rows = list[list[float]]
Array = NDArray[np.float64]


def columns(rows: Rows) -> Rows:
    return [list(column) for column in zip(*rows, strict=True)]


def ranking(column: list[float], k: int) -> list[int]:
    return sorted(range(len(column)), key=lambda row: -column[row])[:k]


def dot(x: list[float], y: list[float]) -> float:
    return sum(v * w for v, w in zip(x, y, strict=True))


def length(x: list[float]) -> float:
    return math.sqrt(dot(x, x))


def mean(values: list[float]) -> float:
    return sum(values) / len(values)


# CLIP-Dissect


def slow_cos(a: Rows, p: Rows) -> Rows:
    return [[dot(unit, one) / (length(unit) * length(one)) for one in columns(p)] for unit in columns(a)]


def slow_cos_cubed(a: Rows, p: Rows) -> Rows:
    def cubed(column: list[float]) -> list[float]:
        powers = [(value - mean(column)) ** 3 for value in column]
        return [value / max(length(powers), 1e-3) for value in powers]

    return [[dot(cubed(unit), cubed(one)) for one in columns(p)] for unit in columns(a)]


def slow_pearson(a: Rows, p: Rows) -> Rows:
    def centred(column: list[float]) -> list[float]:
        return [value - mean(column) for value in column]

    return slow_cos(columns([centred(one) for one in columns(a)]), columns([centred(one) for one in columns(p)]))


def slow_rank_reorder(a: Rows, p: Rows, n: int) -> Rows:
    found = []
    for unit in columns(a):
        top = ranking(unit, n)
        strength = [unit[image] for image in top]
        by_chance = mean([abs(x - y) ** 3 for x in strength for y in strength])
        row = []
        for one in columns(p):
            by_concept = sorted(top, key=lambda image: -one[image])
            errors = [abs(unit[image] - strength[by_concept.index(image)]) ** 3 for image in top]
            shown = mean([one[image] for image in top])
            row.append(-(mean(errors) / by_chance) / math.sqrt(shown) if shown > 0 else math.nan)
        found.append(row)
    return found


def softmax(row: list[float], a: float) -> list[float]:
    powers = [math.exp(a * value) for value in row]
    return [power / sum(powers) for power in powers]


def less_layer_prior(evidence: Rows, lam: float) -> Rows:
    prior = [math.log(mean([math.exp(value - max(one)) for value in one])) + max(one) for one in columns(evidence)]
    return [[value - lam * other for value, other in zip(row, prior, strict=True)] for row in evidence]


def slow_wpmi(a: Rows, p: Rows, k: int) -> Rows:
    q = [softmax(row, 2) for row in p]
    return less_layer_prior(
        [[sum(math.log(q[i][c] + 1e-7) for i in ranking(unit, k)) for c in range(len(p[0]))] for unit in columns(a)],
        0.6,
    )


def slow_soft_wpmi(a: Rows, p: Rows, k: int) -> Rows:
    q = [softmax(row, 10) for row in p]
    evidence = []
    for unit in columns(a):
        row = []
        for c in range(len(p[0])):
            total = 0.0
            for place, image in enumerate(ranking(unit, k)):
                member = 0.998 - place / k * (0.998 - 0.97)
                total += math.log(1 + member * (q[image][c] - 1) + 1e-7)
            row.append(total)
        evidence.append(row)
    return less_layer_prior(evidence, 1.0)


# in the space of embeddings


def slow_semantic_lens(a: Rows, images: Rows, texts: Rows, empty: list[float], n: int) -> Rows:
    found = []
    for unit in columns(a):
        middle = [mean([images[i][d] for i in ranking(unit, n)]) for d in range(len(empty))]
        words = [[x - y for x, y in zip(text, empty, strict=True)] for text in texts]
        found.append([dot(middle, word) / (length(middle) * length(word)) for word in words])
    return found


def slow_csp(a: Rows, images: Rows, texts: Rows, n: int, gamma: float) -> Rows:
    found = []
    for unit in columns(a):
        cold = [i for i in range(len(a)) if unit[i] < mean(unit)]
        total = [0.0] * len(texts[0])
        for i in ranking(unit, n):
            twin = max(cold, key=lambda j: dot(images[i], images[j]))
            alike = dot(images[i], images[twin])
            rest = [x - gamma * alike * y for x, y in zip(images[i], images[twin], strict=True)]
            total = [t + unit[i] * r for t, r in zip(total, rest, strict=True)]
        found.append([dot(total, text) / length(total) for text in texts])
    return found


def slow_www(a: Rows, images: Rows, texts: Rows, empty: list[float], n: int) -> Rows:
    return [
        [mean([dot(images[i], text) - dot(images[i], empty) for i in ranking(unit, n)]) for text in texts]
        for unit in columns(a)
    ]


def slow_mammi(a: Rows, images: Rows, texts: Rows, empty: list[float]) -> Rows:
    found = []
    for unit in columns(a):
        edge = max(unit) - (max(unit) - min(unit)) * (1 - 0.93)
        chosen = [i for i in range(len(a)) if unit[i] > edge]
        found.append([mean([dot(images[i], text) - dot(images[i], empty) for i in chosen]) for text in texts])
    return found


@pytest.fixture(scope="module", params=range(3))
def drawn(request: pytest.FixtureRequest) -> tuple[Array, Array, Array, Array, Array]:
    """Activations, their ranking (all images), and embeddings of images, concepts and the empty prompt."""
    rng = np.random.default_rng(request.param)

    def unit(*shape: int) -> Array:
        rows = rng.normal(size=shape) + 0.4
        return rows / np.linalg.norm(rows, axis=-1, keepdims=True)

    activations = np.maximum(rng.normal(0.5, 1, size=(40, 7)), 0.001 * rng.random((40, 7)))
    return activations, np.argsort(-activations, axis=0), unit(40, 12), unit(9, 12), unit(12)


def same(found: Array, expected: Rows, atol: float = 1e-6) -> None:
    np.testing.assert_allclose(found, expected, atol=atol, rtol=1e-6)
    assert np.nanargmax(found, axis=1).tolist() == np.nanargmax(expected, axis=1).tolist()


def test_clip_dissect(drawn: tuple[Array, Array, Array, Array, Array]) -> None:
    a, ranked, images, texts, _ = drawn
    p = images @ texts.T
    rows, cosines = a.tolist(), p.tolist()
    same(clip_dissect.cos(a, p), slow_cos(rows, cosines))
    same(clip_dissect.cos_cubed(a, p), slow_cos_cubed(rows, cosines))
    same(clip_dissect.rank_reorder(a, p, ranked[:11]), slow_rank_reorder(rows, cosines, 11))
    same(clip_dissect.wpmi(ranked[:28], p), slow_wpmi(rows, cosines, 28))
    # its weights are float32, as released
    same(clip_dissect.soft_wpmi(ranked[:13], p), slow_soft_wpmi(rows, cosines, 13), atol=5e-5)
    same(neuron_eval.pearson(a, p), slow_pearson(rows, cosines))


def test_methods_in_the_space_of_embeddings(drawn: tuple[Array, Array, Array, Array, Array]) -> None:
    a, ranked, images, texts, empty = drawn
    rows, e, t = a.tolist(), images.tolist(), texts.tolist()
    same(embeddings.semantic_lens(images, texts, empty, ranked[:6]), slow_semantic_lens(rows, e, t, empty.tolist(), 6))
    for gamma in (1.0, 0.5):
        same(embeddings.csp(a, images, texts, ranked[:6], gamma), slow_csp(rows, e, t, 6, gamma))


def test_adaptive_cosines(drawn: tuple[Array, Array, Array, Array, Array]) -> None:
    a, ranked, images, texts, empty = drawn
    rows, e, t = a.tolist(), images.tolist(), texts.tolist()
    p, template = images @ texts.T, images @ empty
    same(adaptive_cosine.www(p, template, ranked[:8]), slow_www(rows, e, t, empty.tolist(), 8))
    same(adaptive_cosine.mammi(a, p, template), slow_mammi(rows, e, t, empty.tolist()))


def test_the_published_numbers_of_clip_dissect(shared: Path) -> None:
    with np.load(shared / "golden" / "scorers" / "expected.npz") as file:
        golden = {name: file[name].astype(np.float64) for name in file.files}
    for case, k, share in (("small", 20, 0.25), ("medium", 100, 0.05)):
        a, p = golden[f"{case}/activations"], golden[f"{case}/image_concept_similarity"]
        ranked = np.argsort(-a, axis=0, kind="stable")
        compared: dict[str, tuple[Array, float]] = {
            "soft_wpmi": (clip_dissect.soft_wpmi(ranked[:k], p), 2e-4),
            "wpmi": (clip_dissect.wpmi(ranked[: min(28, k)], p), 2e-4),
            "cos_similarity": (clip_dissect.cos(a, p), 1e-5),
            "cos_similarity_cubed": (clip_dissect.cos_cubed(a, p), 1e-5),
        }
        for name, (found, atol) in compared.items():
            np.testing.assert_allclose(found, golden[f"{case}/{name}"], atol=atol, rtol=0)
            named = np.take_along_axis(golden[f"{case}/{name}"], found.argmax(axis=1)[:, None], axis=1)[:, 0]
            # float32 there: of 48 neurons, 3 have two concepts that only float64 tells apart
            np.testing.assert_allclose(named, golden[f"{case}/{name}"].max(axis=1), rtol=1e-6)
        # five permutations there, their expectation here: one factor a unit
        found = clip_dissect.rank_reorder(a, np.abs(p) + 0.05, ranked[: int(share * len(a))])
        factor = found / golden[f"{case}/rank_reorder_seed0"]
        np.testing.assert_allclose(factor, factor[:, [0]] * np.ones(factor.shape[1]), rtol=1e-3)


def test_the_threshold_of_mammo_clip_dissect_keeps_what_reaches_the_mean() -> None:
    assert clip_dissect.passes_mean(np.array([1.0, 2.0, 3.0, -1.0])).tolist() == [False, True, True, False]
    assert clip_dissect.passes_mean(np.array([2.0, 1.0, 3.0])).tolist() == [True, False, True]


def test_csp_leaves_out_overly_active_units_and_those_with_few_examples() -> None:
    def active(images: int) -> Array:
        return np.where(np.arange(200) < images, 1.0, 1e-7)

    found = embeddings.has_examples(np.stack([active(n) for n in (0, 99, 100, 159, 160, 200)], axis=1))
    assert found.tolist() == [False, False, True, True, False, False]
    averaged = embeddings.has_examples(np.stack([active(n) for n in (0, 99, 100, 190, 195, 199, 200)], axis=1))
    assert averaged.tolist() == [False, False, True, True, True, True, True]


@pytest.mark.parametrize(
    ("scores", "expected"),
    [([1.0, 0.951, 0.95, 0.2], [True, True, False, False]), ([-1.0, -2.0, -1.01, -3.0], [False] * 4)],
)
def test_www_keeps_what_exceeds_95_percent_of_the_best_and_nothing_below_the_template(
    scores: list[float], expected: list[bool]
) -> None:
    assert adaptive_cosine.accepted(np.array([scores])).tolist() == [expected]


@pytest.mark.parametrize("function", [clip_dissect.cos, clip_dissect.cos_cubed, neuron_eval.pearson])
def test_a_unit_of_zeros_is_no_error(function: Callable[[Array, Array], Array]) -> None:
    found = function(np.zeros((20, 1)), np.random.default_rng(0).random((20, 3)))
    assert found.shape == (1, 3)
    assert not np.isinf(found).any()
