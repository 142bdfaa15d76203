"""How many processes decode images, and what is said where they do not fit or are lost."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

import mcd
from mcd.errors import DataError, worker_lost
from mcd.extraction import workers
from mcd.extraction.decoding import Batch, batches
from mcd.extraction.parallel import _limits, cores, memory
from mcd.extraction.reading import Reader
from mcd.extraction.workers import default_workers, fitting, free_shared_memory
from mcd.networks.foreign import calling

MB = 10**6


def room(size: int) -> Callable[[], int]:
    return lambda: size


def test_workers_follow_the_cores_and_none_start_for_a_handful_of_images() -> None:
    assert default_workers(63) == 0
    assert default_workers(64) == max(1, min(cores() - cores() // 16, memory() // 2**30))


def test_a_container_has_its_own_limits(tmp_path: Path) -> None:
    (tmp_path / "cpu.max").write_text("250000 100000\n")
    (tmp_path / "memory.max").write_text("max\n")
    assert _limits("cpu.max", tmp_path) == [250_000, 100_000]
    assert _limits("memory.max", tmp_path) == _limits("absent", tmp_path) == []


def test_a_chosen_number_of_workers_is_lowered_to_what_shared_memory_holds(monkeypatch: pytest.MonkeyPatch) -> None:
    few = 3
    monkeypatch.setattr(workers, "default_workers", lambda images: few)
    needed = (2 * few + 1) * 10 * MB
    assert fitting(None, 1000, lambda enough: 10 * MB, room(needed)) == (few, "")
    count, said = fitting(None, 1000, lambda enough: 10 * MB, room(needed - 1))
    assert count == few - 1
    assert f"{few} would need {needed / 1e9:,.2g} GB of shared memory" in said
    assert "a smaller --batch-size, or docker run --shm-size=2g" in said
    count, said = fitting(None, 1000, lambda enough: 10 * MB, room(29 * MB))
    assert (count, said.split(":")[0]) == (0, "images are decoded in this process")


def test_a_given_number_of_workers_is_kept_and_said_not_to_fit() -> None:
    count, said = fitting(4, 1000, lambda enough: 10 * MB, room(64 * MB))
    assert count == 4
    assert "--workers 4 may need 0.09 GB of shared memory, of which 0.064 GB are free" in said
    assert "Safe are --workers 2" in said
    assert fitting(4, 1000, lambda enough: 10 * MB, room(90 * MB)) == (4, "")
    assert fitting(0, 1000, lambda enough: 10 * MB, room(0)) == (0, "")
    assert fitting(4, 1000, lambda enough: 10 * MB, lambda: None) == (4, "")


def test_free_shared_memory_is_that_of_a_folder(tmp_path: Path) -> None:
    assert free_shared_memory(tmp_path / "none") is None
    found = free_shared_memory(tmp_path)
    assert found is not None
    assert found > 0


class Killing(mcd.Dataset):
    """Ends the process that decodes its twentieth image."""

    def __init__(self, number: int) -> None:
        super().__init__()
        self.number, self.home = number, os.getpid()

    def __len__(self) -> int:
        return 40

    def scan(self) -> Iterator[mcd.Sample]:
        return iter([mcd.Sample(str(at)) for at in range(40)])

    def read(self, sample: mcd.Sample) -> mcd.Image:
        if sample.id == "20" and os.getpid() != self.home:
            os.kill(os.getpid(), self.number)
        return mcd.Image(np.arange(64, dtype=np.uint8).reshape(8, 8), 255.0)


def see(seen: Iterator[Batch]) -> None:
    """Go through batches as a run does: torch raises wherever it is when a worker goes."""
    try:
        for _ in seen:
            with calling("the model failed"):
                torch.ones(64, 64).exp().sum()
    except RuntimeError as error:  # between two models, which the command line handles
        raise worker_lost(error) or error from None


@pytest.mark.parametrize(
    ("number", "said"),
    [(signal.SIGBUS, "shared memory has no room"), (signal.SIGKILL, "a worker process was killed")],
)
def test_a_worker_that_is_killed_ends_the_run_in_one_sentence(number: int, said: str) -> None:
    data = Killing(number)
    groups = [[at, at + 1] for at in range(0, 40, 2)]
    seen = batches(Reader(data), list(data.scan()), {"a": mcd.Preprocessing()}, groups, workers=2, pin=False)
    with pytest.raises(DataError) as caught:
        see(seen)
    assert said in caught.value.message or "a worker process was killed" in caught.value.message
    assert "the same command continues" in caught.value.hint
    assert caught.value.exit_code == 4
