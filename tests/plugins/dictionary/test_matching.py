"""Rows of two dictionaries are paired one to one."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from mcd_plugins.dictionary.matching import matched


@given(seed=st.integers(0, 1000), rows=st.integers(1, 12))
def test_a_permuted_and_stretched_copy_matches_wholly(seed: int, rows: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    one = torch.randn(rows, 6, generator=generator)
    other = one[torch.randperm(rows, generator=generator)] * (0.1 + torch.rand(rows, 1, generator=generator))
    torch.testing.assert_close(matched(one, other), torch.ones(rows))
    torch.testing.assert_close(matched(one, other[: rows // 2 + 1]), torch.ones(rows // 2 + 1))


def test_noise_lowers_the_cosine_and_keeps_the_pairs() -> None:
    generator = torch.Generator().manual_seed(0)
    one = torch.randn(50, 400, generator=generator)
    other = (one + torch.randn(50, 400, generator=generator))[torch.randperm(50, generator=generator)]
    found = matched(one, other)
    assert float(found.mean()) == pytest.approx(2**-0.5, abs=0.02)
    assert float(found.min()) > 0.6


def test_a_row_is_paired_once_and_its_opposite_is_another() -> None:
    one = torch.tensor([[1.0, 0.0], [0.9, 0.1]])
    assert matched(one, torch.tensor([[1.0, 0.0], [-1.0, 0.0]])).tolist() == pytest.approx([1.0, -0.994], abs=1e-3)
    assert matched(torch.zeros(1, 2), one).tolist() == [0.0]
