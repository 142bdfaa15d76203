"""What must hold of acme-equal."""

from __future__ import annotations

import numpy as np
from acme_equal.recipe import EqualRecipe

import mcd
from mcd.testing import assert_light, check_preprocessing


def test_listing_it_imports_nothing_heavy() -> None:
    assert_light("acme_equal")


def test_it_takes_every_sort_of_image() -> None:
    check_preprocessing(EqualRecipe)


def test_a_rising_grey_curve_changes_nothing_and_black_stays_black() -> None:
    pixels = np.random.default_rng(0).integers(1, 60, size=(40, 30)).astype(np.uint16)
    pixels[:10] = 0
    first, second = (EqualRecipe().picture(mcd.Image(one, 4095)).pixels for one in (pixels, pixels**2))
    assert np.array_equal(first, second)
    assert (first[:10] == 0).all()
    assert first.max() == 4095


def test_the_histogram_is_flat() -> None:
    pixels = np.random.default_rng(0).gamma(2.0, 0.05, size=(100, 100)).clip(0.001, 1).astype(np.float32)
    found = EqualRecipe().picture(mcd.Image(pixels, 1.0)).pixels
    counts, _ = np.histogram(found, bins=10, range=(0, 1))
    assert abs(counts - 1000).max() <= 5
