"""The engine: from prepared components to finished run folders."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd
import pydantic
import torch

from mcd.api.base import digest
from mcd.api.concepts import ConceptSet
from mcd.api.dataset import Dataset, Sample
from mcd.api.dissector import Dissector
from mcd.api.image import Preprocessing
from mcd.api.model import Target
from mcd.api.reporter import Reporter
from mcd.api.scorer import Scorer
from mcd.clock import Clock
from mcd.cosines import Cosines
from mcd.dissection import PROBE_MAP, Dissection, write_probe_map, write_results
from mcd.errors import MCDError, StoreError, UsageError
from mcd.events import (
    Event,
    RunFailed,
    RunFinished,
    RunStarted,
)
from mcd.extraction.cache import ImageCache
from mcd.extraction.layers import Layer, select_layers
from mcd.extraction.networks import fingerprint, pick_device
from mcd.extraction.pooling import check_pooling
from mcd.extraction.probe import ProbeSet, look_at
from mcd.extraction.reading import Reader
from mcd.extraction.store import Shards
from mcd.extraction.sweep import IMAGES, DissectorJob, Sweep, TargetJob
from mcd.labelling import Labeller
from mcd.manifest import LayerRecord, Manifest, StoreRecord, machine
from mcd.pooling import Pooling
from mcd.privacy import recorded
from mcd.run_folder import check_room, open_folder
from mcd.study import Study
from mcd.texts import embed_concepts
from mcd.trial import takes_known_input, trial_pass
from mcd.version import __version__

__all__ = ["Prepared", "PreparedTarget", "run", "warn_of_long", "write_reports"]

STAGE_VERSION = "sweep/1"
"""Raised when the sweep's numbers change, so that shards of older versions are not read."""


@dataclass(frozen=True)
class PreparedTarget:
    """A target with what to record of it, and the folders of its runs, one for each dissector."""

    target: Target
    layers: Sequence[str]
    pooling: Pooling
    folders: Sequence[Path]


@dataclass
class Prepared:
    """Everything a run needs, created and validated.

    ``study`` is what manifests record: each its own target's and dissector's part of it (`Study.only`), and of
    ``paths``, the texts in it that are paths, only what tells nobody's name.
    """

    study: Study
    targets: Sequence[PreparedTarget]
    dissectors: Sequence[Dissector]
    dataset: Dataset
    concepts: ConceptSet
    scorer: Scorer
    reporters: Sequence[Reporter] = ()
    plugins: dict[str, str] = field(default_factory=dict)
    recipe: Preprocessing | None = None
    paths: frozenset[str] = frozenset()


def run(prepared: Prepared, emit: Callable[[Event], None]) -> list[Dissection]:
    """Run a study: one pass over the probe set, then a dissection for each target and dissector.

    What is already stored in the run folders is used; what an interrupted run stored stays.

    Raises
    ------
    mcd.errors.MCDError
        When something does not fit; all that can be seen beforehand is said before anything is computed.
    """
    start = time.perf_counter()
    names = " and ".join(target.target.name for target in prepared.targets)
    emit(RunStarted(f"{names} dissected by {' and '.join(dissector.name for dissector in prepared.dissectors)}"))
    clock = Clock(emit)
    try:
        dissections = _Run(prepared, clock).dissections()
        for dissection in dissections:
            write_reports(dissection, prepared.reporters)
    except MCDError as error:
        emit(RunFailed(error.message.splitlines()[0]))
        raise
    except BaseException as error:
        emit(RunFailed(type(error).__name__))
        raise
    emit(RunFinished(str(prepared.targets[0].folders[0]), time.perf_counter() - start))
    return dissections


