"""Images and preprocessing: bit depth, geometry, and what is refused."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from mcd.api.image import Image, Preprocessing
from mcd.errors import ImageError


def ramp(height: int, width: int) -> np.ndarray:
    return np.linspace(0, 1, height * width, dtype=np.float32).reshape(height, width)


@pytest.mark.parametrize(("dtype", "maximum"), [(np.uint8, 255.0), (np.uint16, 4095.0), (np.uint16, 65535.0)])
def test_every_bit_depth_fills_the_same_range(dtype: type, maximum: float) -> None:
    pixels = (ramp(16, 16) * maximum).round().astype(dtype)
    prepared = Preprocessing().prepare(Image(pixels, maximum))
    torch.testing.assert_close(prepared[0], torch.from_numpy(ramp(16, 16)), atol=1 / maximum, rtol=0)


@given(st.integers(1, 90), st.integers(1, 90), st.sampled_from(["letterbox", "squash", "crop"]))
def test_every_image_gets_the_size_asked_for_and_stays_in_range(height: int, width: int, resize: str) -> None:
    recipe = Preprocessing.model_validate({"height": 24, "width": 16, "resize": resize, "interpolation": "bicubic"})
    prepared = recipe.prepare(Image(ramp(height, width), 1.0))
    assert prepared.shape == (1, 24, 16)
    assert 0 <= float(prepared.min()) <= float(prepared.max()) <= 1


def test_letterbox_keeps_the_aspect_and_pads_with_black() -> None:
    prepared = Preprocessing(height=32, width=32).prepare(Image(np.full((64, 32), 1, np.float32), 1.0))[0]
    assert prepared[:, 8:24].min() > 0.99
    assert prepared[:, :8].abs().max() == 0
    assert prepared[:, 24:].abs().max() == 0


def test_crop_equals_timms_evaluation_transform() -> None:
    from PIL import Image as PILImage
    from timm.data import create_transform

    pixels = (ramp(80, 60) * 255).astype(np.uint8)
    pixels = np.stack([pixels, pixels[::-1], pixels[:, ::-1]], axis=2)
    theirs = create_transform((3, 32, 32), interpolation="bilinear", crop_pct=0.875, mean=(0.5,) * 3, std=(0.5,) * 3)
    ours = Preprocessing(height=32, width=32, resize="crop", crop_fraction=0.875, channels=3, mean=(0.5,), std=(0.5,))
    image = Image(np.ascontiguousarray(pixels), 255.0)
    made = ours.finalize(ours.prepare(image)[None])[0]
    expected = theirs(PILImage.fromarray(image.pixels))
    torch.testing.assert_close(made, expected, atol=0.03, rtol=0)  # PIL resizes in 8 bit


def test_channels_and_normalisation_happen_on_the_batch() -> None:
    recipe = Preprocessing(channels=3, mean=(0.1, 0.2, 0.3), std=(1.0, 2.0, 4.0))
    made = recipe.finalize(torch.full((2, 1, 4, 4), 0.5))
    torch.testing.assert_close(made[0, :, 0, 0], torch.tensor([0.4, 0.15, 0.05]))
    assert Preprocessing(channels=1).finalize(torch.rand(2, 3, 4, 4)).shape == (2, 1, 4, 4)


def test_min_max_stretches_each_image() -> None:
    prepared = Preprocessing(intensity="min-max").prepare(Image(ramp(4, 4) * 0.3 + 0.2, 1.0))
    assert (float(prepared.min()), float(prepared.max())) == (0.0, 1.0)


def test_the_fingerprint_covers_every_setting() -> None:
    one = Preprocessing(height=8, width=8)
    assert one.fingerprint() == Preprocessing(height=8, width=8).fingerprint()
    assert one.fingerprint() != Preprocessing(height=8, width=8, mean=(0.1,)).fingerprint()


@pytest.mark.parametrize(
    ("pixels", "message"),
    [
        (np.zeros((4, 4), np.float32), "blank"),
        (np.full((4, 4), 7, np.uint8), "blank: every pixel is 7"),
        (np.array([[0.0, np.nan]], np.float32), "NaN"),
        (np.array([[0.0, np.inf]], np.float32), "NaN or infinite"),
        (np.array([[-1.0, 0.5]], np.float32), "outside 0"),
        (np.zeros((0, 4), np.float32), "shape"),
        (np.zeros((4, 4, 2), np.float32), "shape"),
    ],
)
def test_an_image_no_model_can_use_is_refused(pixels: np.ndarray, message: str) -> None:
    with pytest.raises(ImageError, match=message):
        Image(pixels, 255.0).check()


@pytest.mark.parametrize(("dtype", "maximum"), [(np.uint8, 255.0), (np.float32, 1.0)])
def test_three_equal_values_fill_a_grey_image_as_one_does(dtype: type, maximum: float) -> None:
    image = Image(np.eye(8, dtype=dtype), maximum)
    one, three = (Preprocessing(height=8, width=12, fill=(0.2,) * many) for many in (1, 3))
    assert torch.equal(three.prepare(image), one.prepare(image))
