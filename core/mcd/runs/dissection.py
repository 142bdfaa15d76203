"""A dissection: the labels of one target, and what they were made of."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from mcd.api.schema import read_record
from mcd.errors import DataError, StoreError, UsageError
from mcd.extraction.map_store import FILE as MAPS
from mcd.extraction.probe_map import PRIVATE, _write_private, copy_private, read_private
from mcd.files import MANIFEST, check_run_folder, check_tree, expanded
from mcd.runs.checking import check_manifest, check_tables, check_terms, most_rows
from mcd.runs.evaluated import Evaluation, labels_digest
from mcd.runs.manifest import Manifest
from mcd.runs.recorded import UNTRAINED, Recorded
from mcd.runs.vocabulary import kept_concepts, write_concepts
from mcd.scoring.results import Results
from mcd.study.digests import CheckedFiles, damaged
from mcd.study.study import SCHEMA, Study

if TYPE_CHECKING:
    from mcd.host import PluginHost

__all__ = ["SCORED", "Dissection", "finished_manifest", "load", "opened", "read_study", "store_of", "write_study"]


STUDY = f"{PRIVATE}/study.json"
SCORED = "scored"
"""The folder of a run in which its scorings lie."""

_RECORDED = replace(SCHEMA, remedy="run it again into another --output")


class Dissection(Recorded):
    """One target dissected with one dissector, probe set, concept set and scorer.

    Made by `mcd.dissect` and `mcd.load`.

    Attributes
    ----------
    labels
        The label table, long form: target, layer, neuron, status, verdict, rank, concept, category,
        broad_category, score, z, p, p_method, q. A neuron has as many rows as it keeps concepts, best first; one
        without a label has one row whose ``status`` says why: dead, constant or unscored.
    manifest
        What went in.
    results
        All tables: besides the labels those of neurons, nulls, explanations and controls
        (`mcd.scoring.results.Results`).
    folder
        The run folder.
    trust
        Whether what its study names is run, read and fetched; see `mcd.load`.
    """

    def __init__(
        self,
        folder: Path,
        manifest: Manifest,
        results: Results,
        host: PluginHost | None = None,
        *,
        trust: bool = False,
        beside: Sequence[Path] = (),
    ) -> None:
        super().__init__(folder / manifest.store.folder, manifest.store, manifest.layers, manifest.images)
        self.folder, self.manifest, self.results = folder, manifest, results
        self.trust, self._beside = trust, tuple(beside)
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

    def trusted(self) -> Dissection:
        """Return the same run, trusted: see ``trust`` of `mcd.load`."""
        return Dissection(self.folder, self.manifest, self.results, self.__dict__.get("host"), trust=True)

    @cached_property
    def store_folder(self) -> Path:
        """The folder of activations, embeddings and the probe map; see `store_of`."""
        return store_of(self.folder, self.manifest, trust=self.trust, beside=self._beside)

    @property
    def labels(self) -> pd.DataFrame:
        """The label table."""
        return self.results.labels

    @property
    def evaluation(self) -> Evaluation | None:
        """How right the labels are, as ``mcd evaluate`` found; None where the run was not evaluated.

        Raises
        ------
        StoreError
            When the evaluation is damaged, or of labels that the run no longer has.
        """
        return Evaluation.read(self.folder, labels_digest(self.folder, self.manifest), self.manifest)

    def top_images(self, layer: str, neuron: int, count: int = 5) -> pd.DataFrame:
        """Return the images a neuron responds to most: rank, image id, activation, source.

        Raises
        ------
        UsageError
            When the layer has no such neuron.
        """
        activations = self.activations(layer)
        if not 0 <= neuron < activations.shape[1]:
            raise UsageError(
                f"layer {layer} has neurons 0 to {activations.shape[1] - 1}, not {neuron}",
                "give a number of that range",
            )
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
        """Copy all but reports, evaluation, controls and scorings into a new run folder, which `mcd.load` reads.

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
            embeddings = [] if self.manifest.store.annotations else ["embeddings"]
            untrained = [UNTRAINED] if self.manifest.store.untrained else []
            for name in ("activations", *embeddings, *statistics, *untrained):
                shutil.copytree(self.store_folder / name, folder / name)
            copy_private(self.store_folder / PRIVATE, folder / PRIVATE)
            write_study(folder, read_study(self.folder, self.manifest))  # that of a scoring is not that of its run
            if self.manifest.store.maps:
                shutil.copyfile(self.store_folder / MAPS, folder / MAPS)
        except OSError as error:
            raise StoreError(
                f"cannot save into {folder}: {error.strerror}", "choose another folder, one that you may write to"
            ) from None
        record = self.manifest.store.model_copy(update={"folder": "."})
        digests = self.results.write(folder)
        kept = kept_concepts(self.folder, self.manifest)
        if kept is not None:  # an older version kept none
            digests |= write_concepts(folder, kept)
        self.manifest.model_copy(update={"store": record, "digests": digests}).write(folder)
        return folder


