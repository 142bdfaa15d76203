"""AUROC on held-out patients, and the scores of Kim et al. and Captum."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.stats import norm, t
from sklearn.metrics import roc_auc_score

from mcd.errors import DataError
from mcd_plugins.cav.scores import area, magnitude, mean_sensitivity, tcav


def test_auroc_is_that_of_scikit_learn() -> None:
    rng = np.random.default_rng(0)
    scores, present = rng.integers(0, 9, 200), rng.random(200) < 0.3
    found = area(torch.from_numpy(scores), present, ~present, [""] * 200)
    assert found.value == pytest.approx(roc_auc_score(present, scores))


def test_scores_of_known_sensitivities() -> None:
    known = torch.tensor([2.0, -1, 0, 1])
    assert tcav(known) == 0.625
    assert tcav(-known) == 0.375
    assert magnitude(known) == 0.75
    assert mean_sensitivity(known, torch.eye(4)) == 0.5


@pytest.mark.parametrize(
    ("true", "patients", "having"), [(0.5, 40, 20), (0.8, 40, 8), (0.95, 20, 10), (0.9, 30, 3), (0.99, 200, 10)]
)
def test_intervals_cover_though_patients_are_few(true: float, patients: int, having: int) -> None:
    """Percentiles of resampled patients cover 94, 90, 87, 76 and 77 % of the time."""
    rng = np.random.default_rng(0)
    people = np.repeat(np.arange(patients), 4)
    present, keys = people < having, people.astype(str).tolist()
    inside = wide = 0.0
    for _ in range(150):
        noise = rng.normal(size=patients)[people] + rng.normal(size=4 * patients)
        scores = norm.ppf(true) * 2**0.5 * present + noise / 2**0.5
        found = area(torch.from_numpy(scores), present, ~present, keys)
        assert 0 <= found.low <= found.value <= found.high <= 1
        inside += found.low <= true <= found.high
        wide += found.high - found.low
    assert inside >= 135
    assert wide / 150 < 3 / having**0.5


@pytest.mark.parametrize(("patients", "low"), [(2, 0.01), (5, 0.55), (20, 0.9)])
def test_few_patients_who_are_all_told_apart_prove_little(patients: int, low: float) -> None:
    present = np.arange(4 * patients) < 2 * patients
    people = [f"{row // 2}" for row in range(4 * patients)]
    scores = torch.from_numpy(present).float()
    found, against = (area(own, present, ~present, people) for own in (scores, -scores))
    assert (found.value, found.high) == (1, 1)
    assert found.low == pytest.approx(low, abs=0.05)
    assert (against.value, against.low) == (0, 0)
    assert against.high == pytest.approx(1 - found.low)


def test_the_variance_is_that_of_delong_where_each_patient_has_one_image() -> None:
    """DeLong et al. 1988 (Biometrics 44), with the placements of each image counted one by one."""
    rng = np.random.default_rng(0)
    scores, present = rng.integers(0, 9, 40).astype(float), np.arange(40) < 15
    wins = (scores[present][:, None] > scores[~present]) + 0.5 * (scores[present][:, None] == scores[~present])
    value, variance = wins.mean(), wins.mean(axis=1).var(ddof=1) / 15 + wins.mean(axis=0).var(ddof=1) / 25
    found = area(torch.from_numpy(scores), present, ~present, [""] * 40)
    assert found.value == pytest.approx(value)
    parts = np.array([wins.mean(axis=1).var(ddof=1) / 15, wins.mean(axis=0).var(ddof=1) / 25])
    far = t.ppf(0.975, variance**2 / (parts**2 / [14, 24]).sum())
    reach = far * variance**0.5 / (value * (1 - value))
    low, high = (float(1 / (1 + np.exp(-np.log(value / (1 - value)) - end))) for end in (-reach, reach))
    assert found.high == pytest.approx(high, abs=0.01)
    assert found.low == pytest.approx(low, abs=0.03)


def test_images_of_unknown_state_are_left_out() -> None:
    scores, present = torch.tensor([3.0, 1, 9, 2, 0]), np.array([True, True, False, False, False])
    absent = np.array([False, False, False, True, True])
    found = area(scores, present, absent, ["a", "b", "c", "d", "e"])
    assert (found.value, found.present, found.absent, found.patients) == (0.75, 2, 2, 4)


def test_the_interval_is_of_patients_not_of_images() -> None:
    rng = np.random.default_rng(0)
    present = np.arange(40) < 20
    scores = rng.normal(size=40) + present
    once = area(torch.from_numpy(scores), present, ~present, [f"{at}" for at in range(40)])
    rows = np.repeat(np.arange(40), 5)
    many = area(torch.from_numpy(scores[rows]), present[rows], ~present[rows], [f"{at}" for at in rows])
    assert (many.value, many.patients, many.present) == (once.value, 40, 100)
    assert many.low == pytest.approx(once.low, abs=0.05)
    alone = area(torch.from_numpy(scores[rows]), present[rows], ~present[rows], [""] * 200)
    assert alone.patients == 200
    assert alone.low > many.low + 0.03


def test_too_few_patients_are_refused() -> None:
    present = np.arange(12) < 6
    with pytest.raises(DataError, match="present in 6 images of 1 patient"):
        area(torch.randn(12), present, ~present, ["a"] * 6 + ["b", "c"] * 3)
    with pytest.raises(DataError, match=r"absent in .* of 1 patient"):
        area(torch.randn(12), present, ~present, ["b", "c"] * 3 + ["a"] * 6)


def test_scores_that_are_not_finite_are_refused() -> None:
    present, patients = np.arange(12) < 6, [f"{row}" for row in range(12)]
    for value in (torch.nan, torch.inf):
        scores = torch.randn(12)
        scores[3] = value
        with pytest.raises(DataError, match="scores are not finite"):
            area(scores, present, ~present, patients)
        assert area(scores, present & (np.arange(12) != 3), ~present, patients).present == 5
