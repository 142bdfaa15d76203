"""Batches to a device and results back: on a GPU without waiting for it, elsewhere plainly."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

import torch

from mcd.extraction.decoding import Batch

__all__ = ["Coming", "Feeder", "late"]

T = TypeVar("T")


@dataclass(frozen=True)
class Coming:
    """Results of a batch on their way to the CPU.

    Parameters
    ----------
    tensors
        On the CPU; what they hold counts once `arrived`.
    event
        What the GPU reaches when they are there; None where they are.
    """

    tensors: Sequence[torch.Tensor]
    event: torch.cuda.Event | None = None

    def arrived(self) -> Sequence[torch.Tensor]:
        """Return them, having waited for them."""
        if self.event is not None:
            self.event.synchronize()
        return self.tensors


class Feeder:
    """Copies batches to a device, and results back.

    On a GPU nobody waits for a copy. A batch, which lies in page-locked memory, is copied on a stream of its own while
    the one before it runs, and results go to page-locked memory behind the kernels that make them. That hides copies
    only where results are asked for one batch late: see `lag` and `late`.

    Parameters
    ----------
    device
        Where networks run.
    deferred
        Whether results are asked for one batch late; by default on a GPU. The numbers are the same.

    Attributes
    ----------
    lag
        How many batches are to be launched before the results of one are asked for.
    """

    def __init__(self, device: torch.device, *, deferred: bool | None = None) -> None:
        self._device = device
        self._copying = _stream(device) if device.type == "cuda" else None
        self.lag = int(self._copying is not None if deferred is None else deferred)

    def there(self, batch: Batch) -> Batch:
        """Return a batch with its tensors on the GPU: what runs there next waits for them, the caller does not.

        For another device it is returned as it is: `Batch.input` copies.
        """
        if self._copying is None:
            return batch
        with torch.cuda.stream(self._copying):
            tensors, ranges, masks = (
                {name: one.to(self._device, non_blocking=True) for name, one in kept.items()}
                for kept in (batch.tensors, batch.ranges, batch.masks)
            )
        running = torch.cuda.current_stream(self._device)
        running.wait_stream(self._copying)
        for one in (*tensors.values(), *ranges.values(), *masks.values()):
            one.record_stream(running)  # its memory is not the next copy's before the networks have read it
        return replace(batch, tensors=tensors, ranges=ranges, masks=masks)

    def back(self, tensors: Sequence[torch.Tensor]) -> Coming:
        """Return tensors of the device on their way to the CPU."""
        if self._copying is None:
            return Coming([one.cpu() for one in tensors])
        found = [torch.empty_like(one, device="cpu", pin_memory=True) for one in tensors]
        for here, one in zip(found, tensors, strict=True):
            here.copy_(one, non_blocking=True)
        event = _event()
        event.record(torch.cuda.current_stream(self._device))
        return Coming(found, event)


def _stream(device: torch.device) -> torch.cuda.Stream:
    return torch.cuda.Stream(device)  # type: ignore[no-untyped-call]  # torch's


def _event() -> torch.cuda.Event:
    """Return an event that is waited for without taking the processor from the decoders."""
    return torch.cuda.Event(blocking=True)  # type: ignore[no-untyped-call]  # torch's


def late(items: Iterator[T], lag: int) -> Iterator[T]:
    """Yield each item once so many more are made, the last ones at the end.

    Where making one fails, or is interrupted, those made before it are yielded first: their own errors come first, and
    what they complete is kept.
    """
    made: deque[T] = deque()
    while True:
        try:
            made.append(next(items))
        except StopIteration:
            yield from made
            return
        except BaseException:  # an interrupt too
            yield from made
            raise
        if len(made) > lag:
            yield made.popleft()
