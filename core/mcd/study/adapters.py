"""Plain Python objects as components: a torch data set, a function as scorer."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sized
from typing import cast

import numpy as np
import torch
from torch.utils.data import Dataset as TorchDataset

from mcd.api.base import digest
from mcd.api.dataset import Dataset, Sample, Unreadable
from mcd.api.image import Image
from mcd.api.scorer import Scorer
from mcd.errors import DataError, ImageError
from mcd.networks.identity import identity_of

__all__ = ["FunctionScorer", "TorchImages", "as_image"]

_MAXIMUM = {np.dtype(np.uint8): 255.0, np.dtype(np.uint16): 65535.0}


def as_image(item: object) -> Image:
    """Return what a torch data set yields as an image.

    Takes a tensor ``(H, W)`` or ``(1 or 3, H, W)``, an array ``(H, W)`` or ``(H, W, 3)``, a PIL image, or a
    tuple or list whose first element, or a mapping whose ``"image"``, is one of those. Floats lie in 0…1.

    Raises
    ------
    ImageError
        For anything else.
    """
    if isinstance(item, tuple | list) and item:
        item = item[0]
    elif isinstance(item, dict) and "image" in item:
        item = item["image"]
    if isinstance(item, torch.Tensor):
        pixels = item.detach().cpu().numpy()
        if pixels.ndim == 3:
            pixels = pixels[0] if pixels.shape[0] == 1 else np.moveaxis(pixels, 0, -1)
    elif isinstance(item, np.ndarray) or hasattr(item, "__array_interface__"):
        pixels = np.asarray(item)
    else:
        raise ImageError(f"a {type(item).__name__} is not an image", "return a tensor, an array or a PIL image")
    if pixels.dtype in _MAXIMUM:
        return Image(pixels, _MAXIMUM[pixels.dtype])
    if np.issubdtype(pixels.dtype, np.floating):
        return Image(pixels.astype(np.float32), 1.0)
    raise ImageError(f"images of type {pixels.dtype} are not understood", "use uint8, uint16 or float in 0…1")


class TorchImages(Dataset):
    """A map-style torch data set as probe set. Ids are row numbers; the digest is that of the pixels."""

    ids_are_public = True

    def __init__(self, items: TorchDataset[object]) -> None:
        super().__init__()
        self._items = items

    def __len__(self) -> int:
        if not hasattr(self._items, "__len__"):
            raise DataError("an iterable data set has no fixed order", "give a map-style torch Dataset")
        return len(cast("Sized", self._items))

    def scan(self) -> Iterator[Sample | Unreadable]:
        """Read every item once: there is no other way to know what is in it."""
        for row in range(len(self)):
            name = f"{row:06d}"
            try:
                image = as_image(self._items[row])
                image.check()
            except ImageError as error:
                yield Unreadable(f"item {row}", error.message)
                continue
            pixels = np.ascontiguousarray(image.pixels)
            yield Sample(name, digest(str(pixels.dtype), str(pixels.shape), pixels.tobytes()), f"item {row}")

    def read(self, sample: Sample) -> Image:
        """Return one item as an image."""
        return as_image(self._items[int(sample.id)])

    def fingerprint(self) -> str:
        """Return a digest of the kind of data set; the probe set's own covers the pixels."""
        return digest(type(self._items).__qualname__, str(len(self)))


class FunctionScorer(Scorer):
    """A function ``(A, P) -> S`` as scorer; see `mcd.Scorer.score` for shapes."""

    def __init__(self, function: Callable[[torch.Tensor, torch.Tensor], object]) -> None:
        super().__init__()
        self._function = function
        self.name = getattr(function, "__name__", type(function).__name__)

    def score(self, activations: torch.Tensor, similarity: torch.Tensor) -> torch.Tensor:
        """Call the function; an array it returns becomes a tensor."""
        found = self._function(activations, similarity)
        return torch.from_numpy(found) if isinstance(found, np.ndarray) else cast("torch.Tensor", found)

    def fingerprint(self) -> str:
        """Return a digest of the function's name, and of its code and all that it reads."""
        return digest(self.name, identity_of(self._function).content)
