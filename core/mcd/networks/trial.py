"""One forward pass on the CPU before anything else: what layers a target has, and whether it takes its input."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch

from mcd.api.image import Image
from mcd.api.model import Target
from mcd.errors import DataError, UsageError
from mcd.networks.layers import Layer, Output, describe_layers, watch_layers
from mcd.networks.pooling import Pooling
from mcd.networks.recording import Recorder, check_pooling
from mcd.networks.running import at_work

__all__ = ["Response", "Trial", "example_input", "responses", "takes_known_input", "trial_pass"]


def takes_known_input(target: Target) -> bool:
    """Say whether a target's preprocessing determines size and channels of its input."""
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


@dataclass(frozen=True)
class Trial:
    """What one pass on the CPU shows of a target.

    Parameters
    ----------
    layers
        Every layer, in module order.
    memory_format
        The one that its forward() takes: channels-last where it can.
    """

    layers: list[Layer]
    memory_format: torch.memory_format


_FORWARD_ERRORS = (RuntimeError, ValueError, TypeError, AssertionError)
"""What a foreign forward() raises where an input does not fit it."""


def trial_pass(target: Target, image: Image | None = None) -> Trial:
    """Run a target on the CPU: a batch of two, and its first image alone.

    Raises
    ------
    DataError
        When the target cannot take such an input.
    UsageError
        When an image's outputs depend on chance, or on the batch it is in.
    """
    example = example_input(target, image)
    problem: Exception | None = None
    for memory_format in (torch.channels_last, torch.contiguous_format):
        with at_work(target.module, torch.device("cpu"), memory_format):
            batch = example.contiguous(memory_format=memory_format)
            try:
                calls = watch_layers(target.module, batch)
            except _FORWARD_ERRORS as error:
                problem = error
                continue
            _check_alone(target, calls, batch[:1].contiguous(memory_format=memory_format))
            return Trial(describe_layers(target.module, calls, example), memory_format)
    shape = "×".join(map(str, example.shape[1:]))
    raise DataError(
        f"{target.name} cannot take an input of {shape} (channels×rows×columns): {str(problem).splitlines()[0]}",
        "give its preprocessing: height, width, channels, mean, std",
    ) from problem


_TOLERANCE = 1e-3
"""Of a layer's largest value: how far sums over another batch may differ by rounding, fp32."""


def _check_alone(target: Target, calls: Mapping[str, Sequence[Output]], image: torch.Tensor) -> None:
    """Refuse a target whose outputs for one image depend on chance or on the batch: its labels would, too.

    Parameters
    ----------
    calls
        What its layers gave for a batch whose first image is ``image``, ``(1, C, H, W)``.
    """
    try:
        alone = watch_layers(target.module, image)
    except _FORWARD_ERRORS as error:
        raise UsageError(
            f"{target.name} takes two images at once, but not one alone: {str(error).splitlines()[0]}",
            "the last batch of a run may hold one image; statistics over a batch have no place in eval mode",
        ) from error
    kinds = {parameter.dtype for parameter in target.module.parameters() if parameter.dtype.is_floating_point}
    rounding = max((torch.finfo(kind).eps for kind in kinds), default=0.0)
    for name, outputs in calls.items():
        for first, second in zip(outputs, alone[name], strict=False):
            if len(first.values) != len(second.values) or not len(first.values):
                continue
            largest = float(first.values.abs().max())
            apart = float((first.values - second.values).abs().max())
            if apart > max(_TOLERANCE, 16 * rounding) * largest:
                raise UsageError(
                    f"layer {name} of {target.name} gives one image different values in two passes "
                    f"(by {apart:.2g} of {largest:.2g}): it depends on chance, or on the other images of a batch",
                    "in eval mode neither may be: look for F.dropout without training=self.training and for "
                    "BatchNorm with track_running_stats=False",
                )


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


def responses(target: Target, trial: Trial, pooling: Pooling, image: Image) -> dict[str, Response]:
    """Return what each layer that can be read gives for an image, by name.

    Parameters
    ----------
    trial
        As `trial_pass` returns it.
    image
        With its breast mask where ``pooling`` is masked.

    Raises
    ------
    DataError
        When the target cannot take the image.
    """
    readable = [layer for layer in trial.layers if not layer.reason]
    prefix, nan = target.first_tokens(), float("nan")
    found, fitting = {}, []
    for layer in readable:
        try:
            check_pooling(layer, pooling, prefix)
            fitting.append(layer)
        except UsageError as error:
            found[layer.name] = Response(nan, nan, reason=error.message)
    batch = example_input(target, image).contiguous(memory_format=trial.memory_format)
    at_home = at_work(target.module, torch.device("cpu"), trial.memory_format)
    with at_home, Recorder(target.module, fitting, pooling, prefix) as recorder:
        if pooling.masked:
            recorder.mask = target.preprocessing.prepare_mask(image)[None].repeat(2, 1, 1, 1)
        with torch.inference_mode():
            target.module(batch)
        for name, values in recorder.take().items():
            one = values[0]
            found[name] = Response(float(one.min()), float(one.max()), int((one == 0).sum()))
    return found
