"""A torch data set, or anything with a length and items, as probe set."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sized
from pathlib import Path
from typing import Protocol, cast

import numpy as np
import PIL.Image
import torch
from numpy.typing import NDArray
from torch.utils.data import DataLoader, IterableDataset
from torch.utils.data import Dataset as TorchDataset

from mcd.api.base import digest
from mcd.api.dataset import Dataset, Sample, Unreadable
from mcd.api.image import Image
from mcd.errors import DataError, ImageError, UsageError, passes_through, said_by, with_article
from mcd.study.pictures import picture_of
from mcd.study.torch_labels import classes_of, labels_in

__all__ = ["TorchImages", "as_image"]

_WHITE = {"bool": 1.0, "uint8": 255.0, "uint16": 65535.0}
"""What white is where the type of number says it; floats lie in 0…1."""
_WHITES = (255.0, 1023.0, 4095.0, 16383.0, 65535.0)
"""What white can be where it does not: 8, 10, 12, 14 or 16 bits."""
_NAMES = ("image", "img", "pixel_values", "images", "pixels", "x", "input", "scan", "data")
"""What the image of an item that is a mapping is called, the first that is there."""
_NESTED = 4
"""How deep an image may lie in tuples and mappings."""


class _Items(Protocol):
    def __getitem__(self, row: int) -> object: ...


def as_image(item: object, white: float | None = None) -> Image:
    """Return what a torch data set yields as an image.

    Takes a tensor or an array ``(H, W)``, ``(1 or 3, H, W)`` or ``(H, W, 1 or 3)``, or a PIL image, which is read as
    its header declares; or a tuple or list whose first element is one of those, or a mapping with one as ``"image"`` or
    ``"img"``.
    Where first and last axis could both be channels, tensors have them first and arrays last. Floats lie in 0…1.

    Parameters
    ----------
    white
        The value that means white for integers other than uint8 and uint16: their type does not say it.

    Raises
    ------
    ImageError
        For anything else.
    """
    found = _picture_in(item)
    if isinstance(found, PIL.Image.Image) and not _plain(found):
        return picture_of(found)
    pixels = _channels_last(_array(found), first=isinstance(found, torch.Tensor))
    kind = pixels.dtype
    if kind.kind == "f":
        return Image(pixels.astype(np.float32), 1.0)
    if pixels.size == 0:
        raise ImageError(f"shape {pixels.shape} holds no pixel")
    maximum = _WHITE.get(kind.name, white)
    low, high = int(pixels.min()), int(pixels.max())
    if low < 0 or high > (maximum or _WHITES[-1]):
        raise ImageError(
            f"its values run from {low} to {high}, outside 0…{maximum or _WHITES[-1]:g}",
            "black is 0: give uint8, uint16 or floats in 0…1",
        )
    if maximum is None:
        raise ImageError(f"{kind.name} does not say what white is", "give uint8, uint16 or floats in 0…1")
    if kind.name in ("bool", "uint8"):
        return Image(pixels.astype(np.uint8), maximum)
    return Image(pixels.astype(np.uint16), maximum)


def _plain(picture: PIL.Image.Image) -> bool:
    """Whether a PIL image is but numbers: of no file, or floats, of which torch's transforms make 0…1."""
    return picture.mode == "F" or (picture.mode == "I" and not picture.format)


def _picture_in(item: object) -> object:
    """Return the image in an item, which may have labels beside it."""
    for _ in range(_NESTED):
        if isinstance(item, tuple | list) and item:
            item = item[0]
        elif isinstance(item, Mapping):
            names = [name for name in _NAMES if name in item]
            if not names:
                raise ImageError(f"none of its keys ({', '.join(map(str, item))}) is 'image' or 'img'")
            item = item[names[0]]
        else:
            break
    return item


