"""A network of transformers and its image processor, from a folder or the hub."""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Literal

import transformers
from torch import nn
from transformers.utils import logging

import mcd
from mcd.errors import CheckpointError

__all__ = ["Auto", "Resize", "built", "quiet", "recipe", "unread"]

Auto = type[transformers.AutoModel] | type[transformers.AutoModelForImageClassification]

Resize = Literal["own", "letterbox", "squash", "crop"]
_BICUBIC = 3


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Keep the library's remarks and bars off the terminal; what matters is raised."""
    level = logging.get_verbosity()
    logging.set_verbosity_error()  # type: ignore[no-untyped-call]  # transformers types some of itself
    logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.set_verbosity(level)
        logging.enable_progress_bar()  # type: ignore[no-untyped-call]


def unread(name: str, what: str, error: Exception) -> CheckpointError:
    """Return what to say when something of a model could not be read or fetched."""
    reason = str(error).splitlines()[0] if str(error) else type(error).__name__
    if Path(name).expanduser().is_dir():
        return CheckpointError(f"the {what} in {name} cannot be used: {reason}", f"is it complete? It needs a {what}")
    return CheckpointError(
        f"{name} is no folder here, and its {what} could not be fetched: {reason}",
        "fetch it on a machine with network, then give the folder",
    )


def built(
    name: str, auto: type[transformers.AutoModel] | type[transformers.AutoModelForImageClassification]
) -> nn.Module:
    """Return the network with all of its weights.

    Code that comes with a model is never run. A layer for which there are no weights would be random: the pooler
    is left out then, and anything else is refused.

    Raises
    ------
    CheckpointError
        When the model cannot be read, or weights are missing.
    """
    network, missing = _read(name, auto)
    if missing and all(".pooler." in f".{one}" for one in missing):
        network, missing = _read(name, auto, add_pooling_layer=False)
    if missing:
        raise CheckpointError(
            f"{name} lacks weights, which would be random: {', '.join(sorted(missing)[:5])}",
            "give the model with its weights; for one that was saved as a classifier, set head=true",
        )
    network.train(False)
    return network


def _read(name: str, auto: Auto, **more: object) -> tuple[transformers.PreTrainedModel, list[str]]:
    local = Path(name).expanduser()
    try:
        with quiet():
            network, report = auto.from_pretrained(
                str(local) if local.is_dir() else name, trust_remote_code=False, local_files_only=local.is_dir(),
                output_loading_info=True, **more,
            )  # fmt: skip
    except Exception as error:  # transformers and the hub's clients raise whatever they come upon
        raise unread(name, "model", error) from None
    return network, [*report["missing_keys"], *(str(one[0]) for one in report["mismatched_keys"])]


def recipe(name: str, resize: Resize) -> mcd.Preprocessing:
    """Return the model's own preprocessing, with another way to resize where one is asked for.

    Raises
    ------
    CheckpointError
        When there is no image processor, or one of another kind.
    """
    local = Path(name).expanduser()
    try:
        with quiet():
            processor = transformers.AutoImageProcessor.from_pretrained(  # type: ignore[no-untyped-call]
                str(local) if local.is_dir() else name, trust_remote_code=False, local_files_only=local.is_dir()
            )
        return _translated(processor.to_dict(), resize)
    except Exception as error:  # as above
        raise unread(name, "image processor (preprocessor_config.json)", error) from None


def _translated(settings: Mapping[str, object], resize: Resize) -> mcd.Preprocessing:
    """Return the settings of an image processor as a recipe."""
    size, crop = _sides(settings.get("size")), _sides(settings.get("crop_size"))
    own: Resize = "squash"
    fraction = 1.0
    if settings.get("do_center_crop") and crop:
        fraction = min(1.0, min(crop) / min(size)) if size else 1.0
        size, own = crop, "crop"
    elif isinstance(settings.get("size"), Mapping) and "shortest_edge" in dict(settings["size"]):  # type: ignore[call-overload]
        own = "crop"
    if not size:
        raise ValueError("it does not say the size of the input")
    wanted = own if resize == "own" else resize
    normalised = bool(settings.get("do_normalize", True))
    return mcd.Preprocessing(
        height=size[0],
        width=size[1],
        resize="crop" if wanted == "crop" else "letterbox" if wanted == "letterbox" else "squash",
        crop_fraction=fraction if wanted == "crop" else 1.0,
        interpolation="bicubic" if settings.get("resample") == _BICUBIC else "bilinear",
        channels=3,
        mean=_numbers(settings.get("image_mean")) if normalised else (),
        std=_numbers(settings.get("image_std")) if normalised else (),
    )


def _sides(value: object) -> tuple[int, int] | None:
    if isinstance(value, int):
        return value, value
    if isinstance(value, Mapping):
        if "height" in value and "width" in value:
            return int(value["height"]), int(value["width"])
        if value.get("shortest_edge"):
            return int(value["shortest_edge"]), int(value["shortest_edge"])
    return None


def _numbers(value: object) -> tuple[float, ...]:
    return tuple(float(one) for one in value) if isinstance(value, list | tuple) else ()
