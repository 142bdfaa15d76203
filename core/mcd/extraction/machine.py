"""What of this machine decides the last bits of numbers."""

from __future__ import annotations

import os
import platform
from pathlib import Path

import torch

__all__ = ["deciding", "processor", "variables"]

_CPUS = Path("/proc/cpuinfo")

_DECIDING = frozenset(("vendor_id", "cpu family", "model", "CPU implementer", "CPU part"))

_VARIABLES = (
    "ONEDNN_MAX_CPU_ISA",
    "DNNL_MAX_CPU_ISA",
    "ONEDNN_DEFAULT_FPMATH_MODE",
    "DNNL_DEFAULT_FPMATH_MODE",
    "MKL_ENABLE_INSTRUCTIONS",
    "MKL_CBWR",
    "NVIDIA_TF32_OVERRIDE",
    "TORCH_ALLOW_TF32_CUBLAS_OVERRIDE",
    "CUBLAS_WORKSPACE_CONFIG",
)
"""By which oneDNN, MKL, torch and cuBLAS are told to use fewer instructions or bits than they would."""


def processor() -> tuple[str, ...]:
    """Return which processor this is: libraries have code of their own for many."""
    return (platform.machine(), torch.backends.cpu.get_cpu_capability(), *_described())


def variables() -> str:
    """Return the variables that are set of those by which users make libraries compute otherwise; mostly none."""
    return " ".join(f"{name}={os.environ[name]}" for name in _VARIABLES if os.environ.get(name))


def deciding(device: torch.device) -> dict[str, str]:
    """Return what is recorded of the machine because it decides last bits.

    Instruction set, threads, the GPU if any, and variables that are set.
    """
    found = {
        "instruction set": torch.backends.cpu.get_cpu_capability(),
        "threads": str(torch.get_num_threads()),
    }
    found |= {"variables": variables()} if variables() else {}
    return found | ({"GPU": torch.cuda.get_device_name(device)} if device.type == "cuda" else {})


def _described() -> list[str]:
    try:
        lines = _CPUS.read_text(encoding="utf-8", errors="replace").partition("\n\n")[0].splitlines()
    except OSError:
        return [platform.processor()]
    return [line for line in lines if line.partition(":")[0].strip() in _DECIDING]
