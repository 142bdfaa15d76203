"""A decoder that dies, hangs or takes all memory costs one call."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import pytest
from numpy.typing import NDArray
from tests.study import harmful

import mcd
from mcd.errors import ImageError
from mcd.extraction.decoding import batches
from mcd.extraction.parallel import in_processes
from mcd.extraction.reading import Reader
from mcd.study.isolation import Limits, isolated

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


def test_an_image_comes_back_as_it_was_read() -> None:
    values = np.arange(6, dtype=np.uint8).reshape(2, 3)
    found = isolated(harmful.negative, values)
    assert (found.maximum, found.negative, found.pixels.tolist()) == (255, True, values.tolist())


def test_the_helper_needs_no_other() -> None:
    assert isolated(harmful.nested) == isolated(harmful.process)


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
        (harmful.lying, (), 60, "gave fewer bytes than it said"),
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


class Fragile(mcd.Dataset):
    """Three images, of which the second ends the process that decodes it."""

    def __len__(self) -> int:
        return 3

    def scan(self) -> Iterator[mcd.Sample]:
        yield from (mcd.Sample(str(number), digest=str(number)) for number in range(3))

    def current_digest(self, sample: mcd.Sample) -> str:
        return sample.digest

    def read(self, sample: mcd.Sample) -> mcd.Image:
        values = np.arange(16, dtype=np.uint8).reshape(4, 4)
        found = isolated(harmful.dead, "SIGSEGV") if sample.id == "1" else isolated(harmful.turned, values)
        return mcd.Image(found.astype(np.uint8), 255)


@pytest.mark.parametrize("workers", [0, 1])
def test_of_a_batch_one_image_is_lost_and_named_whatever_the_number_of_workers(workers: int) -> None:
    data = Fragile()
    recipes = {"a": mcd.Preprocessing(height=4, width=4)}
    (batch,) = batches(Reader(data), list(data.scan()), recipes, [[0, 1, 2]], workers=workers, pin=False)
    assert batch.rows == (0, 2)
    ((row, reason),) = batch.failed
    assert (row, "SIGSEGV" in reason) == (1, True)
