"""AUROC on held-out patients, and the scores of Kim et al. and Captum."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.metrics import roc_auc_score

from mcd.errors import DataError
from mcd_plugins.cav.scores import area, magnitude, mean_sensitivity, tcav


def test_auroc_is_that_of_scikit_learn() -> None:
    rng = np.random.default_rng(0)
    scores, present = rng.integers(0, 9, 200), rng.random(200) < 0.3
    found = area(torch.from_numpy(scores), present, ~present, [""] * 200, seed=0)
    assert found.value == pytest.approx(roc_auc_score(present, scores))


def test_scores_of_known_sensitivities() -> None:
    known = torch.tensor([2.0, -1, 0, 1])
    assert tcav(known) == 0.625
    assert tcav(-known) == 0.375
    assert magnitude(known) == 0.75
    assert mean_sensitivity(known, torch.eye(4)) == 0.5


def test_intervals_cover_though_patients_are_few() -> None:
    """Percentiles as they are would cover five times in six."""
    rng = np.random.default_rng(0)
    inside = 0
    for seed in range(100):
        people = np.repeat(np.arange(40), 4)
        present = people < 8
        scores = 1.19 * present + 0.7 * rng.normal(size=40)[people] + 0.714 * rng.normal(size=160)
        found = area(torch.from_numpy(scores), present, ~present, people.astype(str).tolist(), seed, draws=200)
        assert found.low is not None
        assert found.high is not None
        inside += found.low <= 0.8 <= found.high
    assert inside >= 92


@pytest.mark.parametrize(("patients", "low"), [(2, 0.158), (20, 0.832)])
def test_few_patients_who_are_all_told_apart_prove_little(patients: int, low: float) -> None:
    present = np.arange(4 * patients) < 2 * patients
    people = [f"{row // 2}" for row in range(4 * patients)]
    found = area(torch.from_numpy(present).float(), present, ~present, people, seed=0)
    assert (found.value, found.high) == (1, 1)
    assert found.low == pytest.approx(low, abs=1e-3)
    found = area(-torch.from_numpy(present).float(), present, ~present, people, seed=0)
    assert (found.value, found.low) == (0, 0)
    assert found.high == pytest.approx(1 - low, abs=1e-3)


def test_images_of_unknown_state_are_left_out() -> None:
    scores, present = torch.tensor([3.0, 1, 9, 2, 0]), np.array([True, True, False, False, False])
    absent = np.array([False, False, False, True, True])
    found = area(scores, present, absent, ["a", "b", "c", "d", "e"], seed=0)
    assert (found.value, found.present, found.absent, found.patients) == (0.75, 2, 2, 4)


def test_the_interval_is_of_patients_not_of_images() -> None:
    rng = np.random.default_rng(0)
    present = np.arange(40) < 20
    scores = rng.normal(size=40) + present
    once = area(torch.from_numpy(scores), present, ~present, [f"{at}" for at in range(40)], seed=0)
    rows = np.repeat(np.arange(40), 5)
    many = area(torch.from_numpy(scores[rows]), present[rows], ~present[rows], [f"{at}" for at in rows], seed=0)
    assert (many.value, many.patients, many.present) == (once.value, 40, 100)
    assert once.low is not None
    assert many.low is not None
    assert many.low == pytest.approx(once.low, abs=0.05)
    alone = area(torch.from_numpy(scores[rows]), present[rows], ~present[rows], [""] * 200, seed=0)
    assert alone.patients == 200
    assert alone.low is not None
    assert alone.low > many.low + 0.03


def test_too_few_patients_are_refused() -> None:
    present = np.arange(12) < 6
    with pytest.raises(DataError, match="present in images of 1 patient, 6 images"):
        area(torch.randn(12), present, ~present, ["a"] * 6 + ["b", "c"] * 3, seed=0)
    with pytest.raises(DataError, match="absent in images of 1 patient"):
        area(torch.randn(12), present, ~present, ["b", "c"] * 3 + ["a"] * 6, seed=0)


def test_scores_that_are_not_finite_are_refused() -> None:
    present, patients = np.arange(12) < 6, [f"{row}" for row in range(12)]
    for value in (torch.nan, torch.inf):
        scores = torch.randn(12)
        scores[3] = value
        with pytest.raises(DataError, match="scores are not finite"):
            area(scores, present, ~present, patients, seed=0)
        assert area(scores, present & (np.arange(12) != 3), ~present, patients, seed=0).present == 5
