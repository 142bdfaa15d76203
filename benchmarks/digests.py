"""Digests of shards.

What a run pays for the digest of every shard, in processor time, beside the smallest usual network (ResNet-18 at
224 × 224), all on one core. A file is hashed when it is written, and once by each command that reads it. Without SHA
instructions of the processor: `OPENSSL_ia32cap=":~0x20000000" python -m benchmarks digests`. SHA-256 it is: processors
of today have the instructions, and `sha256sum` reads the files.
"""

from __future__ import annotations

import functools
import hashlib
from dataclasses import dataclass

import torch
from torchvision.models import resnet18

from benchmarks.report import Line, Report, Table
from benchmarks.timing import in_turn


@dataclass(frozen=True)
class Settings:
    """Neurons and images of a shard."""

    neurons: int = 20_480
    images: int = 64
    rounds: int = 5


TOY = Settings(neurons=100, images=2, rounds=1)


def measure(settings: Settings) -> Report:
    """Return the least processor time of several rounds."""
    torch.set_num_threads(1)
    shard = torch.rand(settings.images, settings.neurons).numpy().tobytes()
    images, network = torch.rand(settings.images, 3, 224, 224), resnet18().eval()
    names = {"SHA-256": "sha256", "BLAKE2b": "blake2b"}
    with torch.inference_mode():
        (forward,) = in_turn({"forward": lambda: network(images)}, min(2, settings.rounds)).values()
    hashed = {
        shown: functools.partial(lambda name: hashlib.new(name, shard).hexdigest(), name)
        for shown, name in names.items()
    }
    spent = {name: min(found) for name, found in in_turn(hashed, settings.rounds).items()}
    passing = min(forward)
    rows = [(name, len(shard) / one / 1e6, 1000 * one, passing, f"{one / passing:.2%}") for name, one in spent.items()]
    columns = ("digest", "MB/s", "ms a shard", "forward pass, s", "digest / forward")
    title = f"{settings.images} images × {settings.neurons:,} neurons"
    ours = spent["SHA-256"]
    line = Line("digest of a shard, s", ours, "forward pass of ResNet-18", passing, ours / passing)
    return Report([Table(title, columns, rows)], [line])
