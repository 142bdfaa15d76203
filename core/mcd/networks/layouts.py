"""How a layer's output is laid out: from the module's type, or from its geometry over the image."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Literal

from torch import nn

__all__ = ["AXES", "Layout", "Scene", "layout_of", "neurons_of"]

Layout = Literal["NCHW", "NHWC", "NCL", "tokens", "flat"]
AXES: dict[Layout, int] = {"flat": 1, "tokens": 2, "NCL": 2, "NCHW": 3, "NHWC": 3}
"""How many axes each has besides the batch. ``tokens`` are tokens × features; ``NCL`` is channels × positions."""


def neurons_of(layout: Layout, shape: tuple[int, ...]) -> int:
    """Return how many neurons an output of ``shape`` (without batch) has."""
    return shape[0] if layout in ("NCHW", "NCL", "flat") else shape[-1]


@dataclass(frozen=True)
class Scene:
    """What is known of a network besides the type of a module.

    Parameters
    ----------
    size
        Rows and columns of the image.
    maps
        Channels, rows and columns of its maps: a sequence may be one of them, flattened.
    features
        The widths of its linear layers and layer norms, which have features last.
    images
        How many it was shown.
    """

    size: tuple[int, int]
    maps: Collection[tuple[int, int, int]] = ()
    features: Collection[int] = ()
    images: int = 2


def layout_of(module: nn.Module, shape: tuple[int, ...], scene: Scene) -> tuple[Layout | None, str]:
    """Return how an output of ``shape`` (without batch) is laid out, or None and why that cannot be known."""
    if len(shape) == 1:
        return "flat", ""
    if len(shape) == 2:
        return _of_sequence(module, (shape[0], shape[1]), scene)
    if len(shape) != 3:
        return None, f"its output has {len(shape) + 1} axes; 2, 3 or 4 can be read"
    if isinstance(module, nn.Conv2d | nn.BatchNorm2d | nn.GroupNorm) or _ends_in(module, _PLANES):
        return "NCHW", ""
    if isinstance(module, nn.LayerNorm) and tuple(module.normalized_shape) == shape[-1:]:
        return "NHWC", ""
    if isinstance(module, nn.Linear):
        return "NHWC", ""
    size = scene.size
    for looks_spatial in (_strided, _scaled):
        first, last = looks_spatial(shape[1:], size), looks_spatial(shape[:2], size)
        if first != last:
            return ("NCHW", "") if first else ("NHWC", "")
        if first:
            break
    which = "either order of the axes fits" if first else "neither order of the axes fits"
    return None, f"its output {shape} for a {size[0]}×{size[1]} image could be C×H×W or H×W×C: {which}"


def _of_sequence(module: nn.Module, shape: tuple[int, int], scene: Scene) -> tuple[Layout | None, str]:
    if isinstance(module, _ROWS) or _ends_in(module, _ROWS):
        return "NCL", ""
    if isinstance(module, nn.Linear) or (isinstance(module, nn.LayerNorm) and module.normalized_shape == shape[-1:]):
        return "tokens", ""
    (first, last), maps = shape, scene.maps
    as_tokens = any(last == channels and 0 <= first - rows * columns <= _MOST_FIRST for channels, rows, columns in maps)
    as_channels = any(first == channels and last == rows * columns for channels, rows, columns in maps)
    if as_tokens != as_channels:
        return ("tokens" if as_tokens else "NCL"), ""
    if (last in scene.features and first not in scene.features) or not _patches(last, scene.size):
        return "tokens", ""
    return None, f"its output {shape} could be tokens × features or channels × positions"


_MOST_FIRST = 8
"""So many class and register tokens may come before the patches."""


def _patches(count: int, size: tuple[int, int]) -> bool:
    """Whether an image has so many square patches."""
    height, width = size
    return any(
        count in ((height // patch) * (width // patch), -(-height // patch) * -(-width // patch))
        for patch in range(1, min(size) + 1)
    )


_ROWS = (
    nn.Conv1d,
    nn.ConvTranspose1d,
    nn.BatchNorm1d,
    nn.InstanceNorm1d,
    nn.GroupNorm,
    nn.MaxPool1d,
    nn.AvgPool1d,
    nn.AdaptiveAvgPool1d,
    nn.AdaptiveMaxPool1d,
)
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


def _ends_in(module: nn.Module, kinds: tuple[type[nn.Module], ...]) -> bool:
    """Whether a plain chain ends in one of these. Any other ``forward`` may have turned the axes."""
    if type(module).forward is not nn.Sequential.forward:
        return False
    for child in reversed(list(module.children())):
        if type(child) not in _SHAPELESS:
            return isinstance(child, kinds) or _ends_in(child, kinds)
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
