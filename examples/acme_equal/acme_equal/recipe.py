"""The recipe: imported when somebody uses it."""

from __future__ import annotations

import dataclasses

import numpy as np

import mcd

__all__ = ["EqualRecipe"]


class EqualRecipe(mcd.Preprocessing):
    """Make the histogram of the breast flat: a pixel becomes the share of breast pixels that are no brighter.

    Any rising grey curve that a vendor applied before gives the same result, so a model cannot tell vendors apart by
    it. What is black stays black and does not count. The result of a second time is that of the first, as
    ``mcd preprocess`` needs it. Source: histogram equalisation (Hummel 1977, CGIP 6), of what is not background.
    """

    def picture(self, image: mcd.Image) -> mcd.Image:
        """Return the image with the grey values of its ranks."""
        values, places, counts = np.unique(image.pixels, return_inverse=True, return_counts=True)
        counts[values == 0] = 0
        share = counts.cumsum() / max(1, counts.sum())
        levels = share * image.maximum
        if image.pixels.dtype.kind == "u":
            levels = np.rint(levels)
        pixels = levels.astype(image.pixels.dtype)[places].reshape(image.pixels.shape)
        return dataclasses.replace(image, pixels=pixels)
