"""Samples of which the concepts are known: sparse sums of more directions than there are channels."""

from __future__ import annotations

import torch
import torch.nn.functional as functional

from mcd_plugins.dictionary.matching import matched


def superposed(
    count: int, concepts: int, channels: int, active: float, seed: int = 12345
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return samples ``(count, channels)`` and directions ``(concepts, channels)``, ``active`` a sample on average."""
    generator = torch.Generator().manual_seed(seed)
    directions = functional.normalize(torch.randn(concepts, channels, generator=generator), dim=1)
    responds = torch.rand(count, concepts, generator=generator) < active / concepts
    amounts = 0.5 + torch.rand(count, concepts, generator=generator)
    return (responds * amounts) @ directions, directions


def share_found(directions: torch.Tensor, decoder: torch.Tensor) -> float:
    """Return the share of directions that a row of a decoder has, each its own: of cosine .9 at least."""
    return float((matched(directions, decoder) >= 0.9).sum()) / len(directions)
