"""Soft-WPMI by a kernel in C, compiled here: a limit for what scorers take."""

from __future__ import annotations

import ctypes
import math
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import torch

Tensor = torch.Tensor
Scored = Callable[[Tensor, Tensor], Tensor]
SOURCE = Path(__file__).with_suffix(".c")
COMPILED = ("-O3", "-march=native", "-ffast-math", "-fopenmp", "-fPIC", "-c")
LINKED = ("-shared", "-fopenmp", "-lm")
"""Without -ffast-math: it would link what turns subnormal numbers off in the whole process."""


def fused_soft_wpmi(folder: Path, threads: int, top_k: int = 100) -> Scored | None:
    """Compile the kernel into a folder; return what scores as the released loop does, None where nothing compiles."""
    compiler = shutil.which("cc")
    if compiler is None:
        return None
    made, library = folder / "fused.o", folder / "fused.so"
    for step in ([*COMPILED, str(SOURCE), "-o", str(made)], [str(made), *LINKED, "-o", str(library)]):
        if subprocess.run([compiler, *step], capture_output=True).returncode:
            return None
    kernel, kept = ctypes.CDLL(str(library)), dict[torch.Size, Tensor]()

    def call(name: str, tensors: tuple[Tensor, ...], *sizes: int) -> None:
        pointers = [ctypes.c_void_p(one.data_ptr()) for one in tensors]
        getattr(kernel, name)(*pointers, *map(ctypes.c_int64, sizes), ctypes.c_int(threads))

    def score(activations: Tensor, cosine: Tensor) -> Tensor:
        (images, neurons), concepts = activations.shape, cosine.shape[1]
        probability = kept.setdefault(cosine.shape, torch.empty_like(cosine))  # new memory costs as much as the rest
        top = torch.empty(top_k, neurons, dtype=torch.int64)
        weight, found = 0.998 - torch.arange(top_k) / top_k * (0.998 - 0.97), torch.empty(neurons, concepts)
        call("softmax", (cosine, probability), images, concepts)
        call("strongest", (activations, top), images, neurons, top_k)
        call("evidence", (probability, top, weight, found), neurons, top_k, concepts)
        return found - (torch.logsumexp(found, dim=0) - math.log(neurons))

    return score
