"""The data set ``images``."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path

import numpy as np
import PIL.Image
import pydantic

import mcd
from mcd.errors import ImageError

__all__ = ["ImageFolder"]

_SUFFIXES = (".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp")
_SIXTEEN = ("I;16", "I;16L", "I;16B", "I")


class ImageFolder(mcd.Dataset):
    """Image files below a folder, in the order of their paths. 16-bit files keep their depth."""

    class Options(mcd.Options):
        """Settings of the data set."""

        path: Path = pydantic.Field(description="a folder, searched with everything below it, or one file")
        limit: int | None = pydantic.Field(default=None, ge=1, description="take only the first so many")

    options: Options

    @cached_property
    def _paths(self) -> list[Path]:
        return mcd.files_below(self.options.path, lambda path: path.suffix.lower() in _SUFFIXES, self.options.limit)

    def __len__(self) -> int:
        """Return the number of files."""
        return len(self._paths)

    def scan(self) -> Iterator[mcd.Sample | mcd.Unreadable]:
        """Yield a sample for each file that has the header of an image and, for PNG, whole chunks."""
        return mcd.scan_files(self._paths, _looked_at)

    def read(self, sample: mcd.Sample) -> mcd.Image:
        """Decode one file."""
        try:
            with PIL.Image.open(sample.source) as picture:
                return _image(picture)
        except (OSError, ValueError, SyntaxError, PIL.Image.DecompressionBombError) as error:
            raise ImageError(f"it cannot be decoded: {error}") from None


def _looked_at(path: Path, sample: mcd.Sample) -> mcd.Sample | mcd.Unreadable:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # a large image is no attack here; the error below is
            with PIL.Image.open(path) as picture:
                picture.verify()
    except PIL.UnidentifiedImageError:
        return mcd.Unreadable(str(path), "it is not an image")
    except (OSError, ValueError, SyntaxError, PIL.Image.DecompressionBombError) as error:
        return mcd.Unreadable(str(path), f"it is broken: {error}")
    return sample


def _image(picture: PIL.Image.Image) -> mcd.Image:
    if picture.mode in _SIXTEEN:
        values = np.asarray(picture)
        if values.min() < 0 or values.max() > 65535:
            raise ImageError(f"its values run from {values.min()} to {values.max()}; 16 bits can be read")
        return mcd.Image(values.astype(np.uint16), 65535.0)
    if picture.mode == "F":
        raise ImageError("floating-point images have no fixed white", "save it with 16 bits")
    if picture.mode in ("1", "L", "LA"):
        return mcd.Image(np.asarray(picture.convert("L")), 255.0)
    colours = np.asarray(picture.convert("RGB"))
    if (colours == colours[..., :1]).all():
        return mcd.Image(np.ascontiguousarray(colours[..., 0]), 255.0)
    return mcd.Image(colours, 255.0)
