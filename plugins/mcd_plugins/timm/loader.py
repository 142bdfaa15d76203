"""The model loader ``timm``."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import partial
from pathlib import Path
from typing import Literal

import pydantic
import timm
import torch
from timm.data.config import resolve_model_data_config
from torch import nn

import mcd
from mcd.errors import CheckpointError, UnknownNameError, UsageError, nearest
from mcd_plugins.timm.keys import looks_ported, renamed

__all__ = ["TimmLoader"]


class TimmLoader(mcd.ModelLoader):
    """Any model that timm can build.

    Weights come from ``checkpoint``, or from the hub when ``pretrained`` asks for it; with neither they are
    random, and the target's name says so. Size, mean and standard deviation are those timm records for the
    model.
    """

    class Options(mcd.Options):
        """Settings of the loader."""

        name: str = pydantic.Field(description="timm's name of the model, such as resnet50 or tf_efficientnet_lite0")
        checkpoint: Path | None = pydantic.Field(default=None, description="a weights file (.safetensors, .pth, .pt)")
        pretrained: bool = pydantic.Field(default=False, description="fetch timm's weights from the hub")
        num_classes: int | None = pydantic.Field(default=None, ge=0, description="classes of the head; 0 for no head")
        in_chans: Literal[1, 3] = pydantic.Field(default=3, description="channels of the input")
        input_size: tuple[int, int] | None = pydantic.Field(
            default=None, description="rows and columns of the input, such as [1520,912]; by default timm's"
        )
        resize: Literal["letterbox", "squash", "crop"] = pydantic.Field(
            default="letterbox", description="letterbox and squash show the whole image; crop is timm's own evaluation"
        )
        seed: int = pydantic.Field(default=0, ge=0, description="decides random weights")

    options: Options

    def load(self) -> mcd.Target:
        """Return the target."""
        own = self.options
        if own.checkpoint is not None and own.pretrained:
            raise UsageError("timm: both checkpoint and pretrained are given", "choose one")
        module = self._built()
        if own.checkpoint is not None:
            mcd.load_weights(module, own.checkpoint, rename=lambda names: _names(module, names))
        random = own.checkpoint is None and not own.pretrained
        return mcd.Target(own.name + (" (random weights)" if random else ""), module, self._preprocessing(module))

    def _built(self) -> nn.Module:
        own = self.options
        if not timm.is_model(own.name):
            raise UnknownNameError(f"timm has no model '{own.name}'", nearest(own.name, timm.list_models(), limit=0))
        create = partial(timm.create_model, own.name, own.pretrained, in_chans=own.in_chans)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(own.seed)
            try:
                module = create() if own.num_classes is None else create(num_classes=own.num_classes)
            except (OSError, RuntimeError, ValueError) as error:
                if not own.pretrained:
                    raise UsageError(f"timm cannot build {own.name}: {str(error).splitlines()[0]}") from None
                reason = str(error).splitlines()[0] if str(error) else type(error).__name__
                raise CheckpointError(
                    f"the weights of {own.name} could not be fetched: {reason}",
                    "fetch them on a machine with network, then give --model-arg checkpoint=FILE",
                ) from None
        if not isinstance(module, nn.Module):
            raise UsageError(f"timm's {own.name} is no network")
        return module

    def _preprocessing(self, module: nn.Module) -> mcd.Preprocessing:
        own = self.options
        config = resolve_model_data_config(module)  # type: ignore[no-untyped-call]  # timm does not type it
        height, width = own.input_size or config["input_size"][1:]
        mean, std = config["mean"], config["std"]
        if own.in_chans == 1:
            mean, std = [sum(mean) / len(mean)], [sum(std) / len(std)]
        interpolation = config["interpolation"]
        return mcd.Preprocessing(
            height=height,
            width=width,
            resize=own.resize,
            crop_fraction=config["crop_pct"] if own.resize == "crop" else 1.0,
            interpolation="bicubic" if interpolation == "bicubic" else "bilinear",
            channels=own.in_chans,
            mean=tuple(mean),
            std=tuple(std),
        )


def _names(module: nn.Module, names: Iterable[str]) -> Mapping[str, str]:
    names = list(names)
    stages = getattr(module, "blocks", None)
    if isinstance(stages, nn.Sequential) and looks_ported(names):
        return renamed(names, [len(stage) for stage in stages if isinstance(stage, nn.Sequential)])
    return {name: name for name in names}
