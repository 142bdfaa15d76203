"""What a process holds once for all networks: random states, and torch's defaults."""

from __future__ import annotations

import contextlib
import random
import warnings
from collections.abc import Callable, Iterator

import numpy as np
import torch

__all__ = ["process_state_kept", "random_states", "set_matmul_precision"]


def random_states() -> tuple[object, ...]:
    """Return the random states of torch on the CPU, numpy and Python, to be compared: equal where none was drawn."""
    kind, keys, *rest = np.random.get_state(legacy=True)
    return torch.get_rng_state().numpy().tobytes(), (kind, np.asarray(keys).tobytes(), *rest), random.getstate()


@contextlib.contextmanager
def process_state_kept(device: torch.device | None = None) -> Iterator[None]:
    """Run with torch's own defaults; leave these, and the random states of the process, as they were.

    What a caller has set would decide what networks compute while the manifest records something else: the type and
    the device of new tensors, the precision of matrix products, autocast.

    Parameters
    ----------
    device
        A GPU whose random state is kept too.
    """
    with contextlib.ExitStack() as stack:
        for put_back in _kept(device):
            stack.callback(put_back)
        torch.set_default_dtype(torch.float32)
        set_matmul_precision("highest")
        if torch.get_default_device().type != "cpu":
            stack.enter_context(torch.device("cpu"))
        for kind in ("cpu", "cuda"):
            if torch.is_autocast_enabled(kind):
                stack.enter_context(torch.autocast(kind, enabled=False))
        yield


def _kept(device: torch.device | None) -> Iterator[Callable[[], object]]:
    """Yield what puts back each part of the state as it is now."""
    dtype = torch.get_default_dtype()
    yield lambda: torch.set_default_dtype(dtype)
    with _no_advice():
        precision = torch.get_float32_matmul_precision()
    yield lambda: set_matmul_precision(precision)
    state, numbers, python = torch.get_rng_state(), np.random.get_state(), random.getstate()
    yield lambda: torch.set_rng_state(state)
    yield lambda: np.random.set_state(numbers)
    yield lambda: random.setstate(python)
    if device is not None and device.type == "cuda":
        cuda = torch.cuda.get_rng_state_all()
        yield lambda: torch.cuda.set_rng_state_all(cuda)


def set_matmul_precision(precision: str) -> None:
    """Set how precise products of float32 matrices are: ``highest``, or ``high`` for TF32."""
    with _no_advice():
        torch.set_float32_matmul_precision(precision)


@contextlib.contextmanager
def _no_advice() -> Iterator[None]:
    """Keep torch 2.9 from telling users of mcd to move to its newer switches of TF32."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Please use the new API settings", UserWarning)
        yield
