"""Network Dissection with boxes in place of segmentations.

Source: Bau et al., Network Dissection, CVPR 2017 (arXiv 1704.05796), section 2.2.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

import mcd
from mcd_plugins.bench.contract import SINGLE, TIED, Case, Decision, Flags, Located, Matrix, Method, Values
from mcd_plugins.bench.methods.choice import named

__all__ = ["LEAST", "METHODS", "QUANTILE", "overlap"]

QUANTILE = 0.995
LEAST = 0.04
"""IoU above which a unit is a detector."""

_GRID = 112
"""Height and width of the images that maps and boxes are compared on, in pixels, as in the released code."""


def overlap(maps: Matrix, boxes: Sequence[Sequence[Located]], concepts: int) -> Values:
    """Return the IoU of each unit's strongest area and each concept's boxes, ``(units, concepts)``.

    ``Σ |M ∩ L| / Σ |M ∪ L|`` over the images that show any concept: M where the map, brought to the size of the image
    bilinearly, exceeds its .995 quantile over all images and positions; L the pixels whose middle a box holds. NaN for
    a concept that no image shows, and for a unit whose map is the same everywhere.

    Parameters
    ----------
    maps
        ``(images, units, height, width)``.
    boxes
        What each image shows where.
    """
    values = np.moveaxis(maps, 1, 0).reshape(maps.shape[1], -1)
    edge = np.quantile(values.astype(np.float64), QUANTILE, axis=1)
    common = np.zeros((maps.shape[1], concepts))
    mine, theirs = np.zeros(maps.shape[1]), np.zeros(concepts)
    for image, located in enumerate(boxes):
        if not located:
            continue
        # bilinear values are means: where no position exceeds the quantile, no pixel does
        units = np.flatnonzero(maps[image].max(axis=(1, 2)) > edge)
        active = _enlarged(maps[image][units]) > edge[units, None]
        mine[units] += active.sum(axis=1)
        for concept, label in _drawn(located).items():
            common[units, concept] += (active & label).sum(axis=1)
            theirs[concept] += label.sum()
    found = common / np.maximum(mine[:, None] + theirs - common, 1)
    live = values.max(axis=1) > values.min(axis=1)
    return np.where((theirs > 0) & live[:, None], found, np.nan)


def _enlarged(maps: Matrix) -> Values:
    """Return maps ``(units, height, width)`` as ``(units, pixels)``."""
    if not len(maps):
        return np.zeros((0, _GRID * _GRID))
    each = torch.from_numpy(maps.astype(np.float64))[None]
    large = torch.nn.functional.interpolate(each, size=(_GRID, _GRID), mode="bilinear", align_corners=False)[0]
    found: Values = large.flatten(1).numpy()
    return found


def _drawn(located: Sequence[Located]) -> dict[int, Flags]:
    """Return the pixels of the boxes of each concept that is there, ``(pixels,)`` bool."""
    drawn: dict[int, Flags] = {}
    middle = (np.arange(_GRID) + 0.5) / _GRID
    for box in located:
        inside = np.outer((middle >= box.y0) & (middle < box.y1), (middle >= box.x0) & (middle < box.x1)).ravel()
        drawn[box.concept] = drawn.get(box.concept, np.zeros_like(inside)) | inside
    return drawn


def _decided(case: Case) -> Decision:
    if case.maps is None:
        raise mcd.errors.DataError(
            "Network Dissection needs activation maps, and the case has none", "keep maps, or leave this method out"
        )
    return named(case, overlap(case.maps, case.boxes, len(case.concepts)), lambda best: best > LEAST)


METHODS = (
    Method(
        name="Network Dissection",
        source="Bau et al., Network Dissection, CVPR 2017 (arXiv 1704.05796), section 2.2, on boxes",
        needs=("maps",),
        made_for=(SINGLE, TIED),
        decide=_decided,
        rule="IoU above .04",
    ),
)
