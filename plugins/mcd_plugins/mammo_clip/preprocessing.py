"""The preprocessing that Mammo-CLIP was trained with: DICOM → picture → tensor."""

from __future__ import annotations

from typing import Literal, cast

import numpy as np
import pydantic
from numpy.typing import NDArray

import mcd
from mcd.errors import ImageError
from mcd.plugins import ChannelMean, ChannelStd, Part, Side

__all__ = ["MammoClipPreprocessing", "breast"]

Pixels = NDArray[np.uint8] | NDArray[np.uint16] | NDArray[np.float32]
Indices = NDArray[np.intp]
Mask = NDArray[np.bool_]


class MammoClipPreprocessing(mcd.Preprocessing):
    """The published steps, each of which can be switched off.

    An image that already has the size and depth of a result is taken for one: only its intensities are stretched
    and normalised. So the PNGs of ``mcd preprocess``, and those of the authors, go through nothing twice.

    Sources: batmanlab/Mammo-CLIP, DICOM → PNG and PNG → tensor; the former from a public notebook on the RSNA
    mammograms. Unlike there, a blank image is refused instead of divided by zero.
    """

    values: Literal["displayed", "stored"] = pydantic.Field(
        default="stored", description="of a DICOM file: the stored values (as published), or what a workstation shows"
    )
    border: int = pydantic.Field(default=5, ge=0, le=10_000, description="pixels cut off on every side; 0 cuts none")
    monochrome1: bool = pydantic.Field(default=True, description="turn images that are stored as negatives")
    eight_bit: bool = pydantic.Field(default=True, description="stretch each image to 0…255, rounded down")
    crop: bool = pydantic.Field(default=True, description="cut out the breast")
    crop_threshold: int = pydantic.Field(default=40, ge=0, le=254, description="of 255: up to here is background")
    height: Side | None = pydantic.Field(default=1520, description="rows of the input; null keeps the image's")
    width: Side | None = pydantic.Field(default=912, description="columns of the input; null keeps the image's")
    resize: Literal["letterbox", "squash", "crop"] = pydantic.Field(
        default="squash", description="squash does not keep the aspect (as published); letterbox pads; crop cuts"
    )
    interpolation: Literal["bilinear", "bicubic", "area"] = pydantic.Field(
        default="area", description="area is OpenCV's INTER_AREA (as published)"
    )
    intensity: Literal["full-range", "min-max"] = pydantic.Field(
        default="min-max", description="stretch each image to 0…1 (as published), or divide by white"
    )
    channels: Literal[1, 3] | None = pydantic.Field(default=3, description="the grey channel repeated")
    mean: tuple[ChannelMean, ...] = pydantic.Field(default=(0.3089279,), description="subtracted")
    std: tuple[ChannelStd, ...] = pydantic.Field(default=(0.25053555408335154,), description="divided by")

    def picture(self, image: mcd.Image) -> mcd.Image:
        """Return the image as the published PNGs are; one of their size and depth is returned as it is."""
        if self._is_result(image):
            return image
        pixels, white, mask = self._levelled(image)
        if self.crop:
            cut_rows, cut_columns = breast(pixels, self.crop_threshold * white / 255)
            pixels = _as_before(pixels[cut_rows][:, cut_columns], pixels)
            mask = None if mask is None else mask[cut_rows][:, cut_columns]
        if self.height or self.width:
            pixels = self._sized(pixels, white)
            mask = None if mask is None else self._sized(mask.astype(np.float32), 1.0) >= 0.5
        return mcd.Image(pixels, white, image.negative, mask)

    def picture_part(self, image: mcd.Image) -> Part | None:
        """Return the part of an image that is cut out; None where it is several pieces put together."""
        if self._is_result(image):
            return Part(0, 0, image.pixels.shape[1], image.pixels.shape[0])
        pixels, white, _ = self._levelled(image)
        rows, columns = (np.arange(side) for side in pixels.shape)
        if self.crop:
            rows, columns = breast(pixels, self.crop_threshold * white / 255)
        if (np.diff(rows) != 1).any() or (np.diff(columns) != 1).any():
            return None
        shape = len(rows), len(columns)
        cut = Part(self.border + int(columns[0]), self.border + int(rows[0]), shape[1], shape[0])
        squashed = self.resize == "squash" and self.interpolation == "area"
        return cut if squashed or not (self.height or self.width) else cut.within(shape, self._placed(*shape))

    def _levelled(self, image: mcd.Image) -> tuple[Pixels, float, Mask | None]:
        """Return one channel without its border, the right way round, with its white and mask."""
        pixels, white, mask = _grey(image.pixels), image.maximum, image.mask
        if image.negative and not self.monochrome1:
            pixels = _as_before(white - pixels, pixels)
        inner = self._inside_border(pixels.shape[0], pixels.shape[1])
        pixels, mask = pixels[inner], None if mask is None else mask[inner]
        if self.eight_bit:
            pixels, white = _eight_bit(pixels), 255.0
        return pixels, white, mask

    def _is_result(self, image: mcd.Image) -> bool:
        """Say whether an image has the size and depth of a result, and is taken for one."""
        rows, columns = image.pixels.shape[:2]
        same = (rows, columns) == (self.height or rows, self.width or columns)
        return bool(self.height and self.width) and same and (image.maximum == 255 or not self.eight_bit)

    def _inside_border(self, rows: int, columns: int) -> tuple[slice, slice]:
        if min(rows, columns) - 2 * self.border < 2:
            raise ImageError(f"it is too small ({rows}×{columns}) to lose a border of {self.border}")
        return slice(self.border, rows - self.border), slice(self.border, columns - self.border)

    def _sized(self, pixels: Pixels, white: float) -> Pixels:
        size = (self.width or pixels.shape[1], self.height or pixels.shape[0])
        if self.resize == "squash" and self.interpolation == "area":
            import cv2

            # On whole numbers, as published: OpenCV rounds each of its two ways (area, linear) in its own manner.
            return _as_before(cv2.resize(pixels, size, interpolation=cv2.INTER_AREA), pixels)
        import torch

        scaled = self._resized(torch.from_numpy(pixels.astype(np.float32))[None] / white)[0].numpy() * white
        return _as_before(scaled if pixels.dtype == np.float32 else np.rint(scaled), pixels)


