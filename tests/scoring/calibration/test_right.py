"""Agreement with annotations on patients that were held out."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.metrics import roc_auc_score

from mcd.scoring.calibration.permutation import PermutationUnits
from mcd.scoring.calibration.right import Agreement, agreement, auroc, split_halves


def of_four(patients: int) -> PermutationUnits:
    return PermutationUnits(np.repeat(np.arange(patients), 4))


def test_the_auroc_is_that_of_scikit_learn_ties_included() -> None:
    rng = np.random.default_rng(0)
    activations = rng.integers(0, 6, size=(80, 5)).astype(np.float32)
    present = (rng.random((80, 3)) < 0.3).astype(np.float32)
    found = auroc(torch.from_numpy(activations), torch.from_numpy(present))
    for unit in range(5):
        for finding in range(3):
            assert found[unit, finding].item() == pytest.approx(
                roc_auc_score(present[:, finding], activations[:, unit])
            )


def test_patients_are_split_whole_and_in_halves() -> None:
    units = of_four(31)
    held_out = split_halves(units, 3)
    assert held_out.reshape(31, 4).std(axis=1).max() == 0
    assert held_out[::4].sum() == 15
    assert (split_halves(units, 4) != held_out).any()


def test_units_that_follow_patients_but_not_the_finding_are_rarely_right() -> None:
    rng = np.random.default_rng(1)
    units = of_four(60)
    woman = np.repeat(rng.normal(size=(60, 200)), 4, axis=0)
    activations = torch.from_numpy((woman + 0.1 * rng.normal(size=woman.shape)).astype(np.float32))
    present = torch.from_numpy(np.repeat(rng.random(60) < 0.4, 4).astype(np.float32))
    found = agreement(activations, present, units, 499, 0)
    assert isinstance(found, Agreement)
    assert (found.p <= 0.05).mean() <= 0.09  # images taken for independent: 0.3 and more
    assert (found.p <= 0.05).mean() >= 0.01


def test_a_unit_that_follows_the_finding_is_right_and_unknown_images_take_no_part() -> None:
    rng = np.random.default_rng(2)
    present = np.repeat((rng.random(60) < 0.4).astype(np.float32), 4)
    activations = torch.from_numpy((present + 0.5 * rng.normal(size=240)).astype(np.float32))[:, None]
    unknown = present.copy()
    unknown[::3] = np.nan
    activations[::3] = 100.0
    found = agreement(activations, torch.from_numpy(unknown), of_four(60), 499, 0)
    assert isinstance(found, Agreement)
    assert found.auroc[0] > 0.9
    assert found.p[0] == 1 / 500
    assert found.images == 160


def test_a_rare_finding_is_not_assessable() -> None:
    present = torch.zeros(240)
    present[: 4 * 9] = 1
    assert agreement(torch.rand(240, 2), present, of_four(60), 99, 0) == "9 held-out patients have it, fewer than 10"
    assert isinstance(agreement(torch.rand(240, 2), 1 - present, of_four(60), 99, 0), str)
