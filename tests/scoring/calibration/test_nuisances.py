"""What is held fixed at the second rung."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mcd.scoring.calibration.nuisances import Nuisances, nuisances_of

VIEWS, SIDES = ("CC", "MLO"), ("L", "R")


def made(images: int = 400, seed: int = 0) -> tuple[dict[str, list[str]], np.ndarray, Nuisances]:
    """Return facts, statistics and nuisances of a drawn probe set."""
    rng = np.random.default_rng(seed)
    facts = {"view": rng.choice(VIEWS, images).tolist(), "side": rng.choice(SIDES, images).tolist()}
    statistics = rng.normal(size=(images, 2 + 64)).astype(np.float32)
    found = nuisances_of(facts, statistics, ("mean", "spread"))
    assert isinstance(found, Nuisances)
    return facts, statistics, found


@given(st.integers(0, 1000), st.booleans())
@settings(max_examples=25, deadline=None)
def test_nothing_of_a_nuisance_is_left_interactions_included(seed: int, deep: bool) -> None:
    facts, statistics, found = made(seed=seed)
    view = np.array(facts["view"]) == "CC"
    side = np.array(facts["side"]) == "L"
    both = torch.from_numpy((view ^ side).astype(np.float32))
    spread = torch.from_numpy(statistics[:, 1])
    columns = torch.stack([both, 1e4 + both, spread, both * 3 - spread], dim=1)
    if deep:
        columns = columns.double()
    assert found.residuals(columns).abs().max() == 0
    assert not found.testable(columns).any()


def test_what_is_left_is_uncorrelated_with_every_nuisance() -> None:
    facts, statistics, found = made()
    columns = torch.randn(400, 3, generator=torch.Generator().manual_seed(0)) + torch.from_numpy(statistics[:, :1])
    left = found.residuals(columns).double()
    cell = (np.array(facts["view"]) == "CC") & (np.array(facts["side"]) == "L")
    assert (left.T @ torch.from_numpy(cell.astype(np.float64))[:, None]).abs().max() < 1e-4
    assert (left.T @ torch.from_numpy(statistics[:, :2].astype(np.float64))).abs().max() < 1e-3
    assert found.testable(columns).all()
    assert torch.allclose(found.residuals(found.residuals(columns)), left.float(), atol=1e-5)


def test_a_concept_is_judged_by_the_images_it_is_known_of() -> None:
    facts, _, found = made()
    view = torch.from_numpy((np.array(facts["view"]) == "CC").astype(np.float32))
    mass = torch.from_numpy((np.random.default_rng(1).random(400) < 0.3).astype(np.float32))
    columns = torch.stack([view, mass], dim=1)
    columns[::3] = float("nan")
    assert found.testable(columns).tolist() == [False, True]


def test_rows_in_another_order_have_the_same_nuisances() -> None:
    facts, statistics, found = made()
    order = np.random.default_rng(1).permutation(400)
    elsewhere = {name: [values[row] for row in order] for name, values in facts.items()}
    moved = nuisances_of(elsewhere, statistics[order], ("mean", "spread"))
    assert isinstance(moved, Nuisances)
    assert found.appearance is not None
    assert moved.appearance is not None
    assert np.allclose(found.appearance[order], moved.appearance)
    assert np.array_equal(found.cell[order], moved.cell)
    columns = torch.randn(400, 5, generator=torch.Generator().manual_seed(0))
    assert torch.allclose(found.residuals(columns)[order], moved.residuals(columns[order]), atol=1e-5)


def test_what_is_not_known_is_a_value_of_its_own() -> None:
    facts = {"view": ["CC", "", "CC", ""] * 10, "vendor": ["a", "a", "b", "b"] * 10}
    found = nuisances_of(facts, None)
    assert isinstance(found, Nuisances)
    assert len(set(found.cell.tolist())) == 4
    assert found.names == ("view × vendor",)


@pytest.mark.parametrize(
    ("facts", "why"),
    [
        ({"view": ["CC"] * 30, "side": ["L"] * 30}, "nothing is known of its images"),
        ({"vendor": [str(number) for number in range(30)]}, "30 images are too few to hold 30 cells of vendor fixed"),
    ],
)
def test_where_there_can_be_none_the_reason_is_said(facts: dict[str, list[str]], why: str) -> None:
    found = nuisances_of(facts, None)
    assert isinstance(found, str)
    assert why in found


def test_freedman_lane_holds_the_level_where_a_plain_permutation_does_not() -> None:
    _, statistics, found = made(300)
    rng = np.random.default_rng(5)
    confounder = torch.from_numpy(statistics[:, 0])
    hits = {"plain": 0, "held fixed": 0}
    for _ in range(60):
        noise = torch.from_numpy(rng.normal(size=(300, 2)).astype(np.float32))
        neuron, concept = confounder + noise[:, 0], confounder + noise[:, 1]
        for name, (a, p) in {
            "plain": (neuron, concept),
            "held fixed": (found.residuals(neuron[:, None])[:, 0], found.residuals(concept[:, None])[:, 0]),
        }.items():
            observed = float(torch.corrcoef(torch.stack([a, p]))[0, 1])
            drawn = a[torch.from_numpy(np.argsort(rng.random((99, 300)), axis=1))]
            if name == "held fixed":
                drawn = found.residuals(drawn.T).T
            reached = sum(float(torch.corrcoef(torch.stack([one, p]))[0, 1]) >= observed for one in drawn)
            hits[name] += (1 + reached) / 100 <= 0.05
    assert hits["plain"] == 60
    assert hits["held fixed"] <= 8  # binomial(60, .05): 9 or more once in 500
