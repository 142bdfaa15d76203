"""What of an image has nothing to do with a finding."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import mcd
from mcd.extraction.decoding import batches
from mcd.extraction.image_statistics import NAMES, STATISTICS, image_statistics
from mcd.extraction.reading import Reader


def drawn(height: int = 300, width: int = 200) -> np.ndarray:
    """Return a bright half disc on the left of a dark image, 0…1."""
    rows, columns = np.mgrid[:height, :width]
    inside = ((rows - height / 2) / (height / 2)) ** 2 + (columns / (width * 0.7)) ** 2 < 0.8
    return np.where(inside, 0.6, 0.02).astype(np.float32)


def named(image: mcd.Image) -> dict[str, float]:
    return dict(zip(NAMES, image_statistics(image).tolist(), strict=False))


def test_they_say_what_they_are_called() -> None:
    pixels = drawn()
    found = named(mcd.Image(pixels, 1.0))
    assert found["mean"] == pytest.approx(pixels.mean(), abs=0.01)
    assert found["spread"] == pytest.approx(pixels.std(), abs=0.02)
    assert found["breast area"] == pytest.approx((pixels > 0.3).mean(), abs=0.02)
    assert found["aspect"] == pytest.approx(np.log(1.5))
    rough = named(mcd.Image(np.random.default_rng(0).random((300, 200), dtype=np.float32), 1.0))
    assert rough["edges"] > found["edges"]
    framed = np.pad(pixels[20:-20, 20:-20], 20, constant_values=1.0)
    assert named(mcd.Image(framed, 1.0))["border"] > 0.9


def test_the_same_image_at_another_depth_or_in_colour_has_the_same_ones() -> None:
    pixels = drawn()
    own = image_statistics(mcd.Image(pixels, 1.0))
    deep = mcd.Image(np.rint(pixels * 4095).astype(np.uint16), 4095)
    colour = mcd.Image(np.repeat(np.rint(pixels * 255).astype(np.uint8)[..., None], 3, axis=2), 255)
    assert own.shape == (STATISTICS,)
    assert np.abs(image_statistics(deep) - own).max() < 0.002
    assert np.abs(image_statistics(colour) - own).max() < 0.01


def test_a_grey_picture_in_three_colours_has_exactly_those_of_the_grey_one() -> None:
    grey = np.rint(drawn() * 255).astype(np.uint8)
    colour = mcd.Image(np.repeat(grey[..., None], 3, axis=2), 255)
    assert (image_statistics(colour) == image_statistics(mcd.Image(grey, 255))).all()


def test_the_colours_of_a_picture_count_alike() -> None:
    pixels = np.random.default_rng(0).random((300, 200, 3), dtype=np.float32)
    mean = mcd.Image(pixels.mean(axis=2), 1.0)
    assert image_statistics(mcd.Image(pixels, 1.0)) == pytest.approx(image_statistics(mean), abs=1e-5)


class Pictures(mcd.Dataset):
    def __len__(self) -> int:
        return 3

    def scan(self) -> Iterator[mcd.Sample]:
        return (mcd.Sample(f"img-{at}") for at in range(3))

    def read(self, sample: mcd.Sample) -> mcd.Image:
        return mcd.Image(drawn(), 1.0)


@pytest.mark.parametrize(("asked", "width"), [("displayed", STATISTICS), ("", 0)])
def test_they_are_computed_only_where_they_are_asked_for(asked: str, width: int) -> None:
    data, recipes = Pictures(), {"x": mcd.Preprocessing()}
    given = batches(Reader(data), list(data.scan()), recipes, [[0, 1, 2]], statistics=asked, workers=0, pin=False)
    (batch,) = given
    assert batch.statistics.shape == (3, width)


@given(st.integers(1, 90), st.integers(1, 90), st.integers(0, 1000))
def test_every_image_has_finite_ones(height: int, width: int, seed: int) -> None:
    pixels = np.random.default_rng(seed).integers(0, 256, size=(height, width), dtype=np.uint8)
    assert np.isfinite(image_statistics(mcd.Image(pixels, 255))).all()