def _has_several(item: object) -> bool:
    """Say whether an item has images of one shape beside the first, such as several views of one patient."""
    first = _shape(_picture_in(item))
    for _ in range(_NESTED):
        if isinstance(item, tuple | list) and item:
            if sum(_shape(one) == first for one in item) > 1:
                return True
            item = item[0]
        elif isinstance(item, Mapping):
            item = next((item[name] for name in _NAMES if name in item), None)
    return False


def _shape(item: object) -> tuple[object, ...]:
    """Return what images of one kind share; nothing of what is none."""
    if isinstance(item, PIL.Image.Image):
        return item.mode, item.size
    shape = tuple(getattr(item, "shape", ()))
    return (str(getattr(item, "dtype", "")), *shape) if len(shape) > 1 else ()


def _array(item: object) -> NDArray[np.generic]:
    if isinstance(item, torch.Tensor):
        return _of_tensor(item)
    if isinstance(item, str | bytes | Path) or not (hasattr(item, "__array__") or hasattr(item, "__array_interface__")):
        kind = type(item).__name__
        raise ImageError(f"{with_article(kind)} is not an image", "return a tensor, an array or a PIL image")
    found = np.asarray(item)
    if found.dtype.kind not in "buif":
        raise ImageError(f"images of type {found.dtype} are not understood", "use uint8, uint16 or float in 0…1")
    return found


def _of_tensor(tensor: torch.Tensor) -> NDArray[np.generic]:
    """Return a tensor as an array; floats that numpy does not know, such as bfloat16, as float32."""
    if tensor.is_complex():
        raise ImageError("its values are complex numbers", "use uint8, uint16 or float in 0…1")
    try:
        found = tensor.detach()
        if found.is_quantized:
            found = found.dequantize()
        if found.layout != torch.strided:
            found = found.to_dense()
        if found.is_floating_point():
            found = found.float()
        return cast("NDArray[np.generic]", found.cpu().numpy())
    except (RuntimeError, TypeError, NotImplementedError) as error:  # without values, or of a type of its own
        raise ImageError(f"its tensor cannot be read: {str(error).splitlines()[0]}") from None


def _channels_last(pixels: NDArray[np.generic], *, first: bool) -> NDArray[np.generic]:
    """Return ``(H, W)`` or ``(H, W, 3)``; ``first`` says where channels are if both ends could be."""
    shape = pixels.shape
    while pixels.ndim > 3 and pixels.shape[0] == 1:
        pixels = pixels[0]
    if pixels.ndim == 3:
        leading, trailing = pixels.shape[0] in (1, 3), pixels.shape[2] in (1, 3)
        if leading and (first or not trailing):
            pixels, trailing = np.moveaxis(pixels, 0, -1), True
        if not trailing:
            raise ImageError(_unknown_shape(shape, {pixels.shape[0], pixels.shape[2]}))
        pixels = pixels[..., 0] if pixels.shape[2] == 1 else pixels
    if pixels.ndim not in (2, 3):
        raise ImageError(_unknown_shape(shape, set()))
    return pixels


def _unknown_shape(shape: tuple[int, ...], channels: set[int]) -> str:
    known = f"shape {shape} is neither (H, W) nor that of 1 or 3 channels"
    if 4 in channels:
        return f"{known}; of RGBA give the colours over black, or a PIL image"
    return known


