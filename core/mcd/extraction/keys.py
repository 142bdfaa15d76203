"""The keys of the store: digests of everything that decides the numbers under them."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from mcd.api.base import digest
from mcd.api.image import Preprocessing
from mcd.api.model import Target
from mcd.extraction.image_statistics import image_statistics
from mcd.extraction.normalising import NormalisingPass
from mcd.extraction.probe import ProbeSet
from mcd.extraction.reading import Reader
from mcd.extraction.sweep import Sweep, shard_rows
from mcd.networks.identity import Identity, identity_of
from mcd.networks.layers import Layer
from mcd.networks.pooling import Pooling
from mcd.networks.recording import Recorder
from mcd.networks.untrained import collecting, untrained
from mcd.version import __version__

__all__ = [
    "STAGE_VERSION",
    "STATISTICS_VERSION",
    "activation_key",
    "embedding_key",
    "image_key",
    "not_reused",
    "statistics_key",
    "untrained_key",
]

STAGE_VERSION = "sweep/1"
"""Raised when the sweep's numbers change, so that shards of older versions are not read."""
STATISTICS_VERSION = "statistics/2"
"""As `STAGE_VERSION`, of the statistics of the images."""


def image_key(probe: ProbeSet, reader: Reader, device: torch.device, precision: str, batch_size: int) -> str:
    """Return the digest of what decides every number of a sweep besides the models."""
    return digest(
        STAGE_VERSION,
        __version__,
        torch.__version__,
        identity_of(Sweep, Recorder, shard_rows).key,
        probe.fingerprint,
        reader.fingerprint(),
        precision,
        device.type,
        str(batch_size),
    )


def activation_key(images: str, network: Identity, target: Target, layers: Sequence[Layer], pooling: Pooling) -> str:
    """Return the key of a target's activations.

    Parameters
    ----------
    images
        As `image_key` returns it.
    network
        Of the target's module.
    """
    described = [part for layer in layers for part in (layer.name, str(layer.layout))]
    own = (network.key, identity_of(target.preprocessing).key, str(target.first_tokens()))
    return digest(images, *own, str(pooling), *described)


def untrained_key(activations: str, seed: int, number: int) -> str:
    """Return the key of the activations of a network that has not been trained.

    Parameters
    ----------
    activations
        Of the trained target, as `activation_key` returns it.
    seed, number
        What its weights are drawn from; see `mcd.networks.untrained.untrained`.
    """
    own = identity_of(untrained, collecting, NormalisingPass)
    return digest(activations, "untrained", str(seed), str(number), own.key)


def embedding_key(images: str, dissector: Identity, preprocessing: Preprocessing) -> str:
    """Return the key of a dissector's image embeddings; ``images`` as `image_key` returns it."""
    return digest(images, dissector.key, identity_of(preprocessing).key)


def statistics_key(images: str) -> str:
    """Return the key of the statistics of the images; ``images`` as `image_key` returns it."""
    return digest(STATISTICS_VERSION, images, identity_of(image_statistics).key)


def not_reused(name: str, one: Identity) -> str:
    """Return the warning about something that cannot be identified; empty where it can be."""
    return f"nothing stored of {name} will be used again: {one.unknown}" if one.unknown else ""
