"""What an image processor of transformers does, as a recipe: derived from its settings, tried on made pictures."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Literal, Protocol, cast

import numpy as np
import PIL.Image
import torch
import transformers
from numpy.typing import NDArray

import mcd
from mcd.errors import CheckpointError, passes_through, said_by
from mcd.plugins import crop_fraction
from mcd_plugins.transformers.foreign import check_settings
from mcd_plugins.transformers.sources import Source, quiet

__all__ = ["Resize", "recipe"]

Resize = Literal["own", "letterbox", "squash", "crop"]
Pixels = NDArray[np.uint8]
Size = tuple[int, int]

_WHAT = "image processor (preprocessor_config.json)"
_FILTERS = ("nearest-exact", "lanczos", "bilinear", "bicubic", "box", "hamming")
"""Pillow's numbers of interpolations."""
_WAYS: tuple[Literal["crop", "squash", "letterbox"], ...] = ("crop", "squash", "letterbox")
_SHAPES = ((1.34, 0.97), (0.81, 1.9), (2.3, 1.7))
"""Rows and columns of the pictures it is tried on, as shares of those of the input: tall, wide, large."""
_PADDED = tuple((1.02 + (0.37 * one) % 1.3, 1.01 + (0.53 * one) % 1.7) for one in range(14))
"""More where a picture is padded: the side that is padded is rounded in one of several ways, as is its place."""
_MEAN, _MOST = 1.2 / 255, 16 / 255
"""How far apart two results may be, of black to white: transformers rounds to 8 bits after resizing."""
_COLOURS = ((0, 0, 0), (255, 255, 255), (230, 120, 20))


_ELSEWHERE = "a target can be loaded as module:FILE.py:FUNCTION instead, with a preprocessing of its own"
_OTHERWISE = f"set resize=squash, letterbox or crop to resize in that way instead; {_ELSEWHERE}"


class _Processor(Protocol):
    """What all image processors of transformers can do."""

    def __call__(self, images: PIL.Image.Image, *, return_tensors: str) -> Mapping[str, object]: ...

    def to_dict(self) -> Mapping[str, object]: ...


def recipe(source: Source, resize: Resize) -> mcd.Preprocessing:
    """Return the model's own preprocessing, with another way to resize where one is asked for.

    The processor itself prepares a few made pictures, and what it makes of them is compared with the recipe.

    Raises
    ------
    CheckpointError
        When there is no image processor, or one that no recipe reproduces.
    """
    processor = source.read(transformers.AutoImageProcessor.from_pretrained, _WHAT)
    check_settings(processor.to_dict(), source.name)
    return _Own(source.name, cast("_Processor", processor)).recipe(resize)


