"""A network of transformers and its image processor, from a folder or the hub."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Literal

import transformers
from torch import nn

import mcd
from mcd.errors import CheckpointError
from mcd_plugins.transformers.patches import accept_images
from mcd_plugins.transformers.sources import Source

__all__ = ["Auto", "Resize", "built", "recipe"]

Auto = type[transformers.AutoModel] | type[transformers.AutoModelForImageClassification]

Resize = Literal["own", "letterbox", "squash", "crop"]
_BICUBIC = 3


def built(source: Source, auto: Auto) -> nn.Module:
    """Return the network with all of its weights, made to take images.

    A layer for which there are no weights would be random: the pooler of a vision model is left out then, and
    anything else is refused.

    Raises
    ------
    CheckpointError
        When the model cannot be read, or weights are missing.
    """
    network, missing = _read(source, auto)
    if missing and all(".pooler." in f".{one}" for one in missing) and not hasattr(network, "get_text_features"):
        network, missing = _read(source, auto, add_pooling_layer=False)
    if missing:
        raise CheckpointError(
            f"{source.name} lacks weights, which would be random: {', '.join(sorted(missing)[:5])}",
            "give the model with its weights; for one that was saved as a classifier, set head=true",
        )
    network.train(False)
    accept_images(network)
    return network


def _read(source: Source, auto: Auto, **more: object) -> tuple[transformers.PreTrainedModel, list[str]]:
    network, report = source.read(auto.from_pretrained, "model", output_loading_info=True, **more)
    return network, [*report["missing_keys"], *(str(one[0]) for one in report["mismatched_keys"])]


def recipe(source: Source, resize: Resize) -> mcd.Preprocessing:
    """Return the model's own preprocessing, with another way to resize where one is asked for.

    Raises
    ------
    CheckpointError
        When there is no image processor, or one of another kind.
    """
    what = "image processor (preprocessor_config.json)"
    settings: Mapping[str, object] = source.read(transformers.AutoImageProcessor.from_pretrained, what).to_dict()
    own, size, fraction = _own(settings)
    if not size:
        raise CheckpointError(f"the {what} of {source.name} does not say the size of the input")
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


def _own(settings: Mapping[str, object]) -> tuple[Resize, tuple[int, int] | None, float]:
    """Return how an image processor resizes, to which rows and columns, and what share a crop keeps."""
    patches, side = settings.get("max_num_patches"), settings.get("patch_size")
    if isinstance(patches, int) and isinstance(side, int):  # NaFlex: the largest square that it takes
        return "squash", (math.isqrt(patches) * side,) * 2, 1.0
    asked = settings.get("size")
    size, crop = _sides(asked), _sides(settings.get("crop_size"))
    if settings.get("do_center_crop") and crop:
        return "crop", crop, min(1.0, min(crop) / min(size)) if size else 1.0
    return "crop" if isinstance(asked, Mapping) and "shortest_edge" in asked else "squash", size, 1.0


def _sides(value: object) -> tuple[int, int] | None:
    if isinstance(value, int):
        return value, value
    if isinstance(value, Mapping):
        short = value.get("shortest_edge")
        height, width = value.get("height", short), value.get("width", short)
        if isinstance(height, int) and isinstance(width, int):
            return height, width
    return None


def _numbers(value: object) -> tuple[float, ...]:
    return tuple(float(one) for one in value) if isinstance(value, list | tuple) else ()
