"""A dissector's embeddings of texts."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as functional

from mcd.api.dissector import Dissector
from mcd.errors import PluginLoadError
from mcd.networks.foreign import calling
from mcd.networks.running import at_work

__all__ = ["averaged", "encode"]

_CHUNK = 256


def averaged(encoded: torch.Tensor, counts: Sequence[int]) -> torch.Tensor:
    """Return one embedding a name, ``(names, D)``: of several texts the mean of their normalised embeddings.

    Source: Radford et al. 2021 (arXiv 2103.00020), section 3.1.4.

    Parameters
    ----------
    encoded
        ``(texts, D)``, those of one name beside each other.
    counts
        ``(names,)``: how many texts each has.
    """
    parts = torch.split(encoded, list(counts))
    return torch.stack([part[0] if len(part) == 1 else functional.normalize(part, dim=1).mean(dim=0) for part in parts])


def encode(dissector: Dissector, prompts: list[str], device: torch.device) -> torch.Tensor:
    """Return the text embeddings of prompts, ``(prompts, D)`` float32 on the CPU, not normalised.

    Raises
    ------
    PluginLoadError
        When the dissector returns anything else.
    """
    failed = calling(f"dissector {dissector.name} failed on {len(prompts)} texts", network=dissector.module)
    with at_work(dissector.module, device), torch.inference_mode(), failed:
        parts = [
            dissector.encode_texts(prompts[at : at + _CHUNK]).float().cpu() for at in range(0, len(prompts), _CHUNK)
        ]
    encoded = torch.cat(parts).contiguous()
    if encoded.ndim != 2 or len(encoded) != len(prompts):
        raise PluginLoadError(
            f"dissector {dissector.name} made of {len(prompts)} concepts embeddings of shape {tuple(encoded.shape)}",
            "encode_texts returns one row a text: report it to its author, or use another",
        )
    return encoded
