"""Worker processes."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from multiprocessing import synchronize

import numpy as np
import pytest
import torch

import mcd
from mcd.extraction import parallel
from mcd.extraction.decoding import batches
from mcd.extraction.parallel import Pool, in_processes
from mcd.extraction.reading import Reader


def summed(shared: torch.Tensor, item: int) -> float:
    return float((shared * item).sub(1).div(2).sum())


def test_workers_reckon_with_torch_after_this_process_has() -> None:
    """A forked process that waits for threads of its parent's would wait for ever."""
    values = torch.rand(512, 512)
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        summed(values, 1)  # starts the threads here
        found = dict(in_processes(summed, values, range(4), workers=2))
    finally:
        torch.set_num_threads(before)
    assert sorted(found) == [0, 1, 2, 3]


@pytest.fixture
def without_locks(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Refuse what processes share, as Linux does without /dev/shm."""

    def refused(*_: object) -> None:
        raise FileNotFoundError(2, "No such file or directory")

    monkeypatch.setattr(synchronize._multiprocessing, "SemLock", refused)  # type: ignore[attr-defined]  # a C module
    parallel._has_locks.cache_clear()
    yield
    parallel._has_locks.cache_clear()


class Given(mcd.Dataset):
    """Two images."""

    def __len__(self) -> int:
        return 2

    def scan(self) -> Iterator[mcd.Sample]:
        return iter([mcd.Sample("0"), mcd.Sample("1")])

    def read(self, sample: mcd.Sample) -> mcd.Image:
        return mcd.Image(np.arange(64, dtype=np.uint8).reshape(8, 8), 255.0)


def where(_shared: None, item: int) -> int:
    return os.getpid()


def all_where(_shared: None, items: Sequence[int]) -> list[int]:
    return [os.getpid()] * len(items)


@pytest.mark.usefixtures("without_locks")
def test_where_no_process_can_be_started_all_is_done_in_this_one() -> None:
    assert dict(in_processes(where, None, range(3), workers=2)) == dict.fromkeys(range(3), os.getpid())
    assert Pool(all_where, None, 4).size == 0
    data, recipe, said = Given(), mcd.Preprocessing(), []
    recipes = {recipe.fingerprint(): recipe}
    (batch,) = batches(Reader(data), list(data.scan()), recipes, [[0, 1]], workers=2, pin=False, say=said.append)
    assert batch.rows == (0, 1)
    assert "images are decoded in this process" in said[0]
