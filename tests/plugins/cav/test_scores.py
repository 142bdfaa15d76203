"""AUROC on held-out patients, and the scores of Kim et al. and Captum."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.metrics import roc_auc_score

from mcd.errors import DataError
from mcd_plugins.cav.scores import area, auroc, folds_of, held_out_area, magnitude, mean_sensitivity, tcav
from mcd_plugins.cav.vectors import METHODS, Method


def test_auroc_is_that_of_scikit_learn() -> None:
    rng = np.random.default_rng(0)
    scores, present = rng.integers(0, 9, 200), rng.random(200) < 0.3
    assert auroc(torch.from_numpy(scores), present) == pytest.approx(roc_auc_score(present, scores))
    assert np.isnan(auroc(torch.arange(3), np.ones(3, dtype=bool)))


def test_scores_of_known_sensitivities() -> None:
    known = torch.tensor([2.0, -1, 0, 1])
    assert tcav(known) == 0.625
    assert tcav(-known) == 0.375
    assert magnitude(known) == 0.75
    assert mean_sensitivity(known, torch.eye(4)) == 0.5


def test_no_patient_is_in_two_parts_and_each_has_both_states() -> None:
    rng = np.random.default_rng(0)
    for patients, share in ((7, 0.5), (40, 0.15), (200, 0.9)):
        people = rng.integers(0, patients, 5 * patients)
        people = np.unique(people, return_inverse=True)[1]
        present = rng.random(len(people)) < share
        folds = folds_of(present, people, 0)
        assert all(len(set(folds[people == one])) == 1 for one in np.unique(people))
        for fold in range(folds.max() + 1):
            assert len(set(present[folds == fold])) == 2


@pytest.mark.parametrize("method", METHODS)
def test_a_concept_is_told_on_patients_that_were_not_fitted_on(method: Method) -> None:
    rng = np.random.default_rng(0)
    patients = [f"p{row // 4}" for row in range(160)]
    present = np.arange(160) // 4 % 3 == 0
    absent = ~present & (np.arange(160) % 4 != 3)
    own = np.repeat(rng.normal(size=(40, 300)), 4, axis=0)
    noise = torch.from_numpy(own + 0.1 * rng.normal(size=(160, 300)))
    chance = held_out_area(noise, present, absent, patients, method, seed=0)
    assert chance.value < 0.75  # its own patients it knows by heart: 1
    assert chance.low is not None
    assert chance.high is not None
    assert chance.low < 0.5 < chance.high
    assert (chance.present, chance.absent, chance.patients, chance.folds) == (56, int(absent.sum()), 40, 5)
    shown = noise + 3 * torch.from_numpy(present)[:, None] * torch.eye(300)[0]
    assert held_out_area(shown, present, absent, patients, method, seed=0).value > chance.value


def test_the_interval_of_several_parts_is_wider() -> None:
    """Vectors of different parts share patients: it would cover five times in six only."""
    rng = np.random.default_rng(0)
    truth, inside = 0.5, 0
    for seed in range(60):
        present = np.arange(160) < 40
        people = np.repeat(np.arange(40), 4)
        features = torch.from_numpy(rng.normal(size=(40, 30))[people] + rng.normal(size=(160, 30)))
        found = held_out_area(features, present, ~present, people.astype(str).tolist(), "pattern", seed, draws=200)
        assert found.low is not None
        assert found.high is not None
        inside += found.low <= truth <= found.high
    assert inside >= 54


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
        held_out_area(torch.randn(12, 3), present, ~present, ["a"] * 6 + ["b", "c"] * 3, "pattern", seed=0)
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
