"""The recipe is the published one, step by step, and no step is done twice."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import mcd
from mcd.errors import ImageError
from mcd_plugins.mammo_clip.preprocessing import MammoClipPreprocessing, breast

Pixels = np.ndarray


def film(rows: int = 900, columns: int = 700, seed: int = 0) -> Pixels:
    """A breast from the left edge, 12 bit, with a bright frame at the border of the image."""
    y, x = np.mgrid[0:rows, 0:columns]
    inside = ((y - rows / 2) / (0.42 * rows)) ** 2 + (x / (0.7 * columns)) ** 2 < 1
    noise = np.random.default_rng(seed).integers(0, 400, (rows, columns))
    pixels = np.where(inside, 1500 + noise, noise // 10).astype(np.uint16)
    pixels[:3], pixels[-3:], pixels[:, :3], pixels[:, -3:] = 4095, 4095, 4095, 4095
    return pixels


def published_runs(marked: Pixels) -> Pixels:
    """For every place, how far the nearest unmarked places to its left and right are apart, less one.

    The array's ends count as unmarked, which is where the published count loses one.
    """
    counts = []
    for at in range(len(marked)):
        left = next((one for one in range(at, 0, -1) if not marked[one]), 0)
        right = next((one for one in range(at, len(marked) - 1) if not marked[one]), len(marked) - 1)
        counts.append(right - left - 1)
    return np.array(counts)


def published_picture(stored: Pixels, negative: bool = False) -> Pixels:
    """The oracle: METHOD 2.1 read literally."""
    data = stored[5:-5, 5:-5].astype(np.float64)
    if negative:
        data = data.max() - data
    data -= data.min()
    grey = (data / data.max() * 255).astype(np.uint8)
    clean = np.where(grey <= 40, 0, grey)
    middle, reach = len(clean) // 2, int(len(clean) * 0.4)
    runs = published_runs(clean[middle - reach : middle + reach].std(axis=0) != 0)
    columns = np.flatnonzero(runs == runs.max())
    clean = clean[:, columns]
    middle, reach = clean.shape[1] // 2, int(clean.shape[1] * 0.4)
    runs = published_runs(clean[:, middle - reach : middle + reach].std(axis=1) != 0)
    rows = np.flatnonzero(runs == runs.max())
    return cv2.resize(grey[rows][:, columns], (912, 1520), interpolation=cv2.INTER_AREA)


@pytest.mark.parametrize(("rows", "columns"), [(900, 700), (3000, 1100), (2900, 2400)])
def test_the_picture_is_the_published_png(rows: int, columns: int) -> None:
    found = MammoClipPreprocessing().picture(mcd.Image(film(rows, columns), 4095.0))
    assert (found.pixels.dtype, found.maximum) == (np.uint8, 255.0)
    np.testing.assert_array_equal(found.pixels, published_picture(film(rows, columns)))


def test_a_negative_is_turned_and_may_be_left() -> None:
    stored = film()
    turned = mcd.Image(4095 - stored, 4095.0, negative=True)
    on, off = MammoClipPreprocessing(), MammoClipPreprocessing(monochrome1=False)
    np.testing.assert_array_equal(on.picture(turned).pixels, published_picture(stored, negative=True))
    np.testing.assert_array_equal(off.picture(turned).pixels, off.picture(mcd.Image(stored, 4095.0)).pixels)


@given(st.lists(st.booleans(), min_size=2, max_size=40))
@settings(deadline=None)
def test_the_longest_run_is_the_published_one_with_its_quirks(marks: list[bool]) -> None:
    pixels = np.zeros((20, len(marks)), np.uint8)
    pixels[5:15, marks] = 200
    counts = published_runs(np.array(marks))
    assert breast(pixels, 40)[1].tolist() == np.flatnonzero(counts == counts.max()).tolist()


def test_each_step_can_be_switched_off() -> None:
    image = mcd.Image(film(), 4095.0)
    off = {"border": 0, "eight_bit": False, "crop": False, "height": None, "width": None}
    assert MammoClipPreprocessing.model_validate(off).picture(image).pixels.tolist() == image.pixels.tolist()

    def shape(**changes: object) -> tuple[int, ...]:
        return MammoClipPreprocessing.model_validate({**off, **changes}).picture(image).pixels.shape

    assert shape(border=7) == (886, 686)
    assert shape(height=100) == (100, 700)
    cropped = shape(crop=True, border=5)
    assert cropped[0] < 890
    assert cropped[1] < 690
    wide = MammoClipPreprocessing(resize="letterbox", crop=False).picture(image).pixels
    assert wide.shape == (1520, 912)
    assert (wide[0] == 0).all()
    deep = MammoClipPreprocessing(eight_bit=False).picture(image)
    assert (deep.pixels.dtype, deep.maximum, deep.pixels.shape) == (np.uint16, 4095.0, (1520, 912))


def test_the_tensor_is_the_published_one_with_three_channels_made_last() -> None:
    png = np.random.default_rng(1).integers(7, 240, (1520, 912)).astype(np.uint8)
    recipe = MammoClipPreprocessing()
    prepared = recipe.prepare(mcd.Image(png, 255.0))
    assert prepared.shape == (1, 1520, 912)
    batch = recipe.finalize(prepared[None])
    values = png.astype(np.float32) - png.min()
    expected = (values / values.max() - 0.3089279) / 0.25053555408335154
    assert batch.shape == (1, 3, 1520, 912)
    for channel in batch[0]:
        torch.testing.assert_close(channel, torch.from_numpy(expected), atol=1e-6, rtol=1e-6)


def test_what_the_recipe_made_goes_through_unchanged() -> None:
    recipe = MammoClipPreprocessing()
    once = recipe.picture(mcd.Image(film(), 4095.0))
    assert recipe.picture(once) is once
    colour = mcd.Image(np.repeat(film()[..., None] // 16, 3, axis=2).astype(np.uint8), 255.0)
    assert recipe.picture(colour).pixels.shape == (1520, 912)


def test_a_blank_inside_and_a_tiny_image_are_refused() -> None:
    framed = np.full((60, 60), 9, np.uint16)
    framed[:2] = 4000
    with pytest.raises(ImageError, match="blank once its border is cut off"):
        MammoClipPreprocessing().picture(mcd.Image(framed, 4095.0))
    with pytest.raises(ImageError, match="too small"):
        MammoClipPreprocessing().picture(mcd.Image(np.arange(100, dtype=np.uint8).reshape(10, 10), 255.0))
