"""Worker processes."""

from __future__ import annotations

import torch

from mcd.extraction.parallel import in_processes


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
