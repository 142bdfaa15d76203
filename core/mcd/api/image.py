"""An image as decoded, and how it becomes what a network sees."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
import pydantic

from mcd.api.base import digest, identity
from mcd.errors import ImageError
from mcd.options import Settings

if TYPE_CHECKING:
    import torch
    from numpy.typing import NDArray

__all__ = ["Image", "Preprocessing"]


@dataclass(frozen=True)
class Image:
    """An image as decoded, at its full bit depth.

    Parameters
    ----------
    pixels
        ``(H, W)`` grey or ``(H, W, 3)`` colour; uint8, uint16 or float32.
    maximum
        The value that means white: 255 for 8 bit, 4095 for 12 bit, 1.0 for floats. Black is 0.
    negative
        Whether the file holds it as a negative (DICOM's MONOCHROME1). The pixels here are the right way round.
    mask
        Where the breast is, ``(H, W)``; None where it was not requested. Steps that cut or resize take it along.
    """

    pixels: NDArray[np.uint8] | NDArray[np.uint16] | NDArray[np.float32]
    maximum: float
    negative: bool = False
    mask: NDArray[np.bool_] | None = None

    def check(self) -> None:
        """Refuse what no model can use.

        Raises
        ------
        ImageError
            For another shape, an empty image, NaN, values outside 0…maximum, or a blank image (every
            pixel equal: min–max scaling divides by zero on it, and one such image used to turn every
            score of the published code into NaN).
        """
        pixels = self.pixels
        if pixels.ndim not in (2, 3) or (pixels.ndim == 3 and pixels.shape[2] != 3) or pixels.size == 0:
            raise ImageError(f"shape {pixels.shape} is neither (H, W) nor (H, W, 3)")
        low, high = float(pixels.min()), float(pixels.max())
        if not np.isfinite(low) or not np.isfinite(high):
            raise ImageError("it holds NaN or infinite values")
        if low == high:
            raise ImageError(f"it is blank: every pixel is {low:g}")
        if low < 0 or high > self.maximum:
            raise ImageError(
                f"its values run from {low:g} to {high:g}, outside 0…{self.maximum:g}",
                "give images in 0…1 and the model's own normalisation as mcd.Preprocessing(mean=…, std=…)",
            )


class Preprocessing(Settings):
    """How an image becomes a network's input: a recipe that is data, recorded with the run.

    It works in steps. In a worker, `picture` does what can be written to an image file once and for all (nothing,
    here), and `prepare` continues from there: scale to 0…1, resize. `finalize` runs on the device: channels,
    normalisation; a grey image so travels as one channel. Subclass it and override any step for anything else;
    add fields for whatever decides the result, so that they enter the fingerprint. Registered by a plugin, it is a
    recipe that ``mcd preprocess`` knows by name.

    Examples
    --------
    >>> Preprocessing(height=4, width=4).prepare(Image(np.eye(8, dtype=np.float32), 1.0)).shape
    torch.Size([1, 4, 4])
    """

    values: Literal["displayed", "stored"] = pydantic.Field(
        default="displayed",
        description="what of a DICOM file it starts from: what a workstation shows (modality and VOI LUT or window), "
        "or the stored values; other files have only one kind",
    )
    height: int | None = pydantic.Field(default=None, description="rows of the input; None keeps the image's")
    width: int | None = pydantic.Field(default=None, description="columns of the input; None keeps the image's")
    resize: Literal["letterbox", "squash", "crop"] = pydantic.Field(
        default="letterbox",
        description="letterbox keeps the aspect and pads with black; squash does not keep it (as published for "
        "Mammo-CLIP); crop resizes the shorter side and cuts the centre (as ImageNet models were trained)",
    )
    crop_fraction: float = pydantic.Field(default=1.0, gt=0, le=1, description="for crop: how much of the side is kept")
    interpolation: Literal["bilinear", "bicubic", "area"] = pydantic.Field(
        default="bilinear", description="bilinear and bicubic are antialiased; area is OpenCV's INTER_AREA"
    )
    intensity: Literal["full-range", "min-max"] = pydantic.Field(
        default="full-range", description="full-range divides by the bit depth's white, min-max stretches each image"
    )
    channels: Literal[1, 3] | None = pydantic.Field(default=None, description="what the network takes; None keeps them")
    mean: tuple[float, ...] = pydantic.Field(default=(), description="subtracted per channel; one value serves all")
    std: tuple[float, ...] = pydantic.Field(default=(), description="divided by per channel; one value serves all")

    def fingerprint(self) -> str:
        """Return a digest of the recipe."""
        return digest(identity(type(self)), self.model_dump_json())

    def picture(self, image: Image) -> Image:
        """Return the image after the steps whose result is an image again; its own results stay as they are.

        Raises
        ------
        ImageError
            When an image is not fit for a step.
        """
        return image

    def prepare(self, image: Image) -> torch.Tensor:
        """Return the image as float32 ``(1 or 3, height, width)`` in 0…1. Runs in a worker process."""
        import torch

        image = self.picture(image)
        pixels = torch.from_numpy(np.ascontiguousarray(image.pixels, dtype=np.float32))
        pixels = pixels[None] if pixels.ndim == 2 else pixels.permute(2, 0, 1)
        if self.intensity == "min-max":
            low, high = pixels.min(), pixels.max()
            pixels = (pixels - low) / (high - low).clamp_min(torch.finfo(torch.float32).tiny)
        else:
            pixels = pixels / image.maximum
        return self._resized(pixels).contiguous()

    def prepare_mask(self, image: Image) -> torch.Tensor:
        """Return the breast mask of an image as its `prepare` shows it: float32 ``(1, height, width)`` in 0…1.

        Raises
        ------
        ImageError
            When no breast is left in it.
        """
        import torch

        mask = self.picture(image).mask
        if mask is None:
            raise ImageError("it has no breast mask", "use a pooling without masks")
        share = self._resized(torch.from_numpy(mask.astype(np.float32))[None])
        if not bool(share.any()):
            raise ImageError("its breast mask is empty", "use a pooling without masks")
        return share.contiguous()

    def finalize(self, batch: torch.Tensor) -> torch.Tensor:
        """Return ``(B, channels, height, width)`` normalised. Runs on the device of ``batch``."""
        if self.channels == 3 and batch.shape[1] == 1:
            batch = batch.expand(-1, 3, -1, -1)
        elif self.channels == 1 and batch.shape[1] == 3:
            batch = batch.mean(dim=1, keepdim=True)
        if self.mean or self.std:
            shape = (1, -1, 1, 1)
            mean = batch.new_tensor(self.mean or (0.0,)).view(shape)
            std = batch.new_tensor(self.std or (1.0,)).view(shape)
            batch = (batch - mean) / std
        return batch

    def _resized(self, pixels: torch.Tensor) -> torch.Tensor:
        rows, columns = int(pixels.shape[1]), int(pixels.shape[2])
        height, width = self.height or rows, self.width or columns
        if (rows, columns) == (height, width):
            return pixels
        if self.resize == "squash":
            return self._scaled(pixels, height, width)
        if self.resize == "crop":
            return self._centre_crop(pixels, height, width)
        import torch.nn.functional as functional

        scale = min(height / rows, width / columns)
        inner_height, inner_width = max(1, round(rows * scale)), max(1, round(columns * scale))
        inner = self._scaled(pixels, min(inner_height, height), min(inner_width, width))
        top, left = (height - inner.shape[1]) // 2, (width - inner.shape[2]) // 2
        return functional.pad(
            inner, (left, width - inner.shape[2] - left, top, height - inner.shape[1] - top), value=0.0
        )

    def _centre_crop(self, pixels: torch.Tensor, height: int, width: int) -> torch.Tensor:
        rows, columns = int(pixels.shape[1]), int(pixels.shape[2])
        # Rounded down as timm and torchvision do, so that ImageNet models see what they were evaluated on.
        tall, wide = int(height / self.crop_fraction), int(width / self.crop_fraction)
        scale = max(tall / rows, wide / columns)
        scaled = self._scaled(pixels, max(tall, int(rows * scale)), max(wide, int(columns * scale)))
        top, left = (scaled.shape[1] - height) // 2, (scaled.shape[2] - width) // 2
        return scaled[:, top : top + height, left : left + width]

    def _scaled(self, pixels: torch.Tensor, height: int, width: int) -> torch.Tensor:
        if self.interpolation == "area":
            return _area(pixels, height, width)
        import torch.nn.functional as functional

        scaled = functional.interpolate(
            pixels[None], size=(height, width), mode=self.interpolation, align_corners=False, antialias=True
        )
        return scaled[0].clamp(0.0, 1.0)


def _area(pixels: torch.Tensor, height: int, width: int) -> torch.Tensor:
    import cv2
    import torch

    planes = [cv2.resize(plane, (width, height), interpolation=cv2.INTER_AREA) for plane in pixels.numpy()]
    return torch.from_numpy(np.stack(planes))
