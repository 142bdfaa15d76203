"""Images of which it is known what each position holds, and networks that show it."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import replace

import numpy as np
import torch
from torch import nn

import mcd
from mcd.errors import ImageError
from mcd.plugins import TargetImages, target_images
from mcd.testing.material import TinyImages

SIDE, CELL = 32, 4


class Halves(TinyImages):
    """Bright inside a drawn breast, dark outside; of the image ``whole`` no breast is found."""

    has_masks = True
    whole = "tiny-03"
    unreadable: frozenset[str] = frozenset()

    def mask(self, sample: mcd.Sample, image: mcd.Image) -> np.ndarray:
        rows, columns = np.indices((SIDE, SIDE))
        return (np.hypot(rows - 16, columns) < 14) | (sample.id == self.whole)

    def read(self, sample: mcd.Sample) -> mcd.Image:
        if sample.id in self.unreadable:
            raise ImageError("its pixels are cut short")
        number = int(sample.id.removeprefix("tiny-"))
        noise = np.random.default_rng(number).uniform(0, 0.2, (SIDE, SIDE))
        inside = self.mask(sample, mcd.Image(noise, 1.0)) & (sample.id != self.whole)
        return mcd.Image((noise + 0.7 * inside).astype(np.float32), 1.0)


class Sources(TinyImages):
    """Each cell of 4 × 4 pixels holds the strengths of 16 sources: few at a time, or all of them, as noise.

    Where some images are ``upper``, they show the first eight sources only, and the others the rest.
    """

    def __init__(self, sparse: bool = True, upper: Collection[str] = ()) -> None:
        super().__init__()
        self.sparse, self.upper = sparse, upper

    def read(self, sample: mcd.Sample) -> mcd.Image:
        rng = np.random.default_rng([5, int(sample.id.removeprefix("tiny-"))])
        if self.sparse:
            strengths = rng.uniform(0.2, 1, (SIDE, SIDE)) * (rng.random((SIDE, SIDE)) < 0.12)
        else:
            strengths = rng.normal(0.5, 0.12, (SIDE, SIDE)).clip(0, 1)
        if self.upper:
            shown = np.arange(SIDE) % CELL < CELL // 2
            strengths *= (shown if sample.id in self.upper else ~shown)[:, None]
        return mcd.Image(strengths.astype(np.float32), 1.0)


def mixing() -> mcd.Target:
    """Return a network whose layer ``mixed`` adds up 16 directions at right angles, one for each source of a cell."""
    network, sources = nn.Sequential(), CELL * CELL
    network.add_module("mixed", nn.Conv2d(1, sources, CELL, CELL, bias=False))
    directions = torch.linalg.qr(torch.randn(sources, sources, generator=torch.Generator().manual_seed(3))).Q
    with torch.no_grad():
        network.get_parameter("mixed.weight").copy_(directions.T.reshape(sources, 1, CELL, CELL))
    return mcd.Target("mixing", network, mcd.Preprocessing(height=SIDE, width=SIDE, channels=1))


def pixels() -> mcd.Target:
    """Return a network whose layer ``seen`` is the image itself."""
    network = nn.Sequential()
    network.add_module("seen", nn.Conv2d(1, 1, 1, bias=False))
    with torch.no_grad():
        network.get_parameter("seen.weight").fill_(1.0)
    return mcd.Target("pixels", network, mcd.Preprocessing(height=SIDE, width=SIDE, channels=1))


def ready(target: mcd.Target, images: mcd.Dataset, batch_size: int = 16) -> TargetImages:
    return target_images(target, images, device="cpu", workers=0, store="off", progress=False, batch_size=batch_size)


class Nameless(TinyImages):
    """The same images, whose patients nobody knows."""

    def scan(self) -> Iterator[mcd.Sample]:
        for one in super().scan():
            yield replace(one, patient="")
