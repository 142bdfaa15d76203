"""A network of open_clip, from its name and a weights file, or from a folder."""

from __future__ import annotations

import contextlib
import json
import logging
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import open_clip
import pydantic
import torch
from torch import nn

import mcd
from mcd.errors import CheckpointError, UnknownNameError, UsageError, nearest

__all__ = ["ClipOptions", "built", "context", "quiet", "recipe"]

_CONFIG = "open_clip_config.json"
_RESIZE: dict[str, Literal["letterbox", "squash", "crop"]] = {
    "shortest": "crop", "longest": "letterbox", "squash": "squash",
}  # fmt: skip


class ClipOptions(mcd.Options):
    """Settings that loader and dissector share."""

    name: str = pydantic.Field(
        description="architecture, such as ViT-B-16; a folder with open_clip_config.json and weights; hf-hub:OWNER/NAME"
    )
    checkpoint: Path | None = pydantic.Field(default=None, description="a weights file for an architecture")
    pretrained: str | None = pydantic.Field(
        default=None, description="open_clip's tag of weights to fetch, such as openai"
    )
    resize: Literal["own", "letterbox", "squash", "crop"] = pydantic.Field(
        default="own", description="own is the model's; where that crops, letterbox shows whole mammograms"
    )


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Keep open_clip's remarks off the terminal; what matters is raised."""
    root = logging.getLogger()
    level = root.level
    root.setLevel(logging.CRITICAL)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        root.setLevel(level)


def built(options: ClipOptions, seed: int | None = None) -> nn.Module:
    """Return the network.

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
    fetched = options.pretrained is not None or options.name.startswith("hf-hub:")
    try:
        with quiet(), torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed or 0)
            if fetched:
                network: nn.Module = open_clip.create_model(options.name, options.pretrained, weights_only=True)
            else:
                network = open_clip.create_model(
                    f"local-dir:{folder}" if folder else options.name, load_weights=False, pretrained_text=False,
                    **_local_text(folder),
                )  # fmt: skip
    except Exception as error:  # open_clip and the hub's clients raise whatever they come upon
        raise _unbuilt(options, error, fetched) from None
    weights = options.checkpoint or (_weights(folder) if folder else None)
    if weights is not None:
        state = mcd.read_state_dict(weights)
        own = network.state_dict()
        mcd.fit_state_dict(
            network, {name: one for name, one in state.items() if name in own or "position_ids" not in name}, weights
        )
    return network.eval()


def context(options: ClipOptions) -> Path | None:
    """Return the folder that the name means, if it is one."""
    folder = Path(options.name).expanduser()
    return folder if folder.is_dir() else None


def _check(options: ClipOptions, folder: Path | None, seed: int | None) -> None:
    if options.checkpoint is not None and options.pretrained is not None:
        raise UsageError("open-clip: both checkpoint and pretrained are given", "choose one")
    if folder is None and not options.name.startswith("hf-hub:"):
        if options.name.replace("/", "-") not in open_clip.list_models():
            raise UnknownNameError(
                f"open_clip has no architecture '{options.name}', nor is it a folder",
                nearest(options.name, open_clip.list_models()),
            )
        if options.checkpoint is None and options.pretrained is None and seed is None:
            tags = open_clip.list_pretrained_tags_by_model(options.name)
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
    try:
        text = json.loads((folder / _CONFIG).read_text(encoding="utf-8"))["model_cfg"]["text_cfg"]
    except (OSError, ValueError, KeyError, TypeError):
        return {}  # open_clip will say what is wrong with it
    return (
        {"text_cfg": {**text, "hf_model_name": str(folder), "hf_model_pretrained": False}}
        if ("hf_model_name" in text)
        else {}
    )


def _unbuilt(options: ClipOptions, error: Exception, fetched: bool) -> CheckpointError:
    reason = str(error).splitlines()[0] if str(error) else type(error).__name__
    if fetched:
        return CheckpointError(
            f"{options.name} could not be fetched: {reason}",
            "fetch it on a machine with network, then give the folder as name, or checkpoint=FILE",
        )
    return CheckpointError(
        f"open_clip cannot build {options.name}: {reason}",
        f"a folder needs {_CONFIG} and weights; where its text model is one of transformers, also config.json and the "
        "tokenizer's files of that model",
    )


def recipe(network: nn.Module, resize: Literal["own", "letterbox", "squash", "crop"]) -> mcd.Preprocessing:
    """Return the network's own preprocessing, with another way to resize where one is asked for."""
    config = open_clip.get_model_preprocess_cfg(network)
    size = config["size"]
    height, width = (size, size) if isinstance(size, int) else size
    own = _RESIZE[config.get("resize_mode") or "shortest"]
    return mcd.Preprocessing(
        height=height,
        width=width,
        resize=own if resize == "own" else resize,
        interpolation="bicubic" if config.get("interpolation") == "bicubic" else "bilinear",
        channels=3,
        mean=tuple(config["mean"]),
        std=tuple(config["std"]),
    )
