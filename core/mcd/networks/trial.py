"""A forward pass before anything else: what layers a target has, and whether it and a dissector take their input."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch.overrides import TorchFunctionMode

from mcd.api.dissector import Dissector
from mcd.api.image import Image, Preprocessing
from mcd.api.model import Target
from mcd.errors import UsageError
from mcd.networks.chance import REMEDY
from mcd.networks.fitness import check_network, explained
from mcd.networks.foreign import ForeignCodeError, calling, enough_memory
from mcd.networks.given import generator_states
from mcd.networks.layers import Layer, describe_layers, watch_layers
from mcd.networks.outputs import Output
from mcd.networks.pooling import Pooling
from mcd.networks.process import process_state_kept, random_states
from mcd.networks.recording import Recorder, check_pooling
from mcd.networks.running import at_work

__all__ = ["Response", "Trial", "dissector_format", "example_input", "responses", "takes_known_input", "trial_pass"]


def takes_known_input(target: Target) -> bool:
    """Say whether a target's preprocessing determines size and channels of its input."""
    recipe = target.preprocessing
    return recipe.height is not None and recipe.width is not None and recipe.channels is not None


def example_input(target: Target, image: Image | None = None) -> torch.Tensor:
    """Return a batch of two as the target would see it: ``image``, or noise, and a picture unlike either.

    Where the preprocessing does not say size and channels, noise has three channels of 224×224.
    """
    return _noise(target.preprocessing, image)


def _noise(recipe: Preprocessing, image: Image | None = None) -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    if image is not None:
        first = recipe.prepare(image)
    else:
        size = (recipe.channels or 3, recipe.height or 224, recipe.width or 224)
        first = torch.rand(size, generator=generator, dtype=torch.float32)
    return recipe.finalize(torch.stack([first.to(torch.float32), _other(first.shape, generator)]))


_BLOCK = 8


