"""A target and its images, ready to run: those of a stored run as they were, or new ones."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from torch import nn

from mcd.api.dataset import Dataset, Sample, Unreadable
from mcd.api.model import Target
from mcd.api.units import Units
from mcd.components import Kind
from mcd.errors import DataError, UnknownNameError, nearest
from mcd.events import Clock
from mcd.extraction.cache import ImageCache
from mcd.extraction.probe import ProbeSet, count_images, examined
from mcd.extraction.reading import Reader
from mcd.extraction.target_pass import TargetPass
from mcd.networks.layers import Layer
from mcd.networks.pooling import Pooling
from mcd.networks.running import Precision, pick_device
from mcd.networks.selecting import select_layers
from mcd.networks.trial import takes_known_input, trial_pass
from mcd.networks.units import seen_through
from mcd.runs.dissection import Dissection, read_study
from mcd.runs.given import not_at_hand, own_target, own_units
from mcd.runs.revived import found_again
from mcd.runs.thumbnails import data_set_of, same_samples, says_the_same
from mcd.study.preparer import DatasetLike, Preparer
from mcd.study.selection import Selection
from mcd.study.study import Choice, ModelChoice, Study

__all__ = ["How", "Runnable", "of_run", "runnable"]


@dataclass(frozen=True)
class How:
    """Where and how a target runs; what is None is as in the run, or else as `mcd.dissect` has it by default."""

    device: str | None = None
    precision: Precision | None = None
    batch_size: int | None = None
    workers: int | None = None
    on_error: str = "stop"


@dataclass(frozen=True)
class Runnable:
    """A target and its images.

    Parameters
    ----------
    through
        The pass of its images through it.
    layers
        All its layers.
    dissected
        Those that the run dissected; none without a run.
    pooling
        Of the run; ``avg`` without one.
    rows
        Of the probe set: those that the run holds, in its order; all without a run.
    """

    through: TargetPass
    layers: Sequence[Layer]
    dissected: Sequence[Layer]
    pooling: Pooling
    rows: Sequence[int]

    def picked(self, patterns: Sequence[str]) -> list[Layer]:
        """Return the layers that patterns pick.

        Raises
        ------
        UsageError
            When a pattern picks none, or one that cannot be read.
        """
        target = self.through.target
        return select_layers(patterns, self.layers, target.name, target.aliases)

    def groups(self, images: Sequence[str] | None = None) -> list[list[int]]:
        """Return the batches of all images, as they were in the sweep, or of those with these ids.

        Raises
        ------
        UnknownNameError
            When no image has such an id.
        """
        if images is None:
            return self.through.groups(self.rows, as_swept=True)
        known = {self.through.probe.ids[row]: row for row in self.rows}
        unknown = [one for one in images if one not in known]
        if unknown:
            raise UnknownNameError(f"no image that is run has the id '{unknown[0]}'", nearest(unknown[0], known))
        return self.through.groups([known[one] for one in dict.fromkeys(images)])


def of_run(
    run: Dissection,
    how: How,
    *,
    model: ModelChoice | Target | nn.Module | None = None,
    dataset: DatasetLike | None = None,
) -> Runnable:
    """Return the target of a stored run and its images, made again by the names in its study.

    Parameters
    ----------
    run
        The run.
    how
        What is not as in the run.
    model, dataset
        In the places of those that the run was given as Python objects, or that are elsewhere now.

    Raises
    ------
    UsageError
        When one was given in Python and is not given again.
    DataError
        When one is no longer what it was, or needs trust.
    """
    study = read_study(run.store_folder, run.manifest)  # a scoring made anew has none of its own
    target = _target(run, study, model)
    images = data_set_of(run) if dataset is None else Preparer(run.host).dataset(dataset)[0]
    with found_again(run, Kind.PREPROCESSING, [study.recipe] if study.recipe else []) as preparer:
        recipe, _ = preparer.recipe(study.recipe)
    for name, own in (("target", target.preprocessing), ("recipe", recipe)):
        if own is not None and not says_the_same(run.manifest.preprocessing.get(name), own):
            raise DataError(f"the preprocessing of the {name} of {run.folder} is no longer what it was", _AGAIN)
    probe = _probe_of(run, images)
    lost = {entry["id"] for entry in run.probe_map if entry["left_out"]}
    rows = [row for row in probe.rows if probe.ids[row] not in lost]
    cache = ImageCache(study.cache, study.cache_size * 10**9) if study.cache is not None and run.trust else None
    through = TargetPass(
        target,
        Reader(images, recipe, cache),
        probe,
        pick_device(how.device or study.device),
        how.precision or study.precision,
        how.batch_size or study.batch_size,
        study.workers if how.workers is None else how.workers,
        tuning=study.tuning,
    )
    made = _tried(through, Pooling.parse(study.models[0].pooling), rows)
    sources = _units(run, study)
    picked = made.picked(study.models[0].layers if sources else run.layers)
    dissected = seen_through(picked, sources, neurons=study.models[0].neurons, aliases=target.aliases)
    more = [one for one in dissected if one.units is not None]
    return replace(made, layers=[*made.layers, *more], dissected=dissected)


def runnable(
    preparer: Preparer,
    model: ModelChoice | Target | nn.Module,
    dataset: DatasetLike,
    how: How,
    *,
    selection: Selection,
    recipe: Choice | None = None,
    keep_identifiers: bool = False,
    pooling: Pooling,
) -> Runnable:
    """Return a target and the chosen images of a data set.

    Raises
    ------
    mcd.errors.MCDError
        When one of them does not exist, does not fit or cannot be read.
    """
    images, _ = preparer.dataset(dataset)
    count_images(images)  # a folder without images is said before the network is loaded
    made_recipe, _ = preparer.recipe(recipe)
    target, _ = preparer.target(model)
    clock = Clock(preparer.host.emit)
    probe = examined(
        images, selection, clock, on_error=how.on_error, keep_identifiers=keep_identifiers, workers=how.workers
    )
    through = TargetPass(
        target,
        Reader(images, made_recipe),
        probe,
        pick_device(how.device or "auto"),
        how.precision or "fp32",
        how.batch_size or 16,
        how.workers,
        how.on_error,
    )
    return _tried(through, pooling, probe.rows)


def _probe_of(run: Dissection, images: Dataset) -> ProbeSet:
    """Return the probe set of a stored run: those of its images that could be used are read to see that they are it."""
    samples = same_samples(run, images)
    chosen = [entry for entry in run.probe_map if entry["id"] or entry["own_id"]]
    refused = {
        row: Unreadable(one["source"], one["left_out"]) for row, one in enumerate(chosen) if one["id"] not in samples
    }
    return ProbeSet(
        tuple(samples.get(one["id"]) or Sample(one["own_id"]) for one in chosen),
        tuple(one["id"] for one in chosen),
        refused=refused,
    )


_AGAIN = "make the run again with this version"


def _tried(through: TargetPass, pooling: Pooling, rows: Sequence[int]) -> Runnable:
    """Return a target with its layers, which a trial pass shows, in the memory format that it takes."""
    target, reader, first = through.target, through.reader, through.probe.shown[0]
    known = takes_known_input(target)
    image = None if known else reader.image(first, reader.values(target.preprocessing))
    trial = trial_pass(target, image)
    return Runnable(replace(through, memory_format=trial.memory_format), trial.layers, (), pooling, rows)


def _units(run: Dissection, study: Study) -> tuple[Units, ...]:
    """Return what the layers of a run are seen through, as it was."""
    chosen = study.models[0].units
    if run.given.units is not None:
        sources = run.given.units
    elif any(one.plugin == "object" for one in chosen):
        raise not_at_hand(run, "unit source", "units", "a file of them has a name: directions:FILE")
    else:
        with found_again(run, Kind.UNITS, chosen) as preparer:
            sources, _ = preparer.units(chosen)
    return own_units(run, sources) if sources else ()


def _target(run: Dissection, study: Study, model: ModelChoice | Target | nn.Module | None) -> Target:
    choice = study.models[0]
    if model is None:
        model = run.given.model
    if model is None and choice.plugin == "object":
        raise not_at_hand(run, "target", "model")
    if model is None:
        with found_again(run, Kind.MODEL, [choice]) as preparer:
            target, _ = preparer.target(choice)
    else:
        target, _ = Preparer(run.host).target(model)
    return own_target(run, target)
