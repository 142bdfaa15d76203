"""Reading PNG, JPEG, TIFF and BMP files: what every data set of such files shares."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import PIL.Image

import mcd
from mcd.errors import ImageError
from mcd.plugins import examine_file

__all__ = ["DECODERS", "SUFFIXES", "examine_picture", "picture"]

SUFFIXES = (".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp", ".pgm")
DECODERS = ("numpy", "pillow")
"""Distributions that decode these files."""
_SIXTEEN = ("I;16", "I;16L", "I;16B", "I")
_BROKEN = (OSError, ValueError, SyntaxError, PIL.Image.DecompressionBombError)


def examine_picture(sample: mcd.Sample) -> mcd.Sample | mcd.Unreadable:
    """Return the sample with its digest, or why the file at its source cannot be used.

    The header must be that of an image and, for PNG, all chunks whole.
    """
    found = examine_file(sample)
    if isinstance(found, mcd.Unreadable):
        return found
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # a large image is no attack here; the error below is
            with PIL.Image.open(sample.source) as file:
                file.verify()
    except PIL.UnidentifiedImageError:
        return mcd.Unreadable(sample.source, "it is not an image")
    except _BROKEN as error:
        return mcd.Unreadable(sample.source, f"it is broken: {error}")
    return found


def picture(path: Path) -> mcd.Image:
    """Decode one file; 16 bits are kept, and colours that are all grey become one channel.

    Raises
    ------
    ImageError
        When it cannot be decoded, or holds floating-point values.
    """
    try:
        with PIL.Image.open(path) as file:
            return _image(file)
    except _BROKEN as error:
        raise ImageError(f"it cannot be decoded: {error}") from None


def _image(file: PIL.Image.Image) -> mcd.Image:
    if file.mode in _SIXTEEN:
        values = np.asarray(file)
        if values.min() < 0 or values.max() > 65535:
            raise ImageError(f"its values run from {values.min()} to {values.max()}; 16 bits can be read")
        return mcd.Image(values.astype(np.uint16), 65535.0)
    if file.mode == "F":
        raise ImageError("floating-point images have no fixed white", "save it with 16 bits")
    if file.mode in ("1", "L", "LA"):
        return mcd.Image(np.asarray(file.convert("L")), 255.0)
    colours = np.asarray(file.convert("RGB"))
    if (colours == colours[..., :1]).all():
        return mcd.Image(np.ascontiguousarray(colours[..., 0]), 255.0)
    return mcd.Image(colours, 255.0)
