"""A dissection: the labels of one target, and what they were made of."""

from __future__ import annotations

import csv
import io
import json
import os
import shutil
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd
import torch

from mcd.errors import DataError, StoreError, UnknownNameError, UsageError, nearest
from mcd.extraction.maps import FILE as MAPS
from mcd.extraction.maps import Maps, MapStore
from mcd.extraction.probe import ProbeSet
from mcd.extraction.store import Shards
from mcd.extraction.sweep import IMAGES
from mcd.files import write_atomically
from mcd.runs.manifest import Manifest
from mcd.scoring.results import Results

if TYPE_CHECKING:
    from mcd.host import PluginHost

__all__ = ["Dissection", "load", "read_study", "write_probe_map", "write_study"]

_KNOWN = (
    "source",
    "patient",
    "exam",
    "view",
    "laterality",
    "density",
    "assessment",
    "vendor",
    "implant",
    "split",
    "collection",
)

PRIVATE = "private"
"""The folder of what ties a run to files and people. It is not for sharing: labels and reports are whole without it,
scoring anew and naming images are not possible."""
PROBE_MAP = f"{PRIVATE}/probe_map.csv"
STUDY = f"{PRIVATE}/study.json"


class Dissection:
    """One target dissected with one dissector, probe set, concept set and scorer.

    Made by `mcd.dissect` and `mcd.load`.

    Attributes
    ----------
    labels
        The label table, long form: target, layer, neuron, status, verdict, rank, concept, category,
        broad_category, score, z, p, q. A neuron has as many rows as it keeps concepts, best first; one without
        a label has one row whose ``status`` says why: dead, constant or unscored.
    manifest
        What went in.
    results
        All tables: besides the labels those of neurons, nulls, explanations and controls
        (`mcd.scoring.results.Results`).
    folder
        The run folder.
    """

    def __init__(self, folder: Path, manifest: Manifest, results: Results, host: PluginHost | None = None) -> None:
        self.folder, self.manifest, self.results = folder, manifest, results
        if host is not None:
            self.host = host

    def __repr__(self) -> str:
        neurons = sum(layer.neurons for layer in self.manifest.layers)
        return (
            f"<Dissection of {self.manifest.target} by {self.manifest.dissector}: {len(self.layers)} layers, "
            f"{neurons} neurons, {self.manifest.images} images>"
        )

    @cached_property
    def host(self) -> PluginHost:
        """The plugins that the parts of the run are found again with: those given, or all that are installed."""
        from mcd.host import PluginHost

        return PluginHost.discover([], os.environ)

    @property
    def labels(self) -> pd.DataFrame:
        """The label table."""
        return self.results.labels

    @property
    def layers(self) -> list[str]:
        """Names of the dissected layers, in module order."""
        return [layer.name for layer in self.manifest.layers]

    def _store(self) -> Path:
        return self.folder / self.manifest.store.folder

    def _activation_shards(self) -> Shards:
        widths = {layer.name: layer.neurons for layer in self.manifest.layers}
        return Shards(self._store() / "activations", self.manifest.store.activations, widths)

    def _embedding_shards(self) -> Shards:
        record = self.manifest.store
        return Shards(self._store() / "embeddings", record.embeddings, {IMAGES: record.embedding_width})

    def activations(self, layer: str) -> torch.Tensor:
        """Return A of a layer, ``(images, neurons)`` float32; rows as in `image_ids`.

        Raises
        ------
        UnknownNameError
            When the layer was not dissected.
        """
        if layer not in self.layers:
            raise UnknownNameError(f"no dissected layer is called '{layer}'", nearest(layer, self.layers))
        return self._activation_shards().read(layer, self.manifest.store.shards)

    def maps(self, layer: str) -> Maps | None:
        """Return where in its top images each neuron of a layer responds; None where the run keeps no such maps.

        Layers whose output has no places have none either; the manifest's warnings say which.

        Raises
        ------
        UnknownNameError
            When the layer was not dissected.
        StoreError
            When the maps are not there any more.
        """
        if layer not in self.layers:
            raise UnknownNameError(f"no dissected layer is called '{layer}'", nearest(layer, self.layers))
        key = self.manifest.store.maps
        return MapStore(self._store(), key).read(layer) if key else None

    def image_embeddings(self) -> torch.Tensor:
        """Return the dissector's image embeddings, ``(images, D)`` float32, not normalised."""
        return self._embedding_shards().read(IMAGES, self.manifest.store.shards)

    @cached_property
    def image_ids(self) -> tuple[str, ...]:
        """Ids of the images, in the order of the rows of A and P.

        Raises
        ------
        StoreError
            When activations and embeddings do not hold the same images.
        """
        rows, _ = self._activation_shards().rows(self.manifest.store.shards)
        same, _ = self._embedding_shards().rows(self.manifest.store.shards)
        if rows != same:
            raise StoreError(f"{self.folder}: activations and embeddings hold different images")
        ids = [entry["id"] for entry in self.probe_map if not entry["left_out"]]
        if len(ids) != len(rows):
            raise StoreError(f"{self.folder}: the probe map names {len(ids)} images, the store holds {len(rows)}")
        return tuple(ids)

    @cached_property
    def patients(self) -> tuple[str, ...]:
        """Whose each image is, rows as in `image_ids`; empty texts where that is not known."""
        return tuple(entry["patient"] for entry in self.probe_map if not entry["left_out"])

    @cached_property
    def probe_map(self) -> list[dict[str, str]]:
        """What is known about each image (id, source, patient, view …). It stays on this machine."""
        path = self._store() / PROBE_MAP
        try:
            with path.open(newline="", encoding="utf-8") as file:
                return list(csv.DictReader(file))
        except FileNotFoundError:
            raise StoreError(
                f"{path} is not there: a run that was shared without its folder {PRIVATE} has labels and reports only",
                "naming images, scoring anew and comparing need the whole run folder",
            ) from None
        except OSError as error:
            raise StoreError(f"cannot read {path}: {error.strerror}") from None

    def top_images(self, layer: str, neuron: int, count: int = 5) -> pd.DataFrame:
        """Return the images a neuron responds to most: rank, image id, activation, source.

        Raises
        ------
        UsageError
            When the layer has no such neuron.
        """
        activations = self.activations(layer)
        if not 0 <= neuron < activations.shape[1]:
            raise UsageError(f"layer {layer} has neurons 0 to {activations.shape[1] - 1}, not {neuron}")
        column = activations[:, neuron]
        order = column.sort(descending=True, stable=True).indices[:count].tolist()
        sources = {entry["id"]: entry["source"] for entry in self.probe_map}
        return pd.DataFrame(
            {
                "rank": range(1, len(order) + 1),
                "image": [self.image_ids[row] for row in order],
                "activation": column[order].numpy(),
                "source": [sources.get(self.image_ids[row], "") for row in order],
            }
        )

    def save(self, folder: str | Path) -> Path:
        """Copy all but reports, controls and scorings into a new run folder, which `mcd.load` and ``mcd score`` read.

        Raises
        ------
        UsageError
            When the folder exists and is not empty.
        """
        folder = Path(folder)
        if folder.exists() and any(folder.iterdir()):
            raise UsageError(f"{folder} exists and is not empty", "save into another folder")
        try:
            folder.mkdir(parents=True, exist_ok=True)
            for name in ("activations", "embeddings", PRIVATE):
                shutil.copytree(self._store() / name, folder / name)
            write_study(folder, read_study(self.folder, self.manifest))  # that of a scoring is not that of its run
            if self.manifest.store.maps:
                shutil.copyfile(self._store() / MAPS, folder / MAPS)
        except OSError as error:
            raise StoreError(f"cannot save into {folder}: {error.strerror}") from None
        record = self.manifest.store.model_copy(update={"folder": "."})
        self.results.write(folder)
        self.manifest.model_copy(update={"store": record}).write(folder)
        return folder


