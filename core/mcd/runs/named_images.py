"""A target and the images of a data set by their names, or as objects, ready to be read out or trained."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pydantic
from torch import nn

from mcd.api.dataset import Dataset
from mcd.api.model import Target
from mcd.components import Kind
from mcd.extraction.cache import ImageCache
from mcd.extraction.reading import Reader
from mcd.extraction.sharing import shared_store
from mcd.files import expanded
from mcd.networks.pooling import Pooling
from mcd.networks.process import process_state_kept
from mcd.networks.running import Precision
from mcd.runs.runnable import How, runnable
from mcd.runs.target_images import TargetImages, shown_component
from mcd.study.check import explicit
from mcd.study.objects import Component, as_choice, as_dataset, as_model, host_for
from mcd.study.preparer import Preparer
from mcd.study.privacy import hidden, names_people
from mcd.study.selection import Selection
from mcd.study.study import Choice, ModelChoice

if TYPE_CHECKING:
    from torch.utils.data import Dataset as TorchDataset

__all__ = ["load_target", "target_images"]


@process_state_kept()  # networks that plugins build draw their first weights
def load_target(model: Component | Target | nn.Module, *, plugin_files: Sequence[str | Path] = ()) -> Target:
    """Return a target by name, as ``mcd dissect --model`` takes it.

    Raises
    ------
    mcd.errors.MCDError
        When there is none of that name, a setting does not fit, or its weights cannot be read.
    """
    target, _ = Preparer(host_for(plugin_files, progress=False)).target(as_model(model))
    return target


@process_state_kept()
def target_images(
    model: Component | Target | nn.Module,
    dataset: Component | Dataset | TorchDataset[object],
    *,
    where: str | None = None,
    limit: int | None = None,
    per_patient: int | None = None,
    recipe: str | Mapping[str, object] | None = None,
    cache: str | Path | None = None,
    cache_size: int = 50,
    store: str | Path | None = None,
    keep_identifiers: bool = False,
    device: str = "auto",
    precision: Precision = "fp32",
    batch_size: int = 16,
    workers: int | None = None,
    on_error: str = "stop",
    progress: bool = True,
    plugin_files: Sequence[str | Path] = (),
) -> TargetImages:
    """Return a target and the chosen images of a data set, each image checked.

    Parameters
    ----------
    model, dataset
        As in `mcd.dissect`: names, or objects.
    where, limit, per_patient, recipe, cache, cache_size, store, keep_identifiers, device, precision, batch_size
        As in `mcd.dissect`.
    workers, progress, plugin_files
        As in `mcd.dissect`.
    on_error
        ``stop`` refuses images that cannot be used, ``skip`` leaves them out.

    Raises
    ------
    mcd.errors.MCDError
        When anything asked for does not exist or does not fit.
    """
    host = host_for(plugin_files, progress=progress)
    selection = Selection(where=where, limit=limit, per_patient=per_patient)
    chosen_model, chosen_images = as_model(model), as_dataset(dataset)
    if isinstance(chosen_images, Choice):
        chosen_images = explicit(host, Kind.DATASET, chosen_images)  # a missing folder is said before weights are read
    if isinstance(chosen_model, ModelChoice):
        chosen_model = explicit(host, Kind.MODEL, chosen_model)
    made = runnable(
        Preparer(host),
        chosen_model,
        chosen_images,
        How(device, precision, batch_size, workers, on_error),
        selection=selection,
        recipe=None if recipe is None else as_choice(recipe, Choice),
        keep_identifiers=keep_identifiers,
        pooling=Pooling("avg"),
    )
    reader = made.through.reader
    if cache is not None:
        reader = Reader(reader.dataset, reader.recipe, ImageCache(expanded(cache), cache_size * 10**9))
    probe = made.through.probe.usable()
    through = replace(made.through, reader=reader, probe=probe, on_error="stop")  # what cannot be used is left out
    return TargetImages(
        through,
        made.layers,
        shared_store(None if store is None else expanded(store), through.device),
        host,
        shown_component(host, Kind.MODEL, chosen_model, through.target.name),
        {
            **shown_component(host, Kind.DATASET, chosen_images, type(through.reader.dataset).__name__),
            **_selected(selection, through.reader.dataset, keep_identifiers=keep_identifiers),
        },
        chosen_model if isinstance(chosen_model, ModelChoice) else None,
    )


def _selected(selection: Selection, images: Dataset, *, keep_identifiers: bool) -> dict[str, pydantic.JsonValue]:
    """Return which images were chosen, as records show it: a condition on patients is hidden."""
    found: dict[str, pydantic.JsonValue] = selection.model_dump(mode="json", exclude_none=True)
    where = selection.where
    if where is not None and not keep_identifiers and names_people(where, public_labels=images.ids_are_public):
        found["where"] = hidden(where)
    return found
