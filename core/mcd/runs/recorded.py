"""What a sweep recorded of one target and one dissector, as a run folder holds it: the data that labels are made of."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cached_property, partial
from pathlib import Path
from typing import TypeVar

import torch

from mcd.api.base import digest
from mcd.api.dataset import Box, Sample
from mcd.errors import DataError, StoreError, UnknownNameError, nearest
from mcd.extraction.image_statistics import STATISTICS
from mcd.extraction.jobs import IMAGES
from mcd.extraction.map_store import FILE as MAPS
from mcd.extraction.map_store import Maps, MapStore
from mcd.extraction.probe_map import PRIVATE, PROBE_MAP, parse_probe_map, read_private
from mcd.extraction.store import Shards
from mcd.runs.manifest import LayerRecord, StoreRecord, tables_only
from mcd.scoring.activations import Activations, Held, Read, fits
from mcd.study.digests import CheckedFiles, damaged

__all__ = ["UNTRAINED", "Recorded", "sample_of"]

_Rows = TypeVar("_Rows", torch.Tensor, list[int])

UNTRAINED = "untrained"
"""The folder of the activations of networks that have not been trained."""

_AGAIN = "restore it from a copy, or run again"


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
    images
        How many images they hold.
    """

    def __init__(
        self, store_folder: Path, store: StoreRecord, layer_records: Sequence[LayerRecord], images: int
    ) -> None:
        self._given_folder, self._store, self._layer_records, self._images = (
            store_folder,
            store,
            tuple(layer_records),
            images,
        )

    @cached_property
    def store_folder(self) -> Path:
        """The folder of activations, embeddings and the probe map."""
        return self._given_folder

    @property
    def layers(self) -> list[str]:
        """Names of the dissected layers, in module order."""
        return [layer.name for layer in self._layer_records]

    def _check_stored(self) -> None:
        """Refuse what an imported run does not have.

        Raises
        ------
        StoreError
            Saying that it has tables only.
        """
        if self._store.empty:
            raise tables_only(self._given_folder)

    @cached_property
    def _files(self) -> CheckedFiles:
        return CheckedFiles(self.store_folder, self._store.digests or {})

    def _shards(self, kind: str, activations: str, layer: str) -> Shards:
        """Return where the activations of a layer lie; in runs of older versions, those of all layers together."""
        self._check_stored()
        own = next(one for one in self._layer_records if one.name == layer)
        kept = [own] if self._store.layered else self._layer_records
        widths = {one.name: one.neurons for one in kept}
        return self._placed(kind, self._store.key_of(activations, own), widths)

    def _placed(self, kind: str, key: str, widths: Mapping[str, int]) -> Shards:
        return Shards(self.store_folder / kind, key, widths, self._files, images=self._store.images)

    def _stored(self, shards: Shards, layer: str) -> Activations:
        """Return A of a layer from its shards, of as many images as the run has: read now, or in groups if large."""
        stored, _ = shards.rows(self._store.shards)
        self._whole(stored)
        if self._store.layered and stored != self._rows:
            raise _other_images(self.store_folder)
        read = partial(shards.read, layer, self._store.shards)
        neurons = shards.tensors[layer]
        return Held(read()) if fits(self._images, neurons) else Read(self._images, neurons, read)

    @cached_property
    def _rows(self) -> list[int]:
        """The rows of the probe set that are stored, as the first layer has them."""
        first = self._shards("activations", self._store.activations, self._layer_records[0].name)
        return first.rows(self._store.shards)[0]

    def _embedding_shards(self) -> Shards:
        widths = {IMAGES: self._store.embedding_width}
        return self._placed("embeddings", self._store.embeddings, widths)

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
        return self.by_neurons(layer).held().values

    def by_neurons(self, layer: str) -> Activations:
        """Return the same; of a large layer nothing is read yet.

        Raises
        ------
        UnknownNameError
            When the layer was not dissected.
        """
        self._check_layer(layer)
        return self._stored(self._shards("activations", self._store.activations, layer), layer)

    def _whole(self, rows: _Rows) -> _Rows:
        if len(rows) != self._images:
            raise StoreError(
                f"{self.store_folder}: the manifest names {self._images} images, the store holds {len(rows)}", _AGAIN
            )
        return rows

    def untrained(self, layer: str) -> Iterator[torch.Tensor]:
        """Yield A of a layer for each network that has not been trained, as `activations`; nothing where none is kept.

        Raises
        ------
        UnknownNameError
            When the layer was not dissected.
        """
        return (one.held().values for one in self.untrained_by_neurons(layer))

    def untrained_by_neurons(self, layer: str) -> Iterator[Activations]:
        """Yield the same, as `by_neurons`.

        Raises
        ------
        UnknownNameError
            When the layer was not dissected.
        """
        self._check_layer(layer)
        for key in self._store.untrained:
            yield self._stored(self._shards(UNTRAINED, key, layer), layer)

    def sources(self) -> dict[str, Callable[[], Activations]]:
        """Return for each layer what reads its activations; nothing is read yet."""
        return {layer: partial(self.by_neurons, layer) for layer in self.layers}

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
        if not self._store.maps:
            return None
        found = MapStore(self.store_folder, self._store.maps, self._store.digests or {}).read(layer)
        neurons = next(one.neurons for one in self._layer_records if one.name == layer)
        if found is not None and (len(found.images) != neurons or bool((found.images >= self._images).any())):
            raise StoreError(
                f"{self.store_folder / MAPS} is damaged: maps of layer {layer} are of no neuron or image",
                "make the run again, or copy the folder again",
            )
        return found

    def image_embeddings(self) -> torch.Tensor:
        """Return the dissector's image embeddings, ``(images, D)`` float32, not normalised.

        Raises
        ------
        DataError
            When the dissector reads annotations, or the run was imported.
        """
        self._check_stored()
        if self._store.annotations:
            raise DataError(
                "the dissector of the run reads annotations: there are no embeddings of images",
                "use a scorer that takes annotations; see: mcd plugins list",
            )
        return self._whole(self._embedding_shards().read(IMAGES, self._store.shards))

    def image_statistics(self) -> torch.Tensor | None:
        """Return what of the images has nothing to do with a finding, ``(images, STATISTICS)`` float32.

        None where the run is of a version that kept none. See `mcd.extraction.image_statistics`.
        """
        if not self._store.statistics:
            return None
        shards = self._placed("statistics", self._store.statistics, {IMAGES: STATISTICS})
        return self._whole(shards.read(IMAGES, self._store.shards))

    @cached_property
    def image_ids(self) -> tuple[str, ...]:
        """Ids of the images, in the order of the rows of A and P.

        Raises
        ------
        StoreError
            When activations, embeddings and probe map are not of the same images, or these not those of the run.
        """
        first = self._layer_records[0].name
        others = [self._shards(UNTRAINED, key, first) for key in self._store.untrained]
        others += [] if self._store.annotations else [self._embedding_shards()]
        if any(self._rows != one.rows(self._store.shards)[0] for one in others):
            raise _other_images(self.store_folder)
        ids = [entry["id"] for entry in self.probe_map if not entry["left_out"]]
        if len(ids) != len(self._rows):
            raise StoreError(
                f"{self.store_folder}: the probe map names {len(ids)} images, the store holds {len(self._rows)}", _AGAIN
            )
        if self._store.ids and digest(*ids) != self._store.ids:
            raise StoreError(f"{self.store_folder / PROBE_MAP} is not that of the run: its ids are others", _AGAIN)
        return tuple(ids)

    @cached_property
    def patients(self) -> tuple[str, ...]:
        """The patient of each image, rows as in `image_ids`; empty texts where the patient is unknown."""
        return tuple(entry["patient"] for entry in self.probe_map if not entry["left_out"])

    @cached_property
    def samples(self) -> list[Sample]:
        """What is known of each image, rows as in `image_ids`; without digest and facts, which are not kept.

        Raises
        ------
        StoreError
            When the probe map is missing or damaged.
        """
        try:
            return [sample_of(entry) for entry in self.probe_map if not entry["left_out"]]
        except (TypeError, ValueError) as error:
            raise StoreError(f"{self.store_folder / PROBE_MAP} is damaged: {error}", _AGAIN) from None

    @cached_property
    def probe_map(self) -> list[dict[str, str]]:
        """What is known about each image (id, source, patient, view …). It stays on this machine."""
        self._check_stored()
        path = self.store_folder / PROBE_MAP
        try:
            data, own = read_private(self.store_folder, PROBE_MAP)
            if not own:
                raise damaged(path)
            return parse_probe_map(data)
        except FileNotFoundError:
            raise StoreError(
                f"{path} is missing: a run that was shared without its folder {PRIVATE} has labels and reports only",
                "naming images, scoring anew and comparing need the whole run folder",
            ) from None
        except OSError as error:
            raise StoreError(f"cannot read {path}: {error.strerror}", _AGAIN) from None
        except ValueError as error:
            raise StoreError(f"{path} is damaged: {error}", _AGAIN) from None


def _other_images(folder: Path) -> StoreError:
    return StoreError(f"{folder}: activations and embeddings hold different images", _AGAIN)


def sample_of(entry: dict[str, str]) -> Sample:
    """Return the sample of a row of a probe map; raises what its cells raise."""
    return Sample(
        id=entry["own_id"],
        source=entry["source"],
        patient=entry["patient"],
        exam=entry["exam"],
        view=entry["view"],
        laterality=entry["laterality"],
        density=entry["density"],
        assessment=entry["assessment"],
        vendor=entry["vendor"],
        split=entry["split"],
        collection=entry["collection"],
        implant={"yes": True, "no": False}.get(entry["implant"]),
        findings={
            name: state == "findings" for state in ("absent", "findings") for name in entry[state].split("|") if name
        },
        boxes=tuple(Box(**one) for one in json.loads(entry["boxes"] or "[]")),
        labels=json.loads(entry["labels"] or "{}"),
    )
