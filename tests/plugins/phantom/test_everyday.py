"""Everyday images: seeded, varied, every kind there."""

from __future__ import annotations

import numpy as np

from mcd_plugins.phantom.everyday import draw_everyday
from mcd_plugins.phantom.factors import HEIGHT, WIDTH
from mcd_plugins.phantom.network import EVERYDAY

DRAWN = [draw_everyday(0, number) for number in range(150)]


def test_the_same_seed_and_number_give_the_same_image() -> None:
    pixels, kind = draw_everyday(0, 7)
    np.testing.assert_array_equal(pixels, DRAWN[7][0])
    assert kind == DRAWN[7][1]
    assert not np.array_equal(draw_everyday(1, 7)[0], pixels)


def test_images_are_as_phantoms_are_and_never_blank() -> None:
    for pixels, kind in DRAWN:
        assert pixels.shape == (HEIGHT, WIDTH)
        assert pixels.dtype == np.uint8
        assert pixels.std() > 1, EVERYDAY[kind]


def test_every_kind_is_drawn_and_no_two_images_of_a_kind_are_alike() -> None:
    assert {kind for _, kind in DRAWN} == set(range(len(EVERYDAY)))
    for kind in range(len(EVERYDAY)):
        same = [pixels.astype(float) for pixels, one in DRAWN if one == kind]
        assert all(np.abs(same[0] - other).mean() > 5 for other in same[1:]), EVERYDAY[kind]


def test_brightness_does_not_tell_the_kind() -> None:
    means = {kind: [pixels.mean() for pixels, one in DRAWN if one == kind] for kind in range(len(EVERYDAY))}
    spread = np.std([np.mean(values) for values in means.values()])
    assert spread < np.mean([np.std(values) for values in means.values()])
