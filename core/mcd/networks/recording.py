"""How a layer's output becomes one number per neuron, caught by hooks that always go away."""

from __future__ import annotations

import math
from collections.abc import Sequence
from types import TracebackType

import torch
import torch.nn.functional as functional
from torch import nn

from mcd.errors import DataError, UsageError
from mcd.networks.layers import Layer
from mcd.networks.pooling import Pooling
from mcd.networks.taps import Taps

__all__ = ["Recorder", "at_positions", "breast_share", "check_pooling", "grid", "pool"]

_SMALLEST = 1e-6
"""What ``gem`` raises every value to at least, as its authors' code does: a root needs a positive number."""


def pool(
    output: torch.Tensor, layer: Layer, pooling: Pooling, prefix: int | None = None, mask: torch.Tensor | None = None
) -> torch.Tensor:
    """Return ``(B, neurons)`` float32 from a layer's output ``(B, …)``, in memory of its own.

    Every pooling but ``cls``, ``tokens`` and the masked ones reduces all positions of a map, or all tokens. A flat
    output is taken as it is.

    Parameters
    ----------
    prefix
        How many class and register tokens come first; for ``tokens``, and masks over tokens.
    mask
        ``(B, 1, H, W)`` in 0…1, of the model's input: how much of each pixel is breast. For masked poolings.

    Raises
    ------
    DataError
        When tokens cannot be arranged as a grid over the image.
    """
    pooled = _pooled(_without_gaps(output), layer, pooling, prefix, mask)
    # A view of the layer's own output would follow what later layers do to it in place.
    shares = pooled.untyped_storage().data_ptr() == output.untyped_storage().data_ptr()
    return pooled.clone() if shares else pooled


def _without_gaps(output: torch.Tensor) -> torch.Tensor:
    """Return an output, of which a part of a larger tensor is copied: it adds up as units of it, which have no gaps."""
    whole = output.stride() == torch.empty_like(output, device="meta").stride()
    return output if whole else output.clone()


def _pooled(
    output: torch.Tensor, layer: Layer, pooling: Pooling, prefix: int | None, mask: torch.Tensor | None
) -> torch.Tensor:
    output = output.float()
    if layer.layout == "flat":
        return output
    if layer.layout == "NCL":
        output, prefix = output.transpose(1, 2), 0
    if pooling.name == "cls":
        return output[:, 0]
    if pooling.name == "tokens":
        return output[:, prefix or 0 :].mean(dim=1)
    if pooling.masked:
        if mask is None:
            raise DataError(
                f"pooling {pooling} of layer {layer.name} got no breast masks",
                "use a pooling without masks, such as --pooling avg",
            )
        return _masked(output, layer, pooling, prefix or 0, mask)
    axes = {"NCHW": (2, 3), "NHWC": (1, 2), "NCL": (1,), "tokens": (1,)}[layer.layout or "flat"]
    if pooling.name == "avg":
        return output.mean(dim=axes)
    if pooling.name == "max":
        return output.amax(dim=axes)
    if pooling.name == "gem":
        power = pooling.number
        return output.clamp_min(_SMALLEST).pow(power).mean(dim=axes).pow(1 / power)
    places = output.flatten(2) if layer.layout == "NCHW" else output.flatten(1, -2).transpose(1, 2)
    return places.topk(max(1, math.ceil(pooling.number * places.shape[2])), dim=2).values.mean(dim=2)


def _masked(output: torch.Tensor, layer: Layer, pooling: Pooling, prefix: int, mask: torch.Tensor) -> torch.Tensor:
    places, share = at_positions(output, layer, prefix), breast_share(output, layer, prefix, mask)
    if pooling.name == "masked-avg":
        return (places * share).sum(dim=2) / share.sum(dim=2)
    # Positions at least half inside; where the breast is too small for one, those that hold most of it.
    kept = share >= share.amax(dim=2, keepdim=True).clamp_max(0.5)
    return places.masked_fill(~kept, -torch.inf).amax(dim=2)


def at_positions(output: torch.Tensor, layer: Layer, prefix: int) -> torch.Tensor:
    """Return an output ``(B, …)`` as ``(B, neurons, positions)``, row by row, without class and register tokens.

    Of a layer of layout ``NCL``, positions are the first axis after the batch.
    """
    if layer.layout == "flat":
        return output[:, :, None]
    if layer.layout in ("tokens", "NCL"):
        return output[:, prefix:].transpose(1, 2)
    return (output if layer.layout == "NCHW" else output.permute(0, 3, 1, 2)).flatten(2)