def store_of(folder: Path, manifest: Manifest, *, trust: bool = False, beside: Sequence[Path] = ()) -> Path:
    """Return the folder of activations, embeddings and the probe map: of a scoring made anew, that of its run.

    Raises
    ------
    StoreError
        When it is another than that which the scoring lies in, or those ``beside``, and the run is not trusted.
    """
    found = folder / manifest.store.folder
    place, own = found.resolve(), folder.resolve()
    inside_its_run = own.parent.name == SCORED and place == own.parent.parent and (place / MANIFEST).is_file()
    if not (trust or place == own or inside_its_run or place in [one.resolve() for one in beside]):
        raise StoreError(
            f"{folder} refers to another folder for its activations, {manifest.store.folder}",
            "if you trust this run: --trust (in Python trust=True); or name that run too, where several are taken",
        )
    if place != own:
        check_tree(place, links=trust)
    return found


def write_study(folder: Path, study: Study) -> None:
    """Write the study with whole paths, which the manifest does not show; `read_study` finds them again."""
    text = json.dumps(study.settings(), indent=2, ensure_ascii=False) + "\n"
    _write_private(folder / STUDY, text.encode("utf-8", "backslashreplace"))  # paths may be no UTF-8


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
    found = read_record(data, _RECORDED, Study, str(path), paths=True)
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
    check_manifest(folder, manifest)
    return manifest


def load(
    folder: str | Path, host: PluginHost | None = None, *, trust: bool = False, beside: Sequence[str | Path] = ()
) -> Dissection:
    """Open a finished run folder.

    A run folder is data: what its study names outside of it, code, files and what must be fetched, is neither run nor
    read, and what needs it says so. Nor are links followed that lead out of it.

    Parameters
    ----------
    folder
        The run folder.
    host
        The plugins that its parts are found again with, by default all that are installed. Of a local plugin file:
        ``mcd.host.PluginHost.discover([Path("my_plugin.py")], os.environ)``.
    trust
        Run, read and fetch what the study of the run names: only of runs that are yours, or of people you trust.
    beside
        Other run folders that are read too: a scoring may refer to one of them for its activations.

    Raises
    ------
    StoreError
        When the folder holds no run, or its labels cannot be read.
    DataError
        When the run has not finished.
    """
    folder = expanded(folder)
    check_run_folder(folder)
    check_tree(folder, links=trust)
    manifest = finished_manifest(folder)
    results = Results.read(CheckedFiles(folder, manifest.digests or {}), most_rows(manifest))
    check_tables(folder, manifest, results)
    kept = kept_concepts(folder, manifest)
    if kept is not None:
        check_terms(folder, results, kept.concepts)
    return Dissection(folder, manifest, results, host, trust=trust, beside=[expanded(one) for one in beside])


def opened(
    runs: Sequence[Dissection | str | Path], host: PluginHost | None, *, trust: bool = False
) -> list[Dissection]:
    """Return dissections: those given, and those of run folders; see `load`. Each may refer to any of the others."""
    beside = [one.folder if isinstance(one, Dissection) else one for one in runs]
    return [
        (one.trusted() if trust else one)
        if isinstance(one, Dissection)
        else load(one, host, trust=trust, beside=beside)
        for one in runs
    ]
