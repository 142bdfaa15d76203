"""The released image towers of Mammo-CLIP (Ghosh et al., MICCAI 2024) on weights that anyone can rebuild.

The checkpoints cannot be part of mcd. Each tensor is therefore filled from a hash of the name that it has in the
checkpoint (splitmix64 seeded with its crc32), and so is the image; the released code was run once on the same.
"""

from __future__ import annotations

import zlib
from functools import cache

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from mcd_plugins.mammo_clip.tower import Network, aliases, empty_tower, released_names

__all__ = ["blocks", "length_of_means", "length_of_vector", "neurons"]


def blocks(network: Network) -> int:
    """Return how many blocks the tower has."""
    return len(_blocks(empty_tower(network)))


def neurons(network: Network) -> int:
    """Return how many channels its blocks have together."""
    return len(_computed(network, 64, 48)[0])


def length_of_means(network: Network, height: int, width: int) -> float:
    """Return the Euclidean length of the spatial means of all blocks' channels."""
    return float(np.linalg.norm(_computed(network, height, width)[0]))


def length_of_vector(network: Network, height: int, width: int) -> float:
    """Return the Euclidean length of the pooled vector."""
    return float(np.linalg.norm(_computed(network, height, width)[1]))


@cache
def _computed(network: Network, height: int, width: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    tower = _filled(network)
    means: list[NDArray[np.float64]] = []
    for block in _blocks(tower).values():
        block.register_forward_hook(lambda _m, _i, output: means.append(output.mean(dim=(2, 3))[0].double().numpy()))
    with torch.inference_mode():
        vector = tower(_image(height, width))[0].double().numpy()
    return np.concatenate(means), vector


def _blocks(tower: nn.Module) -> dict[str, nn.Module]:
    names = {name: place for name, place in aliases(tower).items() if name.startswith("_blocks.")}
    return {name: tower.get_submodule(place) for name, place in names.items()}


def _filled(network: Network) -> nn.Module:
    tower = empty_tower(network)
    released = released_names(tower)
    tower.load_state_dict({name: _tensor(released[name], tensor) for name, tensor in tower.state_dict().items()})
    return tower


def _uniform(key: str, count: int) -> NDArray[np.float64]:
    """Return numbers in [-1, 1) that depend on the key and their place alone: splitmix64 (Steele et al. 2014)."""
    with np.errstate(over="ignore"):
        x = np.arange(1, count + 1, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
        x += np.uint64(zlib.crc32(key.encode())) << np.uint64(17)
        x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        x ^= x >> np.uint64(31)
    return (x >> np.uint64(11)).astype(np.float64) / 2.0**52 - 1.0


def _tensor(key: str, like: torch.Tensor) -> torch.Tensor:
    """Return a tensor filled from its name: variances stay positive, weights are spread by their fan-in."""
    if key.endswith("num_batches_tracked"):
        return torch.zeros_like(like)
    drawn = _uniform(key, like.numel())
    if key.endswith("running_var"):
        drawn = 1.0 + 0.3 * np.abs(drawn)
    elif key.endswith(("running_mean", "bias")):
        drawn = 0.1 * drawn
    elif like.ndim == 1:
        drawn = (1.5 if "_bn2" in key else 1.0) + 0.2 * drawn
    else:
        drawn = drawn * np.sqrt(3.0) * np.sqrt(1.4 / like[0].numel())
    return torch.from_numpy(drawn.astype(np.float32)).reshape(like.shape)


def _image(height: int, width: int) -> torch.Tensor:
    """Return a bright half disc at the left with noise on it, ``(1, 3, height, width)``, normalised."""
    y, x = np.mgrid[0:height, 0:width]
    disc = np.exp(-2.0 * (((y - 0.5 * height) / (0.35 * height)) ** 2 + (x / (0.7 * width)) ** 2))
    noise = _uniform(f"image/{height}x{width}", height * width).reshape(height, width)
    grey = (2.5 * disc - 1.2 + 0.4 * noise).astype(np.float32)
    return torch.from_numpy(grey).expand(1, 3, height, width)