def breast_share(output: torch.Tensor, layer: Layer, prefix: int, mask: torch.Tensor) -> torch.Tensor:
    """Return how much of each position of `at_positions` is breast: ``(B, 1, positions)`` in 0…1.

    Raises
    ------
    DataError
        When tokens cannot be arranged as a grid over the image.
    """
    if layer.layout in ("tokens", "NCL"):
        rows, columns = grid(output.shape[1] - prefix, layer, (int(mask.shape[2]), int(mask.shape[3])))
    else:
        rows, columns = output.shape[2:] if layer.layout == "NCHW" else output.shape[1:3]
    return functional.adaptive_avg_pool2d(mask.float(), (rows, columns)).flatten(2)


def grid(tokens: int, layer: Layer, size: tuple[int, int]) -> tuple[int, int]:
    """Return rows and columns of a grid of square patches over an image, row by row.

    Raises
    ------
    DataError
        When they are none.
    """
    height, width = size
    for patch in range(1, min(size) + 1):
        for rows, columns in ((height // patch, width // patch), (-(-height // patch), -(-width // patch))):
            if rows * columns == tokens:
                return rows, columns
    raise DataError(
        f"the {tokens} tokens of layer {layer.name} are no grid of square patches over {height}×{width} pixels",
        "a mask cannot be laid over them; use another pooling",
    )


def check_pooling(layer: Layer, pooling: Pooling, prefix: int | None) -> None:
    """Refuse a pooling that does not go with a layer's layout.

    Raises
    ------
    UsageError
        Saying why.
    """
    if pooling.name in ("cls", "tokens") and layer.layout in ("NCHW", "NHWC", "NCL"):
        raise UsageError(
            f"pooling '{pooling}' needs tokens, but layer {layer.name} gives {layer.layout}", "use avg or max"
        )
    if (pooling.name == "tokens" or pooling.masked) and layer.layout == "tokens" and prefix is None:
        raise UsageError(
            f"pooling '{pooling}' looks at the patch tokens of layer {layer.name}, but the target does not say "
            "how many class and register tokens come first (Target.prefix_tokens, or num_prefix_tokens of the module)",
            "use avg (all tokens) or cls (the first)",
        )


class Recorder:
    """Catches the pooled outputs of some layers of a module while the context is open.

    Parameters
    ----------
    prefix
        As in `pool`.

    Attributes
    ----------
    mask
        As in `pool`; set before a forward pass where the pooling asks for it.
    taps
        The hooks. While they are paused, forward passes go unrecorded: those of another target that is, or holds, the
        same module.

    Examples
    --------
    ::

        with Recorder(module, layers, Pooling("avg")) as recorder:
            module(batch)
            activations = recorder.take()  # {layer name: (B, neurons)}
    """

    def __init__(self, module: nn.Module, layers: Sequence[Layer], pooling: Pooling, prefix: int | None = None) -> None:
        for layer in layers:
            check_pooling(layer, pooling, prefix)
        self.mask: torch.Tensor | None = None
        self.taps = Taps(module, layers, self._catch)
        self._layers, self._pooling, self._prefix = {layer.name: layer for layer in layers}, pooling, prefix
        self._caught: dict[str, torch.Tensor] = {}

    def __enter__(self) -> Recorder:
        self.taps.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.taps.__exit__(kind, error, traceback)

    def _catch(self, layer: Layer, tensor: torch.Tensor) -> None:
        self._caught[layer.name] = pool(tensor, layer, self._pooling, self._prefix, self.mask)

    def take(self) -> dict[str, torch.Tensor]:
        """Return what the last forward pass left, by layer in the order given, and forget it.

        Raises
        ------
        DataError
            When a layer did not run.
        """
        self.taps.begin()
        caught, self._caught = self._caught, {}
        silent = [name for name in self._layers if name not in caught]
        if silent:
            raise DataError(
                f"layer {silent[0]} did not run for some images; it cannot be dissected", "leave it out of --layers"
            )
        return {name: caught[name] for name in self._layers}
