"""Files of units, as tools that fit them write them."""

from __future__ import annotations

from pathlib import Path

import torch
from safetensors.torch import save_file

__all__ = ["dictionary_file", "dictionary_tensors", "directions_file", "groups_file", "pca_file", "written"]


def written(path: Path, tensors: dict[str, torch.Tensor], **about: str) -> Path:
    """Write tensors, and a few words about them, and return the file."""
    save_file({name: one.clone() for name, one in tensors.items()}, path, about or None)
    return path


def directions_file(folder: Path) -> Path:
    """Return a file of seven directions of five neurons."""
    drawn = torch.randn(7, 5, generator=torch.Generator().manual_seed(0))
    return written(folder / "drawn.safetensors", {"directions": drawn, "bias": torch.ones(7)}, layer="conv")


def _drawn(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def dictionary_tensors(activation: str) -> dict[str, torch.Tensor]:
    """Return what a dictionary of seven latents of five neurons has for an activation."""
    tensors = {"decoder": _drawn(7, 5, seed=1), "decoder_bias": _drawn(5, seed=3)}
    if activation in ("nonnegative", "nearest"):
        return tensors
    tensors |= {"encoder": _drawn(7, 5), "encoder_bias": _drawn(7, seed=2)}
    return tensors | ({"threshold": _drawn(7, seed=4).abs()} if activation == "jumprelu" else {})


def dictionary_file(folder: Path, activation: str = "topk", /, **changed: torch.Tensor | str | None) -> Path:
    """Return a file of a dictionary of seven latents of five neurons; of ``topk``, three are kept.

    What is changed are tensors and metadata; None leaves one out.
    """
    tensors: dict[str, torch.Tensor] = dictionary_tensors(activation)
    about = {"activation": activation} | ({"k": "3"} if activation == "topk" else {})
    for name, value in changed.items():
        tensors.pop(name, None)
        about.pop(name, None)
        if isinstance(value, torch.Tensor):
            tensors[name] = value
        elif value is not None:
            about[name] = value
    return written(folder / "sae.safetensors", tensors, **about)


def groups_file(folder: Path, **changed: torch.Tensor) -> Path:
    """Return a file of two groups of five neurons."""
    members = torch.tensor([[1.0, 1, 0, 0, 0], [0, 0, 1, 1, 1]])
    tensors = {"members": members, "means": _drawn(5), "deviations": 0.5 + _drawn(5, seed=1).abs()}
    return written(folder / "groups.safetensors", {**tensors, **changed})


def pca_file(folder: Path) -> Path:
    """Return a file of two axes of five neurons."""
    return written(folder / "axes.safetensors", {"axes": torch.eye(5)[[3, 1]], "means": _drawn(5)})
