"""A target run once more in one call, edited or not: `mcd.run_target`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import nn

from mcd.api.dataset import Dataset
from mcd.api.model import Target
from mcd.errors import ConfigError, DataError, UsageError, amount
from mcd.events import Clock
from mcd.extraction.target_pass import PassedBatch, TargetPass, Wanted, outputs_of
from mcd.networks.differentiating import Scalar
from mcd.networks.editing import Edit, edits_of
from mcd.networks.pooling import Pooling
from mcd.networks.process import process_state_kept
from mcd.networks.recording import check_pooling
from mcd.networks.running import Precision
from mcd.runs.dissection import Dissection
from mcd.runs.loading import opened
from mcd.runs.runnable import How, Runnable, of_run, runnable
from mcd.runs.shown import passed_html
from mcd.study.objects import Component, as_choice, as_dataset, as_model, as_patterns, host_for
from mcd.study.preparer import Preparer
from mcd.study.selection import Selection
from mcd.study.study import Choice

if TYPE_CHECKING:
    from torch.utils.data import Dataset as TorchDataset

__all__ = ["Passed", "passed", "run_target"]


@dataclass(frozen=True, eq=False, repr=False)
class Passed:
    """What a target gave for images.

    Parameters
    ----------
    image_ids
        What outputs call the images, in the order of rows.
    activations
        Of each layer, pooled: ``(images, neurons)`` float32.
    gradients
        At each layer, summed over positions, ``(images, neurons)`` float32: the derivative with respect to a number
        that is added to a neuron at every position. Of several numbers an image ``(images, numbers, neurons)``. Empty
        where none were asked for.
    logits
        See `outputs`; None where the network returns nothing of the kind.
    problem
        What it returns then.
    """

    image_ids: tuple[str, ...]
    activations: Mapping[str, torch.Tensor]
    gradients: Mapping[str, torch.Tensor] = field(default_factory=dict)
    logits: torch.Tensor | None = None
    problem: str = ""

    def __repr__(self) -> str:
        return f"<Passed: {amount(len(self.image_ids), 'image')}, layers {', '.join(self.activations) or 'none'}>"

    def _repr_html_(self) -> str:
        return passed_html(self)

    @property
    def outputs(self) -> torch.Tensor:
        """What the network returned, ``(images, K)`` float32.

        Raises
        ------
        UsageError
            When it returns anything but one row of numbers an image.
        """
        if self.logits is None:
            raise UsageError(self.problem, "give a network with its classification head")
        return self.logits


@process_state_kept()  # networks that plugins build draw their first weights
def run_target(
    run: Dissection | str | Path | None = None,
    *,
    model: Component | Target | nn.Module | None = None,
    dataset: Component | Dataset | TorchDataset[object] | None = None,
    layers: str | nn.Module | Sequence[str | nn.Module] | None = None,
    edits: Edit | Sequence[Edit] = (),
    gradients_of: Scalar | None = None,
    images: Sequence[str] | None = None,
    each_batch: Callable[[PassedBatch], None] | None = None,
    pooling: str | None = None,
    where: str | None = None,
    limit: int | None = None,
    per_patient: int | None = None,
    seed: int | None = None,
    recipe: str | Mapping[str, object] | None = None,
    keep_identifiers: bool = False,
    device: str | None = None,
    precision: Precision | None = None,
    batch_size: int | None = None,
    workers: int | None = None,
    on_error: str = "stop",
    progress: bool = True,
    plugin_files: Sequence[str | Path] = (),
    trust: bool = False,
) -> Passed:
    """Run a target on its images, with outputs of layers edited and gradients at layers where asked for.

    The target of a run sees the images of the run in the batches of the run: without edits and gradients, its
    activations are those of the run, on the same CPU to the last bit.

    Parameters
    ----------
    run
        A dissection or a run folder. Without one, ``model`` and ``dataset`` say what is run.
    model, dataset
        As in `mcd.dissect`. With a run, its own where it was given them in Python: they must be the same.
    layers
        Whose activations are kept, and at which gradients are taken: as in `mcd.dissect`. By default those that the
        run dissected; none without a run.
    edits
        What is changed on the way: `mcd.Edit` objects.
    gradients_of
        Of what gradients are taken: the number of an output, or a function of the outputs ``(B, K)`` that returns one
        number an image, ``(B,)``.
    images
        Ids of the images that are run, in this order; by default all.
    each_batch
        Is given each batch with the raw outputs of layers and the gradients with respect to them.
    pooling
        As in `mcd.dissect`; by default that of the run, or ``avg``.
    where, limit, per_patient, seed, recipe, keep_identifiers
        As in `mcd.dissect`. A run has its own.
    device, precision, batch_size, workers
        As in `mcd.dissect`; by default those of the run.
    on_error
        ``stop`` refuses images that cannot be used, ``skip`` leaves them out.
    progress
        Show progress bars on standard error.
    plugin_files
        Local plugin files to load besides what is installed.
    trust
        As in `mcd.load`: needed where the network or the images of a run lie in files.

    Returns
    -------
    Passed

    Raises
    ------
    mcd.errors.MCDError
        When anything asked for does not exist or does not fit, or the run's target or images are no longer the same.

    Examples
    --------
    >>> import mcd
    >>> found = mcd.run_target("runs/x", edits=mcd.Edit("stages.3", units=[3, 17]))  # doctest: +SKIP
    >>> found.outputs.mean(dim=0)  # doctest: +SKIP
    """
    host = host_for(plugin_files, progress=progress)
    how = How(device, precision, batch_size, workers, on_error)
    made_model = None if model is None else as_model(model)
    made_dataset = None if dataset is None else as_dataset(dataset)
    selection = Selection(where=where, limit=limit, per_patient=per_patient, seed=seed)
    if run is not None:
        if recipe is not None or keep_identifiers or selection != Selection():
            raise UsageError("a run has images, recipe and ids of its own", "choose among its images: images=[…]")
        (stored,) = opened([run], host, trust=trust)
        found = of_run(stored, how, model=made_model, dataset=made_dataset)
    elif made_model is None or made_dataset is None:
        raise UsageError("what is to be run?", "give a run, or model and dataset")
    else:
        found = runnable(
            Preparer(host),
            made_model,
            made_dataset,
            how,
            selection=selection,
            recipe=None if recipe is None else as_choice(recipe, Choice),
            keep_identifiers=keep_identifiers,
            pooling=Pooling("avg"),
        )
    chosen = found.dissected if layers is None else found.picked(as_patterns(layers, found.through.target))
    wanted = Wanted(chosen, found.pooling if pooling is None else _pooling(pooling), gradients_of)
    given = [edits] if isinstance(edits, Edit) else list(edits)
    clock = Clock(host.emit)
    return passed(found, wanted, edits=given, images=images, each_batch=each_batch, clock=clock)


def _pooling(text: str) -> Pooling:
    try:
        return Pooling.parse(text)
    except ValueError as error:
        raise ConfigError(str(error), "see mcd.dissect for those that there are") from None


def passed(
    one: Runnable,
    wanted: Wanted,
    *,
    edits: Sequence[Edit] = (),
    images: Sequence[str] | None = None,
    each_batch: Callable[[PassedBatch], None] | None = None,
    means: Mapping[str, torch.Tensor] | None = None,
    clock: Clock,
) -> Passed:
    """Return what a target gives for images; see `run_target`.

    Parameters
    ----------
    means
        Of units, by layer, where edits set them to these: see `TargetPass.means`.
    """
    through, groups = one.through, one.groups(images)
    for layer in wanted.layers:
        check_pooling(layer, wanted.pooling, through.target.first_tokens())
    kept = _Kept(through, wanted)
    changes = edits_of(edits, one.layers, through.target.name, through.target.aliases)
    with clock.stage("run the target", sum(map(len, groups)), "images") as advanced:

        def each(batch: PassedBatch) -> None:
            kept.keep(batch)
            if each_batch is not None:
                each_batch(batch)
            advanced(len(batch.rows))

        through.run(wanted, each, groups=groups, edits=changes, means=means)
    return kept.passed(images)


class _Kept:
    """What is kept of a pass, batch by batch."""

    def __init__(self, through: TargetPass, wanted: Wanted) -> None:
        self._through, self._wanted = through, wanted
        self._rows: list[int] = []
        self._outputs: list[torch.Tensor] = []
        self._activations: list[Mapping[str, torch.Tensor]] = []
        self._gradients: list[Mapping[str, torch.Tensor]] = []
        self._problem = ""

    def keep(self, batch: PassedBatch) -> None:
        self._rows += batch.rows
        self._activations.append(batch.activations)
        self._gradients.append(batch.gradients)
        if self._problem:
            return
        try:
            self._outputs.append(outputs_of(batch.output, len(batch.rows)).detach().float().cpu())
        except UsageError as error:
            self._problem, self._outputs = error.summary, []

    def passed(self, images: Sequence[str] | None) -> Passed:
        ids = [self._through.probe.ids[row] for row in self._rows]
        if not ids:
            raise DataError("no image could be run", "see why with: mcd data check DIR")
        places = {name: place for place, name in enumerate(ids)}
        asked = ids if images is None else dict.fromkeys(images)
        order = [places[name] for name in asked if name in places]  # some may have been left out
        at = torch.tensor(order)

        def joined(parts: Sequence[Mapping[str, torch.Tensor]]) -> dict[str, torch.Tensor]:
            return {name: torch.cat([one[name] for one in parts])[at] for name in parts[0]}

        return Passed(
            tuple(ids[place] for place in order),
            joined(self._activations),
            joined(self._gradients),
            torch.cat(self._outputs)[at] if self._outputs else None,
            self._problem,
        )