class TorchImages(Dataset):
    """A map-style torch data set as probe set. Ids are row numbers; the digest is that of the pixels.

    Labels beside the images are its annotations: see `mcd.study.torch_labels.labels_in`.
    """

    ids_are_public = True

    def __init__(self, items: TorchDataset[object]) -> None:
        super().__init__()
        _check_items(items)
        self._items = items
        self._white: float | None = None
        self._several = 0

    def __len__(self) -> int:
        try:
            return len(cast("Sized", self._items))
        except (TypeError, NotImplementedError):
            raise DataError("an iterable data set has no fixed order", "give a map-style torch Dataset") from None

    def scan(self) -> Iterator[Sample | Unreadable]:
        """Read every item once: there is no other way to know what is in it. Integers without a white twice."""
        self._white, self._several = self._common_white(), 0
        classes = classes_of(self._items)
        for row in range(len(self)):
            name = f"{row:06d}"
            try:
                item = self._item(row)
                image = as_image(item, self._white)
                image.check()
                self._several += _has_several(item)
            except ImageError as error:
                yield Unreadable(f"item {row}", f"{error.message} ({error.hint})" if error.hint else error.message)
                continue
            said = labels_in(item, classes)
            yield Sample(
                name,
                _digest(image),
                f"item {row}",
                patient=said.patient,
                findings=said.findings,
                labels=said.labels,
            )

    def remarks(self) -> list[str]:
        """Return what was taken for white where the items do not say it, and whether they hold more than is shown."""
        found = []
        if self._white is not None:
            found.append(
                f"the items are integers whose type does not say what white is: {self._white:g} was taken, the lowest "
                f"of {', '.join(f'{one:g}' for one in _WHITES)} that none exceeds. Give uint8, uint16 or floats in 0…1"
            )
        if self._several:
            found.append(
                f"{self._several} items hold several images of one shape; the first of each is shown. Where the others "
                "are views too, give a data set with one image an item"
            )
        return found

    def read(self, sample: Sample) -> Image:
        """Return one item as an image.

        Raises
        ------
        ImageError
            When it is none, or not the one it was when it was listed.
        """
        image = as_image(self._item(int(sample.id)), self._white)
        if sample.digest and _digest(image) != sample.digest:
            raise ImageError(
                "it is not what it was when it was first read",
                "an item must be the same each time: leave random augmentation out of the data set",
            )
        return image

    def fingerprint(self) -> str:
        """Return a digest of the kind of data set; the probe set's own covers the pixels."""
        return digest(type(self._items).__qualname__, str(len(self)))

    def _item(self, row: int) -> object:
        try:
            return cast("_Items", self._items)[row]
        except ImageError:
            raise
        except BaseException as error:  # whatever the user's own code raises
            if passes_through(error):
                raise
            raise ImageError(f"reading it raises {said_by(error)}") from error

    def _common_white(self) -> float | None:
        """Return the lowest white that holds for all items, where they are integers that do not say theirs."""
        highest = 0
        for row in range(len(self)):
            try:
                found = _picture_in(self._item(row))
                if isinstance(found, PIL.Image.Image) and not _plain(found):
                    return None
                pixels = _array(found)
            except ImageError:
                continue
            if pixels.dtype.kind not in "iu" or pixels.dtype.name in _WHITE:
                return None
            highest = max(highest, int(pixels.max(initial=0)))
        return next((white for white in _WHITES if 0 < highest <= white), None)


def _check_items(items: object) -> None:
    """Refuse what is no data set with an order.

    Raises
    ------
    UsageError, DataError
        Saying what to give instead.
    """
    kind = type(items).__name__
    if isinstance(items, DataLoader):
        raise UsageError(
            "a DataLoader gives batches, in an order of its own; a probe set is of single images",
            "give its data set: loader.dataset",
        )
    if isinstance(items, type):
        raise UsageError(f"{items.__name__} is a class, not a data set", f"create one: {items.__name__}(…)")
    if isinstance(items, str | bytes | Path):
        raise UsageError(f"{with_article(kind)} is not a data set", "for a folder write 'images:DIR' or 'dicom:DIR'")
    if isinstance(items, IterableDataset) or hasattr(items, "__next__"):
        raise DataError("an iterable data set has no fixed order", "give a map-style torch Dataset")
    if not hasattr(items, "__getitem__"):
        raise UsageError(f"{with_article(kind)} is not a data set", "give a name, a torch Dataset or an mcd.Dataset")


def _digest(image: Image) -> str:
    pixels = np.ascontiguousarray(image.pixels)
    parts = (str(pixels.dtype), str(pixels.shape), pixels.tobytes())
    usual = {"uint8": 255.0, "uint16": 65535.0, "float32": 1.0}[pixels.dtype.name]
    return digest(*parts) if image.maximum == usual else digest(*parts, f"{image.maximum:g}")
