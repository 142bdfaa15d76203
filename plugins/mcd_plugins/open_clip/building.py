"""A network of open_clip, from its name and a weights file, or from a folder."""

from __future__ import annotations

import contextlib
import json
import logging
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Literal

import open_clip
import pydantic
import torch
from torch import nn

import mcd
from mcd.errors import CheckpointError, UnknownNameError, UsageError, nearest, passes_through, said_by
from mcd.plugins import MayFetch, NameOrPath, hub_cache_only, hub_repository, offline
from mcd_plugins.open_clip.foreign import check_foreign
from mcd_plugins.open_clip.weights import fill
from mcd_plugins.transformers.sources import quiet as transformers_quiet

__all__ = ["ClipOptions", "built", "context", "library_name", "quiet", "recipe", "repository", "text_model"]

_HUB = "hf-hub:"
_CONFIG = "open_clip_config.json"
_RESIZE: dict[str, Literal["letterbox", "squash", "crop"]] = {
    "shortest": "crop",
    "longest": "letterbox",
    "squash": "squash",
}


class ClipOptions(mcd.Options):
    """Settings that loader and dissector share."""

    name: NameOrPath = pydantic.Field(
        description="architecture, such as ViT-B-16; a folder with open_clip_config.json and weights; hub:OWNER/NAME"
    )
    checkpoint: Path | None = pydantic.Field(default=None, description="a weights file for an architecture")
    prefix: str = pydantic.Field(
        default="", description="take only the tensors under it, such as model.clip, from the checkpoint"
    )
    ema: bool | None = pydantic.Field(
        default=None,
        description="whether to take the weights averaged over training (EMA) where the checkpoint holds both; by "
        "default the others, and a note says so",
    )
    pretrained: Annotated[str | None, MayFetch()] = pydantic.Field(
        default=None, description="open_clip's tag of weights to fetch, such as openai"
    )
    quick_gelu: bool | None = pydantic.Field(
        default=None,
        description="compute with QuickGELU, as OpenAI's CLIP and its offspring (PubMedCLIP) do; by default as the tag "
        "or the architecture says",
    )
    resize: Literal["own", "letterbox", "squash", "crop"] = pydantic.Field(
        default="own", description="own is the model's; where that crops, letterbox shows whole mammograms"
    )


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Keep open_clip's remarks off the terminal, but the bars of downloads; what matters is raised."""
    root = logging.getLogger()
    level = root.level
    root.setLevel(logging.CRITICAL)
    try:
        with transformers_quiet():  # which builds some of its text towers and tokenizers
            yield
    finally:
        root.setLevel(level)


def built(options: ClipOptions, seed: int | None = None) -> tuple[nn.Module, str]:
    """Return the network, and what a reader of the results must know of its weights (mostly nothing).

    Without weights it is random, by ``seed``; None refuses that. Files are read as tensors only.

    Raises
    ------
    UsageError
        When the name is unknown, or settings contradict each other.
    CheckpointError
        When weights are missing, do not fit or cannot be fetched.
    """
    folder = context(options)
    _check(options, folder, seed)
    if folder or _named(options):
        with quiet(), contextlib.nullcontext() if _asked(options) else hub_cache_only():
            check_foreign(library_name(options), folder)
    try:
        with quiet(), torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed or 0)
            network = _fetched(options) if _asked(options) else _empty(options, folder)
    except BaseException as error:  # open_clip and the hub's clients raise whatever they come upon
        if passes_through(error):
            raise
        raise _unbuilt(options, error) from None
    weights = options.checkpoint or (_weights(folder) if folder else None)
    said = ""
    if weights is not None:
        sure = options.quick_gelu is not None
        said = fill(network, weights, prefix=options.prefix, ema=options.ema, sure=sure)
    return network.eval(), said


def _fetched(options: ClipOptions) -> nn.Module:
    """Return a network with weights from the hub, or from its cache on this machine."""
    network: nn.Module = open_clip.create_model(
        library_name(options), options.pretrained, weights_only=True, require_pretrained=True, **_activation(options)
    )
    return network