def write_probe_map(path: Path, probe: ProbeSet, failed: Mapping[int, str]) -> None:
    """Write a probe map: the one file that ties ids to files and patients. It is not for sharing.

    Columns: ``id`` as outputs show it, ``own_id`` the data set's, what else `mcd.Sample` knows, and why an image is
    left out. ``findings`` and ``absent`` are joined by ``|``; ``boxes`` and ``labels`` are JSON.
    """
    out = io.StringIO()
    table = csv.DictWriter(
        out,
        ["id", "own_id", *_KNOWN, "findings", "absent", "boxes", "labels", "left_out"],
        restval="",
        lineterminator="\n",
    )
    table.writeheader()
    for row, (name, one) in enumerate(zip(probe.ids, probe.samples, strict=True)):
        table.writerow(
            {
                "id": name,
                "own_id": one.id,
                **{field: getattr(one, field) for field in _KNOWN},
                "implant": "" if one.implant is None else "yes" if one.implant else "no",
                "findings": "|".join(name for name, present in one.findings.items() if present),
                "absent": "|".join(name for name, present in one.findings.items() if not present),
                "boxes": json.dumps([vars(box) for box in one.boxes]) if one.boxes else "",
                "labels": json.dumps(dict(one.labels), ensure_ascii=False) if one.labels else "",
                "left_out": failed.get(row, ""),
            }
        )
    for bad in probe.unreadable:
        table.writerow({"source": bad.source, "left_out": bad.reason})
    _write_private(path, out.getvalue())


def write_study(folder: Path, study: Mapping[str, object]) -> None:
    """Write the study with whole paths, which the manifest does not show; `read_study` finds them again."""
    _write_private(folder / STUDY, json.dumps(study, indent=2, ensure_ascii=False) + "\n")


def read_study(folder: Path, manifest: Manifest) -> dict[str, object]:
    """Return the study of a run with its paths; where ``private`` was taken away, as the manifest shows it."""
    try:
        found: object = json.loads((folder / STUDY).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        found = None
    return found if isinstance(found, dict) else dict(manifest.study)


def _write_private(path: Path, text: str) -> None:
    write_atomically(path, text.encode())
    path.chmod(0o600)  # other users of the machine have no business with patients
    if path.parent.name == PRIVATE:
        path.parent.chmod(0o700)


def load(folder: str | Path, host: PluginHost | None = None) -> Dissection:
    """Open a finished run folder.

    Parameters
    ----------
    folder
        The run folder.
    host
        The plugins that its parts are found again with, by default all that are installed. Of a local plugin file:
        ``mcd.host.PluginHost.discover([Path("my_plugin.py")], os.environ)``.

    Raises
    ------
    StoreError
        When the folder holds no run, or its labels cannot be read.
    DataError
        When the run has not finished.
    """
    folder = Path(folder)
    manifest = Manifest.read(folder)
    if manifest.status != "finished":
        raise DataError(f"the run in {folder} is not finished ({manifest.status})", "run the same command again")
    return Dissection(folder, manifest, Results.read(folder), host)
