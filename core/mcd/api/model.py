"""The contract of model loaders: they make a target."""

from __future__ import annotations

import abc
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from mcd.api.base import Configured
from mcd.api.image import Preprocessing

if TYPE_CHECKING:
    from torch import nn

__all__ = ["ModelLoader", "Target", "prefix_tokens"]

_PREFIX = (
    "cls_token",
    "class_token",
    "class_embedding",
    "distillation_token",
    "dist_token",
    "reg_token",
    "register_tokens",
)
"""What timm, torchvision, open_clip and transformers call the parameters that become class and register tokens."""


def prefix_tokens(module: nn.Module) -> int:
    """Return how many class and register tokens a vision transformer puts first, from the names of its parameters."""
    return sum(
        int(parameter.shape[1]) if parameter.ndim == 3 else 1
        for name, parameter in module.named_parameters()
        if name.rpartition(".")[2] in _PREFIX
    )


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
    prefix_tokens
        How many class and register tokens come before the patches in token outputs; None takes what the module
        says in ``num_prefix_tokens``, as timm's do.
    revision
        Where fetched weights came from, ``OWNER/NAME@COMMIT`` on the hub; the manifest records it.
    caution
        What a reader of its labels must know; said in every run that uses it, and kept in the manifest.
    untrained
        Builds the module as it is before training, given a seed. Asked where the module itself cannot draw its weights
        anew, as layer scales and class tokens that only a constructor fills.
    outputs
        What its outputs are called, in order, as the findings of a classifier. One that has the name of an annotated
        concept is taken to be that finding.
    licence
        Under what terms the weights are given, in a few words; empty where that is not known. The card of a model that
        is trained from them says it.
    """

    name: str
    module: nn.Module
    preprocessing: Preprocessing = field(default_factory=Preprocessing)
    aliases: Mapping[str, str] = field(default_factory=dict)
    prefix_tokens: int | None = None
    revision: str = ""
    caution: str = ""
    untrained: Callable[[int], nn.Module] | None = None
    outputs: tuple[str, ...] = ()
    licence: str = ""

    def first_tokens(self) -> int | None:
        """Return how many class and register tokens come first, or None where that is unknown."""
        if self.prefix_tokens is not None:
            return self.prefix_tokens
        found = getattr(self.module, "num_prefix_tokens", None)
        return found if isinstance(found, int) else None


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
