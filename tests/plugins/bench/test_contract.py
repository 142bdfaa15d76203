"""What a method is given and gives back, and that every published method keeps to it."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pytest

from mcd_plugins.bench.contract import PLANTS, Case, Decision, Method
from mcd_plugins.bench.methods import published
from mcd_plugins.bench.methods.choice import named

METHODS = published()


@pytest.mark.parametrize("method", METHODS, ids=lambda one: one.name)
def test_a_published_method_decides_every_unit_and_claims_none_without_a_name(method: Method, case: Case) -> None:
    before = case.activations.copy(), case.similarity.copy()
    found = method.decide(case)
    assert isinstance(found, Decision)
    assert found.first.shape == (case.units,)
    assert found.first.dtype == np.int64
    assert found.first.max() < len(case.concepts)
    assert not found.claimed[found.first < 0].any()
    assert np.isnan(found.score[found.first < 0]).all()
    np.testing.assert_array_equal(case.activations, before[0])
    np.testing.assert_array_equal(case.similarity, before[1])


# CLIP-Dissect's rank reorder sees the top 5 %, three of these images.
@pytest.mark.parametrize(
    "method", [one for one in METHODS if one.name != "CLIP-Dissect rank"], ids=lambda one: one.name
)
def test_a_published_method_finds_units_that_follow_one_concept(method: Method, case: Case) -> None:
    assert (method.decide(case).first[:6] == np.arange(6)).sum() >= 5


@pytest.mark.parametrize("method", METHODS, ids=lambda one: one.name)
def test_a_published_method_says_where_it_comes_from_and_what_it_is_made_for(method: Method) -> None:
    assert re.search(r"\b(19|20)\d\d\b", method.source)
    assert 0 < len(method.name) <= 22
    assert method.made_for
    assert set(method.made_for) <= set(PLANTS)


def test_names_are_unique() -> None:
    assert len({one.name for one in METHODS}) == len(METHODS)


def test_a_method_says_what_it_lacks(case: Case) -> None:
    def method(*needs: str) -> Method:
        return replace(METHODS[0], needs=needs)

    assert method("similarity", "annotations", "maps").lacks(case) == ""
    assert method("annotations").lacks(replace(case, annotations=case.annotations * np.nan)) == "annotations"
    assert method("maps").lacks(replace(case, maps=None)) == "activation maps and boxes"
    assert method("maps").lacks(replace(case, boxes=((),) * 60)) == "activation maps and boxes"


def test_a_decision_of_another_number_of_units_is_refused() -> None:
    with pytest.raises(ValueError, match="one value a unit"):
        Decision(np.zeros(3, np.int64), np.zeros(2), np.zeros(3, bool))


def test_chance_names_among_equal_scores_and_undefined_ones_name_nothing(case: Case) -> None:
    nan = np.nan
    scores = np.array([[1.0, 3.0, 3.0], [nan, nan, nan], [nan, -2.0, -5.0]])
    drawn = [named(replace(case, seed=seed), scores, lambda best: best > 0) for seed in range(20)]
    assert {tuple(one.first.tolist()) for one in drawn} == {(1, -1, 1), (2, -1, 1)}
    assert all(one.claimed.tolist() == [True, False, False] for one in drawn)
    np.testing.assert_array_equal(drawn[0].score, [3.0, nan, -2.0])
