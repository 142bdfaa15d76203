"""What of an image has nothing to do with a finding: brightness, spread, breast area, edges, border, coarse layout."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mcd.api.image import Image

__all__ = ["NAMES", "STATISTICS", "THUMBNAIL", "image_statistics"]

NAMES = ("mean", "spread", "breast area", "edges", "border", "aspect")
"""The first of the statistics; the cells of the thumbnail follow, row by row."""

THUMBNAIL = 8
"""Rows and columns of the thumbnail: where the image is bright, too coarse to show a finding or a person."""

STATISTICS = len(NAMES) + THUMBNAIL**2
"""How many there are of an image."""

_SIDE = 64
"""The statistics are those of the image at so many rows and columns."""
_FRAME = 2
"""Width of the border, of `_SIDE`."""


def image_statistics(image: Image) -> NDArray[np.float32]:
    """Return the statistics of an image, ``(STATISTICS,)``: each in 0…1, but for the aspect, log of height by width.

    Mean and spread of the grey values; the share of pixels brighter than Otsu's threshold (Otsu 1979, eq. 18), which
    stands for the breast's area; the mean step between neighbours; the mean of the border; and a thumbnail.
    """
    import cv2

    height, width = image.pixels.shape[:2]
    small = cv2.resize(image.pixels, (_SIDE, _SIDE), interpolation=cv2.INTER_AREA).astype(np.float32)
    if small.ndim == 3:  # only now: the mean over the colours of a whole mammogram takes a second
        small = small.mean(axis=2)
    small /= np.float32(image.maximum)
    edges = (np.abs(np.diff(small, axis=0)).mean() + np.abs(np.diff(small, axis=1)).mean()) / 2
    inner = small[_FRAME:-_FRAME, _FRAME:-_FRAME]
    border = (small.sum(dtype=np.float64) - inner.sum(dtype=np.float64)) / (small.size - inner.size)
    first = (small.mean(), small.std(), _bright(small), edges, border, np.log(height / width))
    cell = _SIDE // THUMBNAIL
    thumbnail = small.reshape(THUMBNAIL, cell, THUMBNAIL, cell).mean(axis=(1, 3))
    return np.concatenate([np.array(first, dtype=np.float32), thumbnail.ravel()])


def _bright(small: NDArray[np.float32]) -> float:
    import cv2

    bytes_ = np.rint(small.clip(0, 1) * 255).astype(np.uint8)
    threshold, _ = cv2.threshold(bytes_, 0, 255, cv2.THRESH_BINARY + cv2.THRESH_OTSU)
    return float((bytes_ > threshold).mean())