class _Own:
    """A processor, its settings and its results."""

    def __init__(self, name: str, processor: _Processor) -> None:
        self.name, self._processor = name, processor
        self.kind = type(processor).__name__
        self.settings = _with_timms(processor.to_dict())
        mean = self.settings.get("image_mean")
        self.channels: Literal[1, 3] = 1 if isinstance(mean, list | tuple) and len(mean) == 1 else 3
        patches, side = self.settings.get("max_num_patches"), self.settings.get("patch_size")
        self._largest = math.isqrt(patches) * side if isinstance(patches, int) and isinstance(side, int) else 0

    def recipe(self, resize: Resize) -> mcd.Preprocessing:
        """Return the recipe; one that resizes as the model's own is tried on whole pictures, any other on colours."""
        way, said, fraction = _by_settings(self.settings, self._largest)
        size = (self._largest,) * 2 if self._largest else self._seen_size()
        if resize != "own":
            size = size or said  # where every image gets another, that of the shorter side
        if size is None:
            raise CheckpointError(
                f"{self.name}: its {self.kind} gives each image another size, and a run needs one",
                _ELSEWHERE if said is None else _OTHERWISE,
            )
        made = self._coloured(size)
        if resize != "own":
            return made.model_copy(
                update={"resize": resize, "crop_fraction": fraction if resize == "crop" else 1.0, "centring": "down"}
            )
        shown = list(_pictures(size, square=self._largest > 0))
        theirs = [self._made(one) for one in shown]
        least = math.inf
        for geometry in self._geometries(way, size, fraction):
            tried = made.model_copy(update=geometry)
            apart = _furthest(tried, shown, theirs)
            if apart <= 1 and tried.resize == "letterbox":
                apart = self._apart_padded(tried, size)
            if apart <= 1:
                return tried
            least = min(apart, least)
        raise CheckpointError(
            f"{self.name}: what its {self.kind} does to an image cannot be reproduced (made pictures come out "
            f"{least:.2g} times as far apart as rounding explains)",
            _OTHERWISE,
        )

    def _apart_padded(self, tried: mcd.Preprocessing, size: Size) -> float:
        more = list(_pictures(size, shapes=_PADDED))
        return _furthest(tried, more, [self._made(one) for one in more])

    def _geometries(self, way: str, size: Size, fraction: float) -> Iterator[dict[str, object]]:
        """Yield ways to resize to a size: first that of the settings, then what processors are known to do."""
        usual = {"resize": way, "crop_fraction": fraction if way == "crop" else 1.0}
        yield usual | ({"centring": "down"} if way == "crop" else {})
        for side in self._sides_before_a_cut(size):
            for one, centring in itertools.product(_WAYS, ("down", "even")):
                yield {"resize": one, "crop_fraction": crop_fraction(min(size), side), "centring": centring}

    def _sides_before_a_cut(self, size: Size) -> Iterator[int]:
        """Yield what a side may be resized to before the centre is cut out."""
        sides = {min(size): None}
        for one in (_sides(self.settings.get("size")), _sides(self.settings.get("crop_size"))):
            if one is not None:
                share = self.settings.get("crop_pct")
                sides |= {min(one): None, int(256 / 224 * min(one)): None}  # LeViT's share is not among its settings
                sides |= {int(min(one) / share): None} if isinstance(share, float) and share > 0 else {}
        yield from sides

    def _coloured(self, size: Size) -> mcd.Preprocessing:
        """Return a recipe for a size whose colours are the processor's: as its settings say, else as measured."""
        settings = self.settings
        normalised = bool(settings.get("do_normalize", True))
        number = settings.get("resample")
        known = isinstance(number, int) and 0 <= number < len(_FILTERS)
        made = mcd.Preprocessing.model_validate(
            {
                "height": size[0],
                "width": size[1],
                "interpolation": _FILTERS[cast("int", number)] if known else "bilinear",
                "channels": self.channels,
                "mean": _numbers(settings.get("image_mean")) if normalised else (),
                "std": _numbers(settings.get("image_std")) if normalised else (),
            }
        )
        seen = torch.stack([_middle(self._made(_flat(colour, max(size)))) for colour in _COLOURS])
        if self._same_colours(made, seen):
            return made
        black, white = seen[0], seen[1]
        std = 1 / (white - black)
        measured = {"mean": tuple((-black * std).tolist()), "std": tuple(std.tolist())}
        for colours in ("rgb", "bgr"):
            tried = made.model_copy(update={**measured, "colours": colours})
            if bool(std.isfinite().all()) and self._same_colours(tried, seen):
                return tried
        raise CheckpointError(f"{self.name}: its {self.kind} changes colours in a way that is not known", _ELSEWHERE)

    def _same_colours(self, made: mcd.Preprocessing, seen: torch.Tensor) -> bool:
        given = torch.tensor(_COLOURS, dtype=torch.float32)[:, : self.channels, None, None] / 255
        ours = made.finalize(given)[..., 0, 0]
        span = (seen[1] - seen[0]).abs().clamp_min(1e-6)
        return ours.shape == seen.shape and bool(((ours - seen).abs() / span).max() < 1e-3)

    def _seen_size(self) -> Size | None:
        """Return the rows and columns of the input if they are the same for every image."""
        shapes = ((301, 217), (180, 320), (512, 512))
        sizes = {tuple(self._made(_flat(_COLOURS[2], *shape)).shape[1:]) for shape in shapes}
        return cast("Size", sizes.pop()) if len(sizes) == 1 else None

    def _made(self, pixels: Pixels) -> torch.Tensor:
        """Return what the processor makes of a picture ``(H, W, 3)``: ``(channels, height, width)``."""
        try:
            with quiet():
                found = self._processor(_image(pixels, self.channels), return_tensors="pt")
        except BaseException as error:  # transformers raises whatever it comes upon
            if passes_through(error):
                raise
            reason = said_by(error, named=False)
            raise CheckpointError(
                f"{self.name}: its {self.kind} cannot prepare a picture: {reason}", _ELSEWHERE
            ) from None
        values = found.get("pixel_values") if isinstance(found, Mapping) else None
        if not isinstance(values, torch.Tensor) or not values.numel():
            raise self._no_picture(
                f"returns {', '.join(found) if isinstance(found, Mapping) else type(found).__name__}"
            )
        if self._largest and values.ndim == 3:
            values = _joined(values, cast("torch.Tensor", found["spatial_shapes"]), self.channels)
        if values.ndim != 4 or values.shape[:2] != (1, self.channels):
            raise self._no_picture(f"returns {'×'.join(map(str, values.shape))} values")
        return values[0].float()

    def _no_picture(self, what: str) -> CheckpointError:
        return CheckpointError(
            f"{self.name}: for one picture its {self.kind} {what} instead of one of {self.channels} channels",
            _ELSEWHERE,
        )


