"""Drawn images of everyday things: what phantom-general is trained on. Nothing medical, no phantom among them."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping

import cv2
import numpy as np
from numpy.typing import NDArray

from mcd_plugins.phantom.canvas import Array, grid, noise, smoothstep
from mcd_plugins.phantom.factors import HEIGHT, WIDTH
from mcd_plugins.phantom.network import EVERYDAY

__all__ = ["draw_everyday"]

Rng = np.random.Generator

_MARGIN = 40
"""How far outside the image a thing may have its centre, in pixels."""


def draw_everyday(seed: int, number: int) -> tuple[NDArray[np.uint8], int]:
    """Draw one image ``(320, 192)`` uint8 and say which of `EVERYDAY` it shows.

    The same seed and number give the same image. Contrast, brightness, polarity, light from one side, blur and grain
    are drawn too, so that none of them reveals the class.
    """
    rng = np.random.default_rng(np.random.SeedSequence([seed, number, 2]))
    kind = int(rng.integers(len(EVERYDAY)))
    return _photographed(_DRAW[EVERYDAY[kind]](rng), rng), kind


def _photographed(image: Array, rng: Rng) -> NDArray[np.uint8]:
    if rng.random() < 0.5:
        image = 1 - image
    rows, columns = grid()
    bearing = float(rng.uniform(0, 2 * np.pi))
    light = (np.cos(bearing) * (columns / WIDTH - 0.5) + np.sin(bearing) * (rows / HEIGHT - 0.5)).astype(np.float32)
    image = image * float(rng.uniform(0.25, 0.9)) + float(rng.uniform(0, 0.35)) + light * float(rng.uniform(0, 0.3))
    if rng.random() < 0.5:
        image = np.asarray(cv2.GaussianBlur(image, (0, 0), float(rng.uniform(0.5, 2.0))))
    image = image + rng.standard_normal((HEIGHT, WIDTH), dtype=np.float32) * float(rng.uniform(0.0, 0.06))
    return (np.clip(image, 0, 1) * 255 + 0.5).astype(np.uint8)


def _turned(rng: Rng) -> tuple[Array, Array]:
    """Return the coordinates of every pixel in a turned and shifted frame."""
    rows, columns = grid()
    bearing = float(rng.uniform(0, np.pi))
    u = columns * np.cos(bearing) + rows * np.sin(bearing) + float(rng.uniform(0, 100))
    v = rows * np.cos(bearing) - columns * np.sin(bearing) + float(rng.uniform(0, 100))
    return u.astype(np.float32), v.astype(np.float32)


def _wave(at: Array, period: float, rng: Rng) -> Array:
    """Return a wave of black and white, its edges soft or sharp."""
    return smoothstep(np.sin(at * np.float32(2 * np.pi / period)).astype(np.float32), float(rng.uniform(0.05, 1.0)))


def _ground(rng: Rng) -> Array:
    """Return a plain or cloudy background."""
    return (float(rng.uniform(0.1, 0.9)) + float(rng.uniform(0, 0.12)) * noise(rng, float(rng.uniform(2, 3.5)))).astype(
        np.float32
    )


def _stripes(rng: Rng) -> Array:
    u, v = _turned(rng)
    bend = float(rng.uniform(0, 12)) * np.sin(v / float(rng.uniform(20, 60)))
    return _wave((u + bend).astype(np.float32), float(rng.uniform(7, 50)), rng)


def _checkerboard(rng: Rng) -> Array:
    u, v = _turned(rng)
    period = float(rng.uniform(14, 80))
    product = np.sin(u * np.float32(2 * np.pi / period)) * np.sin(v * np.float32(2 * np.pi / period))
    return smoothstep(product.astype(np.float32), float(rng.uniform(0.02, 0.4)))


def _scattered(corners: Callable[[Rng], Array], rng: Rng) -> Array:
    """Return things of several sizes, filled or in outline, turned as they fell, on a ground."""
    image = _ground(rng)
    for _ in range(int(rng.integers(2, 14))):
        turn = float(rng.uniform(0, 2 * np.pi))
        turned = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
        centre = rng.uniform((-_MARGIN / 2, -_MARGIN / 2), (WIDTH + _MARGIN / 2, HEIGHT + _MARGIN / 2))
        shape = np.rint(corners(rng) * float(rng.uniform(8, 55)) @ turned.T + centre).astype(np.int32)
        shade = float(rng.random())
        if rng.random() < 0.7:
            cv2.fillPoly(image, [shape], shade)
        else:
            cv2.polylines(image, [shape], True, shade, int(rng.integers(1, 6)))
    return image


def _disc(rng: Rng) -> Array:
    angles = np.linspace(0, 2 * np.pi, 48, endpoint=False)
    return np.stack([np.cos(angles), np.sin(angles) * float(rng.uniform(0.6, 1.0))], axis=1).astype(np.float32)


def _triangle(rng: Rng) -> Array:
    angles = np.array([0, 2 * np.pi / 3, 4 * np.pi / 3]) + rng.uniform(-0.4, 0.4, 3)
    return np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)


def _star(rng: Rng) -> Array:
    points = int(rng.integers(4, 9))
    angles = np.linspace(0, 2 * np.pi, 2 * points, endpoint=False)
    radius = np.where(np.arange(2 * points) % 2, float(rng.uniform(0.3, 0.55)), 1.0)
    return np.stack([radius * np.cos(angles), radius * np.sin(angles)], axis=1).astype(np.float32)


def _letters(rng: Rng) -> Array:
    written = np.zeros((HEIGHT, WIDTH), dtype=np.uint8)
    fonts = (cv2.FONT_HERSHEY_SIMPLEX, cv2.FONT_HERSHEY_COMPLEX, cv2.FONT_HERSHEY_DUPLEX, cv2.FONT_HERSHEY_TRIPLEX)
    scale = float(rng.uniform(0.5, 2.6))
    shade, row = float(rng.random() < 0.5), float(rng.uniform(0, 40))
    while row < HEIGHT + 20:
        text = "".join(chr(65 + int(letter)) for letter in rng.integers(0, 26, int(rng.integers(2, 14))))
        place = (int(rng.integers(-20, 60)), int(row))
        cv2.putText(written, text, place, fonts[int(rng.integers(4))], scale, 255, max(1, round(1.5 * scale)))
        row += scale * float(rng.uniform(26, 44))
    return np.where(written > 0, np.float32(shade), _ground(rng))


def _wood(rng: Rng) -> Array:
    u, v = _turned(rng)
    rings = np.hypot(u + float(rng.uniform(0, 200)), v * float(rng.uniform(0.03, 0.3)))
    rings = rings + float(rng.uniform(2, 9)) * noise(rng, 3.2)
    grain = 0.1 * noise(rng, 1.0)
    return (0.75 * _wave(rings.astype(np.float32), float(rng.uniform(8, 30)), rng) + 0.12 + grain).astype(np.float32)


def _clouds(rng: Rng) -> Array:
    texture = noise(rng, float(rng.uniform(2.4, 3.6)))
    return smoothstep((texture - float(rng.uniform(-0.8, 0.8))).astype(np.float32), float(rng.uniform(0.4, 2.0)))


def _bricks(rng: Rng) -> Array:
    u, v = _turned(rng) if rng.random() < 0.5 else (grid()[1], grid()[0])
    high = float(rng.uniform(12, 40))
    wide = high * float(rng.uniform(1.6, 3.0))
    course = np.floor(v / high)
    along = u + wide / 2 * (course % 2)
    joint = float(rng.uniform(1, 4))
    mortar = (v % high < joint) | (along % wide < joint)
    shades = rng.uniform(0.35, 0.8, 997).astype(np.float32)
    each = shades[(course * 31 + np.floor(along / wide) * 7).astype(np.int64) % 997]
    return np.where(mortar, np.float32(rng.uniform(0, 1)), each + 0.04 * noise(rng, 1.5)).astype(np.float32)


def _maze(rng: Rng) -> Array:
    """Draw one of the two diagonals in every cell: walls that turn and branch."""
    image = np.zeros((HEIGHT, WIDTH), dtype=np.float32)
    cell, thick = int(rng.integers(12, 34)), int(rng.integers(1, 6))
    for top in range(0, HEIGHT, cell):
        for left in range(0, WIDTH, cell):
            ends = (left, left + cell) if rng.random() < 0.5 else (left + cell, left)
            cv2.line(image, (ends[0], top), (ends[1], top + cell), 1.0, thick)
    return image


def _horizon(rng: Rng) -> Array:
    """Draw a sky that brightens downwards, hills behind each other, and perhaps a sun."""
    rows, columns = grid()
    level = float(rng.uniform(0.3, 0.75)) * HEIGHT
    image = (float(rng.uniform(0.3, 0.6)) + 0.4 * rows / level).astype(np.float32)
    if rng.random() < 0.6:
        sun = (int(rng.integers(20, WIDTH - 20)), int(rng.uniform(0.2, 1.0) * level))
        cv2.circle(image, sun, int(rng.integers(8, 28)), 1.0, -1)
    for depth in range(int(rng.integers(1, 4))):
        ridge: Array = np.full_like(rows, level + 25 * depth)
        for period in (150, 60, 23):
            height = float(rng.uniform(0, 0.12)) * period
            ridge += height * np.sin(columns / np.float32(period) + np.float32(rng.uniform(0, 6)))
        image = np.where(rows > ridge, np.float32(rng.uniform(0, 0.45)) + 0.03 * noise(rng, 2.0), image)
    return image.astype(np.float32)


def _tree(rng: Rng) -> Array:
    """Draw a stem whose branches branch again."""
    image = _ground(rng)
    spread, shrink = float(rng.uniform(0.5, 1.1)), float(rng.uniform(0.55, 0.68))
    shade = float(rng.random() < 0.5)
    tips = [(float(rng.uniform(40, WIDTH - 40)), HEIGHT + 10.0, -np.pi / 2 + float(rng.uniform(-0.4, 0.4)), 100.0)]
    while tips:
        x, y, bearing, length = tips.pop()
        ahead = (x + length * np.cos(bearing), y + length * np.sin(bearing))
        cv2.line(image, (round(x), round(y)), (round(ahead[0]), round(ahead[1])), shade, max(1, round(length / 22)))
        if length > 9:
            tips += [
                (*ahead, bearing + side * spread + float(rng.normal(0, 0.12)), length * shrink) for side in (-1, 0, 1)
            ]
    return image


_DRAW: Mapping[str, Callable[[Rng], Array]] = {
    "stripes": _stripes,
    "checkerboard": _checkerboard,
    "discs": functools.partial(_scattered, _disc),
    "triangles": functools.partial(_scattered, _triangle),
    "stars": functools.partial(_scattered, _star),
    "letters": _letters,
    "wood": _wood,
    "clouds": _clouds,
    "bricks": _bricks,
    "maze": _maze,
    "horizon": _horizon,
    "tree": _tree,
}
