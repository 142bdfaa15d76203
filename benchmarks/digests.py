"""What digests cost: python benchmarks/digests.py

Hashes a shard as a run of 20,480 neurons writes it for 64 images, in processor time, and says what share that is of the
time in which a small network takes those images in. Without SHA instructions of the processor:
``OPENSSL_ia32cap=":~0x20000000" python benchmarks/digests.py``.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable

import torch
from torchvision.models import resnet18

NEURONS, IMAGES, ROUNDS = 20_480, 64, 5


def seconds(work: Callable[[], object]) -> float:
    """Return the least processor time of several rounds."""
    found = []
    for _ in range(ROUNDS):
        start = time.process_time()
        work()
        found.append(time.process_time() - start)
    return min(found)


def main() -> None:
    """Print the table."""
    torch.set_num_threads(1)
    shard = torch.rand(IMAGES, NEURONS).numpy().tobytes()
    images, network = torch.rand(IMAGES, 3, 224, 224), resnet18().eval()
    with torch.inference_mode():
        network(images[:1])
        forward = seconds(lambda: network(images))
    print(f"shard of {len(shard) / 1e6:.1f} MB; ResNet-18 takes {forward:.2f} s for {IMAGES} images at 224 × 224")
    for name in ("sha256", "blake2b"):
        spent = seconds(lambda name=name: hashlib.new(name, shard).hexdigest())
        print(f"{name:8} {len(shard) / spent / 1e6:6.0f} MB/s {1000 * spent:6.1f} ms a shard {spent / forward:7.2%}")


if __name__ == "__main__":
    main()
