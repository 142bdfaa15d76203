"""Labels move only between images, breasts and patients that nothing but chance tells apart, and to all of them."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from tests.plugins.cav.material import null_of

from mcd.errors import DataError
from mcd_plugins.cav.exchange import Exchange
from mcd_plugins.cav.null import ConceptSets
from mcd_plugins.cav.vectors import residual

Flags = NDArray[np.bool_]


@pytest.mark.parametrize("seed", range(6))
def test_every_order_of_labels_is_equally_likely(seed: int) -> None:
    rng = np.random.default_rng(seed)
    people = np.repeat(np.arange(4), [2, 2, 3, 2])
    parts = None if seed % 2 else rng.choice(["L", "R", ""], 9).tolist()
    sites = [] if seed < 3 else [np.where(rng.random(4) < 0.5, "one", "other")[people].tolist()]
    present = rng.random(9) < 0.5
    own = Exchange([f"p{one}" for one in people], parts, sites)
    found = own.permutations(4000, rng)
    assert (np.sort(found, axis=1) == np.arange(9)).all()
    counts = Counter(map(tuple, present[found].tolist()))
    assert own.smallest(present) == pytest.approx(1 / len(counts))
    assert min(counts.values()) > 0.6 * 4000 / len(counts)
    assert own.staying(present) == pytest.approx((people[found] == people)[:, present].mean(), abs=0.03)
    for site in sites:
        assert (np.array(site)[found] == np.array(site)).all()


def test_images_of_a_breast_stay_together() -> None:
    patients = [f"p{row // 4}" for row in range(24)]
    breasts = ["left", "left", "right", "right"] * 6
    views = ["CC", "MLO"] * 12
    found = Exchange(patients, breasts, [views]).permutations(50, np.random.default_rng(0)).reshape(50, 12, 2)
    assert (found[:, :, 1] == found[:, :, 0] + 1).all()
    assert len({tuple(one) for one in (found[:, :, 0] // 2).tolist()}) == 50


def test_a_random_concept_of_one_site_is_rarely_significant() -> None:
    """Features vary more there: labels given to patients of both sites have less to vary by."""
    found = np.zeros(2)
    for seed in range(150):
        rng = np.random.default_rng(seed)
        site = rng.random(60) < 0.3
        present = site & (np.cumsum(site) <= 4)
        names = [np.where(site, "one", "other").tolist()]
        features = residual(torch.from_numpy(rng.normal(size=(60, 6)) * np.where(site, 4, 1)[:, None]), names)
        gradients = torch.from_numpy(1 + rng.normal(size=(30, 6)))
        for at, nuisances in enumerate((names, [])):
            sets = ConceptSets([""] * 60, present, ~present, seed, 99, nuisances=nuisances)
            judged = null_of(features, sets, "pattern").judged(gradients)
            assert judged is not None
            found[at] += judged.p_sensitivity <= 0.05
    assert found[0] <= 12
    assert found[1] >= 20


def test_a_concept_that_is_the_nuisance_cannot_be_told_from_it() -> None:
    site = [f"{row % 2}" for row in range(20)]
    present = np.arange(20) % 2 == 0
    sets = ConceptSets([""] * 20, present, ~present, seed=0, sets=20, nuisances=[site])
    assert sets.smallest == 1
    with pytest.raises(DataError, match="mean features"):
        null_of(residual(torch.randn(20, 4), [site]), sets, "pattern")
