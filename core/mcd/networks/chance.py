"""Random numbers that a network draws while it runs: what it gives for an image must depend on none."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import nn

from mcd.errors import UsageError
from mcd.networks.given import generators_in, state_of
from mcd.networks.process import random_states

__all__ = ["REMEDY", "Draws", "check_same"]

REMEDY = "look for F.dropout without training=self.training, stochastic depth, and noise"
_TOLERANCE = 1e-3
"""Of the largest value: on a GPU sums of one batch may differ by their order."""


class Draws:
    """Notices whether a network draws random numbers: by the states of all generators that it may know.

    Parameters
    ----------
    module
        The network.
    device
        Where it runs.
    """

    def __init__(self, module: nn.Module, device: torch.device) -> None:
        self._own, self._device = generators_in(module), device

    def states(self) -> tuple[object, ...]:
        """Return the states of the generators, to be compared: equal where nothing was drawn in between."""
        gpu = [torch.cuda.get_rng_state(self._device).numpy().tobytes()] if self._device.type == "cuda" else []
        return (*random_states(), *map(state_of, self._own), *gpu)


def check_same(name: str, first: Mapping[str, torch.Tensor], second: Mapping[str, torch.Tensor], images: str) -> None:
    """Refuse a model that gave one batch different values in two passes: its labels would depend on chance, too.

    Parameters
    ----------
    name
        Of the model.
    first, second
        What it gave, by layer.
    images
        Which, in words.

    Raises
    ------
    UsageError
        Naming the first such layer.
    """
    for layer, one in first.items():
        largest, apart = float(one.abs().max()), float((one - second[layer]).abs().max())
        if apart > _TOLERANCE * largest:
            raise UsageError(
                f"{name} gives {images} different values in two passes (layer {layer}, by {apart:.2g} of "
                f"{largest:.2g}): it depends on chance",
                f"in eval mode it may not: {REMEDY}",
            )
