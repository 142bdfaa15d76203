"""The model loader ``module``: a network made by your own function."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Literal

import pydantic
import torch
from torch import nn

import mcd
from mcd.errors import UsageError, passes_through, said_by
from mcd.plugins import (
    ChannelMean,
    ChannelStd,
    CodeReference,
    Seed,
    Side,
    check_finite,
    import_function,
    load_weights,
)

__all__ = ["ModuleLoader"]

_RECIPE = ("height", "width", "channels", "resize", "intensity", "mean", "std")


class ModuleLoader(mcd.ModelLoader):
    """A network made by a function of an importable module or of a file.

    ``module:package.module:factory`` or ``module:path/to/file.py:factory``. The file's code runs: give only
    files that you trust.
    """

    class Options(mcd.Options):
        """Settings of the loader."""

        factory: CodeReference = pydantic.Field(
            description="package.module:function or file.py:function; returns an nn.Module"
        )
        arguments: dict[str, pydantic.JsonValue] = pydantic.Field(
            default_factory=dict, description="keyword arguments of the function, as JSON"
        )
        checkpoint: Path | None = pydantic.Field(default=None, description="a weights file (.safetensors, .pth, .pt)")
        prefix: str = pydantic.Field(
            default="", description="take only the tensors under it, such as model.backbone, from the checkpoint"
        )
        ema: bool | None = pydantic.Field(
            default=None,
            description="whether to take the weights averaged over training (EMA) where the checkpoint holds both; by "
            "default the others, and a note says so",
        )
        height: Side | None = pydantic.Field(default=None, description="rows of the input; by default the image's")
        width: Side | None = pydantic.Field(default=None, description="columns of the input, likewise")
        channels: Literal[1, 3] | None = pydantic.Field(
            default=None, description="channels, 1 or 3; by default the image's"
        )
        resize: Literal["letterbox", "squash", "crop"] = pydantic.Field(
            default="letterbox", description="how to resize"
        )
        intensity: Literal["full-range", "min-max"] = pydantic.Field(
            default="full-range", description="divide by the bit depth's white, or stretch each image"
        )
        mean: tuple[ChannelMean, ...] = pydantic.Field(
            default=(), description="subtracted per channel, such as [0.485,…]"
        )
        std: tuple[ChannelStd, ...] = pydantic.Field(default=(), description="divided by per channel")
        seed: Seed = pydantic.Field(default=0, description="set before the function is called")

    options: Options

    def load(self) -> mcd.Target:
        """Return the target."""
        own = self.options
        if not own.factory.rpartition(":")[0]:
            raise UsageError(
                f"module '{own.factory}' does not say which function",
                "write module:package.module:function or module:file.py:function",
            )
        if own.checkpoint is None and (own.prefix or own.ema is not None):
            raise UsageError(
                "module: prefix and ema say what to take from a checkpoint, but there is none", "give checkpoint"
            )
        made = self._made(import_function(own.factory))
        module = made.module if isinstance(made, mcd.Target) else made
        if not isinstance(module, nn.Module):
            raise UsageError(
                f"{own.factory} returned a {type(module).__name__}, not an nn.Module",
                "return the network itself, or an mcd.Target with it and its preprocessing",
            )
        caution = ""
        if own.checkpoint is not None:
            caution = load_weights(module, own.checkpoint, prefix=own.prefix, ema=own.ema)
        check_finite(module, module.state_dict(), own.factory)  # the function may have read weights itself
        if isinstance(made, mcd.Target):
            whole = self._whole(made)
            return replace(whole, caution="; ".join(filter(None, (whole.caution, caution))))
        recipe = mcd.Preprocessing(
            height=own.height,
            width=own.width,
            channels=own.channels,
            resize=own.resize,
            intensity=own.intensity,
            mean=own.mean,
            std=own.std,
        )
        return mcd.Target(type(module).__name__, module, recipe, caution=caution)

    def _made(self, factory: Callable[..., object]) -> object:
        own = self.options
        if isinstance(factory, nn.Module):
            raise UsageError(f"{own.factory} is a network, not a function that makes one", "wrap it in a function")
        try:
            with torch.random.fork_rng(devices=[]):
                torch.manual_seed(own.seed)
                return factory(**own.arguments)
        except mcd.errors.MCDError:
            raise
        except BaseException as error:  # a user's function may raise anything; say which one it was
            if passes_through(error):
                raise
            raise UsageError(
                f"{own.factory} failed: {said_by(error, whole=True)}",
                "keyword arguments are given as --model-arg 'arguments={\"name\": value}'",
            ) from error

    def _whole(self, target: mcd.Target) -> mcd.Target:
        """Refuse settings that a target made with its own preprocessing would ignore."""
        fields, given = type(self.options).model_fields, self.options.model_fields_set
        # A stored run has every setting, so what is as by default counts as not given.
        ignored = [one for one in _RECIPE if one in given and getattr(self.options, one) != fields[one].default]
        if ignored:
            raise UsageError(
                f"{self.options.factory} returns a Target, which brings its own preprocessing: "
                f"{', '.join(ignored)} would be ignored",
                "leave them out, or return the nn.Module alone",
            )
        return target
