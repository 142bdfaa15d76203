"""Which part of an image a preprocessing shows: a bright square is found where it says."""

from __future__ import annotations

import numpy as np
import pytest

import mcd
from mcd.plugins import Part
from mcd_plugins.mammo_clip.preprocessing import MammoClipPreprocessing
from mcd_plugins.recipes.standard import DicomStandard

SQUARE = (90, 60, 24)
"""Top, left and side of the bright square, in an image of 200 rows and 130 columns with a breast on its left."""


def breast() -> mcd.Image:
    rows, columns = np.mgrid[:200, :130]
    inside = ((rows - 100) / 80) ** 2 + (columns / 100) ** 2 < 1
    texture = np.random.default_rng(0).integers(80, 110, (200, 130))
    pixels = np.where(inside, texture, 0).astype(np.uint8)
    top, left, side = SQUARE
    pixels[top : top + side, left : left + side] = 255
    return mcd.Image(pixels, 255.0)


def found(values: np.ndarray) -> tuple[float, float, float, float]:
    """Return left, top, right and bottom of what is brightest, in pixels."""
    rows, columns = np.nonzero(values > 0.75 * values.max())
    return columns.min(), rows.min(), columns.max() + 1, rows.max() + 1


@pytest.mark.parametrize(
    "chosen",
    [
        mcd.Preprocessing(),
        mcd.Preprocessing(height=100, width=100),
        mcd.Preprocessing(height=60, width=90, resize="squash"),
        mcd.Preprocessing(height=96, width=96, resize="crop", crop_fraction=0.875),
        mcd.Preprocessing(height=120, width=80, crop_fraction=1.25),
        DicomStandard(height=128, width=96),
        DicomStandard(flip="right", longest=120),
        MammoClipPreprocessing(height=152, width=91),
        MammoClipPreprocessing(height=100, width=100, resize="letterbox", interpolation="bilinear"),
        MammoClipPreprocessing(height=None, width=None, crop=False),
    ],
)
def test_a_square_lies_where_the_part_says(chosen: mcd.Preprocessing) -> None:
    image = breast()
    part, seen = chosen.part(image), chosen.prepare(image)[0].numpy()
    assert part is not None
    across, down = part.width / seen.shape[1], part.height / seen.shape[0]  # pixels of the image in one that is seen
    left, top, right, bottom = found(seen)
    if part.mirrored:
        left, right = seen.shape[1] - right, seen.shape[1] - left
    at = np.array(
        [part.left + left * across, part.top + top * down, part.left + right * across, part.top + bottom * down]
    )
    above, before, side = SQUARE
    np.testing.assert_allclose(at, [before, above, before + side, above + side], atol=1.01 * max(across, down))
    assert part.mirrored == (getattr(chosen, "flip", "none") == "right")


def test_a_step_of_ones_own_says_nothing() -> None:
    class Cuts(mcd.Preprocessing):
        def picture(self, image: mcd.Image) -> mcd.Image:
            return mcd.Image(image.pixels[10:], image.maximum)

    class Says(Cuts):
        def picture_part(self, image: mcd.Image) -> Part:
            return Part(0, 10, image.pixels.shape[1], image.pixels.shape[0] - 10)

    class Rotates(mcd.Preprocessing):
        def prepare(self, image: mcd.Image) -> object:
            return super().prepare(image).rot90(dims=(1, 2))

    assert Cuts().part(breast()) is None
    assert Says().part(breast()) == Part(0, 10, 130, 190)
    assert Rotates().part(breast()) is None
