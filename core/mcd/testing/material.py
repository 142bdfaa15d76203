"""Small things that checks and tests run on: drawn images of made-up patients, a dissector, a network."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence

import numpy as np
import torch
from torch import nn

from mcd.api.dataset import Dataset, Sample
from mcd.api.dissector import Dissector
from mcd.api.image import Image, Preprocessing
from mcd.api.model import Target

__all__ = ["TinyDissector", "TinyImages", "images", "samples", "tiny_target"]

_SIZE = 32
_COUNT = 24
_FINDINGS = ("mass", "calcifications")


def samples() -> list[Sample]:
    """Return 24 images of 12 patients, left and right, some with findings, none with a file."""
    return list(TinyImages().scan())


def images() -> list[Image]:
    """Return an image of each sort: 8, 12 of 16, and 16 bits, grey values as floats, colour; with a mask."""
    rng, mask = np.random.default_rng(0), np.zeros((40, 24), dtype=bool)
    mask[5:30, :15] = True
    grey = rng.random((40, 24))
    return [
        Image((grey * 255).astype(np.uint8), 255, mask=mask),
        Image((grey * 4095).astype(np.uint16), 4095, mask=mask),
        Image((grey * 65535).astype(np.uint16), 65535, negative=True, mask=mask),
        Image(grey.astype(np.float32), 1.0, mask=mask),
        Image((rng.random((40, 24, 3)) * 255).astype(np.uint8), 255, mask=mask),
    ]


class TinyImages(Dataset):
    """A probe set of 24 drawn images, 32 × 32 pixels: a bright square is a mass, bright points are calcifications."""

    ids_are_public = True
    images_may_be_copied = True

    def __len__(self) -> int:
        return _COUNT

    def scan(self) -> Iterator[Sample]:
        """Yield what is known of every image."""
        for number in range(_COUNT):
            yield Sample(
                id=f"tiny-{number:02d}",
                digest=hashlib.sha256(f"tiny {number}".encode()).hexdigest(),
                patient=f"p{number // 2:02d}",
                laterality="LR"[number % 2],
                view=("CC", "MLO")[number // 2 % 2],
                collection="tiny",
                findings={"mass": number % 3 == 0, "calcifications": number % 4 == 0},
            )

    def read(self, sample: Sample) -> Image:
        """Draw one image: float32 in 0…1."""
        number = int(sample.id.removeprefix("tiny-"))
        pixels = np.random.default_rng(number).normal(0.3, 0.05, (_SIZE, _SIZE))
        if sample.findings["mass"]:
            pixels[10:20, 8:18] += 0.4
        if sample.findings["calcifications"]:
            pixels[22:30:2, 4:28:3] = 1.0
        return Image(pixels.clip(0, 1).astype(np.float32), 1.0)


class TinyDissector(Dissector):
    """An image–text model of random projections, right only about which texts and images are the same."""

    caution = "the tiny dissector is for tests: its labels mean nothing"

    def load(self) -> None:
        """Draw the weights from a fixed seed."""
        self.name = "tiny"
        self.preprocessing = Preprocessing(height=_SIZE, width=_SIZE, channels=1)
        self.module = _seeded(lambda: nn.Linear(_SIZE * _SIZE, 16, bias=False))

    def encode_images(self, batch: torch.Tensor) -> torch.Tensor:
        """Return the embeddings ``(B, 16)`` of images ``(B, 1, 32, 32)``."""
        found: torch.Tensor = self.module(batch.flatten(1))
        return found

    def encode_texts(self, texts: Sequence[str]) -> torch.Tensor:
        """Return the embeddings ``(len(texts), 16)``, numbers that follow from each text alone."""
        seeds = [int.from_bytes(hashlib.sha256(text.encode()).digest()[:6], "big") for text in texts]
        rows = [torch.randn(16, generator=torch.Generator().manual_seed(seed)) for seed in seeds]
        return torch.stack(rows).to(next(self.module.parameters()).device)


def tiny_target() -> Target:
    """Return a network of two convolutions with weights drawn from a fixed seed, for grey images of 32 × 32."""
    network = _seeded(
        lambda: nn.Sequential(
            nn.Conv2d(1, 8, 3, stride=2), nn.ReLU(), nn.Conv2d(8, 16, 3, stride=2), nn.ReLU(), nn.Flatten()
        )
    )
    return Target("tiny", network, Preprocessing(height=_SIZE, width=_SIZE, channels=1))


def _seeded(make: Callable[[], nn.Module]) -> nn.Module:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return make()
