"""What of a batch, or of what a model gives for it, is refused: images, shapes, numbers."""

from __future__ import annotations

import torch

from mcd.errors import DataError, ImageError
from mcd.extraction.decoding import Batch
from mcd.extraction.probe import ProbeSet

__all__ = ["check_finite", "check_shape", "refuse"]


def refuse(batch: Batch, probe: ProbeSet) -> None:
    """Refuse a batch some images of which could not be decoded.

    Raises
    ------
    ImageError
        Naming the first.
    """
    if batch.failed:
        row, reason = batch.failed[0]
        raise ImageError(
            f"{probe.samples[row].source or probe.samples[row].id}: {reason}",
            "remove it, or leave such images out with --on-error skip; what is computed so far is kept",
        )


def check_shape(tensor: torch.Tensor, images: int, width: int, what: str) -> None:
    """Refuse numbers of another shape than ``(images, width)``, which the trial pass showed.

    Raises
    ------
    DataError
        Saying what gives them.
    """
    if tuple(tensor.shape) != (images, width):
        raise DataError(
            f"{what} gives {'×'.join(map(str, tensor.shape))} numbers for {images} images, not {images}×{width}",
            "how many it gives for an image must not depend on the images",
        )


def check_finite(tensor: torch.Tensor, batch: Batch, probe: ProbeSet, what: str, hint: str) -> None:
    """Refuse ``(B, width)`` numbers on the CPU that are not finite.

    Raises
    ------
    DataError
        Naming the first image of which there are such.
    """
    # The sum of finite numbers is finite short of overflow, and far cheaper than a mask of the whole tensor.
    if bool(torch.isfinite(tensor.sum())):
        return
    broken = (~torch.isfinite(tensor)).any(dim=1).nonzero().flatten().tolist()
    if broken:
        sample = probe.samples[batch.rows[broken[0]]]
        raise DataError(f"{what} gives NaN or infinity for image {sample.source or sample.id}", hint)
