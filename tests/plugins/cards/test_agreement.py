"""Kappa against examples worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest

from mcd_plugins.cards.agreement import bootstrap, cohen_kappa, fleiss_kappa, interval, kappa


def test_cohens_kappa_of_a_table_by_hand() -> None:
    """20 and 15 of 50 alike: p_o = 0.7; shares 0.5/0.5 and 0.6/0.4: p_e = 0.5; so 0.4."""
    a = np.repeat([0, 0, 1, 1], [20, 5, 10, 15])
    b = np.repeat([0, 1, 0, 1], [20, 5, 10, 15])
    assert cohen_kappa(a, b, 2) == pytest.approx(0.4)
    assert cohen_kappa(b, a, 2) == pytest.approx(0.4)
    assert cohen_kappa(a, a, 2) == 1.0


def test_fleiss_kappa_by_hand() -> None:
    """Three readers, three items: aab, aaa, bbb.

    P_i = 1/3, 1, 1, mean 7/9; p = 5/9 and 4/9, so p_e = 41/81; kappa = (63 - 41)/(81 - 41) = 0.55.
    """
    assert fleiss_kappa(np.array([[2, 1], [3, 0], [0, 3]])) == pytest.approx(0.55)


def test_fleiss_kappa_of_fourteen_readers() -> None:
    """Ten items, five categories; by hand: mean P_i = 0.378, p_e = 0.213, kappa = 0.210."""
    counts = np.array(
        [
            [0, 0, 0, 0, 14],
            [0, 2, 6, 4, 2],
            [0, 0, 3, 5, 6],
            [0, 3, 9, 2, 0],
            [2, 2, 8, 1, 1],
            [7, 7, 0, 0, 0],
            [3, 2, 6, 3, 0],
            [2, 5, 3, 2, 2],
            [6, 5, 2, 1, 0],
            [0, 2, 2, 3, 7],
        ]
    )
    assert fleiss_kappa(counts) == pytest.approx(0.210, abs=5e-4)


def test_two_readers_are_cohens_and_more_are_fleiss() -> None:
    choices = np.array([[0, 0, 1, 1], [0, 1, 1, 1], [0, 0, 1, 0]])
    assert kappa(choices[:2], 2) == cohen_kappa(choices[0], choices[1], 2)
    assert kappa(choices, 2) == fleiss_kappa(np.array([[3, 0], [2, 1], [0, 3], [1, 2]]))


def test_readers_who_only_use_one_letter_have_no_kappa() -> None:
    same = np.zeros(5, dtype=np.int64)
    assert np.isnan(cohen_kappa(same, same, 3))
    assert np.isnan(fleiss_kappa(np.array([[3, 0], [3, 0]])))
    assert np.isnan(interval(np.array([0.5, np.nan, 0.5, 0.5]))).all()


def test_guessing_readers_agree_by_nothing_and_the_interval_covers_it() -> None:
    rng = np.random.default_rng(0)
    covered = []
    for seed in range(40):
        choices = rng.integers(0, 5, (2, 40))
        again = np.array([kappa(choices[:, rows], 5) for rows in bootstrap(40, seed)[:300]])
        low, high = interval(again)
        covered.append(low <= 0 <= high)
    assert np.mean(covered) >= 0.85
