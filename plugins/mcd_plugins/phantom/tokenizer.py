"""Words as hashed pieces, so that a word never seen in training still resembles its relatives."""

from __future__ import annotations

import re
import zlib
from collections.abc import Sequence
from itertools import pairwise

import torch

__all__ = ["BUCKETS", "tokenize"]

BUCKETS = 12288
"""Rows of the embedding table; row 0 is for empty texts."""

_WORD = re.compile(r"[a-z0-9]+")


def pieces(text: str) -> list[str]:
    """Return the pieces of a text: its words, pairs of neighbours, and each word's 4-letter parts.

    >>> pieces("no mass")
    ['no', 'mass', 'no_mass', '<no>', '<mas', 'mass', 'ass>']
    """
    words = _WORD.findall(text.lower())
    found = [*words, *(f"{first}_{second}" for first, second in pairwise(words))]
    for word in words:
        framed = f"<{word}>"
        found += [framed[at : at + 4] for at in range(max(1, len(framed) - 3))]
    return found


def tokenize(texts: Sequence[str]) -> tuple[torch.Tensor, torch.Tensor]:
    """Return bucket numbers of all pieces one after another, and where each text starts, both int64.

    The form that ``nn.EmbeddingBag`` takes. Hashing is CRC-32, the same on every machine.
    """
    ids: list[int] = []
    starts: list[int] = []
    for text in texts:
        starts.append(len(ids))
        ids += [1 + zlib.crc32(piece.encode()) % (BUCKETS - 1) for piece in pieces(text)] or [0]
    return torch.tensor(ids, dtype=torch.int64), torch.tensor(starts, dtype=torch.int64)
