"""From the plan to open run folders: what the sweep computes, under which keys, and the manifest of each run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import torch

from mcd.api.base import digest
from mcd.api.dissector import AnyDissector, Dissector
from mcd.extraction.columns import Column
from mcd.extraction.image_statistics import STATISTICS
from mcd.extraction.jobs import IMAGES, DissectorJob, ImageJob, TargetJob
from mcd.extraction.keys import (
    activation_key,
    embedding_key,
    found_again,
    image_key,
    statistics_key,
    untrained_key,
)
from mcd.extraction.map_store import MapStore
from mcd.extraction.probe import ProbeSet
from mcd.extraction.reading import Reader
from mcd.extraction.shared_store import SharedStore
from mcd.extraction.store import Shards, layer_key, whole_key
from mcd.networks.identity import Identity, identity_of
from mcd.networks.layers import Layer
from mcd.networks.trial import Trial
from mcd.networks.untrained import Untrained, tracking
from mcd.runs.manifest import (
    Inputs,
    LayerRecord,
    Manifest,
    ScoreRecord,
    StoreRecord,
    earlier_digests,
    machine,
    superseded,
)
from mcd.runs.models import Key, Models
from mcd.runs.plan import PlannedRun
from mcd.runs.prepared import Prepared
from mcd.runs.recorded import UNTRAINED
from mcd.runs.records import UnitsRecord
from mcd.study.recording import recorded

__all__ = ["OpenRun", "Opener", "inputs_of"]


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
    if units := models.units[of]:
        fingerprints["units"] = digest(*(one.content for one in units.values()))
    seen = dissector.preprocessing if isinstance(dissector, Dissector) else None
    used = {"target": models.targets[of].target.preprocessing, "dissector": seen, "recipe": prepared.recipe}
    return Inputs(fingerprints, {name: one.model_dump(mode="json") for name, one in used.items() if one is not None})


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
    layers
        Where the shards of each layer lie, in the order of layers.
    embeddings, statistics
        Where those of each lie; no embeddings where the dissector reads annotations.
    untrained
        Where those of each layer of each network that has not been trained lie.
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
    layers: tuple[Shards, ...]
    embeddings: Shards | None
    statistics: Shards
    untrained: tuple[Shards, ...]
    without: str
    manifest: Manifest
    earlier: Mapping[str, str]

    @property
    def stores(self) -> list[Shards]:
        """All its shards."""
        stores = (*self.layers, self.embeddings, self.statistics, *self.untrained)
        return [one for one in stores if one is not None]

    def forget(self) -> None:
        """Remove what the run wrote before its inputs or its code changed, or that is not asked for any more."""
        kinds = {shards.path.parent: shards for shards in self.stores}
        kinds.setdefault(self.folder / UNTRAINED, Shards(self.folder / UNTRAINED, "0" * 16, {}))
        for shards in kinds.values():
            shards.forget(self.manifest.store.superseded)
        self.manifest.store.superseded = []

    def maps(self, count: int) -> MapStore:
        """Return where ``count`` maps a neuron of this run lie, or would."""
        layers = digest(*(shards.key for shards in self.layers))
        return MapStore(self.folder, MapStore.key_of(layers, count), self.earlier)

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
    shared
        The store that runs share; None for none.
    """

    prepared: Prepared
    models: Models
    reader: Reader
    probe: ProbeSet
    device: torch.device
    trials: Mapping[Key, Trial]
    widths: Mapping[Key, int]
    shared: SharedStore | None = None

    def open(self) -> tuple[list[OpenRun], list[TargetJob], list[DissectorJob], ImageJob]:
        """Return the runs, and what the sweep is to compute for them."""
        models = self.models
        jobs = {key: self._job(key) for key in models.targets}
        readers = {key: DissectorJob(one, [self._embedded(key)]) for key, one in models.image_text.items()}
        untrained = {key: self._untrained_jobs(key) for key in jobs}
        images = self._statistics()
        runs = []
        for planned in self.prepared.plan:
            of, by = models.keys(planned)
            layers = self._placed(planned.folder / "activations", jobs[of].columns)
            embedded = readers[by].columns if by in readers else []
            embeddings = next(iter(self._placed(planned.folder / "embeddings", embedded)), None)
            (statistics,) = self._placed(planned.folder / "statistics", images.columns)
            others = [] if planned.control else untrained[of]
            columns = [column for job in others for column in job.columns]
            manifest = self._manifest(planned, jobs[of], next(iter(embedded), None), images.columns[0], len(others))
            made = OpenRun(
                planned=planned,
                job=jobs[of],
                dissector=models.dissectors[by],
                identity=models.readers[by],
                layers=layers,
                embeddings=embeddings,
                statistics=statistics,
                untrained=self._placed(planned.folder / UNTRAINED, columns),
                without=models.untrained_of(planned).problem,
                manifest=manifest,
                earlier=earlier_digests(planned.folder),
            )
            runs.append(made)
        targets = [*jobs.values(), *(job for several in untrained.values() for job in several)]
        return runs, targets, list(readers.values()), images

    def _job(self, key: Key) -> TargetJob:
        one = self.models.targets[key]
        remedy = "the control cannot be run with this target: leave out --controls" if key[1] else ""
        trial = self.trials[key]
        # A dissector runs in channels-last; a target that cannot runs by itself, although it is a dissector's tower.
        shared = self.models.tower_of(key) if trial.memory_format == torch.channels_last else None
        columns = self._layers("activations", self._activation_key(key), key)
        return TargetJob(one.target, trial.layers, one.pooling, columns, shared, remedy, trial.memory_format)

    def _untrained_jobs(self, key: Key) -> list[TargetJob]:
        if key[1]:
            return []
        one, trial = self.models.targets[key], self.trials[key]
        networks = self.models.untrained.get(key[0], Untrained()).networks
        remedy = "the rung beyond untrained cannot be tested with this target: leave out --untrained"
        return [
            TargetJob(
                network,
                trial.layers,
                one.pooling,
                self._layers(UNTRAINED, self._untrained_key(key, number), key),
                None,
                remedy,
                trial.memory_format,
                untrained=True,
            )
            for number, network in enumerate(networks)
        ]

    @cached_property
    def images(self) -> tuple[str, ...]:
        """A digest of the images of each shard; see `mcd.extraction.probe.ProbeSet.images`."""
        return self.probe.images(self.prepared.study.batch_size)

    @cached_property
    def _first(self) -> int:
        return min(self.probe.shards(self.prepared.study.batch_size))

    @cached_property
    def _how(self) -> str:
        study, masked = self.prepared.study, any(one.pooling.masked for one in self.prepared.targets)
        how = self.device, study.precision, study.batch_size, study.tuning
        return image_key(self.reader, *how, masked=masked)

    def _activation_key(self, key: Key) -> str:
        one, names = self.models.targets[key], (layer.name for layer in self.trials[key].layers)
        return activation_key(self._how, self.models.networks[key], one.target, one.pooling, digest(*names))

    def _untrained_key(self, key: Key, number: int) -> str:
        seed = self.prepared.study.calibration.null_seed
        seen = self._seen if tracking(self.models.untrained[key[0]].networks[number].module) else ""
        return untrained_key(self._activation_key(key), seed, number, seen)

    @cached_property
    def _seen(self) -> str:
        return digest(*(text for row, one in self.probe.estimating.items() for text in (str(row), one.digest)))

    def _layers(self, kind: str, activations: str, key: Key) -> list[Column]:
        target = self.models.targets[key].target
        models = (self.models.networks[key], identity_of(target.preprocessing))
        found = []
        for layer in self.trials[key].layers:
            units = self._units_of(key, layer)
            named = layer_key(activations, layer.name, layer.layout, units.key if units else "")
            found.append(self._column(kind, named, layer.name, layer.neurons, *models, *([units] if units else [])))
        return found

    def _units_of(self, key: Key, layer: Layer) -> Identity | None:
        """Return what decides the numbers of the units that a layer is seen through; None where it is by itself."""
        return None if layer.units is None else self.models.units[key][layer.units]

    def _recorded(self, key: Key, layer: Layer) -> LayerRecord:
        units, seen = self._units_of(key, layer), layer.units
        return LayerRecord(
            name=layer.name,
            type=layer.type,
            layout=layer.layout or "flat",
            neurons=layer.neurons,
            units=units.key if units else "",
            through=None if seen is None else UnitsRecord.of(seen, self.probe.kept.get(seen.fitted, 0)),
        )

    def _embedded(self, key: Key) -> Column:
        preprocessing, identity = self.models.image_text[key].preprocessing, self.models.readers[key]
        named = embedding_key(self._how, identity, preprocessing)
        return self._column("embeddings", named, IMAGES, self.widths[key], identity, identity_of(preprocessing))

    def _statistics(self) -> ImageJob:
        """Return the statistics of the images: of their displayed values where some model sees these."""
        targets = [one.target.preprocessing for one in self.models.targets.values()]
        seen = [*targets, *(one.preprocessing for one in self.models.image_text.values())]
        values = min(self.reader.values(one) for one in seen)
        named = statistics_key(self._how, values)
        return ImageJob(values, [self._column("statistics", named, IMAGES, STATISTICS)])

    def _column(self, kind: str, key: str, name: str, width: int, *models: Identity) -> Column:
        known = self.shared is not None and found_again(self.probe, self.reader, *models)
        entry = self.shared.entry(kind, whole_key(key, self.images)) if self.shared is not None and known else None
        return Column(name, width, key, [], entry)

    def _manifest(
        self,
        planned: PlannedRun,
        job: TargetJob,
        embeddings: Column | None,
        statistics: Column,
        untrained: int,
    ) -> Manifest:
        prepared, (of, by) = self.prepared, self.models.keys(planned)
        target, dissector = self.models.targets[of].target, self.models.dissectors[by]
        own = prepared.dissectors[planned.dissector]
        inputs = inputs_of(prepared, self.models, self.probe, planned)
        revisions = {"target": target.revision}
        if isinstance(dissector, Dissector):
            revisions["dissector"] = dissector.revision
        made = Manifest(
            target=target.name,
            dissector=dissector.name,
            scorer=own.scorer.name,
            scores=ScoreRecord.of(own.scorer),
            control=planned.control,
            study=recorded(prepared.host, prepared.study_of(planned), public_labels=prepared.dataset.ids_are_public),
            plugins=dict(sorted(prepared.plugins.items())),
            machine=machine(self.device),
            fingerprints=inputs.fingerprints,
            revisions={name: one for name, one in revisions.items() if one},
            preprocessing=inputs.preprocessing,
            layers=[self._recorded(of, one) for one in job.layers],
            store=StoreRecord(
                activations=self._activation_key(of),
                layered=True,
                embeddings=embeddings.key if embeddings else "",
                embedding_width=embeddings.width if embeddings else 0,
                statistics=statistics.key,
                images=list(self.images),
                first=self._first,
                untrained=[self._untrained_key(of, number) for number in range(untrained)],
                texts=[self.models.readers[by].key],
            ),
        )
        made.store.superseded = superseded(planned.folder, made.shard_keys())
        return made

    def _placed(self, folder: Path, columns: Sequence[Column]) -> tuple[Shards, ...]:
        """Let the shards of columns go into a folder of a run too; return where they lie in it."""
        found = []
        for column in columns:
            widths = {column.name: column.width}
            found.append(Shards(folder, column.key, widths, images=self.images, first=self._first))
            column.stores.append(found[-1])
        return tuple(found)
