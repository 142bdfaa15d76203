"""The model loader ``timm``."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from functools import partial
from pathlib import Path
from typing import Annotated, Literal

import pydantic
import timm
import torch
from timm.data.config import resolve_model_data_config
from torch import nn

import mcd
from mcd.errors import CheckpointError, UnknownNameError, UsageError, passes_through, said_by
from mcd.plugins import MayFetch, Seed, Side, hub_quiet, hub_revision, load_weights, offline, unfilled
from mcd_plugins.timm.filters import filtered
from mcd_plugins.timm.keys import looks_ported, renamed

__all__ = ["TimmLoader"]

_CROP_MODES = {"squash": "squash", "border": "letterbox"}
"""What timm calls its ways to evaluate; it takes any other name for the centre."""


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
        prefix: str = pydantic.Field(
            default="", description="take only the tensors under it, such as model.backbone, from the checkpoint"
        )
        ema: bool | None = pydantic.Field(
            default=None,
            description="whether to take the weights averaged over training (EMA) where the checkpoint holds both; by "
            "default the others, and a note says so",
        )
        pretrained: Annotated[bool, MayFetch()] = pydantic.Field(
            default=False, description="fetch timm's weights from the hub"
        )
        num_classes: int | None = pydantic.Field(
            default=None, ge=0, le=100_000, description="classes of the head; 0 for no head"
        )
        in_chans: Literal[1, 3] = pydantic.Field(default=3, description="channels of the input, 1 or 3")
        input_size: tuple[Side, Side] | None = pydantic.Field(
            default=None, description="rows and columns of the input, such as [1520,912]; by default timm's"
        )
        resize: Literal["letterbox", "squash", "crop"] = pydantic.Field(
            default="letterbox",
            description="letterbox and squash show the whole image; crop is timm's own evaluation (of some models: "
            "squashed or padded)",
        )
        seed: Seed = pydantic.Field(default=0, description="decides random weights")

    options: Options

    def load(self) -> mcd.Target:
        """Return the target."""
        own = self.options
        if own.checkpoint is not None and own.pretrained:
            raise UsageError("timm: both checkpoint and pretrained are given", "choose one")
        if own.checkpoint is None and (own.prefix or own.ema is not None):
            raise UsageError(
                "timm: prefix and ema say what to take from a checkpoint, but there is none", "give checkpoint"
            )
        module = self._built()
        caution = ""
        if own.checkpoint is not None:
            caution = load_weights(
                module,
                own.checkpoint,
                rename=lambda names: _names(module, names),
                prefix=own.prefix,
                ema=own.ema,
                convert=lambda state: filtered(own.name, module, state, own.in_chans),
            )
        random = own.checkpoint is None and not own.pretrained
        return mcd.Target(
            own.name + (" (random weights)" if random else ""),
            module,
            self._preprocessing(module),
            revision=_revision(own.name) if own.pretrained else "",
            caution=caution,
            untrained=self._untrained,
            licence=_licence(own.name) if own.pretrained else "",
        )

    def _untrained(self, seed: int) -> nn.Module:
        chosen = {"checkpoint": None, "pretrained": False, "seed": seed}
        return TimmLoader(self.options.model_copy(update=chosen))._built()

    def _built(self) -> nn.Module:
        own = self.options
        if not timm.is_model(own.name):
            raise UnknownNameError(f"timm has no model '{own.name}'", _close(own.name))
        if own.pretrained and not timm.models.is_model_pretrained(own.name):
            raise CheckpointError(f"timm offers no weights for {own.name}", "give --model-arg checkpoint=FILE")
        try:
            with hub_quiet(), torch.random.fork_rng(devices=[]):
                torch.manual_seed(own.seed)
                return self._created() if self.options.checkpoint is None else unfilled(self._created)
        except CheckpointError:
            raise
        except BaseException as error:  # timm and the hub's clients raise whatever they come upon
            if passes_through(error):
                raise
            raise self._unbuilt(error) from None

    def _created(self) -> nn.Module:
        own = self.options
        create = partial(timm.create_model, own.name, own.pretrained, in_chans=own.in_chans)
        if own.num_classes is not None:
            create = partial(create, num_classes=own.num_classes)
        config = timm.models.get_pretrained_cfg(own.name)
        if own.pretrained:
            _refuse_download(own.name)
            timm.models.set_pretrained_download_progress()  # of what does not come from the hub
        if own.input_size is not None and config is not None and config.fixed_input_size:
            create = partial(create, img_size=own.input_size)  # a transformer is built for one size
        return create()

    def _unbuilt(self, error: BaseException) -> UsageError | CheckpointError:
        reason = said_by(error, named=False)
        if not self.options.pretrained or "pretrained tag" in reason:
            return UsageError(
                f"timm cannot build {self.options.name}: {reason}",
                'see what timm offers: python -c "import timm; print(*timm.list_models())"',
            )
        where, file, url = _home(self.options.name)
        fetch = f"fetch {url}" if url else f"hf download {where} {file}"
        advice = f"on a machine with network: {fetch}; then give --model-arg checkpoint=FILE"
        if offline():
            return CheckpointError(f"offline, and {file} of {where} is not in the hub's cache", advice)
        return CheckpointError(f"the weights of {self.options.name} could not be fetched: {reason}", advice)

    def _preprocessing(self, module: nn.Module) -> mcd.Preprocessing:
        own = self.options
        config = resolve_model_data_config(module)  # type: ignore[no-untyped-call]  # timm does not type it
        height, width = own.input_size or config["input_size"][1:]
        mean, std = config["mean"], config["std"]
        if own.in_chans == 1:
            mean, std = [sum(mean) / len(mean)], [sum(std) / len(std)]
        evaluated = own.resize == "crop"
        resize = _CROP_MODES.get(config["crop_mode"], "crop") if evaluated else own.resize
        return mcd.Preprocessing.model_validate(
            {
                "height": height,
                "width": width,
                "resize": resize,
                "crop_fraction": config["crop_pct"] if evaluated else 1.0,
                "interpolation": config["interpolation"],
                "channels": own.in_chans,
                "mean": tuple(mean),
                "std": tuple(std),
                # of 8 bits, as timm pads
                "fill": tuple(round(255 * one) / 255 for one in mean) if evaluated and resize == "letterbox" else (),
            }
        )


def _home(name: str) -> tuple[str, str, str]:
    """Return where a model's weights are: repository on the hub, else empty; name of the file; its address else."""
    config = timm.models.get_pretrained_cfg(name)
    assert config is not None  # asked of models that have weights
    if config.hf_hub_id:
        return str(config.hf_hub_id), str(config.hf_hub_filename or "model.safetensors"), ""
    return "", str(config.url).rpartition("/")[2], str(config.url)


