"""The keys of the store: digests of everything that decides the numbers under them."""

from __future__ import annotations

import torch
from torch import nn

from mcd.api.base import digest
from mcd.api.image import Preprocessing
from mcd.api.model import Target
from mcd.extraction.columns import Column
from mcd.extraction.image_statistics import image_statistics
from mcd.extraction.machine import processor, variables
from mcd.extraction.normalising import NormalisingPass
from mcd.extraction.parts import shard_rows
from mcd.extraction.probe import ProbeSet
from mcd.extraction.reading import Reader
from mcd.extraction.sweep import Sweep
from mcd.networks.identity import Identity, identity_of
from mcd.networks.pooling import Pooling
from mcd.networks.recording import Recorder
from mcd.networks.texts import encode
from mcd.networks.tuning import UNTUNED, Tuning
from mcd.networks.untrained import collecting, untrained
from mcd.version import __version__

__all__ = [
    "STAGE_VERSION",
    "STATISTICS_VERSION",
    "activation_key",
    "arithmetic",
    "embedding_key",
    "found_again",
    "image_key",
    "not_reused",
    "statistics_key",
    "text_key",
    "untrained_key",
]

STAGE_VERSION = "sweep/3"
"""Raised when the sweep's numbers change, so that shards of older versions are not read."""
STATISTICS_VERSION = "statistics/2"
"""As `STAGE_VERSION`, of the statistics of the images."""

TEXTS_VERSION = "texts/1"
"""As `STAGE_VERSION`, of embedded texts."""


def image_key(
    reader: Reader,
    device: torch.device,
    precision: str,
    batch_size: int,
    tuning: Tuning = UNTUNED,
    *,
    masked: bool = False,
) -> str:
    """Return the digest of what decides every number of a sweep besides the models and the bytes of the images.

    Which images they are is in the key of each shard, for its own; see `mcd.extraction.store.Shards`.
    ``masked`` says whether images are read with their breast masks, which a recipe may go by.
    """
    return digest(
        STAGE_VERSION,
        __version__,
        torch.__version__,
        identity_of(Sweep, Column, Recorder, shard_rows).key,
        reader.fingerprint(),
        precision,
        device.type,
        str(batch_size),
        str(masked),
        *tuning.on(device),
    )


def activation_key(images: str, network: Identity, target: Target, pooling: Pooling, others: str = "") -> str:
    """Return what the keys of a target's layers are made of; see `mcd.extraction.store.layer_key`.

    Parameters
    ----------
    images
        As `image_key` returns it.
    network
        Of the target's module.
    others
        Names of all layers that are recorded: torch runs its own transformer encoders by another path, which rounds
        otherwise, where no hook is on them.
    """
    own = (network.key, identity_of(target.preprocessing).key, str(target.first_tokens()))
    hooked = any(isinstance(one, nn.TransformerEncoderLayer) for one in target.module.modules())
    return digest(images, *own, str(pooling), *([others] if hooked else []))


def untrained_key(activations: str, seed: int, number: int, seen: str = "") -> str:
    """Return the key of the activations of a network that has not been trained.

    Parameters
    ----------
    activations
        Of the trained target, as `activation_key` returns it.
    seed, number
        What its weights are drawn from; see `mcd.networks.untrained.untrained`.
    seen
        Digest of the images that its normalisations are estimated from; empty where it has none.
    """
    own = identity_of(untrained, collecting, NormalisingPass)
    return digest(activations, "untrained", str(seed), str(number), own.key, *([seen] if seen else []))


def embedding_key(images: str, dissector: Identity, preprocessing: Preprocessing) -> str:
    """Return the key of a dissector's image embeddings; ``images`` as `image_key` returns it."""
    return digest(images, dissector.key, identity_of(preprocessing).key)


def statistics_key(images: str, values: str) -> str:
    """Return the key of the statistics of the images, of their displayed or stored values.

    ``images`` is as `image_key` returns it.
    """
    return digest(STATISTICS_VERSION, images, values, identity_of(image_statistics).key)


def text_key(dissector: str, texts: str) -> str:
    """Return the key of embedded texts in a store that runs share.

    Parameters
    ----------
    dissector
        `mcd.networks.identity.Identity.key` of the dissector.
    texts
        Digest of the texts.
    """
    return digest(TEXTS_VERSION, __version__, torch.__version__, identity_of(encode).key, dissector, texts)


def arithmetic(device: torch.device) -> str:
    """Return a digest of what of this machine decides the last bits of a forward pass: its processor, its threads."""
    told = [variables()] if variables() else []
    if device.type == "cuda":
        return digest("cuda", torch.cuda.get_device_name(device), str(torch.version.cuda), *told)
    return digest(device.type, *processor(), str(torch.get_num_threads()), *told)


def found_again(probe: ProbeSet, reader: Reader, *models: Identity) -> bool:
    """Say whether numbers can be found again: all that decides them is identified, every image by its bytes."""
    return not probe.unidentified and not any(one.unknown for one in (reader.identity, *models))


def not_reused(name: str, one: Identity) -> str:
    """Return the warning about something that cannot be identified; empty where it can be."""
    return f"nothing stored of {name} will be used again: {one.unknown}" if one.unknown else ""
