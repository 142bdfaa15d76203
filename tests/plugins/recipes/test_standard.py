"""The recipe ``dicom-standard``: only what is not breast goes, and whatever is done to pixels is done to the mask."""

from __future__ import annotations

from functools import cache

import cv2
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import mcd
from mcd.errors import ImageError
from mcd.extraction import breast
from mcd.testing import assert_light
from mcd_plugins.phantom.dataset import PhantomDataset
from mcd_plugins.recipes.standard import DicomStandard

Pixels = np.ndarray
OFF = {"crop": False, "outside": "keep"}


@cache
def phantoms() -> list[tuple[mcd.Sample, mcd.Image, Pixels]]:
    """Samples, their images with 12 bits of 16, and the true outlines."""
    dataset = PhantomDataset(PhantomDataset.Options(patients=6, seed=5))
    made = []
    for sample in dataset.scan():
        assert isinstance(sample, mcd.Sample)
        image = dataset.read(sample)
        twelve = image.pixels.astype(np.uint16) * 16 + 7
        twelve[image.pixels == 0] = 0
        made.append((sample, mcd.Image(twelve, 4095.0), dataset.mask(sample, image)))
    return made


def recipe(**settings: object) -> DicomStandard:
    return DicomStandard.model_validate(settings)


def mirrored(image: mcd.Image) -> mcd.Image:
    return mcd.Image(np.ascontiguousarray(image.pixels[:, ::-1]), image.maximum, image.negative)


def test_letters_outside_vanish_and_the_breast_is_bit_identical() -> None:
    marked = 0
    for _, image, true in phantoms():
        made = recipe(crop=False).picture(image)
        assert made.mask is not None
        near = cv2.dilate(true.view(np.uint8), np.ones((25, 25), np.uint8)).astype(bool)
        assert not made.pixels[~near].any()
        marked += bool((image.pixels[~near] > 3500).any())
        np.testing.assert_array_equal(made.pixels[made.mask], image.pixels[made.mask])
        assert (made.mask & true).sum() >= 0.996 * true.sum()
    assert marked > 10


def test_the_crop_is_a_window_of_the_image() -> None:
    for _, image, true in phantoms():
        made = recipe(outside="keep").picture(image)
        top, left, bottom, right = breast.find_breast(image.pixels, image.maximum).box
        np.testing.assert_array_equal(made.pixels, image.pixels[top:bottom, left:right])
        assert true[top:bottom, left:right].sum() >= 0.996 * true.sum()
        assert made.pixels.size < 0.9 * image.pixels.size


def test_all_switched_off_only_the_mask_is_added() -> None:
    _, image, _ = phantoms()[0]
    made = recipe(**OFF).picture(image)
    np.testing.assert_array_equal(made.pixels, image.pixels)
    assert made.mask is not None
    assert 0.2 < made.mask.mean() < 0.8


@pytest.mark.parametrize("side", ["left", "right"])
def test_a_breast_and_its_mirrored_twin_become_one_picture(side: str) -> None:
    steps = recipe(flip=side, longest=150)
    for sample, image, _ in phantoms():
        made, twin = steps.picture(image), steps.picture(mirrored(image))
        np.testing.assert_array_equal(made.pixels, twin.pixels)
        np.testing.assert_array_equal(made.mask, twin.mask)
        unturned = recipe(longest=150).picture(image).pixels
        stays = {"L": "left", "R": "right"}[sample.laterality] == side
        np.testing.assert_array_equal(made.pixels, unturned if stays else unturned[:, ::-1])


def test_there_and_back_again_is_the_same() -> None:
    for sample, image, _ in phantoms():
        there, back = ("left", "right") if sample.laterality == "R" else ("right", "left")
        once = recipe(flip=there, **OFF).picture(image)
        assert (once.pixels != image.pixels).any()
        np.testing.assert_array_equal(recipe(flip=back, **OFF).picture(once).pixels, image.pixels)


@pytest.mark.parametrize("settings", [{}, {"flip": "left"}, {"longest": 200, "flip": "right"}, {"outside": "keep"}])
def test_a_picture_that_goes_through_again_changes_at_its_rim_at_most(settings: dict[str, object]) -> None:
    steps = recipe(**settings)
    for _, image, _ in phantoms():
        once = steps.picture(image)
        twice = steps.picture(mcd.Image(once.pixels, once.maximum))
        assert twice.pixels.shape == once.pixels.shape
        assert once.mask is not None
        assert twice.mask is not None
        changed = twice.pixels != once.pixels
        assert changed.mean() < 0.01
        inner = cv2.erode(once.mask.view(np.uint8), np.ones((13, 13), np.uint8), borderValue=1).astype(bool)
        assert not changed[inner].any()
        assert twice.mask[inner].all()