def _revision(name: str) -> str:
    """Return the commit of the hub that weights came from; else the name of their file, which holds their hash."""
    where, file, _ = _home(name)
    return hub_revision(where) if where else file


def _licence(name: str) -> str:
    """Return the licence of a model's weights as timm records it; empty where it does not."""
    config = timm.models.get_pretrained_cfg(name)
    return str(config.license or "") if config is not None else ""


def _refuse_download(name: str) -> None:
    """Refuse weights of another server that are not on this machine while the network may not be used."""
    _, file, url = _home(name)
    place = Path(torch.hub.get_dir()) / "checkpoints" / file
    if url and offline() and not place.exists():
        raise CheckpointError(f"offline, and {file} is not on this machine", f"fetch {url} and put it at {place}")


def _close(wrong: str) -> str:
    known = timm.list_models()
    first, *others = [*difflib.get_close_matches(wrong, known, n=5, cutoff=0.5), ""]
    found = f"did you mean '{first}'? Also close: {', '.join(filter(None, others)) or 'none'}. " if first else ""
    return f'{found}All {len(known)}: python -c "import timm; print(*timm.list_models())"'


def _names(module: nn.Module, names: Iterable[str]) -> Mapping[str, str]:
    names = list(names)
    stages = getattr(module, "blocks", None)
    if isinstance(stages, nn.Sequential) and looks_ported(names):
        return renamed(names, [len(stage) for stage in stages if isinstance(stage, nn.Sequential)])
    return {name: name for name in names}
