"""Which layers a target has, and how their outputs are laid out."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

import torch
from torch import nn

from mcd.errors import UsageError
from mcd.networks.patterns import NO_ALIASES, match_layers, split_patterns

__all__ = [
    "Layer",
    "Layout",
    "Output",
    "describe_layers",
    "inspect_layers",
    "main_output",
    "select_layers",
    "watch_layers",
]

Layout = Literal["NCHW", "NHWC", "tokens", "flat"]


@dataclass(frozen=True)
class Layer:
    """One layer of a target, as one forward pass shows it.

    Parameters
    ----------
    name
        Its dotted name in ``named_modules``.
    type
        The class of the module.
    shape
        Shape of its output without the batch axis; empty when there is none to show.
    layout
        How the output is read; None when `reason` says why it cannot be.
    neurons
        Its channels, features or token dimensions; 0 when it cannot be read.
    reason
        Why it cannot be dissected, or an empty string.
    """

    name: str
    type: str
    shape: tuple[int, ...] = ()
    layout: Layout | None = None
    neurons: int = 0
    reason: str = ""


_NAMED = ("last_hidden_state", "logits")
"""Entries that stand for a record of several outputs (transformers' ModelOutput), in order of preference."""


def main_output(output: object) -> torch.Tensor | None:
    """Return the tensor a layer's output stands for, or None where that is ambiguous.

    Itself; the first of a tuple or list (as published); of a mapping ``last_hidden_state``, ``logits`` or its only
    tensor.
    """
    if isinstance(output, tuple | list) and output:
        output = output[0]
    elif isinstance(output, Mapping):
        tensors = [one for one in output.values() if isinstance(one, torch.Tensor)]
        named = [output[name] for name in _NAMED if isinstance(output.get(name), torch.Tensor)]
        output = (named or tensors)[0] if named or len(tensors) == 1 else None
    return output if isinstance(output, torch.Tensor) else None


class Output(NamedTuple):
    """What a layer gave: the type's name and, where there is a tensor in it, its shape and a few of its values."""

    type: str
    shape: tuple[int, ...] | None
    values: torch.Tensor


_VALUES = 4096
"""How many values of a layer's output for the first image are kept to compare two passes."""


def _few_values(tensor: torch.Tensor | None) -> torch.Tensor:
    if tensor is None or not tensor.ndim:
        return torch.empty(0)
    flat = tensor[:1].detach().flatten()
    return flat[:: max(1, -(-len(flat) // _VALUES))].float().clone()


def inspect_layers(module: nn.Module, example: torch.Tensor) -> list[Layer]:
    """Run ``example`` ``(2, C, H, W)`` through the module once and describe every layer, in module order."""
    return describe_layers(module, watch_layers(module, example), example)


def watch_layers(module: nn.Module, example: torch.Tensor) -> dict[str, list[Output]]:
    """Run ``example`` ``(B, C, H, W)`` through the module once; return the outputs of every layer, in module order."""
    calls: dict[str, list[Output]] = {name: [] for name, _ in module.named_modules() if name}
    handles = []

    def recorder(name: str) -> Callable[[nn.Module, object, object], None]:
        def hook(_module: nn.Module, _inputs: object, output: object) -> None:
            tensor = main_output(output)
            # All outputs of a large network at once would fill the memory.
            shape = None if tensor is None else tuple(tensor.shape)
            calls[name].append(Output(type(output).__name__, shape, _few_values(tensor)))

        return hook

    try:
        for name, child in module.named_modules():
            if name:
                handles.append(child.register_forward_hook(recorder(name)))
        with torch.inference_mode():
            module(example.clone())  # a network may change its input in place
    finally:
        for handle in handles:
            handle.remove()
    return calls


def describe_layers(module: nn.Module, calls: Mapping[str, Sequence[Output]], example: torch.Tensor) -> list[Layer]:
    """Return what the outputs of a pass show of every layer."""
    modules = dict(module.named_modules())
    return [_describe(name, modules[name], outputs, example) for name, outputs in calls.items()]


def _describe(name: str, module: nn.Module, outputs: Sequence[Output], example: torch.Tensor) -> Layer:
    kind = type(module).__name__
    if not outputs:
        return Layer(name, kind, reason="it did not run in a forward pass")
    whole = outputs[0].shape
    if whole is None:
        return Layer(name, kind, reason=f"its output is a {outputs[0].type}, in which no tensor stands for it")
    shape = whole[1:]
    if len(outputs) > 1:
        return Layer(name, kind, shape, reason=f"it ran {len(outputs)} times in one forward pass")
    if not whole or whole[0] != example.shape[0]:
        return Layer(name, kind, shape, reason=f"axis 0 of its output {whole} is not the batch")
    layout, reason = _layout(module, shape, (int(example.shape[-2]), int(example.shape[-1])))
    if layout is None:
        return Layer(name, kind, shape, reason=reason)
    return Layer(name, kind, shape, layout, shape[0] if layout in ("NCHW", "flat") else shape[-1])


def _layout(module: nn.Module, shape: tuple[int, ...], size: tuple[int, int]) -> tuple[Layout | None, str]:
    """Tell how an output of ``shape`` (without batch) is laid out, from the module's type or its geometry."""
    if len(shape) == 1:
        return "flat", ""
    if len(shape) == 2:
        return "tokens", ""
    if len(shape) != 3:
        return None, f"its output has {len(shape) + 1} axes; 2, 3 or 4 can be read"
    if isinstance(module, nn.Conv2d | nn.BatchNorm2d | nn.GroupNorm) or _ends_in_planes(module):
        return "NCHW", ""
    if isinstance(module, nn.LayerNorm) and tuple(module.normalized_shape) == shape[-1:]:
        return "NHWC", ""
    if isinstance(module, nn.Linear):
        return "NHWC", ""
    for looks_spatial in (_strided, _scaled):
        first, last = looks_spatial(shape[1:], size), looks_spatial(shape[:2], size)
        if first != last:
            return ("NCHW", "") if first else ("NHWC", "")
        if first:
            break
    which = "either order of the axes fits" if first else "neither order of the axes fits"
    return None, f"its output {shape} for a {size[0]}×{size[1]} image could be C×H×W or H×W×C: {which}"


_PLANES = (
    nn.Conv2d,
    nn.ConvTranspose2d,
    nn.BatchNorm2d,
    nn.GroupNorm,
    nn.MaxPool2d,
    nn.AvgPool2d,
    nn.AdaptiveAvgPool2d,
    nn.AdaptiveMaxPool2d,
)
_SHAPELESS = (
    nn.ReLU,
    nn.ReLU6,
    nn.LeakyReLU,
    nn.PReLU,
    nn.ELU,
    nn.SELU,
    nn.CELU,
    nn.GELU,
    nn.SiLU,
    nn.Mish,
    nn.Hardswish,
    nn.Hardsigmoid,
    nn.Hardtanh,
    nn.Sigmoid,
    nn.Tanh,
    nn.Softplus,
    nn.Softsign,
    nn.Identity,
    nn.Dropout,
    nn.Dropout2d,
)
"""What computes each value for itself, and so leaves the axes where they are."""


def _ends_in_planes(module: nn.Module) -> bool:
    """Whether a plain chain ends in what gives ``(C, H, W)``. Any other ``forward`` may have turned the axes."""
    if type(module).forward is not nn.Sequential.forward:
        return False
    for child in reversed(list(module.children())):
        if type(child) not in _SHAPELESS:
            return isinstance(child, _PLANES) or _ends_in_planes(child)
    return False


def _strided(axes: tuple[int, ...], size: tuple[int, int]) -> bool:
    """Whether two axes are those of the image divided by one whole stride, as padded networks do."""
    (rows, columns), (height, width) = axes, size
    strides = {max(1, round(height / rows)), max(1, round(width / columns)), max(1, height // rows)}
    return any(abs(rows - height / stride) < 1 and abs(columns - width / stride) < 1 for stride in strides)


def _scaled(axes: tuple[int, ...], size: tuple[int, int]) -> bool:
    """Whether two axes have the image's aspect, give or take one row: networks that do not pad lose some."""
    (rows, columns), (height, width) = axes, size
    if rows > height or columns > width:
        return False
    stride = max(height, width) / max(rows, columns)
    return abs(rows - height / stride) <= 1 and abs(columns - width / stride) <= 1


def select_layers(
    patterns: Sequence[str], layers: Sequence[Layer], target: str, aliases: Mapping[str, str] = NO_ALIASES
) -> list[Layer]:
    """Return the layers that the patterns pick, all of them fit to be dissected.

    Raises
    ------
    UsageError
        When no pattern is given, or a picked layer cannot be read; the message says why.
    """
    by_name = {layer.name: layer for layer in layers}
    if not split_patterns(patterns):
        tops = ", ".join(name for name in by_name if "." not in name)
        raise UsageError(f"which layers of {target} shall be dissected?", f"give --layers PATTERN; it has: {tops}")
    picked = [by_name[name] for name in match_layers(patterns, list(by_name), aliases)]
    refused = [layer for layer in picked if layer.reason]
    if refused:
        lines = "\n".join(f"  {layer.name} ({layer.type}): {layer.reason}" for layer in refused)
        raise UsageError(
            f"{len(refused)} of the chosen layers cannot be dissected:\n{lines}", _instead(refused, layers)
        )
    return picked


def _instead(refused: Sequence[Layer], layers: Sequence[Layer]) -> str:
    """Return the hint: the last readable layer inside each refused one, whose output is nearest to it."""
    inside = [[one.name for one in layers if one.layout and one.name.startswith(f"{layer.name}.")] for layer in refused]
    offered = [names[-1] for names in inside if names]
    return f"choose {', '.join(offered)}" if offered else "choose other layers"
