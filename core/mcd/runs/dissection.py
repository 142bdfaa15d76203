"""A dissection: the labels of one target, and what they were made of."""

from __future__ import annotations

import json
import os
import shutil
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from mcd.api.schema import read_record
from mcd.errors import DataError, StoreError, UsageError
from mcd.extraction.map_store import FILE as MAPS
from mcd.extraction.probe_map import PRIVATE, _write_private, read_private
from mcd.files import MANIFEST, CheckedFiles, damaged, expanded
from mcd.runs.manifest import Manifest
from mcd.runs.recorded import Recorded
from mcd.scoring.results import Results
from mcd.study.study import SCHEMA, Study

if TYPE_CHECKING:
    from mcd.host import PluginHost

__all__ = ["Dissection", "finished_manifest", "load", "read_study", "write_study"]


STUDY = f"{PRIVATE}/study.json"
_RECORDED = replace(SCHEMA, remedy="run it again into another --output")


class Dissection(Recorded):
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
        super().__init__(folder / manifest.store.folder, manifest.store, manifest.layers, manifest.images)
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
        folder = expanded(folder)
        if folder.exists() and any(folder.iterdir()):
            raise UsageError(f"{folder} exists and is not empty", "save into another folder")
        try:
            folder.mkdir(parents=True, exist_ok=True)
            statistics = ["statistics"] if self.manifest.store.statistics else []  # older runs have none
            for name in ("activations", "embeddings", *statistics, PRIVATE):
                shutil.copytree(self._store_folder / name, folder / name)
            write_study(folder, read_study(self.folder, self.manifest))  # that of a scoring is not that of its run
            if self.manifest.store.maps:
                shutil.copyfile(self._store_folder / MAPS, folder / MAPS)
        except OSError as error:
            raise StoreError(f"cannot save into {folder}: {error.strerror}") from None
        record = self.manifest.store.model_copy(update={"folder": "."})
        digests = self.results.write(folder)
        self.manifest.model_copy(update={"store": record, "digests": digests}).write(folder)
        return folder


def write_study(folder: Path, study: Study) -> None:
    """Write the study with whole paths, which the manifest does not show; `read_study` finds them again."""
    _write_private(folder / STUDY, json.dumps(study.settings(), indent=2, ensure_ascii=False) + "\n")


def read_study(folder: Path, manifest: Manifest, *, checked: bool = True) -> Study:
    """Return the study of a run with its paths; where ``private`` was taken away, as the manifest shows it.

    Parameters
    ----------
    checked
        Whether it must be what the run wrote, to a bit.

    Raises
    ------
    StoreError
        When it is damaged, or of a version that is not read.
    """
    path = folder / STUDY
    try:
        data, own = read_private(folder, STUDY)
    except FileNotFoundError:
        return read_record(json.dumps(manifest.study).encode(), _RECORDED, Study, f"the study in {folder / MANIFEST}")
    except OSError as error:
        raise StoreError(f"cannot read {path}: {error.strerror}", _RECORDED.remedy) from None
    found = read_record(data, _RECORDED, Study, str(path))
    if checked and not own:
        raise damaged(path)
    return found


def finished_manifest(folder: Path) -> Manifest:
    """Return the manifest of a run that has finished.

    Raises
    ------
    StoreError
        When the folder holds no run, or its manifest cannot be read.
    DataError
        When the run has not finished.
    """
    manifest = Manifest.read(folder)
    if manifest.status != "finished":
        raise DataError(f"the run in {folder} is not finished ({manifest.status})", "run the same command again")
    return manifest


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
    folder = expanded(folder)
    manifest = finished_manifest(folder)
    results = Results.read(CheckedFiles(folder, manifest.digests or {}))
    return Dissection(folder, manifest, results, host)
