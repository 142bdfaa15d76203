"""The engine: from prepared components to finished run folders."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd
import torch

from mcd.api.base import digest
from mcd.api.concepts import ConceptSet
from mcd.api.dataset import Dataset, Sample, read_checked
from mcd.api.dissector import Dissector
from mcd.api.model import Target
from mcd.api.reporter import Reporter
from mcd.api.scorer import Scorer
from mcd.clock import Clock
from mcd.dissection import PROBE_MAP, Dissection, write_probe_map, write_results
from mcd.errors import DataError, MCDError, StoreError
from mcd.events import (
    Event,
    LayerScored,
    RunFailed,
    RunFinished,
    RunStarted,
)
from mcd.extraction.layers import Layer, inspect_layers, select_layers
from mcd.extraction.networks import Precision, at_work, fingerprint, pick_device
from mcd.extraction.pooling import Pooling, pooler
from mcd.extraction.probe import ProbeSet, scan
from mcd.extraction.store import Shards
from mcd.extraction.sweep import IMAGES, Job, Sweep
from mcd.manifest import LayerRecord, Manifest, StoreRecord, machine
from mcd.run_folder import check_room, open_folder
from mcd.scoring import label_table, score_layer, similarity
from mcd.study import Study
from mcd.texts import embed_concepts
from mcd.version import __version__

__all__ = ["Prepared", "PreparedTarget", "run", "trial_pass", "warn_of_long"]

STAGE_VERSION = "sweep/1"
"""Raised when the sweep's numbers change, so that shards of older versions are not read."""


@dataclass(frozen=True)
class PreparedTarget:
    """A target with what to record of it and the folder of its run."""

    target: Target
    layers: Sequence[str]
    pooling: Pooling
    folder: Path


@dataclass
class Prepared:
    """Everything a run needs, created and validated. ``study`` is what the manifest records."""

    study: Study
    targets: Sequence[PreparedTarget]
    dissector: Dissector
    dataset: Dataset
    concepts: ConceptSet
    scorer: Scorer
    reporters: Sequence[Reporter] = ()
    plugins: dict[str, str] = field(default_factory=dict)


def takes_known_input(target: Target) -> bool:
    """Say whether a target's preprocessing tells size and channels of its input."""
    recipe = target.preprocessing
    return recipe.height is not None and recipe.width is not None and recipe.channels is not None


def example_input(target: Target, dataset: Dataset | None = None) -> torch.Tensor:
    """Return a batch of two as the target would see it.

    Noise where the preprocessing says size and channels; otherwise the first image of ``dataset``, and
    three channels of 224×224 where there is none.
    """
    recipe = target.preprocessing
    if dataset is not None and not takes_known_input(target):
        for found in dataset.scan():
            if isinstance(found, Sample):
                prepared = recipe.prepare(read_checked(dataset, found, recipe.values))
                return recipe.finalize(prepared[None].repeat(2, 1, 1, 1))
    size = (2, recipe.channels or 3, recipe.height or 224, recipe.width or 224)
    return recipe.finalize(torch.rand(size, generator=torch.Generator().manual_seed(0)))


def trial_pass(target: Target, dataset: Dataset | None = None) -> list[Layer]:
    """Return the layers of a target as one forward pass on the CPU shows them.

    Raises
    ------
    DataError
        When the target cannot take such an input.
    """
    example = example_input(target, dataset)
    with at_work(target.module, torch.device("cpu")):
        try:
            return inspect_layers(target.module, example)
        except (RuntimeError, ValueError, TypeError, AssertionError) as error:  # whatever a foreign forward() raises
            shape = "×".join(map(str, example.shape[1:]))
            raise DataError(
                f"{target.name} cannot take an input of {shape} (channels×rows×columns): {str(error).splitlines()[0]}",
                "give its preprocessing: height, width, channels, mean, std",
            ) from error


def run(prepared: Prepared, emit: Callable[[Event], None]) -> list[Dissection]:
    """Run a study: one pass over the probe set, then a dissection a target.

    What is already stored in the targets' folders is used; what an interrupted run stored stays.

    Raises
    ------
    mcd.errors.MCDError
        When something does not fit; all that can be seen beforehand is said before anything is computed.
    """
    start = time.perf_counter()
    names = " and ".join(target.target.name for target in prepared.targets)
    emit(RunStarted(f"{names} dissected by {prepared.dissector.name}"))
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
    emit(RunFinished(str(prepared.targets[0].folder), time.perf_counter() - start))
    return dissections


