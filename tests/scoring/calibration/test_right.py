"""Agreement with annotations on patients that were held out."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.metrics import roc_auc_score

from mcd.scoring.calibration.permutation import PermutationUnits
from mcd.scoring.calibration.right import agreement, split_halves


def of_four(patients: int) -> PermutationUnits:
    return PermutationUnits(np.repeat(np.arange(patients), 4))


def test_the_auroc_is_that_of_scikit_learn_ties_included() -> None:
    rng = np.random.default_rng(0)
    activations = rng.integers(0, 6, size=(80, 5)).astype(np.float32)
    present = (rng.random(80) < 0.3).astype(np.float32)
    found = agreement(torch.from_numpy(activations), torch.from_numpy(present), of_four(20), 0)
    expected = [roc_auc_score(present, activations[:, unit]) for unit in range(5)]
    assert found.auroc.tolist() == pytest.approx(expected)


def test_patients_are_split_whole_and_in_halves() -> None:
    units = of_four(31)
    held_out = split_halves(units, 3)
    assert held_out.reshape(31, 4).std(axis=1).max() == 0
    assert held_out[::4].sum() == 15
    assert (split_halves(units, 4) != held_out).any()


def test_units_that_follow_patients_but_not_the_finding_are_rarely_right() -> None:
    rng = np.random.default_rng(1)
    units = of_four(60)
    woman = np.repeat(rng.normal(size=(60, 400)), 4, axis=0)
    activations = torch.from_numpy((woman + 0.1 * rng.normal(size=woman.shape)).astype(np.float32))
    present = torch.from_numpy(np.repeat(rng.random(60) < 0.4, 4).astype(np.float32))
    found = agreement(activations, present, units, 0)
    assert (found.p <= 0.05).mean() <= 0.08  # images taken for independent: 0.3 and more
    assert (found.p <= 0.05).mean() >= 0.02


def test_a_unit_that_follows_the_finding_has_a_p_beyond_the_draws_and_one_that_avoids_it_is_wrong() -> None:
    rng = np.random.default_rng(2)
    present = np.repeat((rng.random(60) < 0.4).astype(np.float32), 4)
    follows = present + 0.5 * rng.normal(size=240)
    activations = torch.from_numpy(np.stack([follows, -follows], axis=1).astype(np.float32))
    found = agreement(activations, torch.from_numpy(present), of_four(60), 0)
    assert found.auroc[0] > 0.9
    assert found.p[0] < 1e-4
    assert found.p[1] > 0.9
