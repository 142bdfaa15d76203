"""The contract of model loaders: they make a target."""

from __future__ import annotations

import abc
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from mcd.api.base import Configured
from mcd.api.image import Preprocessing

if TYPE_CHECKING:
    from torch import nn

__all__ = ["ModelLoader", "Target"]


@dataclass(frozen=True)
class Target:
    """The model under study.

    Parameters
    ----------
    name
        What tables call it.
    module
        Takes a batch ``(B, C, H, W)``. The engine puts it in eval mode and on the run's device.
    preprocessing
        How an image becomes its input; the default takes images as they are.
    aliases
        Other names by which users may pick layers, each with the module's own: ``{"_blocks.38": "blocks.6.2"}``.
    """

    name: str
    module: nn.Module
    preprocessing: Preprocessing = field(default_factory=Preprocessing)
    aliases: Mapping[str, str] = field(default_factory=dict)


class ModelLoader(Configured, abc.ABC):
    """Base of model loaders.

    Examples
    --------
    ::

        class AcmeLoader(mcd.ModelLoader):
            class Options(mcd.Options):
                checkpoint: Path = Field(description="a .safetensors file")

            options: Options

            def load(self) -> mcd.Target:
                ...
    """

    @abc.abstractmethod
    def load(self) -> Target:
        """Return the target, on the CPU.

        Raises
        ------
        mcd.errors.CheckpointError
            When the weights do not fit.
        """
