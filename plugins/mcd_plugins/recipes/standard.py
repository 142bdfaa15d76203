"""The recipe ``dicom-standard``: the breast as a workstation shows it, cut out, at the bit depth it came with."""

from __future__ import annotations

from typing import Literal, cast

import numpy as np
import pydantic
from numpy.typing import NDArray

import mcd
from mcd.plugins import Breast, Part, Side, digest, find_breast

__all__ = ["DicomStandard"]

Pixels = NDArray[np.uint8] | NDArray[np.uint16] | NDArray[np.float32]
Mask = NDArray[np.bool_]


class DicomStandard(mcd.Preprocessing):
    """Find the breast, make black what is not breast, cut it out, bring it to one side, shrink it.

    Every step can be switched off. The picture keeps type and white of the image, and carries the breast's mask: the
    image's own where it has one, else the one found here. What is cut is always decided by the latter, so that the
    picture is the same whether anybody asked for a mask or not. Where the breast cannot be found with confidence,
    nothing is cut off or made black.
    """

    crop: bool = pydantic.Field(default=True, description="cut out the breast")
    margin: float = pydantic.Field(
        default=0.01, ge=0, le=0.5, description="for crop: room round the breast, as a share of its longer side"
    )
    outside: Literal["keep", "black"] = pydantic.Field(
        default="black", description="what lies outside the breast: black masks letters, markers and film edges"
    )
    flip: Literal["none", "left", "right"] = pydantic.Field(
        default="none", description="the side to bring the chest wall to; where it is, is seen in the image"
    )
    longest: Side | None = pydantic.Field(
        default=None, description="longer side of the picture; shrinks, never enlarges, and keeps the aspect"
    )

    def fingerprint(self) -> str:
        """Return a digest of the recipe and of the algorithm that finds the breast."""
        return digest(super().fingerprint(), f"breast/{Breast.version}")

    def picture(self, image: mcd.Image) -> mcd.Image:
        """Return the breast as an image.

        Raises
        ------
        ImageError
            When the image is blank or holds NaN.
        """
        breast = find_breast(image.pixels, image.maximum, self.margin)
        pixels, mask = self._cut(image, breast)
        if self.flip not in ("none", breast.side):
            pixels, mask = pixels[:, ::-1], mask[:, ::-1]
        pixels, mask = cast("Pixels", np.ascontiguousarray(pixels)), np.ascontiguousarray(mask)
        if self.longest is not None and self.longest < max(mask.shape):
            pixels, mask = _shrunk(pixels, mask, self.longest, image.maximum)
        remark = f"kept whole: {breast.reason}" if breast.reason else ""
        return mcd.Image(pixels, image.maximum, image.negative, mask, remark)

    def picture_part(self, image: mcd.Image) -> Part:
        """Return the part of an image that is cut out, and whether it is mirrored."""
        breast = find_breast(image.pixels, image.maximum, self.margin)
        top, left, bottom, right = self._box(breast)
        return Part(left, top, right - left, bottom - top, self.flip not in ("none", breast.side))

    def _box(self, breast: Breast) -> tuple[int, int, int, int]:
        return breast.box if self.crop else (0, 0, *breast.mask.shape)

    def _cut(self, image: mcd.Image, breast: Breast) -> tuple[Pixels, Mask]:
        top, left, bottom, right = self._box(breast)
        pixels, found = image.pixels[top:bottom, left:right], breast.mask[top:bottom, left:right]
        mask = found if image.mask is None else image.mask[top:bottom, left:right]
        if self.outside == "black":
            pixels = pixels * (found if pixels.ndim == 2 else found[..., None])
        return pixels, mask


def _shrunk(pixels: Pixels, mask: Mask, longest: int, maximum: float) -> tuple[Pixels, Mask]:
    """Return both with their longer side as given."""
    import cv2

    scale = longest / max(mask.shape)
    rows, columns = (max(1, round(side * scale)) for side in mask.shape)
    smaller = cv2.resize(pixels, (columns, rows), interpolation=cv2.INTER_AREA)
    share = cv2.resize(mask.view(np.uint8) * np.uint8(255), (columns, rows), interpolation=cv2.INTER_AREA)
    # The mean of white floats may come out a little above white.
    return cast("Pixels", np.minimum(smaller, pixels.dtype.type(maximum))), share >= 128
