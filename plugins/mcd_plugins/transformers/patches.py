"""SigLIP 2 with NaFlex: a tower that takes patches, made to take images."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, cast

import torch
from torch import nn

if TYPE_CHECKING:
    import transformers

__all__ = ["accept_images"]

_EMBEDDINGS = "Siglip2VisionEmbeddings"
_INPUTS = ("pixel_values", "pixel_attention_mask", "attention_mask", "spatial_shapes")


def accept_images(network: nn.Module) -> None:
    """Make every NaFlex tower in a network take a batch ``(B, C, H, W)``, as other towers do.

    Such a tower takes patches, which of them are padding, and the rows and columns of patches in each image. They
    are made from the batch right before it runs: all images of a batch are alike, so nothing is padding. The tower
    keeps its name and those of its layers.
    """
    for module in network.modules():
        if any(type(child).__name__ == _EMBEDDINGS for child in module.children()):
            module.register_forward_pre_hook(_cut, with_kwargs=True)


def _cut(
    tower: nn.Module, positional: tuple[object, ...], named: Mapping[str, object]
) -> tuple[tuple[object, ...], dict[str, object]] | None:
    """Return a tower's inputs with the patches of a batch of images in place of it; None leaves other inputs."""
    given = positional[0] if positional else named.get("pixel_values")
    if not isinstance(given, torch.Tensor) or given.ndim != 4:
        return None
    side = int(cast("transformers.PreTrainedConfig", tower.config).patch_size)
    images, channels, height, width = given.shape
    rows, columns = height // side, width // side
    # Row by row, channels last within a patch: the order of the library's image processor.
    patches = given.reshape(images, channels, rows, side, columns, side).permute(0, 2, 4, 3, 5, 1)
    mask = torch.ones(images, rows * columns, dtype=torch.int32, device=given.device)
    shapes = torch.tensor([[rows, columns]], device=given.device).expand(images, 2)
    kept = {name: value for name, value in named.items() if name not in _INPUTS}
    return (patches.reshape(images, rows * columns, -1), mask, shapes), kept
