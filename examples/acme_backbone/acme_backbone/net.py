"""The backbone: imported when somebody uses it."""

from __future__ import annotations

import math

import torch
from pydantic import Field
from torch import nn

import mcd

__all__ = ["AcmeLoader", "AcmeNet"]

STAGES = 3


class AcmeNet(nn.Module):
    """A small convolutional network for grey images: a stem, three stages, and a head with one logit.

    Parameters
    ----------
    width
        Channels of the stem; each stage has twice as many as what comes before it.
    seed
        Decides the weights. The global random state is left as it was.
    """

    def __init__(self, width: int, seed: int) -> None:
        super().__init__()
        with torch.random.fork_rng(devices=[]):  # layers draw weights when they are made; ours replace them
            self.stem = nn.Conv2d(1, width, kernel_size=7, stride=2, padding=3)
            self.stages = nn.ModuleList(_stage(width * 2**depth) for depth in range(STAGES))
            self.head = nn.Linear(width * 2**STAGES, 1)
        _draw_weights(self, torch.Generator().manual_seed(seed))

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Return one logit an image, ``(B, 1)``, from images ``(B, 1, H, W)``."""
        maps = torch.relu(self.stem(images))
        for stage in self.stages:
            maps = stage(maps)
        logits: torch.Tensor = self.head(maps.mean(dim=(2, 3)))
        return logits


def _stage(channels: int) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(channels, 2 * channels, kernel_size=3, stride=2, padding=1), nn.ReLU())


@torch.no_grad()
def _draw_weights(network: nn.Module, generator: torch.Generator) -> None:
    """Fill weights as He et al. (2015) do, and biases with zero."""
    for parameter in network.parameters():
        if parameter.ndim == 1:
            parameter.zero_()
        else:
            scale = math.sqrt(2 / parameter[0].numel())
            parameter.copy_(torch.randn(parameter.shape, generator=generator) * scale)


class AcmeLoader(mcd.ModelLoader):
    """Makes an `AcmeNet`. A real loader would read trained weights with `mcd.plugins.load_weights` here."""

    class Options(mcd.Options):
        """Settings of the backbone."""

        width: int = Field(
            default=16, ge=1, le=256, description="channels of the stem; the last stage has 8 times as many"
        )
        seed: int = Field(default=0, ge=0, description="decides the weights")
        size: int = Field(default=256, ge=32, description="rows and columns of the input")

    options: Options

    def load(self) -> mcd.Target:
        """Return the target."""
        return mcd.Target(
            f"acme-net-{self.options.width}",
            AcmeNet(self.options.width, self.options.seed).eval(),
            mcd.Preprocessing(height=self.options.size, width=self.options.size, channels=1),
        )