def _with_timms(settings: Mapping[str, object]) -> Mapping[str, object]:
    """Return settings with those of a model of timm, which has its own names for them, under the usual ones."""
    data = settings.get("data_config")
    if not isinstance(data, Mapping):
        return settings
    name = str(data.get("interpolation"))
    return {
        **settings,
        "size": {"shortest_edge": data["input_size"][-1]},
        "crop_pct": data.get("crop_pct"),
        "image_mean": data.get("mean"),
        "image_std": data.get("std"),
        "resample": _FILTERS.index(name) if name in _FILTERS else None,
    }


def _by_settings(settings: Mapping[str, object], largest: int) -> tuple[str, Size | None, float]:
    """Return how a processor resizes, to which rows and columns, and what share a crop keeps, by its usual settings."""
    if largest:  # NaFlex: the largest square that it takes
        return "squash", (largest, largest), 1.0
    asked = settings.get("size")
    size, crop = _sides(asked), _sides(settings.get("crop_size"))
    if settings.get("do_center_crop") and crop:
        return "crop", crop, crop_fraction(min(crop), max(min(crop), min(size))) if size else 1.0
    return "crop" if isinstance(asked, Mapping) and "shortest_edge" in asked else "squash", size, 1.0


def _sides(value: object) -> Size | None:
    if isinstance(value, int):
        return value, value
    if isinstance(value, Mapping):
        short = value.get("shortest_edge")
        height, width = value.get("height", short), value.get("width", short)
        if isinstance(height, int) and isinstance(width, int):
            return height, width
    return None


def _numbers(value: object) -> tuple[float, ...]:
    if isinstance(value, int | float):
        return (float(value),)
    return tuple(float(one) for one in value) if isinstance(value, list | tuple) else ()


def _image(pixels: Pixels, channels: int) -> PIL.Image.Image:
    return PIL.Image.fromarray(pixels if channels == 3 else np.ascontiguousarray(pixels[..., 0]))


def _flat(colour: Sequence[int], rows: int, columns: int | None = None) -> Pixels:
    return np.broadcast_to(np.array(colour, np.uint8), (rows, columns or rows, 3)).copy()


def _pictures(size: Size, *, square: bool = False, shapes: Sequence[tuple[float, float]] = _SHAPES) -> Iterator[Pixels]:
    """Yield pictures for an input of a size: waves, which a shift changes, with faint grain, fading out to one side.

    A mammogram fades so, and one is a negative: a processor that cuts off empty margins shows it.
    """
    random = np.random.default_rng(0)
    for number, (tall, wide) in enumerate(shapes):
        rows, columns = round(size[0] * tall), round(size[1] * (tall if square else wide))
        y, x = np.mgrid[0:rows, 0:columns]
        waves = [np.sin(y / 3 + x / 7), np.sin(x / 3 - y / 11), np.sin((x + y) / 5)]
        grain = random.integers(-30, 31, (rows, columns, 3))
        fading = np.clip(1.5 - 2 * x / columns, 0, 1)[..., None]
        drawn = np.clip(fading * (128 + 60 * np.stack(waves, axis=2) + grain), 0, 255).astype(np.uint8)
        yield 255 - drawn if number == 1 else drawn


def _furthest(made: mcd.Preprocessing, shown: Sequence[Pixels], theirs: Sequence[torch.Tensor]) -> float:
    """Return how far a recipe is from the results; the first beyond what rounding explains decides."""
    apart = 0.0
    for pixels, result in zip(shown, theirs, strict=True):
        apart = max(apart, _apart(made, pixels, result))
        if apart > 1:
            break
    return apart


def _apart(made: mcd.Preprocessing, pixels: Pixels, theirs: torch.Tensor) -> float:
    """Return how far a recipe is from a result, in multiples of what rounding explains."""
    shown = pixels if theirs.shape[0] == 3 else pixels[..., 0]
    ours = made.finalize(made.prepare(mcd.Image(shown, 255.0))[None])[0]
    if ours.shape != theirs.shape:
        return math.inf
    std = torch.tensor(made.std or (1.0,)).abs()[:, None, None]
    apart = (ours - theirs).abs() * std
    return max(float(apart.mean()) / _MEAN, float(apart.max()) / _MOST)


def _middle(values: torch.Tensor) -> torch.Tensor:
    return values[:, values.shape[1] // 2, values.shape[2] // 2]


def _joined(patches: torch.Tensor, shapes: torch.Tensor, channels: int) -> torch.Tensor:
    """Return the picture ``(1, channels, height, width)`` that NaFlex patches ``(1, N, side·side·channels)`` are of."""
    rows, columns = (int(one) for one in shapes[0])
    side = math.isqrt(patches.shape[2] // channels)
    laid = patches[0, : rows * columns].reshape(rows, columns, side, side, channels)
    return laid.permute(4, 0, 2, 1, 3).reshape(1, channels, rows * side, columns * side)
