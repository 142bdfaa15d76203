"""Putting networks to work: device, precision, eval mode; and leaving them as they were."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from typing import Literal

import torch
from torch import nn

from mcd.errors import UsageError
from mcd.networks.fitness import check_values
from mcd.networks.foreign import calling, enough_memory
from mcd.networks.given import AsGiven
from mcd.networks.process import process_state_kept, set_matmul_precision
from mcd.networks.tuning import UNTUNED, Tuning

__all__ = [
    "PRECISIONS",
    "Precision",
    "at_work",
    "autocast",
    "kind_of",
    "pick_device",
    "prepare",
    "reproducible",
]

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


def kind_of(device: torch.device) -> tuple[str, ...]:
    """Return what of a device decides last bits, besides the processor's own: nothing of the CPU, else its model."""
    if device.type == "cpu":
        return ()
    return device.type, torch.cuda.get_device_name(device) if device.type == "cuda" else ""


@contextlib.contextmanager
def at_work(
    module: nn.Module,
    device: torch.device,
    memory_format: torch.memory_format = torch.channels_last,
    tuning: Tuning = UNTUNED,
) -> Iterator[None]:
    """Put a network in eval mode on ``device``, with weights of 32 bits, reproducibly; give it back as it was.

    That includes its parameters and buffers, the very tensors with device, type, strides and content, its attributes,
    hooks and modes; so do random states and torch's defaults, see `mcd.networks.process.process_state_kept`.

    Parameters
    ----------
    memory_format
        Of the weights of convolutions: channels-last makes them fast on most devices. Inputs must have the same.
    tuning
        What a GPU may trade for speed.

    Raises
    ------
    UsageError
        When the network has weights without values, cannot be put in eval mode or on the device, a part of it stays in
        training mode, or it changed its own weights while it ran.
    """
    check_values(module)
    given = AsGiven(module)
    try:
        prepare(module, device, memory_format)
        check_eval(module)
        before = _versions(module)
        with reproducible(device, tuning):
            yield
        check_eval(module)
        _check_unchanged(before, _versions(module))
    finally:
        given.put_back()


@contextlib.contextmanager
def reproducible(device: torch.device, tuning: Tuning = UNTUNED) -> Iterator[None]:
    """Compute the same each time, by torch's own defaults and what is tuned; leave random states as they were."""
    tf32, autotune = (name in tuning.on(device) for name in ("tf32", "autotune"))
    deterministic = torch.backends.cudnn.flags(enabled=True, benchmark=autotune, deterministic=True, allow_tf32=tf32)
    with deterministic, process_state_kept(device):
        if tf32:
            set_matmul_precision("high")
        yield


def prepare(module: nn.Module, device: torch.device, memory_format: torch.memory_format) -> None:
    """Put a network in eval mode on a device, with weights of 32 bits.

    Raises
    ------
    UsageError
        When it cannot be.
    """
    memory = enough_memory(device, "use --device cpu", f"the weights of {type(module).__name__}")
    with memory, calling(f"{type(module).__name__} cannot be put in eval mode on {device}", _PLAIN, network=module):
        module.eval()
        module.float()  # fp32 means weights of 32 bits too, however they were saved; autocast takes care of the others
        module.to(device)
        if any(isinstance(child, nn.Conv2d) for child in module.modules()):
            module.to(memory_format=memory_format)


_PLAIN = "its methods eval(), train() and to() must be those of nn.Module"


def _versions(module: nn.Module) -> dict[str, tuple[int, int]]:
    """Return, for what belongs to the network's state, which tensor it is and how often it was written to."""
    passing = {
        f"{owner}.{name}".removeprefix(".")
        for owner, part in module.named_modules()
        for name in getattr(part, "_non_persistent_buffers_set", ())  # which are none of its state
    }
    found = {name: one for name, one in module.named_buffers() if name not in passing} | dict(module.named_parameters())
    return {
        name: (one.data_ptr(), 0 if one.is_inference() else one._version)  # inference tensors do not count
        for name, one in found.items()
        if one.layout == torch.strided
    }


def _check_unchanged(before: Mapping[str, tuple[int, int]], now: Mapping[str, tuple[int, int]]) -> None:
    """Refuse a network that wrote to its own state in eval mode: its answers depend on what it saw before."""
    changed = [name for name in sorted({*now, *before}) if now.get(name) != before.get(name)]
    if changed:
        raise UsageError(
            f"the network changes '{changed[0]}' while it runs in eval mode: what it gives for an image depends "
            "on the images before it",
            "its forward() must leave parameters and buffers alone in eval mode",
        )


def check_eval(module: nn.Module) -> None:
    """Refuse a network with a part in training mode: it would answer anew each time."""
    awake = [
        f"{name or 'the network itself'} ({type(child).__name__})"
        for name, child in module.named_modules()
        if getattr(child, "training", False)  # a frozen script does not say
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
