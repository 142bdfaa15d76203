"""The engine: from prepared components to finished run folders."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

from mcd.api.dataset import Sample
from mcd.api.dissector import AnnotationDissector
from mcd.errors import DataError, UsageError
from mcd.events import Clock, Event, RunFinished, Warned
from mcd.extraction.cache import ImageCache
from mcd.extraction.jobs import DissectorJob, ImageJob, TargetJob
from mcd.extraction.keys import arithmetic, not_reused
from mcd.extraction.normalising import NormalisingPass
from mcd.extraction.probe import ProbeSet, examined_part
from mcd.extraction.reading import Reader, little_range_warning
from mcd.extraction.sharing import damaged_warning, kept_small, not_kept_warning, shared_store
from mcd.extraction.sweep import Sweep
from mcd.extraction.texts import KnownTexts, TextEncoder, sentences, warn_of_long
from mcd.networks.controls import RANDOM_UNITS
from mcd.networks.foreign import calling_scorer
from mcd.networks.process import process_state_kept
from mcd.networks.recording import check_pooling
from mcd.networks.running import pick_device
from mcd.networks.selecting import select_layers
from mcd.networks.trial import Trial, takes_known_input, trial_pass
from mcd.networks.units import seen_through
from mcd.runs.annotations import annotated, as_recorded, named_by, own_concepts
from mcd.runs.dissection import Dissection
from mcd.runs.finishing import Finisher, KeptMaps, several
from mcd.runs.folder import check_output_folder, check_room, start_folder
from mcd.runs.manifest import closing
from mcd.runs.models import Key, Models
from mcd.runs.opening import Opener, OpenRun, inputs_of
from mcd.runs.parts import Said, check_divisible, part_record
from mcd.runs.prepared import Prepared, PreparedDissector, PreparedTarget
from mcd.runs.report import write_reports
from mcd.scoring.labelling import no_patients
from mcd.scoring.rungs import UNTRAINED as BEYOND_UNTRAINED

__all__ = ["keep_maps", "run", "run_part"]

Made = TypeVar("Made")


def run(prepared: Prepared) -> list[Dissection]:
    """Run a study: one pass over the probe set, then a dissection for each target and dissector.

    What is already stored in the run folders is used; what an interrupted run stored is kept.

    Raises
    ------
    mcd.errors.MCDError
        When something does not fit; all that can be seen beforehand is said before anything is computed.
    """
    start, emit = time.perf_counter(), prepared.host.emit
    clock = Clock(emit)
    with clock.run(_title(prepared)):
        this = _Run(prepared, clock)
        with process_state_kept(this.device):  # workers are seeded from it
            dissections = this.made(Finisher.all)
        this.keep_store_small()
        write_reports(dissections, prepared.reporters)
    emit(RunFinished(str(dissections[0].folder), time.perf_counter() - start))
    return dissections


def run_part(prepared: Prepared) -> list[Path]:
    """Compute a part of a study: its shards for each target and dissector, without labels; `merge` makes these.

    Only its own images are decoded. What is already stored in the folders is used.

    Returns
    -------
    list of Path
        The folders of the runs proper, which are parts.

    Raises
    ------
    mcd.errors.MCDError
        As `run`; and when the run has something that only all images tell.
    """
    start, clock = time.perf_counter(), Clock(prepared.host.emit)
    with clock.run(f"part {prepared.part} of {_title(prepared)}"):
        this = _Run(prepared, clock)
        with process_state_kept(this.device):
            folders = this.made(Finisher.parts)
        this.keep_store_small()
    clock.emit(RunFinished(str(folders[0]), time.perf_counter() - start))
    return folders


def keep_maps(prepared: Prepared, emit: Callable[[Event], None]) -> list[KeptMaps]:
    """Keep the maps of runs whose shards are stored and whose labels are made: these stay as they are.

    Raises
    ------
    mcd.errors.MCDError
        As `run`.
    """
    this = _Run(prepared, Clock(emit), stored=True)
    with process_state_kept(this.device):
        return this.made(Finisher.maps)


def _title(prepared: Prepared) -> str:
    names = " and ".join(target.target.name for target in prepared.targets)
    return f"{names} dissected by {' and '.join(one.dissector.name for one in prepared.dissectors)}"


def _first(probe: ProbeSet) -> Sample:
    if not probe.shown:
        raise DataError(
            "the part holds no image that can be read, and its target takes what only an image shows",
            "divide the run into fewer parts",
        )
    return probe.shown[0]


class _Run:
    """One run, from the validation of the images to the written labels."""

    def __init__(self, prepared: Prepared, clock: Clock, *, stored: bool = False) -> None:
        self.prepared, self.clock, self.stored = prepared, clock, stored
        self.study = prepared.study
        self.device = pick_device(self.study.device)
        pick_device(self.study.scoring_device)  # a wrong name is an error now, not after the sweep
        self.models = Models(prepared)
        cache, size = prepared.study.cache, prepared.study.cache_size * 10**9
        self.shared = shared_store(self.study.store, self.device)
        unidentified = frozenset(one.key for one in self.models.readers.values() if one.unknown)
        self.texts = KnownTexts(self.shared, unidentified)
        self.reader = Reader(prepared.dataset, prepared.recipe, ImageCache(cache, size) if cache is not None else None)

    def made(self, finish: Callable[[Finisher, Sequence[OpenRun]], list[Made]]) -> list[Made]:
        """Return what is made of the runs once their shards are stored."""
        prepared, targets, said = self.prepared, self.models.targets, Said(self.clock)
        for caution in self._cautions():
            self.clock.warn(caution)
        if prepared.part is not None:
            check_divisible(self.models, self.reader.identity)
        for planned in prepared.plan:
            check_output_folder(planned.folder, prepared.study_of(planned), prepared.host, prepared.part)
        # A wrong layer name is an error at once, unless it takes an image to know what the target takes.
        if all(takes_known_input(target.target) for target in targets.values()):
            trials = {key: self._trial(target) for key, target in targets.items()}
            probe = self._probe(said)
        else:
            probe = self._probe(said)
            trials = {key: self._trial(target, probe) for key, target in targets.items()}
        self._say_masks(probe)
        for one in prepared.dissectors:
            with calling_scorer(one.scorer):
                one.scorer.check(len(probe.samples) - len(probe.refused))
        said.begin("words")
        annotating = [self._read_annotations(one, probe) for one in prepared.dissectors]
        self.prepared = prepared = replace(prepared, dissectors=annotating)
        self._start(probe)
        widths = {key: self._read_concepts(key) for key in self.models.image_text}
        said.begin("sweep")
        opener = Opener(prepared, self.models, self.reader, probe, self.device, trials, widths, self.shared)
        runs, jobs, readers, images = opener.open()
        check_room(runs, [*jobs, *readers, images], probe, self.study)
        for stored in (stored for one in runs for stored in one.stores):
            stored.clear()
        if prepared.part is not None:  # from the beginning: a part that is killed is known for one
            computing = self.reader.identity.content, arithmetic(self.device)
            for place, opened in enumerate(runs):
                opened.manifest.part = part_record(prepared.part, place, probe, said, *computing)
        with closing({one.folder: one.manifest for one in runs}):
            shards = self._sweep(jobs, readers, images, probe, said)
            known = self.reader, probe, self.device, self.clock
            return finish(Finisher(prepared, *known, shards, self.texts, said), runs)

    def _cautions(self) -> Iterator[str]:
        """Yield what is to be said before anything is computed."""
        yield from (one.caution for one in self.models.dissectors.values() if one.caution)
        for one in self.models.untrained.values():
            if one.problem:
                yield f"{BEYOND_UNTRAINED} is not available: {one.problem}"
        bare = {one.name for target in self.prepared.targets for one in target.units if one.random is None}
        for name in sorted(bare if self.study.controls else ()):
            yield f"the control {RANDOM_UNITS} is left out: units '{name}' have no random counterpart"
        yield from filter(None, [*self.models.not_reused(), not_reused("images", self.reader.identity)])
        if said := self.study.tuning.caution(self.device):
            yield said
        if self.reader.problem:
            yield f"nothing is kept in the cache: {self.reader.problem}"

    def _start(self, probe: ProbeSet) -> None:
        for planned in self.prepared.plan:
            inputs = inputs_of(self.prepared, self.models, probe, planned)
            start_folder(planned.folder, self.prepared.study_of(planned), inputs, self.clock.emit)

    def _trial(self, target: PreparedTarget, probe: ProbeSet | None = None) -> Trial:
        if target.pooling.masked and not self.prepared.dataset.has_masks:
            raise UsageError(
                f"pooling '{target.pooling}' needs breast masks, which this data set does not have",
                "use a pooling without masks",
            )
        recipe = target.target.preprocessing
        image = self.reader.image(_first(probe), self.reader.values(recipe)) if probe is not None else None
        found = trial_pass(target.target, image if not takes_known_input(target.target) else None)
        picked = select_layers(target.layers, found.layers, target.target.name, target.target.aliases)
        chosen = seen_through(picked, target.units, neurons=target.neurons, aliases=target.target.aliases)
        for layer in chosen:
            check_pooling(layer, target.pooling, target.target.first_tokens())
        for said in found.remarks:
            self.clock.warn(said)
        several = [layer.remark for layer in picked if layer.remark]
        if several:
            more = f", and likewise {len(several) - 1} other layers" if len(several) > 1 else ""
            self.clock.warn(f"{target.target.name}: {several[0]}{more}; mcd layers lists the others")
        return replace(found, layers=chosen)

    def _probe(self, said: Said) -> ProbeSet:
        study, part = self.study, self.prepared.part
        probe, remarks = examined_part(
            self.prepared.dataset,
            study.selection,
            self.clock,
            on_error=study.on_error,
            keep_identifiers=study.keep_identifiers,
            workers=study.workers,
            verify=study.verify,
            part=part,
            batch_size=study.batch_size,
            fitting=self.prepared.fitting,
            estimating=self.models.estimate,
        )
        said.examined(remarks)
        several(len(probe.samples) - len(probe.refused))
        if part is None and study.calibration.exchangeable == "patient" and not any(one.patient for one in probe.shown):
            raise no_patients()
        return probe

    def _say_masks(self, probe: ProbeSet) -> None:
        """Warn where masked pooling has no masks of the data set to go by; its first image decides."""
        if not any(target.pooling.masked for target in self.prepared.targets) or not probe.rows:
            return
        dataset, first = self.prepared.dataset, _first(probe)
        with contextlib.suppress(Exception):  # code of an author may raise anything; the sweep says what
            if dataset.mask(first, dataset.read(first)) is None:
                self.clock.warn("the data set brings no breast masks: where the breast is was found in the pixels")

    def _read_concepts(self, key: Key) -> int:
        """Embed the concepts by one dissector, kept in each of its run folders; return the width of embeddings."""
        concepts, wording = self.prepared.dissectors[key[0]].concepts.concepts, self.study.prompts
        dissector, own = self.models.image_text[key], self.models.readers[key].key
        texts = sentences(concepts, wording)
        if wording.idle(concepts):
            self.clock.warn(wording.idle(concepts))
        warn_of_long(dissector, texts, self.clock)
        folders = [planned.folder for planned in self.prepared.plan if self.models.keys(planned)[1] == key]
        with self.clock.stage("encode prompts", len(concepts), "concepts") as advanced:
            encoders = [
                TextEncoder(
                    folder, [own], lambda: (dissector, own), self.device, damaged=self.clock.warn, others=self.texts
                )
                for folder in folders
            ]
            widths = [encoder.concepts(concepts, wording).names.shape[1] for encoder in encoders]
            advanced(len(concepts))
        return widths[0]

    def _read_annotations(self, one: PreparedDissector, probe: ProbeSet) -> PreparedDissector:
        """Return a dissector with the concepts that it labels with, having said which of them can be assessed."""
        samples = as_recorded(probe.shown if self.prepared.part is None else probe.samples)
        dissector = one.dissector
        if not isinstance(dissector, AnnotationDissector):
            return one
        concepts = one.equipment.concepts or own_concepts(dissector, samples)
        if self.prepared.part is not None:  # what is annotated of all images, those who join the parts know
            return replace(one, equipment=replace(one.equipment, concepts=concepts))
        found = annotated(dissector, samples, concepts.concepts)
        table = found.table(concepts.concepts, [sample.patient for sample in samples])
        for said in named_by(table, dissector.name):
            self.clock.warn(said)
        return replace(one, equipment=replace(one.equipment, concepts=concepts))

    def _sweep(
        self, jobs: Sequence[TargetJob], readers: Sequence[DissectorJob], images: ImageJob, probe: ProbeSet, said: Said
    ) -> int:
        start = time.perf_counter()
        sweep = Sweep(
            targets=jobs,
            dissectors=readers,
            images=images,
            reader=self.reader,
            probe=probe,
            device=self.device,
            precision=self.study.precision,
            batch_size=self.study.batch_size,
            workers=self.study.workers,
            on_error=self.study.on_error,
            emit=self.clock.emit,
            normalise=lambda untrained: self._normalise(untrained, probe),
            tuning=self.study.tuning,
        )
        if sweep.missing() and self.stored:
            raise DataError(
                "images, weights, code or versions are others than those that it was computed with",
                "give what it was computed with, or compute it again in another folder",
            )
        if warning := damaged_warning(self.shared):
            self.clock.warn(warning)
        shards = sweep.run()
        if warning := not_kept_warning(self.shared):
            self.clock.warn(warning)
        said.begin("counted")
        if sweep.little_range:
            self.clock.warn(little_range_warning(sweep.little_range))
        self.clock.seconds["sweep"] = time.perf_counter() - start
        self.clock.seconds["wait for images"] = sweep.waited
        return shards

    def _normalise(self, untrained: Sequence[TargetJob], probe: ProbeSet) -> None:
        failed = NormalisingPass(
            untrained,
            self.reader,
            probe,
            self.device,
            self.study.precision,
            self.study.batch_size,
            self.study.workers,
            self.study.on_error,
            self.study.tuning,
        ).run(self.clock)
        for column in (column for job in untrained for column in job.columns if failed):
            column.entry = None  # not shared: the next run may be able to read these images

    def keep_store_small(self) -> None:
        """Keep the store below its limit where the run has added to it: said now, for it is nothing of the labels."""
        if said := kept_small(self.shared):
            self.clock.emit(Warned(said))
