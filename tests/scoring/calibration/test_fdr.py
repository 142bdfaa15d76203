"""False-discovery control, against its definition."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcd.scoring.calibration.fdr import QValues, null_share

PS = st.lists(st.floats(1e-6, 1), min_size=1, max_size=30)


@given(PS, st.sampled_from([0.01, 0.05, 0.2]))
def test_benjamini_hochberg_discovers_what_its_rule_does(values: list[float], rate: float) -> None:
    p = np.array(values)
    ordered = np.sort(p)
    passing = [at for at, one in enumerate(ordered, start=1) if one <= at * rate / len(p)]
    threshold = ordered[passing[-1] - 1] if passing else -1.0
    family = QValues.of(p)
    near = np.abs(family(p) - rate) < 1e-12  # equal but for rounding
    assert ((family(p) <= rate) == (p <= threshold))[~near].all()
    if not near.any():
        limit = family.threshold(rate)
        assert limit == pytest.approx(rate * len(passing_all(ordered, threshold)) / len(p) if passing else 0.0)
        if passing:
            assert family(np.array([limit * (1 - 1e-9)]))[0] <= rate < family(np.array([limit * (1 + 1e-9)]))[0]


@given(PS)
def test_q_values_rise_with_p_and_are_never_below(values: list[float]) -> None:
    p = np.array(values)
    for correction in ("benjamini-hochberg", "benjamini-yekutieli"):
        q = QValues.of(p, correction)(p)
        order = np.argsort(p, kind="stable")
        assert (np.diff(q[order]) >= 0).all()
        assert (q >= p - 1e-12).all()
        assert (q <= 1).all()
    plain, careful = QValues.of(p)(p), QValues.of(p, "benjamini-yekutieli")(p)
    assert (careful >= plain).all()
    assert (QValues.of(p, "storey")(p) <= plain + 1e-12).all() or null_share(p) == 1


def passing_all(ordered: np.ndarray, threshold: float) -> np.ndarray:
    return ordered[ordered <= threshold]


def test_a_second_concept_is_judged_as_if_its_neuron_had_no_better_one() -> None:
    family = QValues.of(np.array([1e-12, 0.4, 0.6, 0.8]))
    assert family(np.array([0.01]))[0] == pytest.approx(0.04)
    assert family(np.array([0.02]))[0] == pytest.approx(0.08)


def test_a_label_between_two_neurons_is_worth_the_higher_one() -> None:
    family = QValues.of(np.array([0.001, 0.02, 0.5]))
    assert family(np.array([0.01]))[0] == family(np.array([0.02]))[0]
    assert family(np.array([0.9]))[0] == pytest.approx(0.9)
    assert np.isnan(family(np.array([np.nan]))[0])


def test_the_share_of_null_neurons() -> None:
    uniform = (np.arange(1000) + 0.5) / 1000
    assert null_share(uniform) == pytest.approx(1.0, abs=0.01)
    half = np.concatenate([uniform[:500] * 2 - 1 / 1000, np.full(500, 1e-4)])
    assert null_share(half) == pytest.approx(0.5, abs=0.02)
    assert null_share(np.array([])) == 1


def test_the_share_of_null_neurons_is_never_estimated_as_none() -> None:
    assert null_share(np.full(10, 0.001)) == pytest.approx(1 / (10 * 0.5))  # Storey's 1 + #{p > λ}, which is 1 here
    assert null_share(np.array([0.001] * 6 + [0.7] * 2)) == pytest.approx(3 / (8 * 0.5))
    # what it saves the q-values: 10 of 10 at 0.02, times 1/5
    assert QValues.of(np.full(10, 0.02), "storey")(np.array([0.02]))[0] == pytest.approx(0.02 / 5)
