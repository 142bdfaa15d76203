"""Scores of planted concepts have the right sign, and p of random concepts are those of chance."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from tests.plugins.cav.material import null_of
from torch import nn

from mcd.errors import DataError
from mcd_plugins.cav.null import ConceptSets, q_values
from mcd_plugins.cav.vectors import METHODS, Fitter, Method, contrast, residual

Flags = NDArray[np.bool_]


def of_patients(sizes: list[int], with_it: int) -> tuple[list[str], Flags]:
    """Return patients of so many images, the first of whom have a concept in all of theirs."""
    patients = [f"p{number}" for number, size in enumerate(sizes) for _ in range(size)]
    return patients, np.array([number < with_it for number, size in enumerate(sizes) for _ in range(size)])


def sets_of(patients: list[str], present: Flags, **settings: int) -> ConceptSets:
    return ConceptSets(patients, present, ~present, **{"seed": 0, "sets": 99, **settings})


def gradients(network: nn.Module, features: torch.Tensor, output: int) -> torch.Tensor:
    own = features.clone().requires_grad_()
    (found,) = torch.autograd.grad(network(own)[:, output].sum(), own)
    return found


def test_a_random_set_has_patients_of_the_same_kind() -> None:
    patients, present = of_patients([4, 2, 1, *[4] * 5, *[2] * 5, *[1] * 5], 3)
    present[1] = False  # the first patient has three images with the concept, one without
    unknown = np.arange(len(patients)) == 12
    sets = ConceptSets(patients, present & ~unknown, ~present & ~unknown, seed=0, sets=50)

    def kinds(weights: torch.Tensor) -> Counter[tuple[int, int]]:
        rows = sets.known
        own = {patients[row]: [0, 0] for row in rows}
        for row, weight in zip(rows, weights.tolist(), strict=True):
            own[patients[row]][int(weight > 0)] += 1
        return Counter((absent, there) for absent, there in own.values())

    every = torch.cat(list(sets.contrasts()), dim=1)
    assert every.shape == (len(patients) - 1, 51)
    assert all(kinds(one) == kinds(every[:, 0]) for one in every.T)
    assert len({tuple(one.tolist()) for one in every.T}) > 40
    assert (every.sum(dim=0).abs() < 1e-12).all()


def test_how_little_can_be_exchanged_is_known() -> None:
    patients, present = of_patients([1, 1, 1, 1], 2)
    assert sets_of(patients, present).smallest == pytest.approx(1 / 6)
    assert sets_of(patients, present).staying == pytest.approx(1 / 4)
    patients, present = of_patients([1, 2, 3, 4], 2)
    assert sets_of(patients, present).staying == 1
    assert sets_of(patients, present).smallest == 1


@pytest.mark.parametrize("method", METHODS)
def test_images_of_unknown_state_have_no_part_in_a_vector(method: Method) -> None:
    patients, present = of_patients([2] * 30, 8)
    features = torch.from_numpy(np.random.default_rng(0).normal(size=(60, 9)))
    unknown = np.arange(60) % 7 == 6
    sets = ConceptSets(patients, present & ~unknown, ~present & ~unknown, seed=3, sets=20)
    own = null_of(features, sets, method).vectors
    assert own.shape == (21, 9)
    (expected,) = Fitter(features[~torch.from_numpy(unknown)], method)(
        contrast(present[~unknown], ~present[~unknown])[:, None]
    )
    torch.testing.assert_close(own[0], expected, atol=0, rtol=1e-4)
    features[torch.from_numpy(unknown)] = 1e6
    torch.testing.assert_close(null_of(features, sets, method).vectors, own)


@pytest.mark.parametrize("method", METHODS)
def test_signs_of_planted_concepts_are_right(method: Method) -> None:
    """Concepts are orthogonal directions of the features; both heads' weights on them are known."""
    torch.manual_seed(0)
    rng = np.random.default_rng(0)
    patients, first = of_patients([2] * 60, 20)
    axes = torch.linalg.qr(torch.randn(10, 10))[0]
    states = np.stack([first, *(np.repeat(rng.random(60) < 0.4, 2) for _ in range(3))], axis=1)
    features = torch.from_numpy(states.astype(np.float32)) @ (3 * axes[:4]) + torch.randn(120, 10)
    signs = torch.tensor([1.0, -1.0, 1.0, -1.0])
    linear = nn.Linear(10, 1)
    linear.weight.data = (signs @ axes[:4])[None]
    hidden, out = nn.Linear(10, 40), nn.Linear(40, 1)
    pull = torch.rand(40, 4)
    hidden.weight.data, out.weight.data = (pull * signs) @ axes[:4] + 0.1 * torch.randn(40, 10), torch.rand(1, 40)
    for head in (linear, nn.Sequential(hidden, nn.ReLU(), out)):
        own = gradients(head, features, 0)
        for at, sign in enumerate(signs.tolist()):
            sets = ConceptSets(patients, states[:, at], ~states[:, at], seed=1, sets=199)
            found = null_of(features, sets, method).judged(own)
            assert found is not None
            assert found.linear == (head is linear)
            assert (found.tcav > 0.5) == (sign > 0)
            assert (found.mean_sensitivity > 0) == (sign > 0)
            assert found.p_sensitivity <= 0.05
            assert (found.p_tcav is None) == found.linear
            if found.linear:
                assert found.tcav == (1.0 if sign > 0 else 0.0)
    assert found.images == 120 - found.silent


