"""INVERT against a search that tries every formula and compares every pair of images."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from mcd_plugins.bench.contract import Case
from mcd_plugins.bench.methods.invert import BEAM, METHODS, Formula, search

Array = NDArray[np.float64]
Truth = list[bool | None]


def drawn(seed: int, unknown: float, tied: bool, images: int = 40) -> tuple[Array, Array]:
    rng = np.random.default_rng(seed)
    present = (rng.random((images, 5)) < [0.4, 0.3, 0.2, 0.7, 0.1]).astype(float)
    activations = rng.normal(size=(images, 4))
    activations[:, 0] += 2 * present[:, 1]
    activations[:, 1] += 2 * np.maximum(present[:, 1], present[:, 2])
    activations[:, 2] += 2 * present[:, 0] * (1 - present[:, 1])
    if tied:
        activations = np.round(activations)
    present[rng.random(present.shape) < unknown] = np.nan
    return activations, present


def atom(annotations: Array, concept: int, negated: bool) -> Truth:
    column = annotations[:, concept].tolist()
    return [None if math.isnan(one) else (one == 1) != negated for one in column]


def join(one: Truth, other: Truth, joined: str) -> Truth:
    pairs = zip(one, other, strict=True)
    return [None if x is None or y is None else (x and y if joined == "and" else x or y) for x, y in pairs]


def area(activations: list[float], truth: Truth) -> float:
    """Return how often an image that it holds on activates more than another one; a tie counts half."""
    with_it = [a for a, holds in zip(activations, truth, strict=True) if holds]
    without = [a for a, holds in zip(activations, truth, strict=True) if holds is False]
    pairs = [1.0 if x > y else 0.5 if x == y else 0.0 for x in with_it for y in without]
    return sum(pairs) / len(pairs)


def allowed(truth: Truth) -> bool:
    known = [one for one in truth if one is not None]
    return 0 < sum(known) <= len(known) / 2 and sum(known) < len(known)


def p_value(activations: list[float], truth: Truth) -> float:
    """Return the two-sided p of the Mann–Whitney test: normal, with correction for ties and continuity."""
    known = [(a, holds) for a, holds in zip(activations, truth, strict=True) if holds is not None]
    n, positives = len(known), sum(bool(holds) for _, holds in known)
    negatives = n - positives
    values = [a for a, _ in known]
    ties = sum(values.count(one) ** 3 - values.count(one) for one in set(values))
    spread = math.sqrt(positives * negatives / 12 * (n + 1 - ties / (n * (n - 1))))
    away = abs(area(activations, truth) - 0.5) * positives * negatives - 0.5
    return min(1.0, math.erfc(away / spread / math.sqrt(2)))


def every_formula(activations: list[float], annotations: Array) -> Iterator[tuple[Truth, float]]:
    """Return what the beam search reaches: single concepts, and those joined to one of the best."""
    atoms = [(c, n) for c in range(annotations.shape[1]) for n in (False, True)]
    truths = {one: atom(annotations, *one) for one in atoms}
    alone = [one for one in atoms if allowed(truths[one])]
    for one in alone:
        yield truths[one], area(activations, truths[one])
    beam = sorted(alone, key=lambda one: -area(activations, truths[one]))[:BEAM]
    for one in beam:
        for other in atoms:
            for joined in ("and", "or"):
                both = join(truths[one], truths[other], joined)
                if one[0] != other[0] and allowed(both):
                    yield both, area(activations, both)


def truth_of(formula: Formula, annotations: Array) -> Truth:
    truths = [atom(annotations, *term) for term in formula.terms]
    return truths[0] if len(truths) == 1 else join(truths[0], truths[1], formula.joined)


@settings(max_examples=12, deadline=None)
@given(st.integers(0, 10_000), st.sampled_from([0.0, 0.15]), st.booleans(), st.sampled_from([1, 2]))
def test_no_formula_within_reach_tells_a_unit_apart_better(seed: int, unknown: float, tied: bool, length: int) -> None:
    activations, annotations = drawn(seed, unknown, tied)
    for unit, formula in enumerate(search(activations, annotations, length, seed)):
        column = activations[:, unit].tolist()
        reached = list(every_formula(column, annotations))
        singles = sum(allowed(atom(annotations, c, n)) for c in range(5) for n in (False, True))
        best = max(value for _, value in (reached[:singles] if length == 1 else reached))
        assert formula is not None
        truth = truth_of(formula, annotations)
        assert len(formula.terms) <= length
        assert allowed(truth)
        assert formula.area == pytest.approx(best, abs=1e-12)
        assert area(column, truth) == pytest.approx(best, abs=1e-12)
        few = min(truth.count(True), truth.count(False)) <= 8  # then the test of scipy is exact
        if tied or not few:
            assert formula.p == pytest.approx(p_value(column, truth), rel=1e-6)


def test_planted_formulas_are_found() -> None:
    activations, annotations = drawn(5, 0.0, tied=False, images=400)
    single, either, both = search(activations, annotations, 2, 0)[:3]
    assert single is not None
    assert either is not None
    assert both is not None
    assert (1, False) in single.terms
    assert (either.joined, set(either.terms)) == ("or", {(1, False), (2, False)})
    assert (both.joined, set(both.terms)) == ("and", {(0, False), (1, True)})


def test_what_a_formula_denies_is_not_said_of_the_unit(case: Case) -> None:
    annotations = case.annotations.copy()
    annotations[:, 0] = np.arange(60) < 24
    annotations[:, 1] = np.arange(60) % 3 == 0
    activations = case.activations.copy()
    activations[:, 0] = 3 * annotations[:, 0] * (1 - annotations[:, 1]) + 0.1 * activations[:, 6]
    found = METHODS[1].decide(replace(case, activations=activations, annotations=annotations))
    assert (found.first[0], found.more[0], bool(found.claimed[0])) == (0, (), True)


def test_a_concept_that_is_annotated_nowhere_is_never_said() -> None:
    activations, annotations = drawn(5, 0.0, tied=False)
    annotations[:, 1] = np.nan
    found = search(activations, annotations, 2, 0)
    assert all(one is not None and 1 not in dict(one.terms) for one in found)
    assert search(activations, annotations * np.nan, 2, 0) == [None] * 4