def _empty(options: ClipOptions, folder: Path | None) -> nn.Module:
    """Return a network without its weights; the hub is not contacted."""
    with hub_cache_only():
        network: nn.Module = open_clip.create_model(
            library_name(options),
            load_weights=False,
            pretrained_text=False,
            **_local_text(folder),
            **_activation(options),
        )
    return network


def _activation(options: ClipOptions) -> dict[str, bool]:
    """Return what decides the activation: the user, else the tag; without either the architecture does."""
    if options.quick_gelu is not None:
        return {"quick_gelu": options.quick_gelu}
    return {"quick_gelu": True} if _tag(options).get("quick_gelu") else {}


def _asked(options: ClipOptions) -> bool:
    """Say whether weights of the hub were asked for."""
    return options.pretrained is not None or bool(_named(options))


def _named(options: ClipOptions) -> str:
    """Return the repository on the hub that the name means; empty where it means none."""
    return "" if context(options) else hub_repository(options.name)


def library_name(options: ClipOptions) -> str:
    """Return what open_clip calls the folder, repository or architecture that the name means."""
    folder, asked = context(options), _named(options)
    return f"local-dir:{folder}" if folder else f"{_HUB}{asked}" if asked else options.name


def _tag(options: ClipOptions) -> Mapping[str, object]:
    """Return what open_clip knows of the weights that a tag means."""
    if options.pretrained is None:
        return {}
    found: Mapping[str, object] = open_clip.get_pretrained_cfg(options.name.replace("/", "-"), options.pretrained)
    return found


def repository(options: ClipOptions) -> str:
    """Return the repository on the hub that weights were asked from, ``OWNER/NAME``; empty where none was."""
    return _named(options) or str(_tag(options).get("hf_hub", "")).rpartition("/")[0]


def context(options: ClipOptions) -> Path | None:
    """Return the folder that the name means, if it is one."""
    folder = Path(options.name)
    return folder if folder.is_dir() else None


def _check(options: ClipOptions, folder: Path | None, seed: int | None) -> None:
    given = [options.checkpoint is not None, options.pretrained is not None, bool(_named(options))]
    if sum(given) > 1:
        raise UsageError("open-clip: weights are given twice (checkpoint, pretrained, hub:)", "choose one")
    if folder is not None and options.pretrained is not None:
        raise UsageError(
            f"open-clip: {folder} is a folder, which has its own weights; pretrained is for an architecture",
            "leave pretrained out",
        )
    if options.ema is not None and options.checkpoint is None and folder is None:
        raise UsageError("open-clip: ema says what to take from a checkpoint, but there is none", "give checkpoint")
    if options.prefix and options.checkpoint is None:
        raise UsageError("open-clip: prefix says where in a checkpoint to look, but there is none", "give checkpoint")
    if folder is None and not _named(options):
        _check_architecture(options, seed)


def _check_architecture(options: ClipOptions, seed: int | None) -> None:
    known = open_clip.list_models()
    if options.name.replace("/", "-") not in known:
        raise UnknownNameError(
            f"open_clip has no architecture '{options.name}', nor is it a folder", nearest(options.name, known)
        )
    tags = open_clip.list_pretrained_tags_by_model(options.name.replace("/", "-"))
    if options.pretrained is not None and not _tag(options):
        raise UnknownNameError(
            f"open_clip has no weights '{options.pretrained}' for {options.name}", nearest(options.pretrained, tags)
        )
    if options.checkpoint is None and options.pretrained is None and seed is None:
        raise UsageError(
            f"open-clip needs weights for {options.name}: random ones have no idea of words",
            f"give checkpoint=FILE, or a tag to fetch: pretrained={'|'.join(tags[:6]) or 'TAG'}",
        )


def _weights(folder: Path) -> Path:
    for pattern in ("open_clip_model.safetensors", "open_clip_pytorch_model.bin", "*.safetensors", "*.bin", "*.pt"):
        found = sorted(folder.glob(pattern))
        if found:
            return found[0]
    raise CheckpointError(f"{folder} holds no weights", "put open_clip_model.safetensors beside its configuration")


