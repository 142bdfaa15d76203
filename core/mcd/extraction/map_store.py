"""Where maps lie: one safetensors file of a run folder, under a key made of everything that decides them."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

import torch
from safetensors.torch import save

from mcd.api.base import digest
from mcd.errors import StoreError
from mcd.extraction.tensor_files import AGAIN, TensorFile, open_tensors, record_of
from mcd.files import digest_of, write_atomically
from mcd.options import Record
from mcd.study.digests import CheckedFiles

__all__ = ["FILE", "SIDE", "MapStore", "Maps"]

FILE = "maps.safetensors"
SIDE = 14
"""Rows or columns of a kept map, at most."""

_VERSION = "maps/1"
"""Raised when the numbers change, so that maps of older versions are not read."""


class _Header(Record):
    """The metadata of the file; see `MapStore.write`."""

    key: str
    without: dict[str, str]
    preprocessing: str


@dataclass(frozen=True)
class Maps:
    """Maps of a layer: for each neuron those of the images it responds to most, strongest first.

    Parameters
    ----------
    images
        Rows of A, ``(neurons, N)`` int64; -1 where there is no map: the neuron responds to all images alike.
    values
        ``(neurons, N, h, w)`` uint8: 0 is the lowest value of a map, 255 its highest.
    range
        These two, ``(neurons, N, 2)`` float32.
    """

    images: torch.Tensor
    values: torch.Tensor
    range: torch.Tensor

    def restored(self, neuron: int, rank: int) -> torch.Tensor:
        """Return one map on the scale of the layer's output, ``(h, w)`` float32; ``rank`` counts from 0."""
        low, high = self.range[neuron, rank]
        found: torch.Tensor = low + self.values[neuron, rank].float() / 255 * (high - low)
        return found


class MapStore:
    """The maps of a run folder, under a key made of everything that decides them.

    Parameters
    ----------
    folder
        The run folder.
    key
        As `key_of` makes it.
    digests
        Those of the run folder, which the file is held against.

    Attributes
    ----------
    digest
        SHA-256 of the file; empty where it is not known.
    """

    def __init__(self, folder: Path, key: str, digests: Mapping[str, str] = MappingProxyType({})) -> None:
        self.path, self.key, self._files = folder / FILE, key, CheckedFiles(folder, digests)
        self.digest = digests.get(FILE, "")

    @staticmethod
    def key_of(activations: str, count: int) -> str:
        """Return the key of ``count`` maps a neuron, over the activations of a key."""
        return digest(_VERSION, activations, str(count), str(SIDE))

    def whole(self) -> bool:
        """Say whether they are there, ours and with a digest that is known."""
        try:
            return self.digest != "" and self._header().key == self.key
        except StoreError:
            return False

    def without(self) -> dict[str, str]:
        """Return the layers that have no maps, and why."""
        return self._header().without

    def preprocessing(self) -> str:
        """Return the fingerprint of the preprocessing through which the target saw the images."""
        return self._header().preprocessing

    def write(self, maps: dict[str, Maps], without: dict[str, str], preprocessing: str) -> None:
        """Write all of them at once, which layers have none and why, and the fingerprint of the preprocessing."""
        # One metadata entry: safetensors writes several in no fixed order, and equal runs must give equal bytes.
        header = json.dumps({"key": self.key, "without": without, "preprocessing": preprocessing})
        tensors = {
            f"{kind}:{name}": getattr(one, kind).contiguous()
            for name, one in maps.items()
            for kind in ("images", "values", "range")
        }
        self._put(save(tensors, metadata={"mcd": header}))

    def _put(self, data: bytes) -> None:
        write_atomically(self.path, data)
        self.digest = digest_of(data)
        self._files = CheckedFiles(self.path.parent, {FILE: self.digest})

    def take_over(self, other: MapStore) -> None:
        """Make those of a store with the same key ours too."""
        self._put(other.path.read_bytes())

    def forget(self) -> None:
        """Remove what an earlier run left."""
        self.path.unlink(missing_ok=True)

    def read(self, layer: str) -> Maps | None:
        """Return those of a layer, or None where it has none.

        Raises
        ------
        StoreError
            When they are missing, damaged, or of other inputs.
        """
        header = self._header()
        if header.key != self.key:
            raise StoreError(f"{self.path} holds maps of another run", AGAIN)
        if layer in header.without:
            return None
        with self._open() as file:
            found = Maps(*(file.get_tensor(f"{kind}:{layer}") for kind in ("images", "values", "range")))
        if not _sound(found):
            raise StoreError(f"{self.path} is damaged: the maps of layer {layer} are not what mcd writes", AGAIN)
        return found

    def _open(self) -> contextlib.AbstractContextManager[TensorFile]:
        return open_tensors(self._files, FILE, "the maps")

    def _header(self) -> _Header:
        with self._open() as file:
            return record_of(file, _Header, str(self.path))


def _sound(maps: Maps) -> bool:
    """Say whether maps have the shapes and types of `Maps`, and finite ranges."""
    shape = tuple(maps.images.shape)
    return (
        (maps.images.dtype, maps.values.dtype, maps.range.dtype) == (torch.int64, torch.uint8, torch.float32)
        and len(shape) == 2
        and maps.values.ndim == 4
        and tuple(maps.values.shape[:2]) == shape
        and tuple(maps.range.shape) == (*shape, 2)
        and bool((maps.images >= -1).all())
        and bool(torch.isfinite(maps.range).all())
    )
