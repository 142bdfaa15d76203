"""Run folders opened: what `mcd.load` reads and refuses."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import nn

from mcd.api.dataset import Dataset
from mcd.api.dissector import AnnotationDissector, Dissector
from mcd.api.model import Target
from mcd.api.scorer import Scorer
from mcd.errors import DataError
from mcd.files import check_tree, expanded
from mcd.runs.checking import check_manifest, check_tables, check_terms, most_rows
from mcd.runs.dissection import Dissection
from mcd.runs.finding import check_run_folder
from mcd.runs.given import Given, own_dissector, own_scorer, own_target, own_units
from mcd.runs.manifest import Manifest, tables_only
from mcd.runs.vocabulary import kept_concepts
from mcd.scoring.results import Results
from mcd.study.digests import CheckedFiles
from mcd.study.objects import Component, UnitsGiven, as_choice, as_dataset, as_model, as_scorer, as_units
from mcd.study.preparer import Preparer
from mcd.study.study import DissectorChoice

if TYPE_CHECKING:
    from torch.utils.data import Dataset as TorchDataset

    from mcd.host import PluginHost

__all__ = ["finished_manifest", "load", "opened"]


def finished_manifest(folder: Path, *, parts: bool = False) -> Manifest:
    """Return the manifest of a run that has finished.

    Parameters
    ----------
    parts
        Whether a part of a run will do.

    Raises
    ------
    StoreError
        When the folder holds no run, or its manifest cannot be read.
    DataError
        When the run has not finished, or is a part of one.
    """
    manifest = Manifest.read(folder)
    if manifest.part is not None and not parts:
        raise DataError(
            f"{folder} is part {manifest.part.part} of a run, and has no labels: all parts together make them",
            "mcd merge PART… -o RUN",
        )
    if manifest.status != ("partial" if manifest.part else "finished"):
        raise DataError(f"the run in {folder} is not finished ({manifest.status})", "run the same command again")
    check_manifest(folder, manifest)
    return manifest


def load(
    folder: str | Path,
    host: PluginHost | None = None,
    *,
    trust: bool = False,
    beside: Sequence[str | Path] = (),
    model: Component | Target | nn.Module | None = None,
    dissector: Component | Dissector | AnnotationDissector | None = None,
    dataset: Component | Dataset | TorchDataset[object] | None = None,
    scorer: Component | Scorer | Callable[[torch.Tensor, torch.Tensor], torch.Tensor] | None = None,
    units: UnitsGiven | Sequence[UnitsGiven] | None = None,
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
    model, dissector, dataset, scorer, units
        Parts that the run was given in Python, given again, as in `mcd.dissect`; or parts that are elsewhere now.
        Tables, figures of one run and reports need none of them. Intervals, comparisons and evaluations score anew:
        ``scorer``. Images need ``dataset``, which is read to see that it holds the images of the run; other concepts
        ``dissector``; `mcd.run_target` the ``model``, its images, and all ``units`` that its layers are seen through.

    Raises
    ------
    StoreError
        When the folder holds no run, or its labels cannot be read.
    DataError
        When the run has not finished, or a part that is given is not the one that it was made with.

    Examples
    --------
    >>> import mcd
    >>> mcd.load("runs/x", scorer=my_function).evaluate().summary  # doctest: +SKIP
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
    found = Dissection(folder, manifest, results, host, trust=trust, beside=[expanded(one) for one in beside])
    if model is dissector is dataset is scorer is units is None:
        return found
    return _with(found, model, dissector, dataset, scorer, units)


def _with(
    run: Dissection,
    model: Component | Target | nn.Module | None,
    dissector: Component | Dissector | AnnotationDissector | None,
    dataset: Component | Dataset | TorchDataset[object] | None,
    scorer: Component | Scorer | Callable[[torch.Tensor, torch.Tensor], torch.Tensor] | None,
    units: UnitsGiven | Sequence[UnitsGiven] | None,
) -> Dissection:
    """Return a run with parts that are given again, each the one that it was made with."""
    if run.manifest.imported is not None:
        raise tables_only(run.folder)
    preparer = Preparer(run.host)
    parts = Given(
        model=None if model is None else preparer.target(as_model(model))[0],
        dissector=None
        if dissector is None
        else preparer.dissector(
            dissector
            if isinstance(dissector, Dissector | AnnotationDissector)
            else as_choice(dissector, DissectorChoice)
        )[0],
        dataset=None if dataset is None else preparer.dataset(as_dataset(dataset))[0],
        scorer=None if scorer is None else preparer.scorer(as_scorer(scorer))[0],
        units=None if units is None else preparer.units(as_units(units))[0],
    )
    if parts.scorer is not None:
        own_scorer(run, parts.scorer)
    if parts.dissector is not None:
        own_dissector(run, parts.dissector)
    if parts.model is not None:
        own_target(run, parts.model)
    if parts.units is not None:
        own_units(run, parts.units)
    found = run.with_given(parts)
    if parts.dataset is not None:
        try:
            _ = found.probe_images
        except DataError as error:
            raise DataError(
                f"the data set that is given is not that of {run.folder}: {error.message}", "give the one of the run"
            ) from None
    return found


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