def _as_before(values: NDArray[np.generic], before: Pixels) -> Pixels:
    """Return the outcome of a step in the type that the pixels had."""
    return cast("Pixels", np.ascontiguousarray(values, dtype=before.dtype))


def breast(pixels: Pixels, threshold: float) -> tuple[Indices, Indices]:
    """Return the rows and columns of the breast, by the published rule.

    Up to ``threshold`` is background. The longest run of columns that are not constant within the central 80 % of
    the rows is kept; then within those the longest run of rows, likewise. Where nothing stands out, all
    is kept.
    """
    cleaned = np.where(pixels <= threshold, 0, pixels)
    columns = _longest_runs(_varied(_central(cleaned)))
    rows = _longest_runs(_varied(_central(cleaned[:, columns].T)))
    return rows, columns


def _central(pixels: NDArray[np.generic]) -> NDArray[np.generic]:
    middle, reach = len(pixels) // 2, int(len(pixels) * 0.4)
    return pixels[middle - reach : middle + reach] if reach else pixels


def _varied(pixels: NDArray[np.generic]) -> NDArray[np.bool_]:
    """Return which columns hold more than one value; the published standard deviation asks no more."""
    varied: NDArray[np.bool_] = (pixels != pixels[:1]).any(axis=0)
    return varied


def _longest_runs(marked: NDArray[np.bool_]) -> Indices:
    """Return the indices of the longest run of marked places.

    As published, a run that touches an end counts one less for it, and runs of equal length are all kept.
    """
    edges = np.flatnonzero(np.diff(np.concatenate([[False], marked, [False]]).astype(np.int8)))
    starts, stops = edges[::2], edges[1::2]
    if not len(starts):
        return np.arange(len(marked))
    lengths = stops - starts - (starts == 0) - (stops == len(marked))
    longest = np.flatnonzero(lengths == lengths.max())
    return np.concatenate([np.arange(starts[one], stops[one]) for one in longest])


def _eight_bit(pixels: Pixels) -> NDArray[np.uint8]:
    values = pixels.astype(np.float64)
    values -= values.min()
    highest = values.max()
    if highest == 0:
        raise ImageError("it is blank once its border is cut off")
    stretched: NDArray[np.uint8] = (values / highest * 255).astype(np.uint8)
    return stretched


def _grey(pixels: Pixels) -> Pixels:
    """Return one channel: luma (ITU-R BT.601) where there is colour."""
    if pixels.ndim == 2:
        return pixels
    luma = pixels.astype(np.float64) @ np.array([0.299, 0.587, 0.114])
    return _as_before(luma if pixels.dtype == np.float32 else np.rint(luma), pixels)
