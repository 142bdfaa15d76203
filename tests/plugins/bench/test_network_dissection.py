"""Network Dissection on boxes against pixels counted one by one."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from mcd_plugins.bench.contract import Case, Located
from mcd_plugins.bench.methods.network_dissection import METHODS, overlap

GRID = 112


def between(rows: NDArray[np.float64], place: float) -> tuple[int, int, float]:
    """Return the two neighbours of a place along an axis, and how near the second one is."""
    place = min(max(place, 0.0), len(rows) - 1.0)
    low = min(int(place), len(rows) - 1)
    return low, min(low + 1, len(rows) - 1), place - low


def enlarged(grid: NDArray[np.float64], y: int, x: int) -> float:
    """Return the bilinear value of a map in the middle of a pixel of the image."""
    top, bottom, down = between(grid, (y + 0.5) * grid.shape[0] / GRID - 0.5)
    left, right, along = between(grid.T, (x + 0.5) * grid.shape[1] / GRID - 0.5)
    upper = grid[top, left] * (1 - along) + grid[top, right] * along
    lower = grid[bottom, left] * (1 - along) + grid[bottom, right] * along
    return float(upper * (1 - down) + lower * down)


def slow(maps: NDArray[np.float32], boxes: list[tuple[Located, ...]], unit: int, concept: int) -> float:
    ordered = sorted(float(one) for one in maps[:, unit].ravel())
    place = 0.995 * (len(ordered) - 1)
    edge = ordered[int(place)] + (place - int(place)) * (ordered[int(place) + 1] - ordered[int(place)])
    common = either = 0
    for image, located in enumerate(boxes):
        if not located:
            continue
        grid = maps[image, unit].astype(np.float64)
        own = [box for box in located if box.concept == concept]
        for y in range(GRID):
            for x in range(GRID):
                active = enlarged(grid, y, x) > edge
                inside = any(box.x0 <= (x + 0.5) / GRID < box.x1 and box.y0 <= (y + 0.5) / GRID < box.y1 for box in own)
                common += active and inside
                either += active or inside
    return common / either


def test_the_overlap_is_that_of_pixels_counted_one_by_one() -> None:
    rng = np.random.default_rng(0)
    maps = rng.normal(size=(4, 2, 7, 5)).astype(np.float32)
    boxes = [
        (Located(0, 0.1, 0.2, 0.55, 0.7), Located(0, 0.3, 0.3, 0.9, 0.4)),
        (),
        (Located(1, 0.0, 0.0, 1.0, 0.5), Located(0, 0.5, 0.5, 0.6, 0.9)),
        (Located(1, 0.2, 0.6, 0.4, 1.0),),
    ]
    maps[0, 0, 3, 2] = maps[2, 1, 1, 2] = 9
    found = overlap(maps, boxes, 3)
    for unit in range(2):
        for concept in range(2):
            assert found[unit, concept] == pytest.approx(slow(maps, boxes, unit, concept), abs=1e-9)
    assert found[0, 0] > 0
    assert np.isnan(found[:, 2]).all()


def test_a_map_that_is_the_same_everywhere_has_no_overlap() -> None:
    maps = np.full((3, 1, 4, 4), 0.1, dtype=np.float32)
    assert np.isnan(overlap(maps, [(Located(0, 0, 0, 1, 1),)] * 3, 1)).all()


def test_a_unit_that_responds_in_rare_boxes_is_a_detector_and_one_of_common_ones_is_none(case: Case) -> None:
    found = METHODS[0].decide(case)
    assert found.first[:6].tolist() == list(range(6))
    assert not found.claimed[1:5].any()  # .005 of all positions: little of the boxes of a third of the images
    rare = tuple(located if image < 2 else (Located(5, 0.9, 0.9, 1, 1),) for image, located in enumerate(case.boxes))
    maps = np.zeros_like(case.maps)
    for image in range(2):
        for box in rare[image]:
            maps[image, box.concept, 1:3, box.concept] = 1
    found = METHODS[0].decide(replace(case, maps=maps, boxes=rare))
    shown = sorted({box.concept for image in range(2) for box in rare[image]})
    assert found.first[shown].tolist() == shown
    assert found.claimed[shown].all()
