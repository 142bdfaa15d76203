"""Files of units, as tools that fit them write them."""

from __future__ import annotations

from pathlib import Path

import torch
from safetensors.torch import save_file

__all__ = ["directions_file", "written"]


def written(path: Path, tensors: dict[str, torch.Tensor], **about: str) -> Path:
    """Write tensors, and a few words about them, and return the file."""
    save_file({name: one.contiguous() for name, one in tensors.items()}, path, about or None)
    return path


def directions_file(folder: Path) -> Path:
    """Return a file of seven directions of five neurons."""
    drawn = torch.randn(7, 5, generator=torch.Generator().manual_seed(0))
    return written(folder / "drawn.safetensors", {"directions": drawn, "bias": torch.ones(7)}, layer="conv")
