"""From a view's factors to its pixels and boxes."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from mcd_plugins.phantom.canvas import Anatomy, Array, draw_anatomy
from mcd_plugins.phantom.factors import HEIGHT, LATERALITIES, VIEWS, WIDTH, View
from mcd_plugins.phantom.lesions import (
    Region,
    draw_asymmetry,
    draw_calcifications,
    draw_clip,
    draw_distortion,
    draw_lymph_node,
    draw_mass,
    draw_skin_thickening,
)

__all__ = ["Boxes", "outline", "render"]

Boxes = tuple[tuple[str, int, int, int, int], ...]
"""Finding, x0, y0, x1, y1 in pixels, x1 and y1 exclusive."""

_GLYPHS = {
    "L": ("10000", "10000", "10000", "10000", "10000", "10000", "11111"),
    "R": ("11110", "10001", "10001", "11110", "10100", "10010", "10001"),
    "C": ("01110", "10001", "10000", "10000", "10000", "10001", "01110"),
    "M": ("10001", "11011", "10101", "10101", "10001", "10001", "10001"),
    "O": ("01110", "10001", "10001", "10001", "10001", "10001", "01110"),
}


def render(view: View) -> tuple[NDArray[np.uint8], Boxes]:
    """Return the image ``(320, 192)`` uint8 and the boxes of its lesions.

    A breast is drawn as a left one, chest wall on the left; right ones are mirrored, then get their marker.
    Each part has a random stream of its own, so leaving a lesion out changes nothing else.
    """
    stream = _streams(view)
    anatomy = draw_anatomy(view, stream(0))
    image = anatomy.image
    boxes = _draw_lesions(view, image, anatomy, stream)
    image = _scanned(image, view.patient.scanner, stream(8))
    if view.laterality == "R":
        image = image[:, ::-1]
        boxes = [(name, WIDTH - x1, y0, WIDTH - x0, y1) for name, x0, y0, x1, y1 in boxes]
    pixels = (np.clip(image, 0, 1) * 255 + 0.5).astype(np.uint8)
    if view.marker:
        _mark(pixels, view)
    return pixels, tuple(boxes)


def outline(view: View) -> NDArray[np.bool_]:
    """Return where the breast is in the image of a view, ``(320, 192)``."""
    inside = draw_anatomy(view, _streams(view)(0)).inside >= 0.5
    return np.ascontiguousarray(inside[:, ::-1] if view.laterality == "R" else inside)


def _streams(view: View) -> Callable[[int], np.random.Generator]:
    """Return what makes the random stream of each part of a drawing."""
    patient = view.patient
    key = LATERALITIES.index(view.laterality) * 2 + VIEWS.index(view.view)

    def stream(part: int) -> np.random.Generator:
        return np.random.default_rng(np.random.SeedSequence([patient.seed, patient.number, 1, key, part]))

    return stream


def _draw_lesions(
    view: View, image: Array, anatomy: Anatomy, stream: Callable[[int], np.random.Generator]
) -> list[tuple[str, int, int, int, int]]:
    lesions = view.lesions
    drawn: list[tuple[str, Region]] = []
    if lesions.asymmetry:
        drawn.append(("asymmetry", draw_asymmetry(image, anatomy, stream(1))))
    if lesions.distortion:
        drawn.append(("architectural distortion", draw_distortion(image, anatomy, stream(2))))
    if lesions.mass:
        drawn.append(("mass", draw_mass(image, anatomy, lesions.mass, stream(3))))
    if lesions.lymph_node:
        drawn.append(("intramammary lymph node", draw_lymph_node(image, anatomy, stream(4))))
    if lesions.skin_thickening:
        drawn.append(("skin thickening", draw_skin_thickening(image, anatomy, stream(5))))
    if lesions.calcifications:
        drawn.append(("calcifications", draw_calcifications(image, anatomy, lesions.calcifications, stream(6))))
    if lesions.clip:
        drawn.append(("biopsy clip", draw_clip(image, anatomy, stream(7))))
    return [(name, *_box(region)) for name, region in drawn if region.any()]


def _box(region: Region) -> tuple[int, int, int, int]:
    rows, columns = np.flatnonzero(region.any(axis=1)), np.flatnonzero(region.any(axis=0))
    return int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1


def _scanned(image: Array, scanner: str, rng: np.random.Generator) -> Array:
    """Give the image the look of its scanner: tone curve, background, grain."""
    grain = rng.standard_normal((HEIGHT, WIDTH), dtype=np.float32)
    if scanner == "film":  # grey fog, grain, and the film's edge
        fogged = 0.12 + 0.80 * image + 0.030 * grain
        fogged[:3], fogged[-3:] = 0.02, 0.02
        return fogged.astype(np.float32)
    if scanner == "high-contrast":
        steep: Array = np.clip(image * 1.18 - 0.02, 0, 1) ** np.float32(1.45) + (0.006 * grain * (image > 0.05))
        return steep
    return image + 0.012 * grain * (image > 0.05)


def _mark(pixels: NDArray[np.uint8], view: View) -> None:
    """Write side and view near the edge away from the chest wall, as on real mammograms."""
    text, scale = f"{view.laterality} {view.view}", 2
    width = len(text) * 6 * scale
    left = WIDTH - width - 6 if view.laterality == "L" else 6
    for at, letter in enumerate(text):
        if letter == " ":
            continue
        glyph = np.array([[bit == "1" for bit in line] for line in _GLYPHS[letter]])
        big = np.kron(glyph, np.ones((scale, scale), dtype=bool))
        spot = pixels[10 : 10 + big.shape[0], left + at * 6 * scale :][:, : big.shape[1]]
        spot[big] = 235
