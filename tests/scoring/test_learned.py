"""What a model has learned, over all its layers."""

from __future__ import annotations

import numpy as np
import pytest

import mcd
from mcd.scoring.learned import FirstLabels, learned, simes
from mcd.scoring.rungs import IMAGE, NUISANCE, RIGHT, UNTRAINED
from mcd.study.calibration import Calibration

TERMS = tuple(mcd.Concept(name, name, "x", (name,)) for name in "abcdefghij")


def test_simes_is_the_smallest_scaled_p_and_those_not_given_are_one() -> None:
    assert simes(np.array([0.03, 0.01]), 2) == pytest.approx(0.02)
    assert simes(np.array([0.01, 0.012]), 4) == pytest.approx(0.024)
    assert simes(np.array([0.5]), 10) == 1
    assert simes(np.array([0.001, np.nan]), 10) == pytest.approx(0.01)


def test_a_model_without_dependence_has_learned_nothing_in_about_every_case() -> None:
    rng = np.random.default_rng(0)
    false = 0
    for _ in range(400):
        layers = []
        for width in (60, 40, 200):
            p = rng.random(width)
            layers.append(FirstLabels(rng.integers(0, 10, width), {IMAGE: p}, p < 0.001))
        false += bool((learned(layers, TERMS, Calibration())["q"] <= 0.05).any())
    assert false <= 32  # binomial(400, .05): more than once in 100 at 31


def test_weak_units_of_several_layers_add_up_and_each_rung_has_its_own_q() -> None:
    p = np.r_[np.full(20, 0.002), np.full(80, 0.6)]
    concept = np.r_[np.zeros(20, dtype=np.int64), np.arange(80) % 9 + 1]
    beyond = np.where(np.arange(100) < 10, 0.9, p)
    layers = [FirstLabels(concept, {IMAGE: p, NUISANCE: beyond}, p < 0.01)] * 3
    table = learned(layers, TERMS, Calibration()).set_index("concept")
    assert table.loc["a", "layers"] == 3
    assert table.loc["a", "neurons"] == 60
    assert table.loc["a", "q"] == pytest.approx(0.002 * 300 / 60 * 10)
    assert table.loc["a", "q_nuisance"] == pytest.approx(0.002 * 300 / 30 * 10)
    assert np.isnan(table.loc["a", "q_right"])
    assert table.loc["b", "neurons"] == 0
    assert table.loc["b", "rung"] == ""


def test_what_is_about_single_units_is_not_said_of_the_model() -> None:
    p = np.full(50, 1e-6)
    both = {IMAGE: p, NUISANCE: p, UNTRAINED: p, RIGHT: p}
    (row,) = learned([FirstLabels(np.zeros(50, dtype=np.int64), both, p < 1)], TERMS, Calibration()).itertuples()
    assert np.isnan(row.q_untrained)
    assert row.q_right <= 0.05
    assert row.rung == NUISANCE


def test_layers_in_another_order_say_the_same() -> None:
    rng = np.random.default_rng(3)
    layers = [
        FirstLabels(rng.integers(0, 10, n), {IMAGE: rng.random(n) ** 3}, np.zeros(n, dtype=bool)) for n in (5, 9, 30)
    ]
    assert learned(layers, TERMS, Calibration()).equals(learned(layers[::-1], TERMS, Calibration()))
