"""Putting networks to work: device, precision, eval mode; and leaving them as they were."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Literal

import torch
from torch import nn

from mcd.errors import UsageError

__all__ = ["PRECISIONS", "Precision", "at_work", "autocast", "pick_device", "random_state_kept"]

Precision = Literal["fp32", "bf16", "fp16"]
PRECISIONS: dict[Precision, torch.dtype] = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}


def pick_device(name: str) -> torch.device:
    """Return the device to run on; ``auto`` takes cuda, then mps, then cpu.

    Raises
    ------
    UsageError
        When the device does not exist here.
    """
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
    try:
        device = torch.device(name)
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError) as error:
        reason = str(error).splitlines()[0]
        raise UsageError(f"device '{name}' cannot be used: {reason}", "use --device auto or --device cpu") from None
    return device


@contextlib.contextmanager
def random_state_kept(device: torch.device | None = None) -> Iterator[None]:
    """Leave torch's random state, of the CPU and of ``device``, as it was."""
    cpu, cuda = (
        torch.get_rng_state(),
        torch.cuda.get_rng_state_all() if device is not None and device.type == "cuda" else [],
    )
    try:
        yield
    finally:
        torch.set_rng_state(cpu)
        if cuda:
            torch.cuda.set_rng_state_all(cuda)


@contextlib.contextmanager
def at_work(
    module: nn.Module, device: torch.device, memory_format: torch.memory_format = torch.channels_last
) -> Iterator[None]:
    """Put a network in eval mode on ``device``, reproducibly; give it back as it was.

    That includes its parameters and buffers: the very tensors come back, with device, strides and content; so does
    torch's random state.

    Parameters
    ----------
    memory_format
        Of the weights of convolutions: channels-last makes them fast on most devices. Inputs must have the same.

    Raises
    ------
    UsageError
        When a part of the network stays in training mode, or the network changed its own weights while it ran.
    """
    training = {child: child.training for child in module.modules()}
    tensors = _Tensors(module)
    try:
        module.eval()
        module.to(device)
        if any(isinstance(child, nn.Conv2d) for child in module.modules()):
            module.to(memory_format=memory_format)
        check_eval(module)
        before = _Tensors(module)
        deterministic = torch.backends.cudnn.flags(enabled=True, benchmark=False, deterministic=True, allow_tf32=False)
        with deterministic, random_state_kept(device):
            yield
        check_eval(module)
        before.check_unchanged(module)
    finally:
        for child, mode in training.items():
            child.training = mode
        tensors.put_back()


class _Tensors:
    """The tensors that a network holds at one moment, and how often each was written to."""

    def __init__(self, module: nn.Module) -> None:
        self._parameters = {one: one.data for one in module.parameters()}
        self._buffers = [
            (owner, name, one) for owner in module.modules() for name, one in owner._buffers.items() if one is not None
        ]
        self._saved = self._versions(module)

    @staticmethod
    def _versions(module: nn.Module) -> dict[str, tuple[int, int]]:
        """Return, for what belongs to the network's state, which tensor it is and how often it was written to."""
        state = module.state_dict(keep_vars=True)
        return {
            name: (one.data_ptr(), 0 if one.is_inference() else one._version)  # inference tensors do not count
            for name, one in state.items()
            if isinstance(one, torch.Tensor)
        }

    def check_unchanged(self, module: nn.Module) -> None:
        """Refuse a network that wrote to its own state in eval mode: its answers depend on what it saw before."""
        now = self._versions(module)
        changed = [name for name in sorted({*now, *self._saved}) if now.get(name) != self._saved.get(name)]
        if changed:
            raise UsageError(
                f"the network changes '{changed[0]}' while it runs in eval mode: what it gives for an image depends "
                "on the images before it",
                "its forward() must leave parameters and buffers alone in eval mode",
            )

    def put_back(self) -> None:
        """Give the network these tensors again."""
        for parameter, data in self._parameters.items():
            parameter.data = data
        for owner, name, tensor in self._buffers:
            owner._buffers[name] = tensor


def check_eval(module: nn.Module) -> None:
    """Refuse a network with a part in training mode: it would answer anew each time."""
    awake = [
        f"{name or 'the network itself'} ({type(child).__name__})"
        for name, child in module.named_modules()
        if child.training
    ]
    if awake:
        raise UsageError(f"{awake[0]} stays in training mode after eval()", "its class must not override train()")


def autocast(device: torch.device, precision: Precision) -> contextlib.AbstractContextManager[object]:
    """Return the autocast context of a precision; fp32 casts nothing.

    Raises
    ------
    UsageError
        When the device does not offer the precision.
    """
    if precision == "fp32":
        return contextlib.nullcontext()
    try:
        return torch.autocast(device.type, dtype=PRECISIONS[precision])
    except RuntimeError as error:
        raise UsageError(f"precision {precision} on {device.type}: {error}", "use --precision fp32") from None
