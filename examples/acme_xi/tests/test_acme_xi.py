"""What must hold of acme-xi."""

from __future__ import annotations

from itertools import pairwise

import pytest
import torch
from acme_xi.scorer import XiScorer, xi

from mcd.testing import assert_light, check_scorer


def test_listing_it_imports_nothing_heavy() -> None:
    assert_light("acme_xi")


def test_they_are_what_they_declare() -> None:
    check_scorer(XiScorer)
    check_scorer(xi)


def test_it_is_the_formula_with_ties_too() -> None:
    draw = torch.Generator().manual_seed(0)
    activations = torch.randn(30, 1, generator=draw).relu()  # half of them are 0
    similarity = torch.randn(30, 1, generator=draw)
    in_order = activations[similarity[:, 0].argsort(), 0].tolist()
    no_higher = [sum(other <= one for other in in_order) for one in in_order]
    no_lower = [sum(other >= one for other in in_order) for one in in_order]
    steps = sum(abs(after - before) for before, after in pairwise(no_higher))
    expected = 1 - 30 * steps / (2 * sum(count * (30 - count) for count in no_lower))
    assert xi(activations, similarity).item() == pytest.approx(expected, abs=1e-6)


def test_a_neuron_that_peaks_in_the_middle_has_a_high_xi_and_no_correlation() -> None:
    similarity = torch.linspace(-1, 1, 201)[:, None]
    activations = 1 - similarity.square()
    assert abs(torch.corrcoef(torch.cat([activations, similarity], dim=1).T)[0, 1]) < 1e-3
    assert xi(activations, similarity).item() > 0.9


def test_a_neuron_that_is_the_same_on_all_images_has_no_score() -> None:
    assert xi(torch.ones(10, 1), torch.arange(10.0)[:, None]).isnan().all()
