"""Networks without knowledge: random weights, and a random dissector."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import replace
from typing import Final

import torch
import torch.nn.functional as functional
from torch import nn

from mcd.api.base import digest
from mcd.api.dissector import Dissector
from mcd.api.image import Preprocessing
from mcd.api.model import Target
from mcd.errors import UsageError, passes_through, said_by

__all__ = ["RANDOM_DISSECTOR", "RANDOM_UNITS", "RANDOM_WEIGHTS", "RandomDissector", "with_random_weights"]

RANDOM_WEIGHTS: Final = "random weights"
RANDOM_DISSECTOR: Final = "random dissector"
RANDOM_UNITS: Final = "random units"
_SIDE = 24
_WIDTH = 256


def with_random_weights(target: Target, seed: int) -> Target:
    """Return a copy of a target with random weights: the values of each parameter are permuted.

    So each keeps its scale, and the network works as before but for what it has learned. Buffers (running means) stay.

    Raises
    ------
    UsageError
        When the module cannot be copied.
    """
    try:
        module = copy.deepcopy(target.module)
    except BaseException as error:  # foreign modules refuse in their own ways
        if passes_through(error):
            raise
        raise UsageError(
            f"the control '{RANDOM_WEIGHTS}' needs a copy of {target.name}, which cannot be made: {said_by(error)}",
            "leave out --controls",
        ) from error
    with torch.no_grad():
        for name, parameter in module.named_parameters():
            generator = torch.Generator().manual_seed(_seed(seed, name))
            order = torch.randperm(parameter.numel(), generator=generator).to(parameter.device)
            parameter.copy_(parameter.flatten()[order].view_as(parameter))
    return replace(target, name=f"{target.name} ({RANDOM_WEIGHTS})", module=module, caution="")


class _Projection(nn.Module):
    """Images as random projections of their pixels, ``(B, _WIDTH)``."""

    def __init__(self, seed: int) -> None:
        super().__init__()
        self.weight: torch.Tensor
        generator = torch.Generator().manual_seed(seed)
        self.register_buffer("weight", torch.randn(_SIDE * _SIDE, _WIDTH, generator=generator))

    def forward(self, batch: torch.Tensor) -> torch.Tensor:
        """Return the projections of a batch ``(B, C, H, W)``: of what differs from its mean grey."""
        small = functional.adaptive_avg_pool2d(batch.float().mean(dim=1, keepdim=True), _SIDE).flatten(1)
        found: torch.Tensor = (small - small.mean(dim=1, keepdim=True)) @ self.weight
        return found


class RandomDissector(Dissector):
    """A dissector that has learned nothing: images are random projections of their pixels, texts random directions.

    What a neuron responds to in the images can still be significant; the word for it is arbitrary.

    Parameters
    ----------
    name
        Of the dissector in whose place it stands.
    preprocessing
        Of that dissector.
    seed
        Decides both.
    """

    def __init__(self, name: str, preprocessing: Preprocessing, seed: int) -> None:
        super().__init__()
        self.name, self.preprocessing, self._seed = f"{name} ({RANDOM_DISSECTOR})", preprocessing, seed
        self.module = _Projection(seed)

    def encode_images(self, batch: torch.Tensor) -> torch.Tensor:
        """Return the projections of a batch."""
        found: torch.Tensor = self.module(batch)
        return found

    def encode_texts(self, texts: Sequence[str]) -> torch.Tensor:
        """Return a direction for each text that only its letters decide."""
        return torch.stack(
            [torch.randn(_WIDTH, generator=torch.Generator().manual_seed(_seed(self._seed, text))) for text in texts]
        )

    def fingerprint(self) -> str:
        """Return a digest of the seed; the weights follow from it."""
        return digest("random dissector", str(self._seed))


def _seed(seed: int, name: str) -> int:
    return int(digest(str(seed), name)[:15], 16)
