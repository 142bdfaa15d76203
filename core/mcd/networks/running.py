"""Putting networks to work: device, precision, eval mode, fingerprint; and leaving them as they were."""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Iterator
from typing import Literal

import torch
from torch import nn

from mcd.errors import UsageError

__all__ = ["PRECISIONS", "Precision", "at_work", "autocast", "fingerprint", "pick_device"]

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


def fingerprint(module: nn.Module) -> str:
    """Return a digest of a network's structure and of every parameter and buffer, bit for bit."""
    total = hashlib.sha256(str(module).encode())
    for name, tensor in module.state_dict().items():
        total.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        flat = tensor.detach().cpu().contiguous().flatten()
        total.update(flat.view(torch.uint8).numpy().data if flat.numel() else b"")
    return total.hexdigest()


@contextlib.contextmanager
def at_work(module: nn.Module, device: torch.device) -> Iterator[None]:
    """Put a network in eval mode on ``device``, reproducibly; give it back as it was.

    Convolutions get channels-last weights, which is what makes them fast on most devices.

    Raises
    ------
    UsageError
        When a part of the network stays in training mode.
    """
    training = {child: child.training for child in module.modules()}
    home = next((parameter.device for parameter in module.parameters()), device)
    convolutional = any(isinstance(child, nn.Conv2d) for child in module.modules())
    module.eval()
    module.to(device)
    if convolutional:
        module.to(memory_format=torch.channels_last)
    check_eval(module)
    try:
        with torch.backends.cudnn.flags(enabled=True, benchmark=False, deterministic=True, allow_tf32=False):
            yield
        check_eval(module)
    finally:
        for child, mode in training.items():
            child.training = mode
        module.to(home)


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