class _Run:
    """One run from the first look at the images to the written labels."""

    def __init__(self, prepared: Prepared, clock: Clock) -> None:
        self.prepared, self.clock = prepared, clock
        self.study = prepared.study
        self.precision: Precision = self.study.precision
        self.device = pick_device(self.study.device)
        self.dissector_print = digest(prepared.dissector.fingerprint(), fingerprint(prepared.dissector.module))

    def dissections(self) -> list[Dissection]:
        prepared = self.prepared
        if prepared.dissector.caution:
            self.clock.warn(prepared.dissector.caution)
        for target in prepared.targets:
            open_folder(target.folder, self.study)
        # A wrong layer name is said at once, unless only an image can tell what the target takes.
        if all(takes_known_input(target.target) for target in prepared.targets):
            layers = [self._layers(target) for target in prepared.targets]
            probe = self._probe()
        else:
            probe = self._probe()
            layers = [self._layers(target) for target in prepared.targets]
        prepared.scorer.check(len(probe.samples))
        texts = self._texts()
        jobs = [self._job(target, chosen, probe, texts.shape[1])
                for target, chosen in zip(prepared.targets, layers, strict=True)]  # fmt: skip
        check_room([(target.folder, job) for target, job in zip(prepared.targets, jobs, strict=True)], probe)
        manifests = [self._manifest(target, job, probe)
                     for target, job in zip(prepared.targets, jobs, strict=True)]  # fmt: skip
        with _closing(manifests, prepared.targets):
            shards = self._sweep(jobs, probe)
            return [
                self._finish(target, job, manifest, probe, texts, shards)
                for target, job, manifest in zip(prepared.targets, jobs, manifests, strict=True)
            ]

    def _layers(self, target: PreparedTarget) -> list[Layer]:
        module = target.target.module
        found = trial_pass(target.target, self.prepared.dataset)
        chosen = select_layers(target.layers, found, target.target.name, target.target.aliases)
        modules = dict(module.named_modules())
        for layer in chosen:
            pooler(modules[layer.name], layer, target.pooling)
        return chosen

    def _probe(self) -> ProbeSet:
        with self.clock.stage("look at images", len(self.prepared.dataset), "images") as advanced:
            probe = scan(self.prepared.dataset, self.study.on_error, advanced)
        if probe.unreadable:
            self.clock.warn(f"{len(probe.unreadable)} images cannot be used and are left out (see probe_map.csv)")
        if probe.repeats:
            self.clock.warn(f"{probe.repeats} images repeat the bytes of another one; each still counts by itself")
        return probe

    def _texts(self) -> torch.Tensor:
        prepared = self.prepared
        warn_of_long(prepared.dissector, [one.prompt for one in prepared.concepts.concepts], self.clock)
        with self.clock.stage("read concepts", len(prepared.concepts.concepts), "concepts") as advanced:
            for target in prepared.targets:
                texts = embed_concepts(
                    target.folder, prepared.concepts, self.dissector_print, lambda: prepared.dissector, self.device
                )
            advanced(len(texts))
        return texts

    def _job(self, prepared: PreparedTarget, layers: Sequence[Layer], probe: ProbeSet, width: int) -> Job:
        target, dissector = prepared.target, self.prepared.dissector
        images = digest(
            STAGE_VERSION, __version__, torch.__version__, probe.fingerprint, self.precision, self.device.type,
            str(self.study.batch_size),
        )  # fmt: skip
        own = digest(fingerprint(target.module), target.preprocessing.fingerprint())
        described = [part for layer in layers for part in (layer.name, str(layer.layout))]
        activations = digest(images, own, prepared.pooling, *described)
        embeddings = digest(images, self.dissector_print, dissector.preprocessing.fingerprint())
        return Job(
            target=target,
            layers=layers,
            pooling=prepared.pooling,
            activations=Shards(prepared.folder / "activations", activations, {one.name: one.neurons for one in layers}),
            embeddings=Shards(prepared.folder / "embeddings", embeddings, {IMAGES: width}),
            shares_tower=_is_tower(target, dissector),
        )

    def _manifest(self, prepared: PreparedTarget, job: Job, probe: ProbeSet) -> Manifest:
        dissector, scorer = self.prepared.dissector, self.prepared.scorer
        return Manifest(
            target=prepared.target.name,
            dissector=dissector.name,
            scorer=scorer.name,
            study=self.study.settings(),
            plugins=self.prepared.plugins,
            machine=machine(str(self.device)),
            fingerprints={
                "target": fingerprint(prepared.target.module),
                "dissector": self.dissector_print,
                "probe set": probe.fingerprint,
                "concepts": self.prepared.concepts.fingerprint(),
                "scorer": scorer.fingerprint(),
            },
            preprocessing={
                "target": prepared.target.preprocessing.model_dump(mode="json"),
                "dissector": dissector.preprocessing.model_dump(mode="json"),
            },
            layers=[LayerRecord(name=one.name, type=one.type, layout=one.layout or "flat", neurons=one.neurons)
                    for one in job.layers],
            store=StoreRecord(
                activations=job.activations.key,
                embeddings=job.embeddings.key,
                embedding_width=job.embeddings.tensors[IMAGES],
            ),
        )  # fmt: skip

    def _sweep(self, jobs: Sequence[Job], probe: ProbeSet) -> int:
        start = time.perf_counter()
        shards = Sweep(
            jobs=jobs, dissector=self.prepared.dissector, dataset=self.prepared.dataset, probe=probe,
            device=self.device, precision=self.precision, batch_size=self.study.batch_size,
            workers=self.study.workers, on_error=self.study.on_error, emit=self.clock.emit,
        ).run()  # fmt: skip
        self.clock.seconds["sweep"] = time.perf_counter() - start
        return shards

    def _finish(
        self, prepared: PreparedTarget, job: Job, manifest: Manifest, probe: ProbeSet, texts: torch.Tensor, shards: int
    ) -> Dissection:
        rows, failed = job.activations.rows(shards)
        if rows != job.embeddings.rows(shards)[0]:
            raise StoreError(f"{prepared.folder}: activations and embeddings hold different images")
        if failed:
            self.clock.warn(f"{len(failed)} images could not be decoded and are left out (see probe_map.csv)")
        self.prepared.scorer.check(len(rows))
        write_probe_map(prepared.folder / PROBE_MAP, probe.samples, probe.unreadable, dict(failed))
        manifest.store.shards = shards
        manifest.images = len(rows)
        if probe.unreadable or failed:
            manifest.left_out = {"unreadable": len(probe.unreadable), "not decoded": len(failed)}
        ids = [probe.samples[row].id for row in rows]
        terms = [concept.term for concept in self.prepared.concepts.concepts]
        cosine = similarity(job.embeddings.read(IMAGES, shards), texts, ids, terms)
        dissection = Dissection(prepared.folder, manifest, pd.DataFrame())
        labels = score_all(
            dissection, cosine, self.prepared.concepts, self.prepared.scorer, self.study.labels_per_neuron, self.clock
        )
        job.activations.forget_others()
        job.embeddings.forget_others()
        manifest.status, manifest.seconds, manifest.warnings = "finished", self.clock.seconds, self.clock.warnings
        write_results(prepared.folder, manifest, labels)
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


