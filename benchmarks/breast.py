"""How well, and how fast, the breast is found, beside three simpler rules.

On phantoms, whose outline is known, at the size they are drawn in: intersection over union (IoU) of the masks, the
share of the true breast that the box keeps, and IoU of the boxes, mean and lowest. The images come as drawn, through a
SIGMOID window, and with a white frame. Milliseconds are measured on phantoms enlarged to what detectors give. With
``--films DIR``, also what can be said without a true outline about real, already cut films whose chest wall is on the
right (DMID).
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from pathlib import Path

import click
import cv2
import numpy as np
from numpy.typing import NDArray

import mcd
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
    "mcd.extraction.breast": ours,
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


def accuracy(phantoms: list[tuple[NDArray[np.float64], Mask]]) -> None:
    click.echo(
        f"{len(phantoms)} phantoms: mean (lowest) IoU of masks, share of the breast kept in the box, IoU of boxes"
    )
    for change, apply in CHANGES.items():
        for name, rule in RULES.items():
            overlaps, kept, boxes = [], [], []
            for original, outline in phantoms:
                pixels, true = apply(original, outline)
                mask, box = rule(sixteen(pixels))
                inside, around_true = filled(box, true), filled(around(true), true)
                overlaps.append(iou(mask, true))
                boxes.append(iou(inside, around_true))
                kept.append((true & inside).sum() / true.sum())
            click.echo(
                f"  {change:<15} {name:<20} IoU {np.mean(overlaps):.3f} ({min(overlaps):.3f})"
                f"  kept {np.mean(kept):.4f} ({min(kept):.4f})  box IoU {np.mean(boxes):.3f} ({min(boxes):.3f})"
            )


def speed(phantoms: list[tuple[NDArray[np.float64], Mask]], rounds: int) -> None:
    for rows, columns in ((1024, 1024), (4096, 3328)):
        images = [
            sixteen(cv2.resize(pixels, (columns, rows), interpolation=cv2.INTER_CUBIC).clip(0, 1))
            for pixels, _ in phantoms[:8]
        ]
        times: dict[str, list[float]] = {name: [] for name in RULES}
        for _ in range(rounds):
            for image in images:
                for name, rule in RULES.items():  # in turn, so that what else the machine does falls on all
                    start = time.perf_counter()
                    rule(image)
                    times[name].append(1000 * (time.perf_counter() - start))
        for name, values in times.items():
            click.echo(f"  {rows}×{columns} {name:<20} {statistics.median(values):.1f} ms, best {min(values):.1f} ms")


def films(folder: Path) -> None:
    shares, pieces, sides, reasons = [], [], [], []
    paths = sorted(folder.glob("*.png"))
    for path in paths:
        found = find_breast(np.asarray(cv2.imread(str(path), cv2.IMREAD_GRAYSCALE), dtype=np.uint8), 255.0)
        sides.append(found.side)
        if found.confident:
            shares.append(found.mask.mean())
            pieces.append(cv2.connectedComponents(found.mask.view(np.uint8))[0] - 1)
        else:
            reasons.append(f"{path.name}: {found.reason}")
    click.echo(
        f"{len(paths)} films: chest wall on the right in {sides.count('right')}; one piece in {pieces.count(1)}; "
        f"share of the frame {min(shares):.2f}…{max(shares):.2f}; whole frame kept for {len(reasons)} {reasons}"
    )


@click.command()
@click.option("--patients", default=100, show_default=True, help="Phantom patients, four images each.")
@click.option("--seed", default=7, show_default=True)
@click.option("--rounds", default=5, show_default=True)
@click.option("--films", "folder", type=click.Path(path_type=Path), help="A folder of real films as PNG.")
def main(patients: int, seed: int, rounds: int, folder: Path | None) -> None:
    """Print accuracy on phantoms, milliseconds, and, where given, what can be said about films."""
    phantoms = drawn(patients, seed)
    accuracy(phantoms)
    speed(phantoms, rounds)
    if folder is not None:
        films(folder)


if __name__ == "__main__":
    main()
