"""A decoder that dies, hangs or takes all memory costs one call."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray
from tests.extraction import harmful

from mcd.errors import ImageError
from mcd.extraction.isolation import Limits, isolated
from mcd.extraction.parallel import in_processes

Function = Callable[..., NDArray[np.generic]]


@pytest.mark.parametrize("kind", ["u1", "u2", "i2", "f4", "?"])
def test_an_array_comes_back_as_it_was_computed(kind: str) -> None:
    values = np.arange(24).reshape(2, 3, 4).astype(kind)
    found = isolated(harmful.turned, values)
    assert found.dtype == values.dtype
    np.testing.assert_array_equal(found, values[::-1])
    found[:] = 0  # it is the caller's own, and no later call changes it
    isolated(harmful.turned, values)
    assert not found.any()


def test_one_process_serves_all_calls() -> None:
    assert isolated(harmful.process) == isolated(harmful.process)


@pytest.mark.parametrize(
    ("function", "arguments", "seconds", "reason"),
    [
        (harmful.dead, ("SIGSEGV",), 60, "ended by SIGSEGV"),
        (harmful.dead, ("SIGKILL",), 60, "ended by SIGKILL"),
        (harmful.dead, ("SIGSTOP",), 0.1, "given up after 0.1 seconds"),
        (harmful.busy, (), 0.1, "given up after 0.1 seconds"),
        (harmful.gone, (), 60, "ended with code 3"),
        (harmful.greedy, (), 60, "more than 1 GiB"),
        (harmful.refusing, (), 60, "it is no image"),
    ],
)
def test_what_harms_its_process_costs_one_call(
    function: Function, arguments: tuple[object, ...], seconds: float, reason: str
) -> None:
    with pytest.raises(ImageError, match=reason):
        isolated(function, *arguments, limits=Limits(seconds, memory=1 << 30))
    assert isolated(harmful.turned, np.array([1, 2])).tolist() == [2, 1]


def answered(_shared: None, item: str) -> str:
    """Return what a worker process gets, which outlives the death of its helper."""
    try:
        return str(isolated(harmful.dead, item) if item else isolated(harmful.turned, np.array([1, 2])).tolist())
    except ImageError as error:
        return error.message


def test_a_worker_process_outlives_it_too_and_shares_no_helper() -> None:
    here = isolated(harmful.process)
    found = dict(in_processes(answered, None, ["", "SIGSEGV"], workers=1))
    assert found[""] == "[2, 1]"
    assert "SIGSEGV" in found["SIGSEGV"]
    assert isolated(harmful.process) == here