def test_images_without_a_gradient_are_left_out_and_counted() -> None:
    patients, present = of_patients([1] * 20, 6)
    features = torch.from_numpy(np.random.default_rng(0).normal(size=(20, 4)))
    vectors = null_of(features, sets_of(patients, present), "pattern")
    own = torch.randn(10, 4, generator=torch.Generator().manual_seed(0))
    silent = torch.cat([own, torch.zeros(5, 4)])
    found, less = vectors.judged(silent), vectors.judged(own)
    assert found is not None
    assert less is not None
    assert (found.images, found.silent) == (10, 5)
    assert replace(found, silent=0) == less
    assert vectors.judged(torch.zeros(3, 4)) is None


def test_a_sigmoid_of_a_linear_score_is_linear() -> None:
    """Its gradients differ in length and not in direction: TCAV is 0 or 1, whatever the concept."""
    patients, present = of_patients([1] * 20, 6)
    features = torch.from_numpy(np.random.default_rng(0).normal(size=(20, 4)))
    vectors = null_of(features, sets_of(patients, present), "pattern")
    head = nn.Sequential(nn.Linear(4, 1), nn.Sigmoid()).double()
    found = vectors.judged(gradients(head, features, 0))
    assert found is not None
    assert found.linear
    assert found.p_tcav is None
    alone = vectors.judged(gradients(head, features, 0)[:1])
    assert alone is not None
    assert not alone.linear


@pytest.mark.parametrize("value", [torch.nan, torch.inf])
def test_gradients_that_are_not_finite_are_refused(value: float) -> None:
    """An infinite one had p 0, and NaN counted as no gradient."""
    patients, present = of_patients([1] * 20, 6)
    vectors = null_of(torch.randn(20, 4), sets_of(patients, present), "pattern")
    broken = torch.ones(5, 4)
    broken[2, 1] = value
    for one in (vectors.judged, vectors.band):
        with pytest.raises(DataError, match="gradients are not finite"):
            one(broken)


def test_the_band_is_that_of_random_concepts() -> None:
    patients, present = of_patients([1] * 40, 12)
    features = torch.from_numpy(np.random.default_rng(0).normal(size=(40, 6))) + 2 * torch.from_numpy(present)[:, None]
    vectors = null_of(features, sets_of(patients, present, sets=999), "pattern")
    own = torch.ones(2, 6)
    own[1] = torch.tensor([1.0, -1, 1, -1, 1, -1])
    concept, low, high = vectors.band(own)
    unit = vectors.vectors / vectors.vectors[0].norm()
    every = (own.double() @ unit[1:].T).numpy()
    np.testing.assert_allclose(low, np.percentile(every, 2.5, axis=1))
    np.testing.assert_allclose(concept, own.double() @ unit[0])
    assert ((every < low[:, None]).mean(axis=1) < 0.026).all()
    assert concept[0] > high[0]
    assert low[1] < concept[1] < high[1]


def test_a_concept_that_goes_with_the_site_is_not_found_once_the_site_is_held_fixed() -> None:
    found = np.zeros(2)
    for seed in range(40):
        rng = np.random.default_rng(seed)
        site = rng.random(50) < 0.5
        present = np.repeat(site ^ (rng.random(50) < 0.2), 4)
        features = torch.from_numpy(rng.normal(size=(200, 20)) + 2 * np.repeat(site, 4)[:, None] * rng.normal(size=20))
        own = torch.from_numpy(rng.normal(size=(50, 20)) + 1)
        sets = sets_of([f"p{row // 4}" for row in range(200)], present, seed=seed)
        sites = np.where(np.repeat(site, 4), "one", "other").tolist()
        for at, given in enumerate((features, residual(features, [sites]))):
            judged = null_of(given, sets, "pattern").judged(own)
            assert judged is not None
            found[at] += judged.p_sensitivity <= 0.05
    assert found[0] > 15
    assert found[1] <= 4


def test_the_same_seed_gives_the_same_and_another_gives_another() -> None:
    patients, present = of_patients([2] * 20, 6)
    features = torch.from_numpy(np.random.default_rng(0).normal(size=(40, 5)))
    first, same, other = (
        null_of(features, sets_of(patients, present, seed=seed), "ridge").vectors for seed in (0, 0, 1)
    )
    assert torch.equal(first, same)
    assert not torch.equal(first, other)


def test_too_few_patients_are_refused() -> None:
    patients, present = of_patients([5, 5, 5], 1)
    with pytest.raises(DataError, match="present in 5 images of 1 patient"):
        sets_of(patients, present)
    patients, present = of_patients([5, 5, 5], 2)
    with pytest.raises(DataError, match="absent in 0 images of 0 patients"):
        ConceptSets(patients, present, np.zeros_like(present), seed=0)


def test_q_are_those_of_the_family_without_what_has_no_p() -> None:
    found = q_values(np.array([0.01, np.nan, 0.04, 0.5]))
    np.testing.assert_allclose(found, [0.03, np.nan, 0.06, 0.5])