def _other(shape: torch.Size, generator: torch.Generator) -> torch.Tensor:
    """Return black and coloured blocks of an image's shape, darker than most images and with harder edges.

    What depends on the rest of a batch (its mean, spread or extremes) shows only where the rest is different.
    """
    channels, height, width = shape
    small = torch.rand(channels, -(-height // _BLOCK), -(-width // _BLOCK), generator=generator, dtype=torch.float32)
    blocks = (small > 0.7).float().repeat_interleave(_BLOCK, 1).repeat_interleave(_BLOCK, 2)
    return blocks[:, :height, :width]


@dataclass(frozen=True)
class Trial:
    """What one pass on the CPU shows of a target.

    Parameters
    ----------
    layers
        Every layer, in module order.
    memory_format
        The one that its forward() takes: channels-last where it can.
    remarks
        What is to be known of how it runs, a sentence each.
    """

    layers: list[Layer]
    memory_format: torch.memory_format
    remarks: tuple[str, ...] = ()


class _AsStored(TorchFunctionMode):
    """Notices code that takes values as they lie in memory (``as_strided``): in channels-last maps, the wrong ones."""

    read = False

    def __torch_function__(
        self,
        func: Callable[..., object],
        types: Collection[type],
        args: tuple[object, ...] = (),
        kwargs: dict[str, object] | None = None,
    ) -> object:
        """Run a function of torch."""
        if func in _BY_MEMORY and isinstance(args[0], torch.Tensor) and not args[0].is_contiguous():
            self.read = True
        return func(*args, **(kwargs or {}))


_BY_MEMORY = {
    torch.as_strided,
    torch.as_strided_copy,
    torch.Tensor.as_strided,
    torch.Tensor.as_strided_,
    torch.Tensor.resize_,
    torch.Tensor.storage,
    torch.Tensor.untyped_storage,
}


@process_state_kept()
def trial_pass(target: Target, image: Image | None = None) -> Trial:
    """Run a target on the CPU: a batch of two, and its first image alone.

    Raises
    ------
    DataError
        When the target cannot take such an input.
    UsageError
        When it is no network that can be dissected, or an image's outputs depend on chance or on the batch it is in.
    """
    check_network(target.module, target.name)
    example = example_input(target, image)
    problems: list[ForeignCodeError] = []
    for memory_format in (torch.channels_last, torch.contiguous_format):
        with (
            enough_memory(
                torch.device("cpu"), "take a smaller input, or another machine", f"{target.name} at this size"
            ),
            at_work(target.module, torch.device("cpu"), memory_format),
        ):
            batch = example.contiguous(memory_format=memory_format)
            before = _drawn(target)
            try:
                with calling(f"{target.name} failed", network=target.module), _AsStored() as stored:
                    calls = watch_layers(target.module, batch)
            except ForeignCodeError as error:
                problems.append(error)
                continue
            if stored.read and memory_format == torch.channels_last:
                continue
            draws = _drawn(target) != before
            alone = _alone(target, calls, batch[:1].contiguous(memory_format=memory_format))
            if draws:
                _check_repeated(target, calls, batch)
            remarks = [target.caution] if target.caution else []
            remarks += [f"{target.name} draws random numbers in eval mode"] if draws else []
            remarks += _halved(target, calls)
            return Trial(describe_layers(target.module, calls, example, alone), memory_format, tuple(remarks))
    raise explained(target, example, problems[-1]) from problems[-1].__cause__


def _halved(target: Target, calls: Mapping[str, Sequence[Output]]) -> Iterator[str]:
    """Yield a remark where a target computes in fewer bits of its own accord: the manifest says fp32."""
    few = {torch.float16, torch.bfloat16}
    kinds = {name: {one.dtype for call in outputs for one in call.tensors.values()} for name, outputs in calls.items()}
    halved = [name for name, found in kinds.items() if found & few]
    if halved:
        yield (
            f"{target.name} computes {len(halved)} of {len(calls)} layers in 16 bits by its own forward(), such as "
            f"{halved[0]}, whatever the precision of the run"
        )


def _drawn(target: Target) -> tuple[object, ...]:
    """Return the states of all random generators that a target may draw from, to be compared."""
    return (*random_states(), *generator_states(target.module))


_TOLERANCE = 1e-3
"""Of a layer's largest value: how far sums over another batch may differ by rounding, fp32."""
_BATCH = "look for F.dropout without training=self.training and for BatchNorm with track_running_stats=False"


def _alone(target: Target, calls: Mapping[str, Sequence[Output]], image: torch.Tensor) -> dict[str, list[Output]]:
    """Run one image; refuse a target whose outputs for it depend on chance or on the batch: its labels would, too.

    Parameters
    ----------
    calls
        What its layers gave for a batch whose first image is ``image``, ``(1, C, H, W)``.
    """
    hint = "the last batch of a run may hold one image; statistics over a batch have no place in eval mode"
    if isinstance(target.module, torch.export.UnflattenedModule):
        hint = "export it with a dynamic batch: dynamic_shapes=({0: torch.export.Dim('batch')},)"
    with calling(f"{target.name} takes two images at once, but not one alone", hint, network=target.module):
        alone = watch_layers(target.module, image)
    differs = _difference(calls, alone, max(_TOLERANCE, 16 * _rounding(target.module)))
    if differs:
        raise UsageError(
            f"layer {differs[0]} of {target.name} gives one image different values in two passes ({differs[1]}): it "
            "depends on chance, or on the other images of a batch",
            f"in eval mode neither may be: {_BATCH}",
        )
    return alone


_REPEATS = 24
"""So often a batch is repeated where random numbers were drawn: some drop a part rarely."""


def _check_repeated(target: Target, calls: Mapping[str, Sequence[Output]], batch: torch.Tensor) -> None:
    """Refuse a target that drew random numbers and gives a batch different values: the same batch, so none may."""
    for _ in range(_REPEATS):
        with calling(f"{target.name} failed on a batch that it took before", network=target.module):
            again = watch_layers(target.module, batch)
        differs = _difference(calls, again, 1e-6)
        if differs:
            raise UsageError(
                f"layer {differs[0]} of {target.name} gives one image different values in two passes ({differs[1]}): "
                "it depends on chance",
                f"in eval mode it may not: {REMEDY}",
            )


def _difference(
    first: Mapping[str, Sequence[Output]], second: Mapping[str, Sequence[Output]], tolerance: float
) -> tuple[str, str] | None:
    """Return the first layer of which an image's values differ by more than a share of the largest, and by how much."""
    for name, outputs in first.items():
        if len(outputs) != len(second[name]):
            return name, f"it ran {len(outputs)} times in one, {len(second[name])} in the other"
        for one, other in zip(outputs, second[name], strict=True):
            for place, tensor in one.tensors.items():
                values = other.tensors[place].values if place in other.tensors else torch.empty(0)
                if len(tensor.values) != len(values) or not len(values):
                    continue  # another shape is another matter: see `describe_layers`
                largest, apart = float(tensor.values.abs().max()), float((tensor.values - values).abs().max())
                if apart > tolerance * largest:
                    return name, f"by {apart:.2g} of {largest:.2g}"
    return None


@process_state_kept()
def dissector_format(dissector: Dissector, device: torch.device) -> torch.memory_format:
    """Return the memory format that a dissector takes: channels-last where it can. It is run on noise, on its device.

    One that fails in both formats gets channels-last: the error is then about the first image.

    Raises
    ------
    UsageError
        When an image's embedding depends on chance or on the batch it is in.
    """
    example = _noise(dissector.preprocessing)
    for memory_format in (torch.channels_last, torch.contiguous_format):
        batch = example.to(device).contiguous(memory_format=memory_format)
        try:
            with (
                at_work(dissector.module, device, memory_format),
                torch.inference_mode(),
                calling(f"dissector {dissector.name} failed", network=dissector.module),
            ):
                with _AsStored() as stored:
                    both = dissector.encode_images(batch.clone(memory_format=torch.preserve_format)).float().clone()
                if stored.read and memory_format == torch.channels_last:
                    continue
                alone = dissector.encode_images(batch[:1].contiguous(memory_format=memory_format)).float()
        except ForeignCodeError:
            continue
        except (RuntimeError, MemoryError):  # for want of memory: two images may be too many where one is not
            return torch.channels_last
        _check_embedding(dissector, both, alone)
        return memory_format
    return torch.channels_last


def _check_embedding(dissector: Dissector, both: torch.Tensor, alone: torch.Tensor) -> None:
    if both.ndim != 2 or alone.shape != both[:1].shape:
        return  # the sweep says what is wrong with it
    largest, apart = float(both[0].abs().max()), float((both[0] - alone[0]).abs().max())
    if apart > max(_TOLERANCE, 16 * _rounding(dissector.module)) * largest:
        raise UsageError(
            f"dissector {dissector.name} gives one image different embeddings in two passes (by {apart:.2g} of "
            f"{largest:.2g}): it depends on chance, or on the other images of a batch",
            f"in eval mode neither may be: {_BATCH}",
        )


def _rounding(module: torch.nn.Module) -> float:
    """Return the coarsest step of the floating-point types that a network's weights have, relative to 1."""
    kinds = {parameter.dtype for parameter in module.parameters() if parameter.dtype.is_floating_point}
    return max((torch.finfo(kind).eps for kind in kinds), default=0.0)


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
    readable = [one for layer in trial.layers for one in (layer, *layer.choices) if not one.reason]
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
        with torch.inference_mode(), calling(f"{target.name} failed", network=target.module):
            target.module(batch)
        for name, values in recorder.take().items():
            one = values[0]
            found[name] = Response(float(one.min()), float(one.max()), int((one == 0).sum()))
    return found
