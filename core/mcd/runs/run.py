"""The engine: from prepared components to finished run folders."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import pandas as pd
import pydantic
import torch

from mcd.api.base import digest
from mcd.api.dataset import Dataset, Sample
from mcd.api.dissector import Dissector
from mcd.api.model import Target
from mcd.api.reporter import Reporter
from mcd.clock import Clock
from mcd.errors import DataError, MCDError, StoreError, UsageError
from mcd.events import (
    RunFailed,
    RunFinished,
    RunStarted,
)
from mcd.extraction.cache import ImageCache
from mcd.extraction.maps import MapPass, MapStore
from mcd.extraction.probe import ProbeSet, look_at
from mcd.extraction.reading import Reader
from mcd.extraction.store import Shards
from mcd.extraction.sweep import IMAGES, DissectorJob, Sweep, TargetJob
from mcd.extraction.texts import TextEncoder, sentences, warn_of_long
from mcd.networks.layers import Layer, select_layers
from mcd.networks.recording import check_pooling
from mcd.networks.running import fingerprint, pick_device
from mcd.networks.trial import takes_known_input, trial_pass
from mcd.runs.controls import RANDOM_DISSECTOR, RANDOM_WEIGHTS, controlled
from mcd.runs.dissection import PROBE_MAP, Dissection, write_probe_map
from mcd.runs.folder import check_room, open_folder
from mcd.runs.manifest import LayerRecord, Manifest, StoreRecord, machine
from mcd.runs.material import bound, gather
from mcd.runs.prepared import Prepared, PreparedTarget, with_controls
from mcd.scoring.labelling import Labeller
from mcd.scoring.results import Results
from mcd.study.privacy import recorded
from mcd.study.study import Study
from mcd.version import __version__

__all__ = ["run", "write_reports"]

STAGE_VERSION = "sweep/1"
"""Raised when the sweep's numbers change, so that shards of older versions are not read."""


def run(prepared: Prepared) -> list[Dissection]:
    """Run a study: one pass over the probe set, then a dissection for each target and dissector.

    What is already stored in the run folders is used; what an interrupted run stored stays.

    Raises
    ------
    mcd.errors.MCDError
        When something does not fit; all that can be seen beforehand is said before anything is computed.
    """
    start, emit = time.perf_counter(), prepared.host.emit
    names = " and ".join(target.target.name for target in prepared.targets)
    first = prepared.targets[0].folders[0]
    emit(RunStarted(f"{names} dissected by {' and '.join(dissector.name for dissector in prepared.dissectors)}"))
    clock = Clock(emit)
    try:
        dissections = _Run(with_controls(prepared) if prepared.study.controls else prepared, clock).dissections()
        for dissection in dissections:
            write_reports(dissection, prepared.reporters)
    except MCDError as error:
        emit(RunFailed(error.message.splitlines()[0]))
        raise
    except BaseException as error:
        emit(RunFailed(type(error).__name__))
        raise
    emit(RunFinished(str(first), time.perf_counter() - start))
    return dissections


@dataclass(frozen=True)
class _Pair:
    """One target with one dissector: a run folder, and its stores in what the sweep writes."""

    number: int
    folder: Path
    control: str
    job: TargetJob
    activations: Shards
    embeddings: Shards
    manifest: Manifest


_Stores = dict[tuple[int, int], tuple[Shards, Shards]]
"""By number of target and dissector: where activations and embeddings of their run go."""


