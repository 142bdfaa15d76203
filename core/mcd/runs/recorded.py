"""What a sweep recorded of one target and one dissector, as a run folder holds it: the data that labels are made of."""

from __future__ import annotations

import csv
from collections.abc import Callable, Sequence
from functools import cached_property, partial
from pathlib import Path

import torch

from mcd.errors import StoreError, UnknownNameError, nearest
from mcd.extraction.maps import Maps, MapStore
from mcd.extraction.probe_map import PRIVATE, PROBE_MAP
from mcd.extraction.store import Shards
from mcd.extraction.sweep import IMAGES
from mcd.runs.manifest import LayerRecord, StoreRecord

__all__ = ["Recorded"]


class Recorded:
    """Activations, embeddings and the probe map of a run folder; labels may not exist yet.

    Parameters
    ----------
    store_folder
        Where shards and probe map are.
    store
        Their keys, and how many shards there are.
    layer_records
        The layers, in module order.
    """

    def __init__(self, store_folder: Path, store: StoreRecord, layer_records: Sequence[LayerRecord]) -> None:
        self._given_folder, self._store, self._layer_records = store_folder, store, tuple(layer_records)

    @property
    def store_folder(self) -> Path:
        """The folder of activations, embeddings and the probe map."""
        return self._given_folder

    @property
    def layers(self) -> list[str]:
        """Names of the dissected layers, in module order."""
        return [layer.name for layer in self._layer_records]

    def _activation_shards(self) -> Shards:
        widths = {layer.name: layer.neurons for layer in self._layer_records}
        return Shards(self.store_folder / "activations", self._store.activations, widths)

    def _embedding_shards(self) -> Shards:
        widths = {IMAGES: self._store.embedding_width}
        return Shards(self.store_folder / "embeddings", self._store.embeddings, widths)

    def _check_layer(self, layer: str) -> None:
        if layer not in self.layers:
            raise UnknownNameError(f"no dissected layer is called '{layer}'", nearest(layer, self.layers))

    def activations(self, layer: str) -> torch.Tensor:
        """Return A of a layer, ``(images, neurons)`` float32; rows as in `image_ids`.

        Raises
        ------
        UnknownNameError
            When the layer was not dissected.
        """
        self._check_layer(layer)
        return self._activation_shards().read(layer, self._store.shards)

    def sources(self) -> dict[str, Callable[[], torch.Tensor]]:
        """Return for each layer what reads its activations; nothing is read yet."""
        return {layer: partial(self.activations, layer) for layer in self.layers}

    def maps(self, layer: str) -> Maps | None:
        """Return where in its top images each neuron of a layer responds; None where the run keeps no such maps.

        Layers whose output has no positions have none either; the manifest's warnings say which.

        Raises
        ------
        UnknownNameError
            When the layer was not dissected.
        StoreError
            When the file of the maps is missing.
        """
        self._check_layer(layer)
        return MapStore(self.store_folder, self._store.maps).read(layer) if self._store.maps else None

    def image_embeddings(self) -> torch.Tensor:
        """Return the dissector's image embeddings, ``(images, D)`` float32, not normalised."""
        return self._embedding_shards().read(IMAGES, self._store.shards)

    @cached_property
    def image_ids(self) -> tuple[str, ...]:
        """Ids of the images, in the order of the rows of A and P.

        Raises
        ------
        StoreError
            When activations and embeddings do not hold the same images.
        """
        rows, _ = self._activation_shards().rows(self._store.shards)
        same, _ = self._embedding_shards().rows(self._store.shards)
        if rows != same:
            raise StoreError(f"{self.store_folder}: activations and embeddings hold different images")
        ids = [entry["id"] for entry in self.probe_map if not entry["left_out"]]
        if len(ids) != len(rows):
            raise StoreError(f"{self.store_folder}: the probe map names {len(ids)} images, the store holds {len(rows)}")
        return tuple(ids)

    @cached_property
    def patients(self) -> tuple[str, ...]:
        """The patient of each image, rows as in `image_ids`; empty texts where the patient is unknown."""
        return tuple(entry["patient"] for entry in self.probe_map if not entry["left_out"])

    @cached_property
    def probe_map(self) -> list[dict[str, str]]:
        """What is known about each image (id, source, patient, view …). It stays on this machine."""
        path = self.store_folder / PROBE_MAP
        try:
            with path.open(newline="", encoding="utf-8") as file:
                return list(csv.DictReader(file))
        except FileNotFoundError:
            raise StoreError(
                f"{path} is missing: a run that was shared without its folder {PRIVATE} has labels and reports only",
                "naming images, scoring anew and comparing need the whole run folder",
            ) from None
        except OSError as error:
            raise StoreError(f"cannot read {path}: {error.strerror}") from None
