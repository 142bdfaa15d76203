"""The dissector's embeddings of the concepts, kept by content."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import safetensors
import torch
from safetensors.torch import save

from mcd.api.base import digest
from mcd.api.concepts import ConceptSet
from mcd.api.dissector import Dissector
from mcd.errors import PluginLoadError
from mcd.extraction.networks import at_work
from mcd.files import write_atomically

__all__ = ["embed_concepts", "encode"]

_CHUNK = 256


def embed_concepts(
    folder: Path, concepts: ConceptSet, fingerprint: str, dissector: Callable[[], Dissector], device: torch.device
) -> torch.Tensor:
    """Return the text embeddings of a concept set, ``(concepts, D)`` float32, from the run folder if they are there.

    Parameters
    ----------
    folder
        The run folder.
    fingerprint
        The dissector's, weights included.
    dissector
        Called only when something must be encoded.
    """
    prompts = [concept.prompt for concept in concepts.concepts]
    path = folder / "embeddings" / f"texts-{digest(fingerprint, *prompts)[:16]}.safetensors"
    try:
        with safetensors.safe_open(path, framework="pt") as file:
            stored: torch.Tensor = file.get_tensor("texts")
        if len(stored) == len(prompts):
            return stored
    except (OSError, safetensors.SafetensorError):
        pass  # not there, or cut short by a full disk: encode again
    encoded = encode(dissector(), prompts, device)
    write_atomically(path, save({"texts": encoded}))
    return encoded


def encode(dissector: Dissector, prompts: list[str], device: torch.device) -> torch.Tensor:
    """Return the text embeddings of prompts, ``(prompts, D)`` float32 on the CPU, not normalised.

    Raises
    ------
    PluginLoadError
        When the dissector returns anything else.
    """
    with at_work(dissector.module, device), torch.inference_mode():
        parts = [
            dissector.encode_texts(prompts[at : at + _CHUNK]).float().cpu() for at in range(0, len(prompts), _CHUNK)
        ]
    encoded = torch.cat(parts).contiguous()
    if encoded.ndim != 2 or len(encoded) != len(prompts):
        raise PluginLoadError(
            f"dissector {dissector.name} turned {len(prompts)} concepts into embeddings of shape {tuple(encoded.shape)}"
        )
    return encoded