@given(
    number=st.integers(0, 23),
    crop=st.booleans(),
    outside=st.sampled_from(["keep", "black"]),
    flip=st.sampled_from(["none", "left", "right"]),
    margin=st.floats(0, 0.3),
    longest=st.none() | st.integers(20, 400),
    kind=st.sampled_from(["uint8", "uint16", "float32", "colour"]),
)
@settings(deadline=None, max_examples=60)
def test_mask_and_pixels_go_together_and_the_depth_stays(
    number: int, crop: bool, outside: str, flip: str, margin: float, longest: int | None, kind: str
) -> None:
    _, image, true = phantoms()[number]
    pixels = {
        "uint8": (image.pixels // 16).astype(np.uint8),
        "uint16": image.pixels,
        "float32": image.pixels / np.float32(4095),
        "colour": np.repeat((image.pixels // 16).astype(np.uint8)[..., None], 3, axis=2),
    }[kind]
    maximum = {"uint16": 4095.0, "float32": 1.0}.get(kind, 255.0)
    steps = recipe(crop=crop, outside=outside, flip=flip, margin=margin, longest=longest)
    made = steps.picture(mcd.Image(pixels, maximum))
    made.check()
    assert (made.pixels.dtype, made.maximum) == (pixels.dtype, maximum)
    assert made.mask is not None
    assert made.mask.shape == made.pixels.shape[:2]
    assert longest is None or max(made.mask.shape) <= longest
    asked = steps.picture(mcd.Image(pixels, maximum, mask=true))
    np.testing.assert_array_equal(asked.pixels, made.pixels)  # whether or not anybody asks for masks
    if outside == "black" and longest is None:
        assert not made.pixels[~made.mask].any()


@given(
    number=st.integers(0, 23),
    crop=st.booleans(),
    flip=st.sampled_from(["none", "left", "right"]),
    margin=st.floats(0, 0.3),
    longest=st.none() | st.integers(20, 400),
)
@settings(deadline=None, max_examples=60)
def test_the_images_own_mask_moves_with_its_pixels(
    number: int, crop: bool, flip: str, margin: float, longest: int | None
) -> None:
    _, _, true = phantoms()[number]
    drawn = mcd.Image(np.where(true, np.uint16(4095), np.uint16(0)), 4095.0, mask=true)
    made = recipe(crop=crop, outside="keep", flip=flip, margin=margin, longest=longest).picture(drawn)
    assert made.mask is not None
    assert made.mask.sum() > 50
    # Where a pixel is half breast, the rounding of 12-bit values and of the mask's share may differ.
    half = np.abs(made.pixels.astype(int) - 2048) <= 2
    np.testing.assert_array_equal(made.mask[~half], (made.pixels >= 2048)[~half])


def test_shrinking_averages_and_never_enlarges() -> None:
    _, image, _ = phantoms()[2]
    full = recipe().picture(image).pixels
    half = recipe(longest=len(full) // 2).picture(image).pixels
    assert half.shape == (len(full) // 2, round(full.shape[1] * (len(full) // 2) / len(full)))
    assert half.mean() == pytest.approx(full.mean(), rel=0.01)
    assert recipe(longest=5000).picture(image).pixels.shape == full.shape


def test_what_is_no_breast_is_kept_whole_and_untouched() -> None:
    noise = np.random.default_rng(0).integers(0, 4095, (300, 200)).astype(np.uint16)
    made = recipe(longest=1000).picture(mcd.Image(noise, 4095.0))
    np.testing.assert_array_equal(made.pixels, noise)
    assert made.mask is not None
    assert made.mask.all()
    with pytest.raises(ImageError, match="blank"):
        recipe().picture(mcd.Image(np.full((30, 20), 9, np.uint16), 4095.0))


def test_the_models_input_and_its_mask_come_from_one_picture() -> None:
    _, image, _ = phantoms()[3]
    steps = recipe(height=128, width=96, flip="left")
    prepared, share = steps.prepare(image), steps.prepare_mask(image)
    assert prepared.shape == share.shape == (1, 128, 96)
    assert float(prepared[share == 0].max()) == 0
    assert float(prepared[share == 1].mean()) > 0.2
    assert torch.equal(prepared, mcd.Preprocessing(height=128, width=96).prepare(steps.picture(image)))


def test_the_fingerprint_covers_settings_and_algorithm(monkeypatch: pytest.MonkeyPatch) -> None:
    one = recipe().fingerprint()
    assert one == recipe().fingerprint()
    others = [recipe(outside="keep"), recipe(margin=0.02), recipe(flip="left"), recipe(longest=9), recipe(crop=False)]
    assert len({one, *(other.fingerprint() for other in others)}) == 6
    monkeypatch.setattr("mcd_plugins.recipes.standard.Breast.version", "another")
    assert recipe().fingerprint() != one


def test_listing_the_recipes_imports_nothing_heavy() -> None:
    assert_light("mcd_plugins.recipes")
