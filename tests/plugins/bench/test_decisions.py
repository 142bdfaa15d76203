"""What methods decide where the formula does not: ties, dead units, few images, and the order of rows."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

import mcd
from mcd_plugins.bench.contract import Case, Decision, Method
from mcd_plugins.bench.methods import adaptive_cosine, clip_dissect, embeddings, published
from mcd_plugins.bench.methods.choice import few, named, top_images

METHODS = published()
each_method = pytest.mark.parametrize("method", METHODS, ids=lambda one: one.name)


def same(one: Decision, other: Decision) -> None:
    np.testing.assert_array_equal(one.first, other.first)
    np.testing.assert_array_equal(one.claimed, other.claimed)
    np.testing.assert_allclose(one.score, other.score, rtol=1e-6)
    assert one.more == other.more


@each_method
def test_one_thread_and_two_decide_the_same(method: Method, case: Case) -> None:
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(1)
        alone = method.decide(case)
        torch.set_num_threads(2)
        same(alone, method.decide(case))
    finally:
        torch.set_num_threads(before)


# Linear Explanations draws by row which images fit and which validate.
@pytest.mark.parametrize(
    "method", [one for one in METHODS if one.name != "Linear Explanations"], ids=lambda one: one.name
)
def test_the_order_of_images_plays_no_part_where_nothing_is_tied(method: Method, case: Case) -> None:
    live = replace(case, activations=case.activations[:, :7], maps=None if case.maps is None else case.maps[:, :7])
    rows = np.random.default_rng(0).permutation(len(case.activations))
    moved = replace(
        live,
        **{name: getattr(live, name)[rows] for name in ("activations", "similarity", "images", "annotations", "maps")},
        patients=tuple(case.patients[row] for row in rows),
        boxes=tuple(case.boxes[row] for row in rows),
    )
    same(method.decide(live), method.decide(moved))


@each_method
def test_no_method_fails_on_dead_units_unknown_concepts_and_few_images(method: Method, case: Case) -> None:
    few_images = replace(
        case,
        **{name: getattr(case, name)[:12] for name in ("activations", "similarity", "images", "annotations", "maps")},
        patients=case.patients[:12],
        boxes=case.boxes[:12],
    )
    few_images.annotations[:, 2] = np.nan
    few_images.activations[:, 0] = 2.5
    found = method.decide(few_images)
    assert found.first.shape == (8,)
    assert not found.claimed[found.first < 0].any()
    assert not np.isnan(found.score[found.claimed]).any()


def test_released_code_names_dead_units_too_and_a_method_with_a_p_does_not(case: Case) -> None:
    claiming = {one.name for one in METHODS if one.decide(case).claimed[7]}
    assert {"CLIP-Dissect cos-cubed", "CLIP-Dissect WPMI", "CLIP-Dissect soft-WPMI", "SemanticLens"} <= claiming
    assert not claiming & {"CSP", "INVERT", "INVERT, 2 concepts", "Linear Explanations", "Network Dissection"}


def test_equal_concepts_are_chosen_by_seeded_chance(case: Case) -> None:
    scores = np.tile([0.3, 0.7, 0.7 + 1e-13, 0.7, np.nan, np.nan], (400, 1))
    found = named(case, scores).first
    np.testing.assert_array_equal(found, named(case, scores).first)
    assert set(found.tolist()) == {1, 2, 3}
    assert (found != named(replace(case, seed=4), scores).first).any()
    assert np.bincount(found)[1:].min() > 90


def test_equal_activations_are_ranked_by_chance_in_each_unit_anew(case: Case) -> None:
    activations = np.zeros((60, 50), dtype=np.float32)
    activations[7] = 1
    ranked = top_images(replace(case, activations=activations), 5)
    assert (ranked[0] == 7).all()
    assert len({tuple(column) for column in ranked[1:].T.tolist()}) > 40


def test_of_few_images_a_fifth_stand_for_a_unit(case: Case) -> None:
    assert few(case, 100) == 12
    assert few(case, 5) == 5


def test_further_concepts_are_said_best_first(case: Case) -> None:
    found = named(case, np.array([[1.0, 3.0, 2.0, 2.5]]), accepted=np.array([[False, True, True, True]]))
    assert (found.first.tolist(), found.more) == ([1], ((3, 2),))
    nothing = named(case, np.array([[1.0, 3.0]]), accepted=np.zeros((1, 2), dtype=bool))
    assert (nothing.first.tolist(), nothing.claimed.tolist(), nothing.more) == ([1], [False], ((),))


def test_mammo_clip_dissect_claims_what_reaches_the_mean_of_the_layer(case: Case) -> None:
    methods = {one.name: one for one in METHODS}
    every, some = methods["CLIP-Dissect soft-WPMI"].decide(case), methods["Mammo-CLIP Dissect"].decide(case)
    np.testing.assert_array_equal(some.first, every.first)
    np.testing.assert_array_equal(some.claimed, every.score >= every.score.mean())
    assert every.claimed.all()


def test_of_many_images_as_many_stand_for_a_unit_as_published() -> None:
    rng = np.random.default_rng(0)
    e, t = rng.normal(size=(520, 8)), rng.normal(size=(9, 8))
    e, t = e / np.linalg.norm(e, axis=1, keepdims=True), t / np.linalg.norm(t, axis=1, keepdims=True)
    large = Case(
        activations=np.abs(rng.normal(size=(520, 40))).astype(np.float32),
        similarity=(e @ t.T).astype(np.float32),
        images=e.astype(np.float32),
        texts=t.astype(np.float32),
        empty=np.eye(8, dtype=np.float32)[0],
        annotations=np.full((520, 9), np.nan, dtype=np.float32),
        patients=("",) * 520,
        concepts=mcd.ConceptSet.from_words([f"concept {at}" for at in range(9)]).concepts,
    )
    a, p = large.activations.astype(np.float64), large.similarity.astype(np.float64)
    ranked = np.argsort(-a, axis=0)
    images, texts, empty = (one.astype(np.float64) for one in (large.images, large.texts, large.empty))
    expected = {
        "CLIP-Dissect rank": clip_dissect.rank_reorder(a, p, ranked[:26]),
        "CLIP-Dissect WPMI": clip_dissect.wpmi(ranked[:28], p),
        "CLIP-Dissect soft-WPMI": clip_dissect.soft_wpmi(ranked[:100], p),
        "SemanticLens": embeddings.semantic_lens(images, texts, empty, ranked[:30]),
        "CSP": embeddings.csp(a, images, texts, ranked[:30], gamma=1),
        "WWW": adaptive_cosine.www(p, images @ empty, ranked[:40]),
        "MAMMI": adaptive_cosine.mammi(a, p, images @ empty),
    }
    for method in METHODS:
        if method.name in expected:
            scores = np.nan_to_num(expected[method.name], nan=-np.inf)
            named_units = np.isfinite(scores).any(axis=1)
            found = method.decide(large).first
            np.testing.assert_array_equal(found[named_units], scores.argmax(axis=1)[named_units], method.name)