def _is_tower(target: Target, dissector: Dissector) -> bool:
    tower = dissector.image_tower
    if tower is None or target.preprocessing.fingerprint() != dissector.preprocessing.fingerprint():
        return False
    return tower is target.module or fingerprint(tower) == fingerprint(target.module)


@contextlib.contextmanager
def _closing(manifests: Sequence[Manifest], targets: Sequence[PreparedTarget]) -> Iterator[None]:
    """Keep the manifests on disk true: running, then how it ended if it did not end well."""
    for manifest, target in zip(manifests, targets, strict=True):
        manifest.write(target.folder)
    try:
        yield
    except BaseException as error:
        for manifest, target in zip(manifests, targets, strict=True):
            manifest.status = "interrupted" if isinstance(error, KeyboardInterrupt) else "failed"
            with contextlib.suppress(StoreError):  # the error on its way out matters more
                manifest.write(target.folder)
        raise


def score_all(
    dissection: Dissection,
    cosine: torch.Tensor,
    concepts: ConceptSet,
    scorer: Scorer,
    count: int,
    clock: Clock,
) -> pd.DataFrame:
    """Return the label table of all layers of a dissection, scored one layer at a time."""
    tables = []
    with clock.stage("score", len(dissection.layers), "layers") as advanced:
        for layer in dissection.layers:
            scored = score_layer(scorer, dissection.activations(layer), cosine)
            if scored.reason:
                clock.warn(f"layer {layer} has no labels: {scored.reason}")
            table = label_table(
                dissection.manifest.target, layer, scored, concepts.concepts, count, scorer.higher_is_better
            )
            tables.append(table)
            labelled = sum(state in ("labelled", "tied") for state in scored.status)
            clock.emit(LayerScored(dissection.manifest.target, layer, len(scored.status), labelled))
            advanced(1)
    return pd.concat(tables, ignore_index=True)
