"""Random concepts are not found, planted ones are: a slice of ``python -m benchmarks cav``."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
import torch
from benchmarks.cav import Values, p_of, rejected, uniform

from mcd_plugins.cav.vectors import Method

SETS = 99


@pytest.fixture(autouse=True)
def threads() -> Iterator[None]:
    """A benchmark sets how many threads work."""
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


def drawn(design: str, method: Method, concepts: int, planted: bool = False) -> Values:
    return np.array([p_of(seed, design, method, SETS, planted) for seed in range(concepts)])


@pytest.mark.slow
@pytest.mark.parametrize(
    ("design", "method"), [("patients", "ridge"), ("unequal", "pattern"), ("independent", "ridge")]
)
def test_random_concepts_are_rarely_significant(design: str, method: Method) -> None:
    p = drawn(design, method, 200)
    assert max(rejected(p)) <= 0.07
    assert min(uniform(p[:, 0], SETS), uniform(p[:, 1], SETS)) > 0.01


@pytest.mark.slow
def test_a_null_that_forgot_patients_would_find_random_concepts() -> None:
    """The control: these concepts tell whether the null is right."""
    assert rejected(drawn("images permuted", "pattern", 200))[1] > 0.1


@pytest.mark.slow
@pytest.mark.parametrize("design", ["independent", "patients"])
def test_planted_concepts_are_found(design: str) -> None:
    assert rejected(drawn(design, "pattern", 40, planted=True))[1] >= 0.9
