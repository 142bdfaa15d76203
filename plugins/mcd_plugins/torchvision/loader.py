"""The model loader ``torchvision``."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Annotated, Literal

import pydantic
import torch
import torchvision.models as models
from torch import nn

import mcd
from mcd.errors import CheckpointError, UnknownNameError, UsageError, nearest, passes_through, said_by
from mcd.plugins import MayFetch, Seed, Side, crop_fraction, load_weights, offline, prefix_tokens, unfilled

__all__ = ["TorchvisionLoader"]


class TorchvisionLoader(mcd.ModelLoader):
    """Any classification model of torchvision.

    Weights come from ``checkpoint``, or, where ``weights`` names an entry of torchvision's enumeration, from its
    server; with neither they are random, and the target's name says so.
    """

    class Options(mcd.Options):
        """Settings of the loader."""

        name: str = pydantic.Field(description="torchvision's name of the model, such as resnet50")
        checkpoint: Path | None = pydantic.Field(default=None, description="a weights file (.safetensors, .pth, .pt)")
        prefix: str = pydantic.Field(
            default="", description="take only the tensors under it, such as model.backbone, from the checkpoint"
        )
        ema: bool | None = pydantic.Field(
            default=None,
            description="whether to take the weights averaged over training (EMA) where the checkpoint holds both; by "
            "default the others, and a note says so",
        )
        weights: Annotated[str | None, MayFetch()] = pydantic.Field(
            default=None, description="DEFAULT, IMAGENET1K_V1 …: fetched"
        )
        num_classes: int | None = pydantic.Field(default=None, ge=1, le=100_000, description="classes of the head")
        resize: Literal["letterbox", "squash", "crop"] = pydantic.Field(
            default="letterbox", description="letterbox and squash show the whole image; crop is as in its evaluation"
        )
        input_size: tuple[Side, Side] | None = pydantic.Field(
            default=None, description="rows and columns of the input, such as [1520,912]; by default torchvision's"
        )
        seed: Seed = pydantic.Field(default=0, description="decides random weights")

    options: Options

    def load(self) -> mcd.Target:
        """Return the target."""
        own = self.options
        if own.checkpoint is not None and own.weights is not None:
            raise UsageError("torchvision: both checkpoint and weights are given", "choose one")
        if own.num_classes is not None and own.weights is not None:
            raise UsageError("torchvision: its weights have the classes they have", "leave out num_classes")
        if own.checkpoint is None and (own.prefix or own.ema is not None):
            raise UsageError(
                "torchvision: prefix and ema say what to take from a checkpoint, but there is none", "give checkpoint"
            )
        known = models.list_models(module=models)
        if own.name not in known:
            raise UnknownNameError(f"torchvision has no model '{own.name}'", nearest(own.name, known))
        module = self._built()
        caution = ""
        if own.checkpoint is not None:
            caution = load_weights(module, own.checkpoint, prefix=own.prefix, ema=own.ema)
        random = own.checkpoint is None and own.weights is None
        return mcd.Target(
            own.name + (" (random weights)" if random else ""),
            module,
            self._recipe(),
            prefix_tokens=prefix_tokens(module),
            revision="" if own.weights is None else _file(models.get_model_weights(own.name)[own.weights].url),
            caution=caution,
            untrained=self._untrained,
        )

    def _untrained(self, seed: int) -> nn.Module:
        chosen = {"checkpoint": None, "weights": None, "seed": seed}
        return TorchvisionLoader(self.options.model_copy(update=chosen))._built()

    def _built(self) -> nn.Module:
        own = self.options
        choice = models.get_model_weights(own.name)
        if own.weights is not None and own.weights not in choice.__members__:
            raise UnknownNameError(
                f"{own.name} has no weights '{own.weights}'", nearest(own.weights, choice.__members__)
            )
        settings = {} if own.num_classes is None else {"num_classes": own.num_classes}
        if own.name in ("googlenet", "inception_v3"):
            settings["init_weights"] = True  # else it warns that this may change
        weights = None if own.weights is None else choice[own.weights]
        if weights is not None:
            settings = {}
            _refuse_download(weights.url)
        try:
            with torch.random.fork_rng(devices=[]):
                torch.manual_seed(own.seed)
                build: Callable[[], nn.Module] = partial(models.get_model, own.name, weights=weights, **settings)
                network = build() if own.checkpoint is None else unfilled(build)
        except BaseException as error:  # a download raises whatever it comes upon
            if passes_through(error):
                raise
            reason = said_by(error, named=False)
            raise CheckpointError(
                f"the weights of {own.name} could not be fetched: {reason}",
                "fetch them on a machine with network, then give --model-arg checkpoint=FILE",
            ) from None
        return network

    def _recipe(self) -> mcd.Preprocessing:
        own = self.options
        choice = models.get_model_weights(own.name)
        evaluation = (choice["DEFAULT"] if own.weights is None else choice[own.weights]).transforms()
        side, short = evaluation.crop_size[0], evaluation.resize_size[0]
        height, width = own.input_size or (side, side)
        return mcd.Preprocessing(
            height=height,
            width=width,
            resize=own.resize,
            crop_fraction=crop_fraction(side, short) if own.resize == "crop" else 1.0,
            interpolation="bicubic" if evaluation.interpolation.value == "bicubic" else "bilinear",
            channels=3,
            mean=tuple(evaluation.mean),
            std=tuple(evaluation.std),
        )


def _file(url: str) -> str:
    """Return the name of a weights file, which holds the start of its hash."""
    return url.rpartition("/")[2]


def _refuse_download(url: str) -> None:
    """Refuse weights that are not on this machine while the network may not be used; torch.hub knows no such mode."""
    name = _file(url)
    place = Path(torch.hub.get_dir()) / "checkpoints" / name
    if offline() and not place.exists():
        raise CheckpointError(f"offline, and {name} is not on this machine", f"fetch {url} and put it at {place}")
