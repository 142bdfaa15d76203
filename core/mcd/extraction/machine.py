"""What of this machine decides the last bits of numbers."""

from __future__ import annotations

import platform
from pathlib import Path

import torch

__all__ = ["deciding", "processor"]

_CPUS = Path("/proc/cpuinfo")

_DECIDING = frozenset(("vendor_id", "cpu family", "model", "CPU implementer", "CPU part"))


def processor() -> tuple[str, ...]:
    """Return which processor this is: libraries have code of their own for many."""
    return (platform.machine(), torch.backends.cpu.get_cpu_capability(), *_described())


def deciding(device: torch.device) -> dict[str, str]:
    """Return what is recorded of the machine because it decides last bits: instruction set, threads, the GPU if any."""
    found = {
        "instruction set": torch.backends.cpu.get_cpu_capability(),
        "threads": str(torch.get_num_threads()),
    }
    return found | ({"GPU": torch.cuda.get_device_name(device)} if device.type == "cuda" else {})


def _described() -> list[str]:
    try:
        lines = _CPUS.read_text(encoding="utf-8", errors="replace").partition("\n\n")[0].splitlines()
    except OSError:
        return [platform.processor()]
    return [line for line in lines if line.partition(":")[0].strip() in _DECIDING]
