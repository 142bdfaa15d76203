"""From the plan to open run folders: what the sweep computes, under which keys, and the manifest of each run."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import torch

from mcd.api.dissector import AnnotationDissector, AnyDissector, Dissector
from mcd.extraction.image_statistics import STATISTICS
from mcd.extraction.jobs import IMAGES, DissectorJob, ImageJob, TargetJob
from mcd.extraction.keys import (
    activation_key,
    embedding_key,
    image_key,
    not_reused,
    statistics_key,
    untrained_key,
)
from mcd.extraction.map_store import MapStore
from mcd.extraction.probe import ProbeSet
from mcd.extraction.reading import Reader
from mcd.extraction.store import Shards
from mcd.files import MANIFEST
from mcd.networks.controls import RANDOM_DISSECTOR, RANDOM_WEIGHTS, RandomDissector, with_random_weights
from mcd.networks.identity import Identity, identity_of
from mcd.networks.trial import Trial
from mcd.networks.untrained import Untrained, untrained
from mcd.runs.manifest import Inputs, LayerRecord, Manifest, StoreRecord, machine
from mcd.runs.plan import PlannedRun
from mcd.runs.prepared import Prepared, PreparedTarget
from mcd.runs.recorded import UNTRAINED
from mcd.study.recording import recorded

__all__ = ["Models", "OpenRun", "Opener", "inputs_of"]

_Key = tuple[int, bool]
"""Number in the study, and whether its random counterpart is meant."""


class Models:
    """The targets and dissectors that the runs of a plan need, random counterparts included, each made once.

    Attributes
    ----------
    targets, dissectors
        In the order of the study; random counterparts come last.
    networks
        What decides the numbers of each target.
    readers
        What decides the numbers of each dissector.
    untrained
        For each target of the study its networks that have not been trained.
    """

    def __init__(self, prepared: Prepared) -> None:
        self.targets: dict[_Key, PreparedTarget] = {}
        self.dissectors: dict[_Key, AnyDissector] = {}
        seed = prepared.study.calibration.null_seed
        for run in prepared.plan:
            if (key := self._target(run)) not in self.targets:
                self.targets[key] = _target(prepared.targets[run.model], seed, random=key[1])
            if (key := self._dissector(run)) not in self.dissectors:
                self.dissectors[key] = _dissector(prepared.dissectors[run.dissector].dissector, seed, random=key[1])
        count = prepared.study.untrained
        self.untrained = {
            model: untrained(prepared.targets[model].target, count, seed)
            for model in sorted({run.model for run in prepared.plan.runs} if count else ())
        }
        # before anything runs: a network may keep what it has computed
        self.networks = {key: identity_of(one.target.module) for key, one in self.targets.items()}
        self.readers = {key: identity_of(one) for key, one in self.dissectors.items()}
        self._towers = {
            key: identity_of(one.image_tower).content
            for key, one in self.image_text.items()
            if one.image_tower is not None
        }

    def untrained_of(self, run: PlannedRun) -> Untrained:
        """Return the networks that a run is compared with; none where none were asked for, as for controls."""
        return Untrained() if run.control else self.untrained.get(run.model, Untrained())

    @property
    def image_text(self) -> dict[_Key, Dissector]:
        """Those of the dissectors that look at images; the others read annotations."""
        return {key: one for key, one in self.dissectors.items() if isinstance(one, Dissector)}

    @staticmethod
    def _target(run: PlannedRun) -> _Key:
        return run.model, run.control == RANDOM_WEIGHTS

    @staticmethod
    def _dissector(run: PlannedRun) -> _Key:
        return run.dissector, run.control == RANDOM_DISSECTOR

    def keys(self, run: PlannedRun) -> tuple[_Key, _Key]:
        """Return where the target and the dissector of a run are found."""
        return self._target(run), self._dissector(run)

    def tower_of(self, key: _Key) -> Dissector | None:
        """Return the dissector whose image tower is the target, if one is."""
        target = self.targets[key].target
        seen = identity_of(target.preprocessing).content
        for number, tower in self._towers.items():
            dissector = self.image_text[number]
            same = dissector.image_tower is target.module or tower == self.networks[key].content
            if same and identity_of(dissector.preprocessing).content == seen:
                return dissector
        return None

    def not_reused(self) -> list[str]:
        """Return of which models nothing stored will be used again, and why, a sentence each."""
        named = [(one.target.name, self.networks[key]) for key, one in self.targets.items()]
        named += [(one.name, self.readers[key]) for key, one in self.dissectors.items()]
        return [said for name, one in named if (said := not_reused(name, one))]


def inputs_of(prepared: Prepared, models: Models, probe: ProbeSet, run: PlannedRun) -> Inputs:
    """Return what goes into a run of a plan, as its manifest records it."""
    of, by = models.keys(run)
    own, dissector = prepared.dissectors[run.dissector], models.dissectors[by]
    concepts = own.concepts
    fingerprints = {
        "target": models.networks[of].content,
        "dissector": models.readers[by].content,
        "probe set": probe.fingerprint,
        "concepts": concepts.fingerprint(),
        "prompts": prepared.study.prompts.fingerprint(concepts.concepts),
        "scorer": identity_of(own.scorer).content,
    }
    seen = dissector.preprocessing if isinstance(dissector, Dissector) else None
    used = {"target": models.targets[of].target.preprocessing, "dissector": seen, "recipe": prepared.recipe}
    return Inputs(fingerprints, {name: one.model_dump(mode="json") for name, one in used.items() if one is not None})


def _target(prepared: PreparedTarget, seed: int, *, random: bool) -> PreparedTarget:
    if not random:
        return prepared
    return PreparedTarget(with_random_weights(prepared.target, seed), prepared.layers, prepared.pooling)


def _dissector(one: AnyDissector, seed: int, *, random: bool) -> AnyDissector:
    if not random or isinstance(one, AnnotationDissector):
        return one
    return RandomDissector(one.name, one.preprocessing, seed)


def _earlier(folder: Path) -> Mapping[str, str]:
    """Return the digests of what the run in a folder stored; none where there is none, or it was interrupted."""
    return Manifest.read(folder, checked=False).store.digests or {} if (folder / MANIFEST).exists() else {}


def _superseded(folder: Path, keys: Collection[str]) -> list[str]:
    """Return the keys under which a run has written shards in its folder, except those in use."""
    if not (folder / MANIFEST).exists():
        return []
    store = Manifest.read(folder, checked=False).store
    written = {*store.superseded, *store.untrained, store.activations, store.embeddings, store.statistics}
    return sorted(written.difference({*keys, ""}))


@dataclass(frozen=True)
class OpenRun:
    """A run of the plan whose folder is open: its target and dissector, its shards, its manifest.

    Parameters
    ----------
    planned
        Its line of the plan.
    job
        What the sweep records of its target.
    dissector
        Its dissector.
    identity
        What decides the numbers of the dissector.
    activations, embeddings, statistics
        Where the shards of each lie; no embeddings where the dissector reads annotations.
    untrained
        Where those of each network that has not been trained lie.
    without
        Why there is none, where some were asked for.
    manifest
        Its record so far.
    earlier
        Digests of what a run before it stored in its folder.
    """

    planned: PlannedRun
    job: TargetJob
    dissector: AnyDissector
    identity: Identity
    activations: Shards
    embeddings: Shards | None
    statistics: Shards
    untrained: tuple[Shards, ...]
    without: str
    manifest: Manifest
    earlier: Mapping[str, str]

    @property
    def stores(self) -> list[Shards]:
        """All its shards."""
        stores = (self.activations, self.embeddings, self.statistics, *self.untrained)
        return [one for one in stores if one is not None]

    def forget(self) -> None:
        """Remove what the run wrote before its inputs or its code changed, or that is not asked for any more."""
        nowhere = Shards(self.folder / UNTRAINED, "0" * 16, {})
        for shards in [*self.stores, *([] if self.untrained else [nowhere])]:
            shards.forget(self.manifest.store.superseded)
        self.manifest.store.superseded = []

    def maps(self, count: int) -> MapStore:
        """Return where ``count`` maps a neuron of this run lie, or would."""
        return MapStore(self.folder, MapStore.key_of(self.activations.key, count), self.earlier)

    @property
    def folder(self) -> Path:
        """The run folder."""
        return self.planned.folder


@dataclass(frozen=True)
class Opener:
    """Opens the runs of a plan once layers, images and the widths of embeddings are known.

    Parameters
    ----------
    prepared, models, reader, probe, device
        Of the study.
    trials
        The chosen layers of each target, and its memory format.
    widths
        The width D of the embeddings of each dissector that looks at images.
    """

    prepared: Prepared
    models: Models
    reader: Reader
    probe: ProbeSet
    device: torch.device
    trials: Mapping[_Key, Trial]
    widths: Mapping[_Key, int]

    def open(self) -> tuple[list[OpenRun], list[TargetJob], list[DissectorJob], ImageJob]:
        """Return the runs, and what the sweep is to compute for them."""
        models = self.models
        jobs = {key: self._job(key) for key in models.targets}
        readers = {key: DissectorJob(one, []) for key, one in models.image_text.items()}
        untrained = {key: self._untrained_jobs(key) for key in jobs}
        images = ImageJob([])
        runs = []
        for planned in self.prepared.plan:
            of, by = models.keys(planned)
            neurons = {layer.name: layer.neurons for layer in self.trials[of].layers}
            activations = Shards(planned.folder / "activations", self._activation_key(of), neurons)
            embeddings = self._embeddings(planned.folder, by) if by in readers else None
            statistics = Shards(planned.folder / "statistics", statistics_key(self._images), {IMAGES: STATISTICS})
            images.stores.append(statistics)
            jobs[of].stores.append(activations)
            if embeddings is not None:
                readers[by].stores.append(embeddings)
            others = self._untrained(planned, untrained[of], neurons)
            manifest = self._manifest(planned, jobs[of], activations, embeddings, statistics, others)
            made = OpenRun(
                planned=planned,
                job=jobs[of],
                dissector=models.dissectors[by],
                identity=models.readers[by],
                activations=activations,
                embeddings=embeddings,
                statistics=statistics,
                untrained=others,
                without=models.untrained_of(planned).problem,
                manifest=manifest,
                earlier=_earlier(planned.folder),
            )
            runs.append(made)
        targets = [*jobs.values(), *(job for several in untrained.values() for job in several)]
        return runs, targets, list(readers.values()), images

    def _job(self, key: _Key) -> TargetJob:
        one = self.models.targets[key]
        remedy = "the control cannot be run with this target: leave out --controls" if key[1] else ""
        trial = self.trials[key]
        # A dissector runs in channels-last; a target that cannot runs by itself, although it is a dissector's tower.
        shared = self.models.tower_of(key) if trial.memory_format == torch.channels_last else None
        return TargetJob(one.target, trial.layers, one.pooling, [], shared, remedy, trial.memory_format)

    def _untrained_jobs(self, key: _Key) -> list[TargetJob]:
        if key[1]:
            return []
        one, trial = self.models.targets[key], self.trials[key]
        networks = self.models.untrained.get(key[0], Untrained()).networks
        remedy = "the rung beyond untrained cannot be tested with this target: leave out --untrained"
        return [
            TargetJob(network, trial.layers, one.pooling, [], None, remedy, trial.memory_format, untrained=True)
            for network in networks
        ]

    def _untrained(
        self, planned: PlannedRun, jobs: Sequence[TargetJob], neurons: Mapping[str, int]
    ) -> tuple[Shards, ...]:
        if planned.control:
            return ()
        trained = self._activation_key(self.models.keys(planned)[0])
        seed = self.prepared.study.calibration.null_seed
        found = []
        for number, job in enumerate(jobs):
            found.append(Shards(planned.folder / UNTRAINED, untrained_key(trained, seed, number), neurons))
            job.stores.append(found[-1])
        return tuple(found)

    @cached_property
    def _images(self) -> str:
        study = self.prepared.study
        return image_key(self.probe, self.reader, self.device, study.precision, study.batch_size)

    def _activation_key(self, key: _Key) -> str:
        one = self.models.targets[key]
        network = self.models.networks[key]
        return activation_key(self._images, network, one.target, self.trials[key].layers, one.pooling)

    def _embeddings(self, folder: Path, key: _Key) -> Shards:
        preprocessing = self.models.image_text[key].preprocessing
        named = embedding_key(self._images, self.models.readers[key], preprocessing)
        return Shards(folder / "embeddings", named, {IMAGES: self.widths[key]})

    def _manifest(
        self,
        planned: PlannedRun,
        job: TargetJob,
        activations: Shards,
        embeddings: Shards | None,
        statistics: Shards,
        untrained: Sequence[Shards],
    ) -> Manifest:
        prepared, (of, by) = self.prepared, self.models.keys(planned)
        target, dissector = self.models.targets[of].target, self.models.dissectors[by]
        own = prepared.dissectors[planned.dissector]
        inputs = inputs_of(prepared, self.models, self.probe, planned)
        embedded, others = embeddings.key if embeddings else "", [one.key for one in untrained]
        revisions = {"target": target.revision}
        if isinstance(dissector, Dissector):
            revisions["dissector"] = dissector.revision
        return Manifest(
            target=target.name,
            dissector=dissector.name,
            scorer=own.scorer.name,
            control=planned.control,
            study=recorded(prepared.host, prepared.study_of(planned), public_labels=prepared.dataset.ids_are_public),
            plugins=dict(sorted(prepared.plugins.items())),
            machine=machine(str(self.device)),
            fingerprints=inputs.fingerprints,
            revisions={name: one for name, one in revisions.items() if one},
            preprocessing=inputs.preprocessing,
            layers=[
                LayerRecord(name=one.name, type=one.type, layout=one.layout or "flat", neurons=one.neurons)
                for one in job.layers
            ],
            store=StoreRecord(
                activations=activations.key,
                embeddings=embedded,
                embedding_width=embeddings.tensors[IMAGES] if embeddings else 0,
                statistics=statistics.key,
                untrained=others,
                texts=[self.models.readers[by].key],
                superseded=_superseded(planned.folder, {activations.key, embedded, statistics.key, *others}),
            ),
        )