@dataclass(frozen=True)
class _Pair:
    """One target with one dissector: a run folder, and its stores in what the sweep writes."""

    number: int
    target: PreparedTarget
    dissector: Dissector
    folder: Path
    job: TargetJob
    activations: Shards
    embeddings: Shards
    manifest: Manifest


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

    def dissections(self) -> list[Dissection]:
        prepared = self.prepared
        for dissector in prepared.dissectors:
            if dissector.caution:
                self.clock.warn(dissector.caution)
        if self.cache is not None and self.cache.problem:
            self.clock.warn(f"nothing is kept in the cache: {self.cache.problem}")
        for model, target in enumerate(prepared.targets):
            for number, folder in enumerate(target.folders):
                open_folder(folder, self.study.only(model, number))
        # A wrong layer name is said at once, unless only an image can tell what the target takes.
        if all(takes_known_input(target.target) for target in prepared.targets):
            layers = [self._layers(target) for target in prepared.targets]
            probe = self._probe()
        else:
            probe = self._probe()
            layers = [self._layers(target, probe.samples[0]) for target in prepared.targets]
        prepared.scorer.check(len(probe.samples))
        texts = [self._texts(number) for number in range(len(prepared.dissectors))]
        jobs, readers = self._jobs(layers, probe, [one.shape[1] for one in texts])
        check_room([*jobs, *readers], prepared.targets[0].folders[0], len(probe.samples))
        pairs = [
            self._pair(model, number, job, reader, probe)
            for model, job in enumerate(jobs)
            for number, reader in enumerate(readers)
        ]
        with _closing(pairs):
            shards = self._sweep(jobs, readers, probe)
            return [self._finish(pair, probe, texts[pair.number], shards) for pair in pairs]

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
        return look_at(
            self.prepared.dataset, study.selection, self.clock, on_error=study.on_error,
            keep_identifiers=study.keep_identifiers,
        )  # fmt: skip

    def _texts(self, number: int) -> torch.Tensor:
        """Return the embeddings of the concepts by one dissector, kept in each of its run folders."""
        dissector, concepts = self.prepared.dissectors[number], self.prepared.concepts
        warn_of_long(dissector, [one.prompt for one in concepts.concepts], self.clock)
        with self.clock.stage("read concepts", len(concepts.concepts), "concepts") as advanced:
            for target in self.prepared.targets:
                texts = embed_concepts(
                    target.folders[number], concepts, self.prints[id(dissector)], lambda: dissector, self.device
                )
            advanced(len(texts))
        return texts

    def _jobs(
        self, layers: Sequence[Sequence[Layer]], probe: ProbeSet, widths: Sequence[int]
    ) -> tuple[list[TargetJob], list[DissectorJob]]:
        """Return what the sweep runs, with stores whose keys hold everything that decides their content."""
        prepared, study = self.prepared, self.study
        images = digest(
            STAGE_VERSION, __version__, torch.__version__, probe.fingerprint, self.reader.fingerprint(),
            study.precision, self.device.type, str(study.batch_size),
        )  # fmt: skip
        jobs = []
        for one, chosen in zip(prepared.targets, layers, strict=True):
            own = digest(self.weights[id(one.target)], one.target.preprocessing.fingerprint())
            described = [part for layer in chosen for part in (layer.name, str(layer.layout))]
            key = digest(images, own, str(one.pooling), *described)
            neurons = {layer.name: layer.neurons for layer in chosen}
            stores = [Shards(folder / "activations", key, neurons) for folder in one.folders]
            jobs.append(TargetJob(one.target, chosen, one.pooling, stores, self._tower_of(one.target)))
        readers = []
        for number, dissector in enumerate(prepared.dissectors):
            key = digest(images, self.prints[id(dissector)], dissector.preprocessing.fingerprint())
            stores = [Shards(one.folders[number] / "embeddings", key, {IMAGES: widths[number]})
                      for one in prepared.targets]  # fmt: skip
            readers.append(DissectorJob(dissector, stores))
        return jobs, readers

    def _tower_of(self, target: Target) -> Dissector | None:
        """Return the dissector whose image tower is the target, if one is."""
        for dissector in self.prepared.dissectors:
            tower = dissector.image_tower
            if tower is None or target.preprocessing.fingerprint() != dissector.preprocessing.fingerprint():
                continue
            if tower is target.module or fingerprint(tower) == self.weights[id(target)]:
                return dissector
        return None

    def _pair(self, model: int, number: int, job: TargetJob, reader: DissectorJob, probe: ProbeSet) -> _Pair:
        target, dissector, scorer = self.prepared.targets[model], reader.dissector, self.prepared.scorer
        activations, embeddings = job.stores[number], reader.stores[model]
        manifest = Manifest(
            target=target.target.name,
            dissector=dissector.name,
            scorer=scorer.name,
            study=self._recorded(self.study.only(model, number)),
            plugins=self.prepared.plugins,
            machine=machine(str(self.device)),
            fingerprints={
                "target": self.weights[id(target.target)],
                "dissector": self.prints[id(dissector)],
                "probe set": probe.fingerprint,
                "concepts": self.prepared.concepts.fingerprint(),
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
            layers=[LayerRecord(name=one.name, type=one.type, layout=one.layout or "flat", neurons=one.neurons)
                    for one in job.layers],
            store=StoreRecord(
                activations=activations.key,
                embeddings=embeddings.key,
                embedding_width=embeddings.tensors[IMAGES],
            ),
        )  # fmt: skip
        return _Pair(number, target, dissector, target.folders[number], job, activations, embeddings, manifest)

    def _recorded(self, study: Study) -> dict[str, pydantic.JsonValue]:
        settings = study.settings()
        return settings if study.keep_identifiers else recorded(settings, self.prepared.paths)

    def _sweep(self, jobs: Sequence[TargetJob], readers: Sequence[DissectorJob], probe: ProbeSet) -> int:
        start = time.perf_counter()
        shards = Sweep(
            targets=jobs, dissectors=readers, reader=self.reader, probe=probe, device=self.device,
            precision=self.study.precision, batch_size=self.study.batch_size, workers=self.study.workers,
            on_error=self.study.on_error, emit=self.clock.emit,
        ).run()  # fmt: skip
        self.clock.seconds["sweep"] = time.perf_counter() - start
        return shards

    def _finish(self, pair: _Pair, probe: ProbeSet, texts: torch.Tensor, shards: int) -> Dissection:
        manifest = pair.manifest
        rows, failed = pair.activations.rows(shards)
        if rows != pair.embeddings.rows(shards)[0]:
            raise StoreError(f"{pair.folder}: activations and embeddings hold different images")
        if failed:
            self.clock.warn(
                f"{len(failed)} images could not be decoded and are left out; the probe map says which and why"
            )
        self.prepared.scorer.check(len(rows))
        write_probe_map(pair.folder / PROBE_MAP, probe, dict(failed))
        manifest.store.shards = shards
        manifest.images = len(rows)
        if probe.unreadable or failed:
            manifest.left_out = {"unreadable": len(probe.unreadable), "not decoded": len(failed)}
        ids = [probe.ids[row] for row in rows]
        concepts = self.prepared.concepts.concepts
        cosines = Cosines(pair.embeddings.read(IMAGES, shards), texts, ids, [concept.term for concept in concepts])
        dissection = Dissection(pair.folder, manifest, pd.DataFrame())
        labeller = Labeller(
            self.prepared.scorer, cosines, concepts, self.study.calibration,
            [probe.samples[row].patient for row in rows], self.study.labels_per_neuron,
        )  # fmt: skip
        labels, manifest.summary = labeller.labels(dissection, self.clock)
        pair.activations.forget_others()
        pair.embeddings.forget_others()
        manifest.status, manifest.seconds = "finished", dict(self.clock.seconds)
        manifest.warnings = list(dict.fromkeys(self.clock.warnings))
        write_results(pair.folder, manifest, labels)
        dissection.labels = labels
        return dissection


def write_reports(dissection: Dissection, reporters: Sequence[Reporter]) -> None:
    """Let each reporter write into ``report/`` of the run folder."""
    if reporters:
        folder = dissection.folder / "report"
        folder.mkdir(exist_ok=True)
        for reporter in reporters:
            reporter.report(dissection, folder)


def warn_of_long(dissector: Dissector, prompts: Sequence[str], clock: Clock) -> None:
    """Say which prompts the dissector reads the start of only."""
    cut = dissector.too_long(prompts)
    if cut:
        shown = ", ".join(f"'{text[:60]}…'" for text in cut[:3]) + (" …" if len(cut) > 3 else "")
        clock.warn(f"{len(cut)} texts are longer than {dissector.name} reads; it sees only their start: {shown}")


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
