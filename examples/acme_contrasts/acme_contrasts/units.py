"""The unit source: imported when somebody uses it."""

from __future__ import annotations

import torch
from pydantic import Field
from torch import nn

import mcd

__all__ = ["Contrasts"]


class _Centred(nn.Module):
    def forward(self, values: torch.Tensor) -> torch.Tensor:
        """Return units ``(…, channels)`` of neurons ``(…, channels)``."""
        return values - values.mean(dim=-1, keepdim=True)


class Contrasts(mcd.UnitSource):
    """Each neuron less the mean of all neurons of its layer at the same position."""

    class Options(mcd.Options):
        """Settings of the source."""

        neurons: int = Field(default=16, ge=2, le=65536, description="how many the layer has")

    options: Options

    def load(self) -> mcd.Units:
        """Return the units."""
        return mcd.Units("contrasts", _Centred(), self.options.neurons, self.options.neurons)