def _local_text(folder: Path | None) -> dict[str, object]:
    """Return what makes a text tower of transformers be built from the folder instead of from the hub."""
    if folder is None or not (folder / "config.json").is_file():
        return {}
    text = _text_settings(str(folder))
    local = {**text, "hf_model_name": str(folder), "hf_model_pretrained": False}
    return {"text_cfg": local} if "hf_model_name" in text else {}


def _text_settings(name: str) -> Mapping[str, object]:
    """Return the settings of the text tower in the configuration of an architecture or a folder, if readable."""
    try:
        if Path(name).is_dir():
            whole = json.loads((Path(name) / _CONFIG).read_text(encoding="utf-8"))["model_cfg"]
        else:
            whole = open_clip.get_model_config(name.replace("/", "-")) if ":" not in name else {}
        found = whole["text_cfg"]
    except (OSError, ValueError, KeyError, TypeError):
        return {}  # open_clip will say what is wrong with it
    return found if isinstance(found, Mapping) else {}


def text_model(name: str, key: Literal["hf_model_name", "hf_tokenizer_name"]) -> str:
    """Return the repository of a text tower or tokenizer of transformers; empty where open_clip has its own."""
    return str(_text_settings(name).get(key) or "")


def _unbuilt(options: ClipOptions, error: BaseException) -> CheckpointError:
    reason = said_by(error, named=False)
    if _asked(options):
        where = repository(options) or options.name
        give = "FOLDER as name" if _named(options) else "checkpoint=FILE"
        give += " and quick_gelu=true" if _tag(options).get("quick_gelu") else ""
        advice = f"on a machine with network: hf download {where} --local-dir FOLDER; then give {give}"
        if offline():
            return CheckpointError(f"offline, and the weights of {where} are not in the hub's cache", advice)
        return CheckpointError(f"{where} could not be fetched: {reason}", advice)
    folder, text = context(options), text_model(options.name, "hf_model_name")
    if folder and (folder / "config.json").is_file() and not (folder / _CONFIG).is_file():
        return CheckpointError(
            f"{folder} holds a model of transformers, not of open_clip",
            f"use --dissector transformers-clip:{folder}; its image tower is the target --model-plugin "
            f"transformers:{folder}",
        )
    if text and not (folder and (folder / "config.json").is_file()):
        where = f" --local-dir {folder}" if folder else ""
        return CheckpointError(
            f"{options.name} has the text tower {text}, whose configuration is not on this machine",
            f"fetch it: hf download {text} config.json{where}",
        )
    return CheckpointError(
        f"open_clip cannot build {options.name}: {reason}",
        f"a folder needs {_CONFIG} and weights; where its text model is one of transformers, also config.json and the "
        "tokenizer's files of that model",
    )


def recipe(network: nn.Module, resize: Literal["own", "letterbox", "squash", "crop"]) -> mcd.Preprocessing:
    """Return the network's own preprocessing, with another way to resize where one is asked for."""
    config = open_clip.get_model_preprocess_cfg(network)
    size, fill = config["size"], config.get("fill_color") or 0
    height, width = (size, size) if isinstance(size, int) else size
    mode = config.get("resize_mode") or "shortest"
    own = _RESIZE[mode]
    wanted = own if resize == "own" else resize
    # open_clip resizes by bicubic interpolation wherever it covers an input that is no square, whatever is configured.
    covers = wanted == own == "crop" and height != width
    padded = wanted == own == "letterbox"
    return mcd.Preprocessing(
        height=height,
        width=width,
        resize=wanted,
        interpolation="bilinear" if config.get("interpolation") == "bilinear" and not covers else "bicubic",
        channels=3,
        mean=_channels(config["mean"]),
        std=_channels(config["std"]),
        fill=tuple(one / 255 for one in _channels(fill)) if padded and fill else (),
    )


def _channels(value: float | Sequence[float]) -> tuple[float, ...]:
    """Return the value for each channel, or one for all."""
    return tuple(value) if isinstance(value, Sequence) else (value,)
