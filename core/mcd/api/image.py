"""An image as decoded, and how it becomes what a network sees."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Literal

import numpy as np
import pydantic

from mcd.api.base import digest, identity
from mcd.api.geometry import Centring, Part, offset, resized, seen_through
from mcd.errors import ImageError
from mcd.options import ChannelMean, ChannelStd, Settings, Side

if TYPE_CHECKING:
    import torch
    from numpy.typing import NDArray

__all__ = ["Image", "Levels", "Preprocessing"]

_LATER = ("fill", "centring", "colours")
"""Settings of a preprocessing that runs of version 0.1 do not record."""


_SPANNED = 250_000
"""About how many pixels of an image are sampled for the range that it uses."""


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
    remark
        What a recipe could not do with it, such as "kept whole: …"; empty where all went well.
    digest
        SHA-256 of the file's bytes that it was decoded from, in hex; empty where whoever decodes it does not have them.
    """

    pixels: NDArray[np.uint8] | NDArray[np.uint16] | NDArray[np.float32]
    maximum: float
    negative: bool = False
    mask: NDArray[np.bool_] | None = None
    remark: str = ""
    digest: str = ""

    @property
    def span(self) -> tuple[float, float]:
        """The lowest of its values, and the highest but for the brightest 1 of 100 pixels.

        Letters burned into an image are white, whatever the rest of it is.
        """
        step = max(1, math.isqrt(self.pixels.shape[0] * self.pixels.shape[1] // _SPANNED))
        some = self.pixels[::step, ::step].ravel()
        highest = np.partition(some, at := (len(some) - 1) * 99 // 100)[at]
        return float(some.min()), float(highest)

    @property
    def range_used(self) -> float:
        """How much of the range from black to white its `span` is, 0…1."""
        low, high = self.span
        return (high - low) / self.maximum

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


@dataclass(frozen=True)
class Levels:
    """An image as one model gets it, in as few bits as hold it.

    Parameters
    ----------
    values
        Grey levels ``(1 or 3, H, W)``, uint8 or uint16, that stand for ``(values - black) / span`` in float32; where
        ``span`` is None, the numbers themselves, as `Preprocessing.prepare` returns them.
    black, span
        The level that is 0, and how far above it 1 is.
    """

    values: torch.Tensor
    black: float = 0.0
    span: float | None = None

    def numbers(self) -> torch.Tensor:
        """Return what they stand for."""
        if self.span is None:
            return self.values
        import torch

        numbers = self.values.to(torch.float32)
        return (numbers.sub_(self.black) if self.black else numbers).div_(self.span)


class Preprocessing(Settings):
    """How an image becomes a network's input: a recipe that is data, recorded with the run.

    It works in steps. In a worker, `picture` does what can be written to an image file once and for all (nothing,
    here), and `prepare` continues from there: scale to 0…1, resize. `finalize` runs on the device: channels,
    normalisation; a grey image so travels as one channel. Subclass it and override any step for anything else;
    add fields for whatever decides the result, so that they enter the fingerprint. Registered by a plugin, it is a
    recipe that ``mcd preprocess`` knows by name.

    Where `prepare` is not overridden and resamples nothing after `picture`, images of 8 and 16 bits stay so until they
    are on the device, and `finalize` gets the same float32 to the bit. What an overriding `prepare` returns travels as
    it is.

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
    height: Side | None = pydantic.Field(default=None, description="rows of the input; None keeps the image's")
    width: Side | None = pydantic.Field(default=None, description="columns of the input; None keeps the image's")
    resize: Literal["letterbox", "squash", "crop"] = pydantic.Field(
        default="letterbox",
        description="letterbox keeps the aspect and pads with black; squash does not keep it (as published for "
        "Mammo-CLIP); crop resizes the shorter side and cuts the centre (as ImageNet models were trained)",
    )
    crop_fraction: float = pydantic.Field(
        default=1.0,
        gt=0,
        le=100,
        description="how much of each side is kept: the image is resized for an input so much larger, and its centre "
        "is cut out (timm's crop_pct); above 1 it is padded",
    )
    interpolation: Literal["bilinear", "bicubic", "area", "nearest", "nearest-exact", "box", "hamming", "lanczos"] = (
        pydantic.Field(
            default="bilinear",
            description="bilinear and bicubic are antialiased; area is OpenCV's INTER_AREA, nearest-exact torch's; the "
            "others are Pillow's",
        )
    )
    intensity: Literal["full-range", "min-max"] = pydantic.Field(
        default="full-range", description="full-range divides by the bit depth's white, min-max stretches each image"
    )
    channels: Literal[1, 3] | None = pydantic.Field(default=None, description="what the network takes; None keeps them")
    mean: tuple[ChannelMean, ...] = pydantic.Field(
        default=(), description="subtracted per channel; one value serves all"
    )
    std: tuple[ChannelStd, ...] = pydantic.Field(default=(), description="divided by per channel; one value serves all")
    fill: tuple[Annotated[float, pydantic.Field(ge=0, le=1)], ...] = pydantic.Field(
        default=(),
        description="what is padded with, 0…1 per channel; one value serves all, none is black",
    )
    centring: Centring = pydantic.Field(
        default="even",
        description="where the centre lies if an odd number of rows is cut off: a half is rounded to even as by "
        "torchvision, timm and open_clip, or down as by transformers",
    )
    colours: Literal["rgb", "bgr"] = pydantic.Field(default="rgb", description="the order of three channels")

    def fingerprint(self) -> str:
        """Return a digest of the recipe."""
        # Settings that came later do not count at their defaults: stored runs are found again.
        later = {name for name in _LATER if getattr(self, name) == type(self).model_fields[name].default}
        return digest(identity(type(self)), self.model_dump_json(exclude=later))

    def picture(self, image: Image) -> Image:
        """Return the image after the steps whose result is an image again; its own results stay as they are.

        Raises
        ------
        ImageError
            When an image is not fit for a step.
        """
        return image

    def part(self, image: Image) -> Part | None:
        """Return which part of an image `prepare` shows; None where a step of one's own decides it, and does not say.

        A subclass whose `picture` cuts, mirrors or resizes overrides `picture_part`; one that overrides another step,
        this.

        Raises
        ------
        ImageError
            When an image is not fit for a step.
        """
        own = type(self)
        base = Preprocessing
        if own.prepare is not base.prepare or own._resized is not base._resized or own._centred is not base._centred:
            return None
        cut = self.picture_part(image)
        shape = image.pixels.shape if own.picture is base.picture else self.picture(image).pixels.shape
        return None if cut is None else cut.within((shape[0], shape[1]), self._placed(shape[0], shape[1]))

    def picture_part(self, image: Image) -> Part | None:
        """Return which part of an image `picture` shows; None where `picture` is overridden and this is not."""
        rows, columns = image.pixels.shape[:2]
        return Part(0, 0, columns, rows) if type(self).picture is Preprocessing.picture else None

    def _placed(self, rows: int, columns: int) -> Part:
        """Return which part of a picture `_resized` shows."""
        height, width = self.height or rows, self.width or columns
        target = self._target(rows, columns)
        down, across = rows / target[0], columns / target[1]
        top, left = offset(target[0], height, self.centring), offset(target[1], width, self.centring)
        return Part(left * across, top * down, width * across, height * down)

    def prepare(self, image: Image) -> torch.Tensor:
        """Return the image as float32 ``(1 or 3, height, width)`` in 0…1. Runs in a worker process."""
        return self._prepared(image).numbers()

    def levels(self, image: Image) -> Levels:
        """Return what `prepare` does, in fewer bits where they hold it exactly. Runs in a worker process."""
        if type(self).prepare is not Preprocessing.prepare:
            return Levels(self.prepare(image))
        return self._prepared(image)

    def _prepared(self, image: Image) -> Levels:
        import torch

        image = self.picture(image)
        kind = image.pixels.dtype.newbyteorder("=")
        pixels = torch.from_numpy(np.array(image.pixels, dtype=kind, order="C"))  # a copy: a data set may keep its own
        pixels = pixels[None] if pixels.ndim == 2 else pixels.permute(2, 0, 1)
        if self.intensity == "min-max":
            low, high = float(image.pixels.min()), float(image.pixels.max())
            black, span = low, max(float(np.float32(high) - np.float32(low)), float(np.finfo(np.float32).tiny))
        else:
            black, span = 0.0, float(image.maximum)
        levels = self._exact_fill(pixels, black, span)
        exact = levels is not None
        if not exact:
            pixels = Levels(pixels, black, span).numbers()
        fill = self.fill if levels is None else levels
        if len(pixels) == 1 and len(set(fill)) > 1:
            pixels = pixels.expand(len(fill), -1, -1)  # the padding is coloured
        pixels = self._resized(pixels, fill[:1] if len(pixels) == 1 else fill).contiguous()
        return Levels(pixels, black, span) if exact else Levels(pixels)

    def _exact_fill(self, pixels: torch.Tensor, black: float, span: float) -> tuple[int, ...] | None:
        """Return the levels that are padded with; None where levels do not hold the outcome exactly."""
        import torch

        own = type(self)._resized is Preprocessing._resized and type(self)._centred is Preprocessing._centred
        if pixels.dtype not in (torch.uint8, torch.uint16) or not own or self._resampled_to(pixels) is not None:
            return None
        if not math.isfinite(span):
            return None
        levels = [round(black + one * span) for one in self.fill or (0.0,)]
        for level, wanted in zip(levels, self.fill or (0.0,), strict=True):
            is_level = 0 <= level <= torch.iinfo(pixels.dtype).max
            if not is_level or np.float32(level - black) / np.float32(span) != np.float32(wanted):
                return None
        return tuple(levels)

    def _resampled_to(self, pixels: torch.Tensor) -> tuple[int, int] | None:
        """Return the rows and columns that ``(C, H, W)`` is resampled to, None where it is not."""
        size = int(pixels.shape[1]), int(pixels.shape[2])
        target = self._target(*size)
        return None if target == size else target

    def _target(self, rows: int, columns: int) -> tuple[int, int]:
        """Return the rows and columns that a picture is resampled to."""
        seen = (
            seen_through(self.height or rows, self.crop_fraction),
            seen_through(self.width or columns, self.crop_fraction),
        )
        return (rows, columns) if (rows, columns) == seen else resized((rows, columns), seen, self.resize)

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
        if self.colours == "bgr" and batch.shape[1] == 3:
            batch = batch.flip(1)
        if self.mean or self.std:
            shape = (1, -1, 1, 1)
            mean = batch.new_tensor(self.mean or (0.0,)).view(shape)
            std = batch.new_tensor(self.std or (1.0,)).view(shape)
            batch = (batch - mean) / std
        return batch

    def _resized(self, pixels: torch.Tensor, fill: tuple[float, ...] = ()) -> torch.Tensor:
        height, width = self.height or int(pixels.shape[1]), self.width or int(pixels.shape[2])
        target = self._resampled_to(pixels)
        return self._centred(pixels if target is None else self._scaled(pixels, *target), height, width, fill)

    def _centred(self, pixels: torch.Tensor, height: int, width: int, fill: tuple[float, ...]) -> torch.Tensor:
        rows, columns = int(pixels.shape[1]), int(pixels.shape[2])
        top, left = offset(rows, height, self.centring), offset(columns, width, self.centring)
        if rows < height or columns < width:
            canvas = pixels.new_empty(len(pixels), max(rows, height), max(columns, width))
            canvas[:] = pixels.new_tensor(fill or (0.0,)).view(-1, 1, 1)
            canvas[:, max(-top, 0) :, max(-left, 0) :][:, :rows, :columns] = pixels
            pixels = canvas
        top, left = max(top, 0), max(left, 0)
        return pixels[:, top : top + height, left : left + width]

    def _scaled(self, pixels: torch.Tensor, height: int, width: int) -> torch.Tensor:
        if self.interpolation == "area":
            return _area(pixels, height, width)
        import torch.nn.functional as functional

        if self.interpolation == "nearest-exact":
            return functional.interpolate(pixels[None], size=(height, width), mode="nearest-exact")[0]
        if self.interpolation not in ("bilinear", "bicubic"):
            return _by_pillow(pixels, height, width, self.interpolation)
        scaled = functional.interpolate(
            pixels[None], size=(height, width), mode=self.interpolation, align_corners=False, antialias=True
        )
        return scaled[0].clamp(0.0, 1.0)


def _area(pixels: torch.Tensor, height: int, width: int) -> torch.Tensor:
    import cv2
    import torch

    planes = [cv2.resize(plane, (width, height), interpolation=cv2.INTER_AREA) for plane in pixels.numpy()]
    return torch.from_numpy(np.stack(planes))


def _by_pillow(pixels: torch.Tensor, height: int, width: int, filter_name: str) -> torch.Tensor:
    import torch
    from PIL import Image as PillowImage

    how = PillowImage.Resampling[filter_name.upper()]
    planes = [np.asarray(PillowImage.fromarray(plane).resize((width, height), how)) for plane in pixels.numpy()]
    return torch.from_numpy(np.stack(planes)).clamp(0.0, 1.0)
