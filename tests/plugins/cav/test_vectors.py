"""Vectors are what the libraries fit, point to the concept, and are refused where there is none."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from sklearn.covariance import ledoit_wolf_shrinkage
from sklearn.linear_model import LogisticRegression, Ridge

from mcd.errors import DataError
from mcd_plugins.cav.vectors import METHODS, Fitter, Method, contrast, residual

Drawn = tuple[torch.Tensor, NDArray[np.bool_]]


def drawn(seed: int, images: int, width: int, share: float = 0.3, effect: float = 0.5) -> Drawn:
    rng = np.random.default_rng(seed)
    features = 3 + rng.normal(size=(images, width)) * np.exp(rng.normal(size=width))
    present = rng.permutation(images) < max(1, round(share * images))
    features[present] += effect * rng.normal(size=width)
    return torch.from_numpy(features), present


def vector_of(features: torch.Tensor, present: NDArray[np.bool_], method: Method = "pattern") -> torch.Tensor:
    found = Fitter(features, method)(contrast(present, ~present)[:, None])
    return torch.nn.functional.normalize(found[0], dim=0).float()


def of_length_one(weights: NDArray[np.float64]) -> torch.Tensor:
    return torch.from_numpy(weights / np.linalg.norm(weights)).float()


@pytest.mark.parametrize(("images", "width", "share"), [(300, 20, 0.3), (80, 200, 0.5), (900, 30, 0.02)])
def test_vectors_are_those_of_the_libraries(images: int, width: int, share: float) -> None:
    features, present = drawn(0, images, width, share)
    shrinkage, variance = ledoit_wolf_shrinkage(features), float(features.var(dim=0, correction=0).mean())
    penalty = shrinkage * variance / (1 - shrinkage)
    ridge = Ridge(alpha=images * penalty).fit(features, present).coef_
    logistic = LogisticRegression(C=4 / (images * penalty), tol=1e-10, max_iter=10**5).fit(features, present).coef_[0]
    pattern = np.cov(features.T, present)[-1, :-1]
    for method, weights in (("pattern", pattern), ("ridge", ridge), ("logistic", logistic)):
        assert method in METHODS
        torch.testing.assert_close(vector_of(features, present, method), of_length_one(weights), atol=1e-5, rtol=0)


@pytest.mark.parametrize("method", METHODS)
@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 1000), scale=st.sampled_from([1e-4, 0.3, 1e3]), width=st.sampled_from([1, 3, 40]))
def test_a_vector_does_not_depend_on_scale_and_turns_with_the_concept(
    method: Method, seed: int, scale: float, width: int
) -> None:
    features, present = drawn(seed, 30, width)
    vector = vector_of(features, present, method)
    assert float(vector.norm()) == pytest.approx(1, abs=1e-5)
    torch.testing.assert_close(vector_of(scale * features, present, method), vector, atol=1e-4, rtol=0)
    torch.testing.assert_close(vector_of(features, ~present, method), -vector, atol=1e-4, rtol=0)
    order = torch.randperm(30, generator=torch.Generator().manual_seed(seed))
    same = vector_of(features[order], present[order.numpy()], method)
    torch.testing.assert_close(same, vector, atol=1e-4, rtol=0)


@pytest.mark.parametrize("method", METHODS)
def test_a_vector_points_to_the_concept(method: Method) -> None:
    features, present = drawn(1, 100, 12, effect=2.0)
    along = features @ vector_of(features, present, method).double()
    assert along[present].mean() > along[~present].mean()


def test_correlated_noise_turns_ridge_and_leaves_the_pattern() -> None:
    rng = np.random.default_rng(0)
    present = rng.random(4000) < 0.5
    distractor = 3 * rng.normal(size=4000)
    features = torch.from_numpy(np.stack([present + distractor, distractor], axis=1) + 0.1 * rng.normal(size=(4000, 2)))
    assert vector_of(features, present, "pattern")[0] > 0.8
    assert vector_of(features, present, "ridge")[1] < -0.6


def test_what_is_no_vector_is_refused() -> None:
    features, present = drawn(0, 20, 4)
    with pytest.raises(DataError, match="same in all images"):
        vector_of(torch.full((20, 4), 7.3), present)
    with pytest.raises(DataError, match="not finite"):
        vector_of(torch.where(features > 4, torch.nan, features), present)
    for method in METHODS:
        assert not vector_of(torch.eye(4).repeat(5, 1), np.arange(20) < 8, method).any()


def test_a_channel_that_hardly_varies_does_not_decide() -> None:
    features, present = drawn(0, 60, 5)
    dead = torch.zeros(60, 1, dtype=torch.float64)
    dead[int(np.flatnonzero(present)[0])] = 1e-7
    for method in METHODS:
        assert abs(float(vector_of(torch.cat([features, dead], dim=1), present, method)[-1])) < 1e-3


def test_a_channel_that_is_large_and_constant_decides_nothing() -> None:
    features, present = drawn(0, 60, 5)
    large, dead = (torch.cat([features, torch.full((60, 1), value)], dim=1) for value in (1e9, 0.0))
    for method in METHODS:
        torch.testing.assert_close(vector_of(large, present, method), vector_of(dead, present, method))


def test_nothing_is_left_of_a_concept_that_is_the_view() -> None:
    features, present = drawn(0, 60, 8)
    view = ["MLO" if one else "CC" for one in present]
    side = ["L" if row % 2 else "" for row in range(60)]
    for method in METHODS:
        assert not vector_of(residual(features, [view, side]), present, method).any()
    left = residual(features, [side])
    assert float(left[::2].mean(dim=0).sub(left[1::2].mean(dim=0)).abs().max()) < 1e-9
    assert abs(float(vector_of(left, present) @ vector_of(features, present))) > 0.9


def test_a_regression_on_training_patients_holds_for_others() -> None:
    rng = np.random.default_rng(0)
    late = rng.random(400) < 0.5
    features = torch.from_numpy(rng.normal(size=(400, 3)) + 5 * late[:, None])
    training = np.arange(400) < 300
    left = residual(features, [["late" if one else "early" for one in late]], training)
    other = left[~training]
    assert float((other[late[~training]].mean(dim=0) - other[~late[~training]].mean(dim=0)).abs().max()) < 0.6
    unheard = ["new" if row >= 300 else "old" for row in range(400)]
    torch.testing.assert_close(residual(features, [unheard], training), features)


def test_the_shrinkage_is_whole_where_images_are_few() -> None:
    features, _ = drawn(0, 3, 50)
    assert 0 < Fitter(features, "ridge").shrinkage() <= 1
