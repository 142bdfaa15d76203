"""Lesions: each draws itself into the image and says which box it covers."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mcd_plugins.phantom.canvas import Anatomy, Array, grid, noise, smoothstep
from mcd_plugins.phantom.factors import HEIGHT, WIDTH, Calcifications, Mass

__all__ = [
    "Region",
    "draw_asymmetry",
    "draw_calcifications",
    "draw_clip",
    "draw_distortion",
    "draw_lymph_node",
    "draw_mass",
    "draw_skin_thickening",
]

Region = NDArray[np.bool_]
"""Pixels a lesion covers."""


def _place(anatomy: Anatomy, rng: np.random.Generator, margin: float, upper: bool = False) -> tuple[float, float]:
    """Return a row and column where a lesion of that half size fits, or the nearest that nearly does."""
    rows, _ = grid()
    allowed = anatomy.free & (anatomy.radius < 0.93 - margin / anatomy.depth)
    if upper:
        allowed &= rows < anatomy.centre_row - 10
    spots = np.flatnonzero(allowed if allowed.any() else anatomy.free)
    spot = int(spots[int(rng.integers(len(spots)))])
    return float(spot // WIDTH), float(spot % WIDTH)


def _polar(row: float, column: float) -> tuple[Array, Array]:
    rows, columns = grid()
    return np.hypot(rows - row, columns - column).astype(np.float32), np.arctan2(rows - row, columns - column)


def draw_mass(image: Array, anatomy: Anatomy, mass: Mass, rng: np.random.Generator) -> Region:
    """Draw a mass: shape by its outline, margin by its edge, density by its brightness."""
    row, column = _place(anatomy, rng, mass.radius)
    distance, angle = _polar(row, column)
    turn = float(rng.uniform(0, np.pi))
    outline = np.full_like(distance, mass.radius)
    if mass.shape == "oval":
        outline = mass.radius * 0.62 / np.sqrt(1 - (1 - 0.4**2) * np.cos(angle - turn) ** 2)
    elif mass.shape == "irregular":
        for order, size in ((2, 0.18), (3, 0.24), (5, 0.14)):
            outline = outline * (1 + size * np.sin(order * angle + float(rng.uniform(0, 6.3))))
    if mass.margin == "microlobulated":
        outline = outline * (1 + 0.13 * np.sin(int(rng.integers(9, 12)) * angle + turn))
    softness = {"circumscribed": 1.0, "microlobulated": 1.0, "obscured": 1.2, "spiculated": 2.0}.get(mass.margin, 5.5)
    body = smoothstep((outline - distance).astype(np.float32), softness)
    if mass.margin == "obscured":  # half of the edge drowns in tissue
        body = body * (0.22 + 0.78 * smoothstep(np.cos(angle - turn * 2).astype(np.float32) + 0.1, 0.35))
    if mass.margin == "spiculated":
        bearings = _star(rng, int(rng.integers(14, 19)))
        reaches = mass.radius * rng.uniform(1.7, 2.5, len(bearings))
        body = np.maximum(body, 0.85 * _rays(row, column, bearings, reaches, width=1.1))
    _apply_density(image, body, distance / mass.radius, mass.density)
    return body > 0.2


def _apply_density(image: Array, body: Array, relative: Array, density: str) -> None:
    if density == "fat-containing":  # dark inside, with a thin bright capsule
        rim = np.exp(-(((relative - 0.92) / 0.10) ** 2)).astype(np.float32)
        image += body * (0.20 * rim - 0.27 * (relative < 0.85)) * (0.4 + 0.6 * body)
        return
    image += body * ({"low": 0.21, "equal": 0.36, "high": 0.60}[density])


def _star(rng: np.random.Generator, count: int) -> NDArray[np.float64]:
    """Return directions that part the circle evenly, give or take."""
    return np.linspace(0, 2 * np.pi, count, endpoint=False) + rng.uniform(-0.13, 0.13, count)


def _rays(
    row: float, column: float, bearings: NDArray[np.float64], reaches: NDArray[np.float64], width: float
) -> Array:
    """Return thin lines that start at a point and fade out with their reach, 0…1."""
    half = int(reaches.max()) + 2
    top, left = max(0, int(row) - half), max(0, int(column) - half)
    window = (slice(top, int(row) + half + 1), slice(left, int(column) + half + 1))
    rows, columns = (axis[window] for axis in grid())
    down, right = rows - np.float32(row), columns - np.float32(column)
    lines = np.zeros_like(down)
    for bearing, reach in zip(bearings.tolist(), reaches.tolist(), strict=True):
        sine, cosine = np.float32(np.sin(bearing)), np.float32(np.cos(bearing))
        along, across = down * sine + right * cosine, down * cosine - right * sine
        fade = np.sqrt(np.clip(1 - along / np.float32(reach), 0, 1)) * (along > 0)
        lines = np.maximum(lines, np.exp(-((across / np.float32(width)) ** 2)) * fade)
    full = np.zeros((HEIGHT, WIDTH), dtype=np.float32)
    full[window] = lines
    return full


def draw_distortion(image: Array, anatomy: Anatomy, rng: np.random.Generator) -> Region:
    """Draw architectural distortion: lines that converge on a point where there is no mass."""
    row, column = _place(anatomy, rng, 22)
    distance, _ = _polar(row, column)
    bearings = _star(rng, int(rng.integers(8, 11)))
    lines = _rays(row, column, bearings, rng.uniform(36, 52, len(bearings)), width=1.5) * smoothstep(distance - 3, 3)
    image += (0.34 * lines * anatomy.inside - 0.10 * np.exp(-((distance / 9) ** 2))).astype(np.float32)
    return (lines > 0.3) & (anatomy.inside > 0.5)


def draw_asymmetry(image: Array, anatomy: Anatomy, rng: np.random.Generator) -> Region:
    """Draw an asymmetry: a wide patch of gland-like brightness without a border."""
    row, column = _place(anatomy, rng, 26)
    distance, _ = _polar(row, column)
    blob = np.exp(-((distance / 31) ** 2)).astype(np.float32) * np.clip(1 + 0.25 * noise(rng, 2.5), 0.3, 1.7)
    image += 0.34 * blob * anatomy.inside
    covered: Region = (blob > 0.4) & (anatomy.inside > 0.5)
    return covered


def draw_skin_thickening(image: Array, anatomy: Anatomy, rng: np.random.Generator) -> Region:
    """Draw thickened skin: a broad bright band along the outline."""
    band = smoothstep(anatomy.radius - 0.925, 0.012) * anatomy.inside
    image += 0.36 * band
    return band > 0.5


def draw_lymph_node(image: Array, anatomy: Anatomy, rng: np.random.Generator) -> Region:
    """Draw an intramammary lymph node: a small bright bean with a fatty notch, in the upper breast."""
    row, column = _place(anatomy, rng, 9, upper=True)
    rows, columns = grid()
    turn = float(rng.uniform(-0.6, 0.6))
    along = (rows - row) * np.cos(turn) + (columns - column) * np.sin(turn)
    across = -(rows - row) * np.sin(turn) + (columns - column) * np.cos(turn)
    bean = smoothstep((1 - np.hypot(along / 10.5, across / 6.5)).astype(np.float32), 0.10)
    notch = smoothstep((1 - np.hypot(along / 4.5, (across - 3.2) / 3.6)).astype(np.float32), 0.15)
    image += 0.50 * bean - 0.52 * np.minimum(bean, notch)
    return bean > 0.2


def draw_clip(image: Array, anatomy: Anatomy, rng: np.random.Generator) -> Region:
    """Draw a biopsy clip: a tiny metal ribbon, brighter than anything else."""
    row, column = _place(anatomy, rng, 6)
    rows, columns = grid()
    turn = float(rng.uniform(0, np.pi))
    along = (rows - row) * np.cos(turn) + (columns - column) * np.sin(turn)
    across = -(rows - row) * np.sin(turn) + (columns - column) * np.cos(turn)
    waist = 0.9 + 0.30 * np.abs(along)
    metal: Region = (np.abs(along) < 5.0) & (np.abs(across) < waist)
    image[metal] = 1.25
    return metal


def draw_calcifications(
    image: Array, anatomy: Anatomy, calcifications: Calcifications, rng: np.random.Generator
) -> Region:
    """Draw calcifications: where, by the distribution; what each looks like, by the morphology."""
    covered = np.zeros((HEIGHT, WIDTH), dtype=bool)
    count = {"coarse": 6, "rim": 8, "linear": 14}.get(calcifications.morphology, 22)
    for row, column in _positions(anatomy, calcifications.distribution, count, rng):
        _draw_one(image, covered, calcifications.morphology, row, column, rng)
    return covered


def _positions(anatomy: Anatomy, distribution: str, count: int, rng: np.random.Generator) -> list[tuple[float, float]]:
    row, column = _place(anatomy, rng, 12)
    if distribution == "diffuse":
        spots = np.flatnonzero(anatomy.free)
        chosen = rng.choice(spots, size=int(count * 1.8))
        return [(float(spot // WIDTH), float(spot % WIDTH)) for spot in chosen]
    if distribution == "linear":
        bearing = float(rng.uniform(0, np.pi))
        t = np.linspace(-34, 34, count) + rng.normal(0, 1.5, count)
        side = rng.normal(0, 1.3, count)
        spots_at = np.stack(
            [row + t * np.sin(bearing) + side * np.cos(bearing), column + t * np.cos(bearing) - side * np.sin(bearing)],
            axis=1,
        )
    elif distribution == "segmental":  # a wedge that points at the nipple
        bearing = float(np.arctan2(anatomy.centre_row - row, anatomy.depth - column))
        t = 62 * np.sqrt(rng.random(count))
        spread = rng.uniform(-0.42, 0.42, count)
        spots_at = np.stack(
            [
                anatomy.centre_row - (12 + t) * np.sin(bearing + spread),
                anatomy.depth - 12 - t * np.cos(bearing + spread),
            ],
            axis=1,
        )
    else:
        spots_at = rng.normal((row, column), 7.0 if distribution == "grouped" else 24.0, size=(count, 2))
    kept = []
    for r, c in spots_at.tolist():
        r, c = min(max(r, 4.0), HEIGHT - 5.0), min(max(c, 4.0), WIDTH - 5.0)
        if anatomy.radius[int(r), int(c)] < 0.93:
            kept.append((r, c))
    return kept or [(row, column)]


def _draw_one(
    image: Array, covered: Region, morphology: str, row: float, column: float, rng: np.random.Generator
) -> None:
    reach = 9
    top, left = max(0, int(row) - reach), max(0, int(column) - reach)
    window = (slice(top, int(row) + reach + 1), slice(left, int(column) + reach + 1))
    rows, columns = (axis[window] for axis in grid())
    distance = np.hypot(rows - row, columns - column)
    if morphology == "rim":
        spot = 0.62 * np.exp(-(((distance - float(rng.uniform(3.4, 4.6))) / 0.9) ** 2))
    elif morphology == "coarse":
        lumps = np.hypot(rows - row - rng.normal(0, 2.2), columns - column - rng.normal(0, 2.2))
        spot = 0.70 * np.clip(1.6 - np.minimum(distance / 4.2, lumps / 3.6), 0, 1)
    elif morphology == "amorphous":
        spot = 0.26 * np.exp(-((distance / float(rng.uniform(1.8, 2.6))) ** 2))
    elif morphology == "pleomorphic":
        skew = float(rng.uniform(0.5, 2.0))
        odd = np.hypot((rows - row) * skew, (columns - column) / skew) + 0.4 * np.abs(rows - row + columns - column)
        spot = float(rng.uniform(0.35, 0.95)) * np.exp(-((odd / float(rng.uniform(0.9, 1.9))) ** 2))
    elif morphology == "linear":
        bearing = float(rng.uniform(0, np.pi))
        along = (rows - row) * np.sin(bearing) + (columns - column) * np.cos(bearing)
        across = (rows - row) * np.cos(bearing) - (columns - column) * np.sin(bearing)
        spot = 0.70 * np.exp(-((across / 0.8) ** 2)) * (np.abs(along) < float(rng.uniform(3.5, 7.0)))
    else:
        spot = 0.62 * np.exp(-((distance / 1.7) ** 4))
    image[window] += spot.astype(np.float32)
    covered[window] |= spot > 0.1
