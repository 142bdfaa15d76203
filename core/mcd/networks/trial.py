"""One forward pass on the CPU before anything else: what layers a target has, and whether it takes its input."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from mcd.api.image import Image
from mcd.api.model import Target
from mcd.errors import DataError, UsageError
from mcd.networks.layers import Layer, inspect_layers
from mcd.networks.pooling import Pooling
from mcd.networks.recording import Recorder, check_pooling
from mcd.networks.running import at_work

__all__ = ["Response", "example_input", "responses", "takes_known_input", "trial_pass"]


def takes_known_input(target: Target) -> bool:
    """Say whether a target's preprocessing tells size and channels of its input."""
    recipe = target.preprocessing
    return recipe.height is not None and recipe.width is not None and recipe.channels is not None


def example_input(target: Target, image: Image | None = None) -> torch.Tensor:
    """Return a batch of two as the target would see it: of ``image``, or noise.

    Where the preprocessing does not say size and channels, noise has three channels of 224×224.
    """
    recipe = target.preprocessing
    if image is not None:
        return recipe.finalize(recipe.prepare(image)[None].repeat(2, 1, 1, 1))
    size = (2, recipe.channels or 3, recipe.height or 224, recipe.width or 224)
    return recipe.finalize(torch.rand(size, generator=torch.Generator().manual_seed(0)))


def trial_pass(target: Target, image: Image | None = None) -> list[Layer]:
    """Return the layers of a target as one forward pass on the CPU shows them.

    Raises
    ------
    DataError
        When the target cannot take such an input.
    """
    example = example_input(target, image)
    with at_work(target.module, torch.device("cpu")):
        try:
            return inspect_layers(target.module, example)
        except (RuntimeError, ValueError, TypeError, AssertionError) as error:  # whatever a foreign forward() raises
            shape = "×".join(map(str, example.shape[1:]))
            raise DataError(
                f"{target.name} cannot take an input of {shape} (channels×rows×columns): {str(error).splitlines()[0]}",
                "give its preprocessing: height, width, channels, mean, std",
            ) from error


@dataclass(frozen=True)
class Response:
    """What the neurons of a layer give for one image.

    Parameters
    ----------
    lowest, highest
        Over its neurons, pooled; NaN where the pooling does not go with the layer, see ``reason``.
    silent
        How many neurons give 0.
    """

    lowest: float
    highest: float
    silent: int = 0
    reason: str = ""


def responses(target: Target, layers: Sequence[Layer], pooling: Pooling, image: Image) -> dict[str, Response]:
    """Return what each layer that can be read gives for an image, by name.

    Parameters
    ----------
    layers
        As `trial_pass` returns them.
    image
        With its breast mask where ``pooling`` is masked.

    Raises
    ------
    DataError
        When the target cannot take the image.
    """
    readable = [layer for layer in layers if not layer.reason]
    prefix, nan = target.first_tokens(), float("nan")
    found, fitting = {}, []
    for layer in readable:
        try:
            check_pooling(layer, pooling, prefix)
            fitting.append(layer)
        except UsageError as error:
            found[layer.name] = Response(nan, nan, reason=error.message)
    batch = example_input(target, image)
    with at_work(target.module, torch.device("cpu")), Recorder(target.module, fitting, pooling, prefix) as recorder:
        if pooling.masked:
            recorder.mask = target.preprocessing.prepare_mask(image)[None].repeat(2, 1, 1, 1)
        with torch.inference_mode():
            target.module(batch)
        for name, values in recorder.take().items():
            one = values[0]
            found[name] = Response(float(one.min()), float(one.max()), int((one == 0).sum()))
    return found
