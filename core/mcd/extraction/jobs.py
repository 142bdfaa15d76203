"""What a sweep is to compute, and where it goes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from torch import nn

from mcd.api.dissector import Dissector
from mcd.api.image import Preprocessing
from mcd.api.model import Target
from mcd.errors import DataError
from mcd.extraction.columns import Column
from mcd.networks.chance import Draws
from mcd.networks.layers import Layer
from mcd.networks.pooling import Pooling
from mcd.networks.recording import Recorder

__all__ = ["IMAGES", "DissectorJob", "ImageJob", "Job", "TargetJob"]

IMAGES = "images"
"""Name of the tensor in the embedding shards, and in those of image statistics."""


@dataclass
class DissectorJob:
    """One dissector of a sweep, and where its embeddings go: a single column.

    ``memory_format`` is the one that it takes, found before the first batch.
    """

    dissector: Dissector
    columns: list[Column]
    memory_format: torch.memory_format = field(default=torch.channels_last, init=False)
    draws: Draws = field(init=False)

    @property
    def model(self) -> tuple[str, nn.Module, Preprocessing]:
        """Its name in messages, its network, and how its input is made."""
        return f"dissector {self.dissector.name}", self.dissector.module, self.dissector.preprocessing

    def run(self, images: torch.Tensor) -> dict[str, torch.Tensor]:
        """Return the embeddings of a batch."""
        # a copy: what it returns may be a buffer of its own that the next batch overwrites
        return {IMAGES: self.dissector.encode_images(images).clone()}


@dataclass
class ImageJob:
    """The statistics of the images of a sweep, and where they go: a single column.

    ``values`` says which of a DICOM file's values they are of: ``"displayed"`` or ``"stored"``.
    """

    values: str
    columns: list[Column]


@dataclass
class TargetJob:
    """One target of a sweep: what to record, and where it goes: a column a layer.

    Where ``tower_of`` is given, the target is the image tower of that dissector, and its forward pass serves both.
    ``memory_format`` is the one its forward() takes; see `mcd.networks.trial.Trial`.
    ``remedy`` is the hint of the error when the target gives NaN or infinity, in place of the usual one. ``untrained``
    says that it has seen no image: its normalisations are estimated before the sweep.
    """

    target: Target
    layers: Sequence[Layer]
    pooling: Pooling
    columns: list[Column]
    tower_of: Dissector | None = None
    remedy: str = ""
    memory_format: torch.memory_format = torch.channels_last
    untrained: bool = False
    recorder: Recorder = field(init=False)
    draws: Draws = field(init=False)

    @property
    def model(self) -> tuple[str, nn.Module, Preprocessing]:
        """Its name in messages, its network, and how its input is made."""
        return self.target.name, self.target.module, self.target.preprocessing

    @property
    def network(self) -> nn.Module:
        """The module that runs: its own, or the tower inside the dissector.

        Raises
        ------
        DataError
            When that has none.
        """
        if self.tower_of is None:
            return self.target.module
        if self.tower_of.image_tower is None:
            raise DataError(
                f"dissector {self.tower_of.name} has no image tower to share",
                "use another dissector; see: mcd plugins list",
            )
        return self.tower_of.image_tower

    def run(self, images: torch.Tensor) -> dict[str, torch.Tensor]:
        """Run on a batch; what its layers give is recorded."""
        self.target.module(images)
        return {}


Job = TargetJob | DissectorJob | ImageJob
