"""Sizes and cuts are those of torchvision, timm and open_clip themselves, pixel by pixel, whatever the image's size."""

from __future__ import annotations

import numpy as np
import open_clip
import PIL.Image
import pytest
import timm
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from packaging.version import Version
from timm.data import create_transform
from torchvision.transforms import InterpolationMode
from torchvision.transforms._presets import ImageClassification

from mcd.api.geometry import crop_fraction, seen_through
from mcd.api.image import Image, Preprocessing

# so faint that no interpolation leaves 0…255, where Pillow would cut it off between rows and columns
NOISE = np.random.default_rng(0).integers(90, 166, (3600, 2900), dtype=np.uint8)
PLAIN = {"mean": (0.0,) * 3, "std": (1.0,) * 3}
sides = st.integers(18, 260)


def ours(pixels: np.ndarray, **recipe: object) -> torch.Tensor:
    made = Preprocessing.model_validate({"channels": 3, **recipe})
    return made.finalize(made.prepare(Image(pixels, 255.0))[None])[0]


def picture(rows: int, columns: int) -> tuple[np.ndarray, PIL.Image.Image]:
    pixels = np.ascontiguousarray(NOISE[:rows, :columns])
    return pixels, PIL.Image.fromarray(pixels).convert("RGB")


@settings(max_examples=25, deadline=None)
@given(sides, sides, st.integers(8, 40), st.integers(0, 30))
@example(301, 217, 224, 32)
@example(217, 301, 224, 32)
def test_crop_is_torchvisions_for_every_size(rows: int, columns: int, kept: int, more: int) -> None:
    pixels, image = picture(rows, columns)
    nearest = InterpolationMode.NEAREST  # the same pixels, or others: nothing in between
    theirs = ImageClassification(crop_size=kept, resize_size=kept + more, interpolation=nearest, **PLAIN)(image)
    fraction = crop_fraction(kept, kept + more)
    recipe = {"height": kept, "width": kept, "resize": "crop", "crop_fraction": fraction, "interpolation": "nearest"}
    torch.testing.assert_close(ours(pixels, **recipe), theirs)


@settings(max_examples=25, deadline=None)
@given(sides, sides, st.integers(8, 40), st.integers(8, 40), st.sampled_from([1.0, 0.95, 0.9, 0.875]))
@example(3518, 2800, 224, 224, 0.95)
@example(3518, 2800, 456, 456, 0.934)
@example(2800, 3518, 304, 182, 0.9)
@pytest.mark.parametrize(("mode", "resize"), [("center", "crop"), ("squash", "squash"), ("border", "letterbox")])
def test_every_crop_mode_is_timms(
    mode: str, resize: str, rows: int, columns: int, high: int, wide: int, pct: float
) -> None:
    pixels, image = picture(rows, columns)
    own = {"crop_pct": pct, "crop_mode": mode, "interpolation": "nearest"}
    # An older timm takes bilinear for what is no square, whatever is asked of it.
    wide = high if mode == "center" and Version(timm.__version__) < Version("1.0.31") else wide
    theirs = create_transform((3, high, wide), mean=(0.0, 0.5, 0.25), std=(1.0,) * 3, **own)(image)
    fill = (0.0, 128 / 255, 64 / 255)
    recipe = {"height": high, "width": wide, "resize": resize, "crop_fraction": pct, "interpolation": "nearest"}
    made = ours(pixels, fill=fill, mean=(0.0, 0.5, 0.25), std=(1.0,), **recipe)
    torch.testing.assert_close(made, theirs)


@settings(max_examples=25, deadline=None)
@given(sides, sides, st.integers(8, 40), st.integers(8, 40))
@example(300, 220, 224, 224)
@example(522, 1728, 336, 336)
@pytest.mark.parametrize(("mode", "resize"), [("shortest", "crop"), ("longest", "letterbox"), ("squash", "squash")])
def test_every_resize_mode_is_open_clips(mode: str, resize: str, rows: int, columns: int, high: int, wide: int) -> None:
    pixels, image = picture(rows, columns)
    own = {"resize_mode": mode, "interpolation": "bicubic", "fill_color": 90}
    theirs = open_clip.image_transform((high, wide), is_train=False, **PLAIN, **own)(image)
    made = ours(pixels, height=high, width=wide, resize=resize, interpolation="bicubic", fill=(90 / 255,))
    assert made.shape == theirs.shape
    assert (made - theirs).abs().mean() < 1.5 / 255  # theirs is rounded to 8 bit along each side


@given(st.integers(1, 1500), st.integers(0, 1500))
def test_the_side_before_a_cut_is_kept_in_a_fraction(kept: int, more: int) -> None:
    assert seen_through(kept, crop_fraction(kept, kept + more)) == kept + more
