"""Files of units as bytes: the same tensors and words make the same file."""

from __future__ import annotations

import json
from collections.abc import Mapping

import torch
from safetensors.torch import save

__all__ = ["unit_bytes"]

_ALIGNED = 8


def unit_bytes(tensors: Mapping[str, torch.Tensor], about: Mapping[str, str]) -> bytes:
    """Return a safetensors file of tensors, with a few words about them as metadata, in the order given.

    The library itself writes metadata in an order that differs from call to call.
    """
    own = {name: one.detach().cpu().contiguous() for name, one in tensors.items()}
    places = [one.untyped_storage().data_ptr() for one in own.values()]
    if len(set(places)) < len(places):  # the library refuses tensors that share memory
        own = {name: one.clone() for name, one in own.items()}
    written = save(own)
    start = 8 + int.from_bytes(written[:8], "little")
    header = {"__metadata__": dict(about), **json.loads(written[8:start])}
    words = json.dumps(header, ensure_ascii=False, separators=(",", ":")).encode()
    words += b" " * (-len(words) % _ALIGNED)
    return b"".join((len(words).to_bytes(8, "little"), words, memoryview(written)[start:]))