class _Run:
    """One run from the first look at the images to the written labels."""

    def __init__(self, prepared: Prepared, clock: Clock) -> None:
        self.prepared, self.clock = prepared, clock
        self.study = prepared.study
        self.device = pick_device(self.study.device)
        self.prints = {id(one): digest(one.fingerprint(), fingerprint(one.module)) for one in prepared.dissectors}
        self.weights = {id(one.target): fingerprint(one.target.module) for one in prepared.targets}
        size = prepared.study.cache_size * 10**9
        self.cache = ImageCache(prepared.study.cache, size) if prepared.study.cache is not None else None
        self.reader = Reader(prepared.dataset, prepared.recipe, self.cache)
        self.maps: dict[str, MapStore] = {}

    def dissections(self) -> list[Dissection]:
        prepared = self.prepared
        for dissector in prepared.dissectors:
            if dissector.caution:
                self.clock.warn(dissector.caution)
        own = type(prepared.dataset).mask is Dataset.mask
        if own and prepared.dataset.has_masks and any(target.pooling.masked for target in prepared.targets):
            self.clock.warn("the data set brings no breast masks: where the breast is was found in the pixels")
        if self.cache is not None and self.cache.problem:
            self.clock.warn(f"nothing is kept in the cache: {self.cache.problem}")
        for model, target in enumerate(prepared.targets):
            for number, folder in enumerate(target.folders):
                if folder is not None:
                    open_folder(folder, prepared.study_of(model, number))
        # A wrong layer name is said at once, unless only an image can tell what the target takes.
        if all(takes_known_input(target.target) for target in prepared.targets):
            layers = [self._layers(target) for target in prepared.targets]
            probe = self._probe()
        else:
            probe = self._probe()
            layers = [self._layers(target, probe.samples[0]) for target in prepared.targets]
        prepared.scorer.check(len(probe.samples))
        widths = [self._read_concepts(number) for number in range(len(prepared.dissectors))]
        jobs, readers, stores = self._jobs(layers, probe, widths)
        pairs = [self._pair(model, number, jobs[model], *both, probe) for (model, number), both in stores.items()]
        check_room([*jobs, *readers], pairs[0].folder, len(probe.samples))
        with _closing(pairs):
            shards = self._sweep(jobs, readers, probe)
            controls = [self._finish(pair, probe, shards, []) for pair in pairs if pair.control]
            return [self._finish(pair, probe, shards, controls) for pair in pairs if not pair.control]

    def _layers(self, target: PreparedTarget, sample: Sample | None = None) -> list[Layer]:
        if target.pooling.masked and not self.prepared.dataset.has_masks:
            raise UsageError(
                f"pooling '{target.pooling}' needs breast masks, which this data set does not have",
                "use a pooling without masks",
            )
        recipe = target.target.preprocessing
        image = self.reader.image(sample, self.reader.values(recipe)) if sample is not None else None
        found = trial_pass(target.target, image if not takes_known_input(target.target) else None)
        chosen = select_layers(target.layers, found, target.target.name, target.target.aliases)
        for layer in chosen:
            check_pooling(layer, target.pooling, target.target.first_tokens())
        return chosen

    def _probe(self) -> ProbeSet:
        study = self.study
        probe = look_at(
            self.prepared.dataset,
            study.selection,
            self.clock,
            on_error=study.on_error,
            keep_identifiers=study.keep_identifiers,
        )
        _several(len(probe.samples))
        return probe

    def _encoder(self, folder: Path, number: int) -> TextEncoder:
        dissector = self.prepared.dissectors[number]
        return TextEncoder(folder, self.prints[id(dissector)], lambda: dissector, self.device)

    def _read_concepts(self, number: int) -> int:
        """Embed the concepts by one dissector, kept in each of its run folders; return the width of embeddings."""
        concepts, wording = self.prepared.concepts.concepts, self.study.prompts
        texts = sentences(concepts, wording)
        if wording.idle(concepts):
            self.clock.warn(wording.idle(concepts))
        warn_of_long(self.prepared.dissectors[number], texts, self.clock)
        with self.clock.stage("read concepts", len(concepts), "concepts") as advanced:
            folders = [target.folders[number] for target in self.prepared.targets]
            widths = [
                self._encoder(folder, number).concepts(concepts, wording).names.shape[1]
                for folder in folders
                if folder is not None
            ]
            advanced(len(concepts))
        return widths[0]

    def _jobs(
        self, layers: Sequence[Sequence[Layer]], probe: ProbeSet, widths: Sequence[int]
    ) -> tuple[list[TargetJob], list[DissectorJob], _Stores]:
        """Return what the sweep runs, with stores whose keys hold everything that decides their content."""
        prepared, study = self.prepared, self.study
        images = digest(
            STAGE_VERSION,
            __version__,
            torch.__version__,
            probe.fingerprint,
            self.reader.fingerprint(),
            study.precision,
            self.device.type,
            str(study.batch_size),
        )
        keys = [digest(images, self.prints[id(one)], one.preprocessing.fingerprint()) for one in prepared.dissectors]
        jobs, stores = [], _Stores()
        for model, (one, chosen) in enumerate(zip(prepared.targets, layers, strict=True)):
            own = digest(self.weights[id(one.target)], one.target.preprocessing.fingerprint())
            described = [part for layer in chosen for part in (layer.name, str(layer.layout))]
            key = digest(images, own, str(one.pooling), *described)
            neurons = {layer.name: layer.neurons for layer in chosen}
            for number, folder in enumerate(one.folders):
                if folder is not None:
                    stores[model, number] = (
                        Shards(folder / "activations", key, neurons),
                        Shards(folder / "embeddings", keys[number], {IMAGES: widths[number]}),
                    )
            mine = [both[0] for (of, _), both in stores.items() if of == model]
            jobs.append(TargetJob(one.target, chosen, one.pooling, mine, self._tower_of(one.target)))
        readers = [
            DissectorJob(dissector, [both[1] for (_, of), both in stores.items() if of == number])
            for number, dissector in enumerate(prepared.dissectors)
        ]
        return jobs, readers, stores

    def _tower_of(self, target: Target) -> Dissector | None:
        """Return the dissector whose image tower is the target, if one is."""
        for dissector in self.prepared.dissectors:
            tower = dissector.image_tower
            if tower is None or target.preprocessing.fingerprint() != dissector.preprocessing.fingerprint():
                continue
            if tower is target.module or fingerprint(tower) == self.weights[id(target)]:
                return dissector
        return None

    def _pair(
        self, model: int, number: int, job: TargetJob, activations: Shards, embeddings: Shards, probe: ProbeSet
    ) -> _Pair:
        target, dissector = self.prepared.targets[model], self.prepared.dissectors[number]
        scorer = self.prepared.scorer
        study = self.prepared.study_of(model, number)
        of_target, of_dissector = model >= len(self.study.models), number >= len(self.study.dissectors)
        control = RANDOM_WEIGHTS if of_target else RANDOM_DISSECTOR if of_dissector else ""
        folder = target.folders[number]
        assert folder is not None
        manifest = Manifest(
            target=target.target.name,
            dissector=dissector.name,
            scorer=scorer.name,
            control=control,
            study=self._recorded(study),
            plugins=self.prepared.plugins,
            machine=machine(str(self.device)),
            fingerprints={
                "target": self.weights[id(target.target)],
                "dissector": self.prints[id(dissector)],
                "probe set": probe.fingerprint,
                "concepts": self.prepared.concepts.fingerprint(),
                "prompts": self.study.prompts.fingerprint(self.prepared.concepts.concepts),
                "scorer": scorer.fingerprint(),
            },
            revisions={
                name: one
                for name, one in (("target", target.target.revision), ("dissector", dissector.revision))
                if one
            },
            preprocessing={
                "target": target.target.preprocessing.model_dump(mode="json"),
                "dissector": dissector.preprocessing.model_dump(mode="json"),
                **({"recipe": self.prepared.recipe.model_dump(mode="json")} if self.prepared.recipe else {}),
            },
            layers=[
                LayerRecord(name=one.name, type=one.type, layout=one.layout or "flat", neurons=one.neurons)
                for one in job.layers
            ],
            store=StoreRecord(
                activations=activations.key,
                embeddings=embeddings.key,
                embedding_width=embeddings.tensors[IMAGES],
            ),
        )
        return _Pair(number, folder, control, job, activations, embeddings, manifest)

    def _recorded(self, study: Study) -> dict[str, pydantic.JsonValue]:
        settings = study.settings()
        return settings if study.keep_identifiers else recorded(settings, self.prepared.paths)

    def _sweep(self, jobs: Sequence[TargetJob], readers: Sequence[DissectorJob], probe: ProbeSet) -> int:
        start = time.perf_counter()
        sweep = Sweep(
            targets=jobs,
            dissectors=readers,
            reader=self.reader,
            probe=probe,
            device=self.device,
            precision=self.study.precision,
            batch_size=self.study.batch_size,
            workers=self.study.workers,
            on_error=self.study.on_error,
            emit=self.clock.emit,
        )
        try:
            shards = sweep.run()
        except MCDError as error:
            if RANDOM_WEIGHTS in error.message:
                error.hint = "the control cannot be run with this target: leave out --controls"
            raise
        self.clock.seconds["sweep"] = time.perf_counter() - start
        return shards

    def _finish(self, pair: _Pair, probe: ProbeSet, shards: int, controls: Sequence[Dissection]) -> Dissection:
        manifest = pair.manifest
        rows, failed = pair.activations.rows(shards)
        if rows != pair.embeddings.rows(shards)[0]:
            raise StoreError(f"{pair.folder}: activations and embeddings hold different images")
        lost = f"{len(failed)} images could not be decoded and are left out; the probe map says which and why"
        if failed and lost not in self.clock.warnings:  # said once, whatever models there are
            self.clock.warn(lost)
        _several(len(rows))
        self.prepared.scorer.check(len(rows))
        write_probe_map(pair.folder / PROBE_MAP, probe, dict(failed))
        manifest.store.shards = shards
        manifest.images = len(rows)
        if probe.unreadable or failed:
            manifest.left_out = {"unreadable": len(probe.unreadable), "not decoded": len(failed)}
        dissection = Dissection(pair.folder, manifest, Results(pd.DataFrame()), self.prepared.host)
        mine = [one for one in controls if one.folder.parent.parent == pair.folder]
        clock = Clock(self.clock.emit)  # what is said of one pair is not said of the others
        dissection.results = self._label(pair, dissection, mine, clock)
        manifest.summary = list(dissection.results.summary)
        manifest.store.maps = self._keep_maps(pair, dissection, probe, rows, clock)
        pair.activations.forget_others()
        pair.embeddings.forget_others()
        manifest.status, manifest.seconds = "finished", self.clock.seconds | clock.seconds
        manifest.warnings = list(dict.fromkeys([*self.clock.warnings, *clock.warnings]))
        dissection.results.write(pair.folder)
        manifest.write(pair.folder)
        return dissection

    def _keep_maps(
        self, pair: _Pair, dissection: Dissection, probe: ProbeSet, rows: Sequence[int], clock: Clock
    ) -> str:
        """Keep maps where they are asked for, once for all dissectors of a target; return their key."""
        study, job = self.study, pair.job
        store = MapStore(pair.folder, MapStore.key_of(pair.activations.key, study.maps))
        if not study.maps or pair.control:
            store.forget()
            return ""
        made = self.maps.setdefault(store.key, store)
        if made is not store:
            store.take_over(made)
        elif not store.whole():
            one = MapPass(
                job.target,
                job.layers,
                self.reader,
                probe,
                self.device,
                study.precision,
                study.batch_size,
                study.workers,
            )
            one.into(store, rows, dissection.activations, study.maps, clock)
        for name, reason in store.without().items():
            clock.warn(f"layer {name} has no maps: {reason}")
        return store.key

    def _label(self, pair: _Pair, dissection: Dissection, controls: Sequence[Dissection], clock: Clock) -> Results:
        concepts = self.prepared.concepts
        material = gather(dissection, concepts, self.study.prompts, self._encoder(pair.folder, pair.number))
        scorer = bound(self.prepared.scorer, material, self.study.prompts)
        if scorer.caution:
            clock.warn(scorer.caution)
        labeller = Labeller(
            scorer,
            material.similarity,
            concepts.concepts,
            self.study.calibration,
            dissection.patients,
            self.study.labels_per_neuron,
        )
        results = labeller.label(dissection, clock)
        if not self.study.controls or pair.control:
            return results
        with clock.stage("score controls", 1, "controls") as advanced:
            runs = {one.manifest.control: one.labels for one in controls}
            table = controlled(results.labels, labeller, dissection, runs)
            advanced(1)
        return replace(results, controls=table)


def _several(images: int) -> None:
    if images == 1:
        raise DataError("one image cannot tell neurons apart", "give a probe set of more images")


def write_reports(dissection: Dissection, reporters: Sequence[Reporter]) -> None:
    """Let each reporter write into ``report/`` of the run folder."""
    if reporters:
        folder = dissection.folder / "report"
        folder.mkdir(exist_ok=True)
        for reporter in reporters:
            reporter.report(dissection, folder)


@contextlib.contextmanager
def _closing(pairs: Sequence[_Pair]) -> Iterator[None]:
    """Keep the manifests on disk true: running, then how it ended if it did not end well."""
    for pair in pairs:
        pair.manifest.write(pair.folder)
    try:
        yield
    except BaseException as error:
        for pair in pairs:
            pair.manifest.status = "interrupted" if isinstance(error, KeyboardInterrupt) else "failed"
            with contextlib.suppress(StoreError):  # the error on its way out matters more
                pair.manifest.write(pair.folder)
        raise
