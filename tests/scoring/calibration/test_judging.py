"""From a null to verdicts: what a concept must pass is what its p says."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from mcd.api.concepts import Concept
from mcd.scoring.calibration.dependence import DependenceTest
from mcd.scoring.calibration.judging import Judged, carried, judge
from mcd.scoring.calibration.null import NullDistribution
from mcd.study.calibration import Calibration, Correction

CONCEPTS = [Concept("a", "one", "broad"), Concept("b", "two", "broad")]
DRAWS = 99
HIGHEST = np.arange(1.0, DRAWS + 1)
"""The highest z of each draw: a z of 97.5 is reached by 2 draws of 99, so its p is 0.03."""


def judged(first: list[float], second: list[float], correction: Correction = "benjamini-hochberg") -> Judged:
    """Judge neurons with two concepts whose z are given."""
    stratum = np.zeros(len(first), dtype=np.int64)
    null = NullDistribution([HIGHEST], torch.zeros(1, 2), torch.ones(1, 2))
    measured = torch.tensor([first, second]).T
    settings = Calibration(draws=DRAWS, most_draws=DRAWS, correction=correction)
    order = torch.tensor([[0, 1]]).expand(len(first), 2)
    return judge(DependenceTest(measured, stratum, lambda _draws: null), order, CONCEPTS, settings)


def test_the_critical_value_is_the_z_whose_p_is_the_largest_that_is_significant() -> None:
    # p: ten of 0.01, five of 0.03, five of 0.5. Benjamini-Hochberg at 0.05 finds fifteen: 0.03 * 20 / 15 = 0.04
    found = judged([99.5] * 10 + [97.5] * 5 + [50.5] * 5, [0.0] * 20)
    assert found.significant == 15
    (critical,) = set(found.critical.tolist())
    z = np.arange(0.5, 101, 0.5)[:, None]
    p = found.null.p(z, np.zeros(len(z), dtype=np.int64))
    assert ((z > critical) == (p <= 0.03)).all()


def test_a_second_category_counts_from_exactly_there() -> None:
    second = [97.0, 97.5] + [0.0] * 18  # p of 0.04 and of 0.03
    one, several = judged([99.5] * 10 + [97.5] * 5 + [50.5] * 5, second).verdict[:2]
    plain = judged([99.5] * 10 + [97.5] * 5 + [50.5] * 5, [0.0] * 20).verdict[0]
    assert one == plain
    assert several != plain


def test_where_nothing_is_significant_nothing_can_be() -> None:
    found = judged([50.5] * 20, [99.5] + [0.0] * 19)
    assert np.isinf(found.critical).all()
    assert len(set(found.verdict)) == 1


Z = st.lists(st.tuples(*[st.integers(0, 2 * DRAWS + 4).map(lambda one: one / 2)] * 2), min_size=1, max_size=30)


@pytest.mark.parametrize("correction", ["benjamini-hochberg", "benjamini-yekutieli", "storey"])
@given(z=Z)
def test_a_neuron_carries_the_concepts_with_a_significant_q_if_its_first_has_one(
    z: list[tuple[float, float]], correction: Correction
) -> None:
    found = judged([one for one, _ in z], [other for _, other in z], correction)
    first = torch.zeros(len(z), dtype=torch.long)
    those = carried(found, torch.tensor(z), first, 0.05).numpy()
    significant = found.q[:, 0] <= 0.05
    assert found.significant == significant.sum() == those[:, 0].sum() == those.any(axis=1).sum()
    close = np.abs(found.q - 0.05) < 1e-9  # equal but for rounding
    assert (those == ((found.q <= 0.05) & significant[:, None]))[~close].all()
