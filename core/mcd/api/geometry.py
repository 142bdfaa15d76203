"""How large an image becomes, and where it is cut or padded: whole numbers, rounded as the models' libraries do."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

__all__ = ["Centring", "Part", "crop_fraction", "offset", "resized", "seen_through"]

Centring = Literal["even", "down"]


@dataclass(frozen=True)
class Part:
    """The part of an image that a picture of it shows, in pixels of the image.

    Parameters
    ----------
    left, top, width, height
        It reaches beyond the image where the picture is padded.
    mirrored
        Whether the picture shows it the other way round, left and right exchanged.

    Examples
    --------
    >>> Part(10, 0, 40, 80, mirrored=True).within((40, 20), Part(0, 0, 5, 40))
    Part(left=40.0, top=0.0, width=10.0, height=80.0, mirrored=True)
    """

    left: float
    top: float
    width: float
    height: float
    mirrored: bool = False

    def within(self, shape: tuple[int, int], part: Part) -> Part:
        """Return in pixels of the image what a part of the picture is.

        Parameters
        ----------
        shape
            Rows and columns of the picture.
        part
            In pixels of the picture.
        """
        across, down = self.width / shape[1], self.height / shape[0]
        before = shape[1] - part.left - part.width if self.mirrored else part.left
        return Part(
            self.left + before * across,
            self.top + part.top * down,
            part.width * across,
            part.height * down,
            self.mirrored != part.mirrored,
        )


def crop_fraction(kept: int, side: int) -> float:
    """Return the fraction that makes `seen_through` of ``kept`` exactly ``side``: a quotient alone may be one short.

    >>> int(16 / (16 / 93)), seen_through(16, crop_fraction(16, 93))
    (92, 93)
    """
    fraction = kept / side
    while seen_through(kept, fraction) < side:
        fraction = math.nextafter(fraction, 0.0)
    return fraction


def seen_through(kept: int, fraction: float) -> int:
    """Return how long a side is before its middle ``fraction`` of ``kept`` pixels is cut out; rounded as by timm."""
    return math.floor(kept / fraction)


def resized(
    image: tuple[int, int], wanted: tuple[int, int], how: Literal["letterbox", "squash", "crop"]
) -> tuple[int, int]:
    """Return the rows and columns that an image gets.

    For crop, a square is covered as torchvision does it (the longer side is rounded down), any other size as timm and
    open_clip do (both sides are rounded to the nearest, halves to even). For letterbox both sides are rounded so.

    >>> resized((301, 217), (256, 256), "crop")
    (355, 256)
    """
    rows, columns = image
    if how == "squash":
        return wanted
    if how == "crop" and wanted[0] == wanted[1]:
        short = wanted[0]
        return (short, int(short * columns / rows)) if rows <= columns else (int(short * rows / columns), short)
    ratios = rows / wanted[0], columns / wanted[1]
    if how == "crop":
        ratio = min(ratios)
        return round(rows / ratio), round(columns / ratio)
    ratio = max(ratios)
    height, width = max(1, round(rows / ratio)), max(1, round(columns / ratio))
    return min(height, wanted[0]), min(width, wanted[1])


def offset(side: int, kept: int, centring: Centring) -> int:
    """Return where along a side the middle starts; where it has to be padded, minus what comes before it.

    Of an odd number of pixels one more is cut before the middle or after it: torchvision, timm and open_clip round the
    half to even, transformers rounds down. Padding is rounded down by all.

    >>> offset(227, 224, "even"), offset(227, 224, "down"), offset(221, 224, "even")
    (2, 1, -1)
    """
    if side < kept:
        return -((kept - side) // 2)
    return round((side - kept) / 2) if centring == "even" else (side - kept) // 2
