"""Where the breast is.

On phantoms, whose outline is known, at the size they are drawn in: intersection over union (IoU) of the masks, the
share of the true breast that the box keeps, and IoU of the boxes, mean and lowest. The images come as drawn, through a
SIGMOID window, and with a white frame. Milliseconds are measured on phantoms enlarged to what detectors give. Phantoms
are not patients: no digital mammograms with a true outline were at hand.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

import mcd
from benchmarks.report import Line, Report, Table
from benchmarks.timing import in_turn
from mcd.extraction.breast import find_breast
from mcd_plugins.mammo_clip.preprocessing import breast as published
from mcd_plugins.phantom.dataset import PhantomDataset

Pixels = NDArray[np.uint16]
Mask = NDArray[np.bool_]
Box = tuple[int, int, int, int]
Rule = Callable[[Pixels], tuple[Mask, Box]]
WHITE = 65535


def ours(pixels: Pixels) -> tuple[Mask, Box]:
    found = find_breast(pixels, float(WHITE))
    return found.mask, found.box


def otsu(pixels: Pixels) -> tuple[Mask, Box]:
    _, bright = cv2.threshold(pixels, 0, 1, cv2.THRESH_BINARY | cv2.THRESH_OTSU)
    _, pieces, facts, _ = cv2.connectedComponentsWithStats(bright.astype(np.uint8))
    mask = pieces == 1 + int(np.argmax(facts[1:, cv2.CC_STAT_AREA])) if len(facts) > 1 else bright > 0
    return mask, around(mask)


def mammo_clip(pixels: Pixels) -> tuple[Mask, Box]:
    """The published crop; as its mask counts what is above its threshold there."""
    threshold = 40 * WHITE / 255
    rows, columns = published(pixels, threshold)
    mask = np.zeros(pixels.shape, dtype=bool)
    mask[np.ix_(rows, columns)] = pixels[np.ix_(rows, columns)] > threshold
    return mask, (int(rows[0]), int(columns[0]), int(rows[-1]) + 1, int(columns[-1]) + 1)


def above_zero(pixels: Pixels) -> tuple[Mask, Box]:
    return pixels > 0, around(pixels > 0)


def around(mask: Mask) -> Box:
    left, top, wide, high = cv2.boundingRect(mask.view(np.uint8))
    return top, left, top + high, left + wide


def filled(box: Box, like: Mask) -> Mask:
    top, left, bottom, right = box
    inside = np.zeros(like.shape, dtype=bool)
    inside[top:bottom, left:right] = True
    return inside


def iou(one: Mask, other: Mask) -> float:
    return float((one & other).sum() / (one | other).sum())


RULES: dict[str, Rule] = {
    "`find_breast`": ours,
    "Otsu, largest piece": otsu,
    "Mammo-CLIP's crop": mammo_clip,
    "any pixel > 0": above_zero,
}


def as_drawn(pixels: NDArray[np.float64], true: Mask) -> tuple[NDArray[np.float64], Mask]:
    return pixels, true


def sigmoid(pixels: NDArray[np.float64], true: Mask) -> tuple[NDArray[np.float64], Mask]:
    return 1 / (1 + np.exp(-4 * (pixels - 0.5))), true


def framed(pixels: NDArray[np.float64], true: Mask) -> tuple[NDArray[np.float64], Mask]:
    inside = np.zeros(pixels.shape, dtype=bool)
    inside[8:-8, 8:-8] = True
    return np.where(inside, pixels, 1.0), true & inside


CHANGES = {"as drawn": as_drawn, "SIGMOID window": sigmoid, "white frame": framed}


def drawn(patients: int, seed: int) -> list[tuple[NDArray[np.float64], Mask]]:
    dataset = PhantomDataset(PhantomDataset.Options(patients=patients, seed=seed))
    found = []
    for sample in dataset.scan():
        if isinstance(sample, mcd.Sample):
            image = dataset.read(sample)
            found.append((image.pixels.astype(np.float64) / 255, dataset.mask(sample, image)))
    return found


def sixteen(pixels: NDArray[np.float64]) -> Pixels:
    return (pixels * WHITE + 0.5).astype(np.uint16)


Phantoms = list[tuple[NDArray[np.float64], Mask]]


def share(values: list[float]) -> str:
    return f"{np.mean(values):.4f} ({min(values):.4f})"


def accuracy(phantoms: Phantoms, change: str) -> Table:
    rows = []
    for name, rule in RULES.items():
        overlaps, kept, boxes = [], [], []
        for original, outline in phantoms:
            pixels, true = CHANGES[change](original, outline)
            mask, box = rule(sixteen(pixels))
            inside, around_true = filled(box, true), filled(around(true), true)
            overlaps.append(iou(mask, true))
            boxes.append(iou(inside, around_true))
            kept.append(float((true & inside).sum() / true.sum()))
        rows.append((name, share(overlaps), share(kept), share(boxes)))
    columns = ("rule", "IoU of the mask", "share of the breast in the box", "IoU of the box")
    return Table(f"{len(phantoms):,} phantoms, {change}: mean (lowest)", columns, rows)


def speed(phantoms: Phantoms, rounds: int) -> Table:
    sizes = ((1024, 1024), (4096, 3328))
    milliseconds: dict[str, list[float]] = {name: [] for name in RULES}
    for rows, columns in sizes:
        images = [
            sixteen(cv2.resize(pixels, (columns, rows), interpolation=cv2.INTER_CUBIC).clip(0, 1))
            for pixels, _ in phantoms[:8]
        ]
        works = {name: partial(every, rule, images) for name, rule in RULES.items()}
        for name, spent in in_turn(works, rounds).items():
            milliseconds[name].append(1000 * statistics.median(spent) / len(images))
    title = "Milliseconds an image, of one thread"
    columns_of = ("rule", *(f"{rows}×{columns}" for rows, columns in sizes))
    return Table(title, columns_of, [(name, *values) for name, values in milliseconds.items()])


def films(folder: Path) -> Table:
    """Return what can be said of real films without a true outline."""
    shares, pieces, sides = list[float](), list[int](), list[str]()
    paths = sorted(folder.glob("*.png"))
    for path in paths:
        found = find_breast(np.asarray(cv2.imread(str(path), cv2.IMREAD_GRAYSCALE), dtype=np.uint8), 255.0)
        sides.append(found.side)
        if found.confident:
            shares.append(float(found.mask.mean()))
            pieces.append(cv2.connectedComponents(found.mask.view(np.uint8))[0] - 1)
    rows: list[tuple[str, str | int]] = [
        ("chest wall found on the right", sides.count("right")),
        ("one piece", pieces.count(1)),
        ("share of the frame", f"{min(shares):.2f}…{max(shares):.2f}"),
        ("whole frame kept", len(paths) - len(shares)),
    ]
    return Table(f"{len(paths)} films", ("what", "films"), rows)


def every(rule: Rule, images: list[Pixels]) -> None:
    for image in images:
        rule(image)


@dataclass(frozen=True)
class Settings:
    """Phantom patients (four images each), seed, rounds; a folder of films as PNG, cut, chest wall on the right."""

    patients: int = 250
    seed: int = 7
    rounds: int = 5
    films: Path = Path()


TOY = Settings(patients=1, rounds=1)


def measure(settings: Settings) -> Report:
    """Return accuracy on phantoms, and milliseconds."""
    cv2.setNumThreads(1)
    phantoms = drawn(settings.patients, settings.seed)
    took = speed(phantoms, settings.rounds)
    first, _, published_crop, _ = took.rows
    ours, theirs = float(first[-1] or 0), float(published_crop[-1] or 0)
    line = Line("finding the breast at full size, ms", ours, "Mammo-CLIP's crop", theirs, ours / theirs)
    tables = [*(accuracy(phantoms, change) for change in CHANGES), took]
    return Report([*tables, films(settings.films)] if settings.films != Path() else tables, [line])
