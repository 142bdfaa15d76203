"""The breast without lesions: outline, fat and gland, pectoral muscle, implant; always drawn as a left breast."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from mcd_plugins.phantom.factors import HEIGHT, WIDTH, View

__all__ = ["Anatomy", "Array", "draw_anatomy", "grid", "noise", "smoothstep"]

Array = NDArray[np.float32]

_GLAND = {"a": -1.7, "b": -0.55, "c": 0.45, "d": 1.9}
"""How far the gland threshold is moved, in standard deviations of the texture: more gland from a to d."""


@lru_cache(maxsize=1)
def grid() -> tuple[Array, Array]:
    """Return the row and column of every pixel, ``(HEIGHT, WIDTH)`` float32."""
    rows, columns = np.mgrid[0:HEIGHT, 0:WIDTH].astype(np.float32)
    return rows, columns


@lru_cache(maxsize=4)
def _power_law(beta: float) -> Array:
    """Amplitude filter of a texture whose power falls as 1/f^beta (Burgess 1999: about 3 for mammograms)."""
    frequency = np.hypot(np.fft.fftfreq(HEIGHT)[:, None], np.fft.rfftfreq(WIDTH)[None, :])
    frequency[0, 0] = np.inf
    amplitude: Array = np.maximum(frequency, 1 / 160).astype(np.float32) ** np.float32(-beta / 2)
    amplitude[0, 0] = 0  # no mean
    return amplitude


def noise(rng: np.random.Generator, beta: float) -> Array:
    """Return a power-law texture ``(HEIGHT, WIDTH)``, mean 0, standard deviation 1."""
    # White noise stays white under the Fourier transform, so it is drawn there: one transform instead of two.
    white = rng.standard_normal((HEIGHT, WIDTH // 2 + 1, 2), dtype=np.float32).view(np.complex64)[..., 0]
    texture: Array = np.fft.irfft2(white * _power_law(beta), s=(HEIGHT, WIDTH)).astype(np.float32)
    result: Array = (texture - texture.mean()) / texture.std()
    return result


def smoothstep(value: Array, width: float) -> Array:
    """Return 0 below -width, 1 above +width, smooth between."""
    t = np.clip(value / (2 * width) + 0.5, 0, 1)
    eased: Array = t * t * (3 - 2 * t)
    return eased


@dataclass(frozen=True)
class Anatomy:
    """A breast ready for lesions.

    Parameters
    ----------
    image
        Brightness, ``(HEIGHT, WIDTH)``, black 0, white about 1.
    radius
        Position between centre of the chest wall (0) and skin (1); above 1 outside.
    inside
        1 in the breast, 0 outside, soft at the skin.
    free
        Where a lesion may sit: inside the breast, off the muscle and the implant.
    centre_row, depth, half_height
        The outline's half ellipse.
    """

    image: Array
    radius: Array
    inside: Array
    free: NDArray[np.bool_]
    centre_row: float
    depth: float
    half_height: float


def draw_anatomy(view: View, rng: np.random.Generator) -> Anatomy:
    """Draw the breast of a view."""
    rows, columns = grid()
    mlo = view.view == "MLO"
    depth = float(rng.uniform(125, 165))
    half_height = float(rng.uniform(120, 145))
    centre_row = HEIGHT / 2 + (float(rng.uniform(8, 22)) if mlo else float(rng.uniform(-8, 8)))
    wobble = 1 + 0.02 * np.sin(rows / 23 + float(rng.uniform(0, 6)))
    sag = 1 + 0.10 * np.clip((rows - centre_row) / half_height, -1, 1) if mlo else np.float32(1)
    radius = np.hypot(columns / (depth * wobble * sag), (rows - centre_row) / half_height).astype(np.float32)
    inside = smoothstep(1 - radius, 0.012)
    thickness = np.sqrt(np.clip(1 - radius**2, 0, 1)) ** np.float32(0.35)
    image = inside * thickness * _tissue(view, radius, rng)
    image += inside * 0.10 * smoothstep(radius - 0.975, 0.012)  # skin
    image += _nipple(centre_row, depth, rng)
    free = radius < 0.80
    if mlo:
        muscle = _pectoral(rng)
        image = image * (1 - muscle) + muscle * inside * (0.62 + 0.05 * noise(rng, 2.0))
        free &= muscle < 0.05
    if view.patient.implant:
        implant = np.hypot(columns / (0.50 * depth), (rows - centre_row) / (0.62 * half_height))
        body = smoothstep(1 - implant.astype(np.float32), 0.02)
        image = image * (1 - body) + body * (0.90 + 0.06 * implant)
        free &= implant > 1.12
    free &= columns > 14
    return Anatomy(image.astype(np.float32), radius, inside, free, centre_row, depth, half_height)


def _tissue(view: View, radius: Array, rng: np.random.Generator) -> Array:
    """Fat with gland in it, as the density says; gland gathers behind the nipple."""
    texture = noise(rng, 3.0)
    gather = 0.8 - 1.9 * (radius - 0.45) ** 2 * 2
    gland = smoothstep((texture * 0.75 + _GLAND[view.patient.density] + gather - 0.6).astype(np.float32), 0.8)
    fine = noise(rng, 1.6)
    result: Array = 0.27 + 0.03 * fine + gland * (0.26 + 0.045 * texture)
    return result.astype(np.float32)


def _nipple(centre_row: float, depth: float, rng: np.random.Generator) -> Array:
    rows, columns = grid()
    distance = np.hypot((rows - centre_row) / 7.0, (columns - depth - 1) / 5.0).astype(np.float32)
    return 0.38 * smoothstep(1 - distance, 0.25)


def _pectoral(rng: np.random.Generator) -> Array:
    rows, columns = grid()
    top, bottom = float(rng.uniform(70, 95)), float(rng.uniform(150, 205))
    edge = top * (1 - rows / bottom) * (1 + 0.06 * np.sin(rows / 40))
    return smoothstep((edge - columns).astype(np.float32), 2.5)
