"""The sweep: one pass over the probe set that feeds every target and every dissector."""

from __future__ import annotations

import contextlib
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence, Set
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from itertools import islice

import torch
from torch import nn

from mcd.api.image import Preprocessing
from mcd.events import Event, StageAdvanced, StageFinished, StageStarted, Warned
from mcd.extraction.columns import Column, gather
from mcd.extraction.decoding import Batch, batches
from mcd.extraction.feeding import Coming, Feeder, late
from mcd.extraction.inputs import Inputs
from mcd.extraction.jobs import IMAGES, DissectorJob, ImageJob, Job, TargetJob
from mcd.extraction.probe import ProbeSet
from mcd.extraction.reading import Reader
from mcd.extraction.refusing import check_finite, check_shape, refuse
from mcd.networks.chance import Draws, check_same
from mcd.networks.foreign import calling, enough_memory
from mcd.networks.recording import Recorder
from mcd.networks.running import Precision, at_work, autocast
from mcd.networks.trial import dissector_format
from mcd.networks.tuning import UNTUNED, Tuning

__all__ = ["Sweep"]

_WATCHED = 16
"""For so many batches a model that draws random numbers is run twice."""


@dataclass
class Sweep:
    """One pass over the probe set for all jobs; what is stored already is not computed again.

    Parameters
    ----------
    targets, dissectors, reader, probe
        What is run on what.
    device, precision, batch_size, workers
        How; ``workers`` None decides by the number of images.
    on_error
        ``"stop"`` refuses an image that cannot be decoded, ``"skip"`` leaves it out.
    emit
        Receives the events.
    images
        Where statistics of the images go, if anywhere.
    masked
        Whether images are read with their breast masks; by default where a pooling needs them.
    normalise
        Is given untrained targets before they first run; see `mcd.extraction.normalising`.
    tuning
        What a GPU may trade for speed.
    deferred
        As in `mcd.extraction.feeding.Feeder`.

    Attributes
    ----------
    little_range
        How many of the images that were read use little of the range from black to white.
    waited
        For how many seconds there was no decoded image for the models.
    """

    targets: Sequence[TargetJob]
    dissectors: Sequence[DissectorJob]
    reader: Reader
    probe: ProbeSet
    device: torch.device
    precision: Precision
    batch_size: int
    workers: int | None
    on_error: str
    emit: Callable[[Event], None]
    images: ImageJob | None = None
    masked: bool = False
    normalise: Callable[[Sequence[TargetJob]], None] = lambda jobs: None
    tuning: Tuning = UNTUNED
    deferred: bool | None = None
    little_range: int = field(default=0, init=False)
    waited: float = field(default=0.0, init=False)
    _gathered: bool = field(default=False, init=False)
    _normalised: set[int] = field(default_factory=set, init=False)
    _cache_problem: str = field(default="", init=False)
    _watched: Counter[int] = field(default_factory=Counter, init=False)

    def __post_init__(self) -> None:
        self.masked = self.masked or any(job.pooling.masked for job in self.targets)

    def run(self) -> int:
        """Compute what is not stored yet; return the number of shards."""
        shards = self.probe.shards(self.batch_size)
        missing = self.missing()
        total = len(self.probe.rows)
        left = sum(len(rows) for number in missing for rows in shards[number])
        self._normalise(frozenset().union(*missing.values()))
        self.emit(StageStarted("sweep", total, "images", done=total - left))
        start = time.perf_counter()
        if missing:
            self._say_cache()
        groups: dict[frozenset[int], list[int]] = {}
        for number, lacking in missing.items():
            groups.setdefault(lacking, []).append(number)
        for lacking, numbers in groups.items():
            self._compute_part(lacking, [(number, shards[number]) for number in numbers])
        every = frozenset(id(column) for column in self._columns())
        apart = [number for number in shards if missing.get(number) != every and self._apart(number)]
        if apart:  # an image failed in one pass and not in another
            self._normalise(every)
            self._compute_part(every, [(number, shards[number]) for number in apart])
        if self.images is not None:
            self.little_range = self.images.columns[0].stores[0].little_range(len(shards))
        self.emit(StageFinished("sweep", time.perf_counter() - start, self.waited))
        return len(shards)

    def _normalise(self, lacking: Set[int]) -> None:
        """Let the untrained targets of some columns, by id, see the probe set once: those that run, and no others."""
        running = [job for job in self.targets if job.untrained and not lacking.isdisjoint(map(id, job.columns))]
        fresh = [job for job in running if id(job) not in self._normalised]
        self._normalised.update(map(id, fresh))
        if fresh:
            self.normalise(fresh)

    def _say_cache(self) -> None:
        recipes, values = self._recipes(), self.images.values if self.images else ""
        inputs = Inputs(self.reader, recipes, masked=self._masked(), with_masks=self.masked, statistics=values)
        if said := inputs.warning(self.probe.shown):
            self.emit(Warned(said))

    def _masked(self) -> set[str]:
        return {one.target.preprocessing.fingerprint() for one in self.targets if one.pooling.masked}

    def missing(self) -> dict[int, frozenset[int]]:
        """Return the numbers of the shards that are to be computed, each with the ids of the columns that lack it.

        Raises
        ------
        StoreError
            When what is stored elsewhere cannot be written here.
        """
        shards = self.probe.shards(self.batch_size)
        if not self._gathered:
            gather(self._columns(), len(shards), self.emit)
            self._gathered = True
        lacking = {
            number: frozenset(id(column) for column in self._columns() if not column.whole(number)) for number in shards
        }
        return {number: columns for number, columns in lacking.items() if columns}

    def _apart(self, number: int) -> bool:
        """Say whether columns of a shard hold different images."""
        return len({column.held(number) for column in self._columns()}) > 1

    def _compute_part(self, lacking: Set[int], work: Sequence[tuple[int, list[list[int]]]]) -> None:
        """Compute some shards of some columns, by id: only the models that they are of run."""
        dissectors = [job for job in self.dissectors if id(job.columns[0]) in lacking]
        images = self.images if self.images and id(self.images.columns[0]) in lacking else None
        targets = []
        for job in self.targets:
            columns = [column for column in job.columns if id(column) in lacking]
            layers = {layer.name: layer for layer in job.layers}
            shared = any(one.dissector is job.tower_of for one in dissectors)
            if columns:
                tower = job.tower_of if shared else None
                own = [layers[column.name] for column in columns]
                targets.append(replace(job, columns=columns, layers=own, tower_of=tower))
        part = replace(self, targets=targets, dissectors=dissectors, images=images)
        part.compute(work, part._decoded(work))
        self.little_range += part.little_range
        self.waited += part.waited

    def _columns(self) -> list[Column]:
        return [column for job in self._jobs() for column in job.columns]

    def _jobs(self) -> list[Job]:
        return [*self.targets, *self.dissectors, *([self.images] if self.images else [])]

    def _models(self) -> list[DissectorJob | TargetJob]:
        """Return the jobs whose models run by themselves, in the order in which they do."""
        return [*self.dissectors, *(job for job in self.targets if job.tower_of is None)]

    def _decoded(self, shards: Sequence[tuple[int, list[list[int]]]]) -> Iterator[Batch]:
        return batches(
            self.reader,
            self.probe.samples,
            self._recipes(),
            [rows for _, group in shards for rows in group],
            masked=self._masked(),
            with_masks=self.masked,
            statistics=self.images.values if self.images is not None else "",
            workers=self.workers,
            pin=self.device.type == "cuda",
            say=lambda said: self.emit(Warned(said)),
        )

    def compute(self, shards: Sequence[tuple[int, list[list[int]]]], loader: Iterator[Batch]) -> None:
        """Run the models over decoded batches, shard by shard; write each shard when it is whole.

        ``shards`` says for each number the batches it is made of; ``loader`` yields them in that order.
        """
        for one in self.dissectors:
            one.memory_format = dissector_format(one.dissector, self.device)
        for each in self._models():
            each.draws = Draws(each.model[1], self.device)
        with ExitStack() as stack:
            for model in self._models():
                stack.enter_context(at_work(model.model[1], self.device, model.memory_format, self.tuning))
            for job in self.targets:
                recorder = Recorder(job.network, job.layers, job.pooling, job.target.first_tokens())
                job.recorder = stack.enter_context(recorder)
            stack.enter_context(torch.inference_mode())
            feeder = Feeder(self.device, deferred=self.deferred)
            passed = late((self._launched(batch, feeder) for batch in self._taken(loader)), feeder.lag)
            for number, group in shards:
                self._shard(number, islice(passed, len(group)))

    def _taken(self, loader: Iterator[Batch]) -> Iterator[Batch]:
        while True:
            start = time.perf_counter()
            batch = next(loader, None)
            self.waited += time.perf_counter() - start
            if batch is None:
                return
            yield batch

    def _recipes(self) -> dict[str, Preprocessing]:
        models = [job.dissector.preprocessing for job in self.dissectors]
        return {one.fingerprint(): one for one in models + [job.target.preprocessing for job in self.targets]}

    def _launched(self, batch: Batch, feeder: Feeder) -> tuple[Batch, Coming]:
        """Return a batch with what the models make of it, which may still be on its way: nothing where it is empty."""
        if self.on_error == "stop":
            refuse(batch, self.probe)
        if batch.problem and not self._cache_problem:
            self._cache_problem = batch.problem
            self.emit(Warned(f"the cache is not used to the full: {batch.problem}"))
        if not batch.rows:
            return batch, Coming(())
        with self._enough_memory():
            return batch, feeder.back(self._forward(feeder.there(batch)))

    def _enough_memory(self) -> contextlib.AbstractContextManager[None]:
        smaller, many = max(1, self.batch_size // 2), f"batches of {self.batch_size} images"
        return enough_memory(self.device, f"try --batch-size {smaller}", many)

    def _shard(self, number: int, group: Iterator[tuple[Batch, Coming]]) -> None:
        rows: list[int] = []
        failed: list[tuple[int, str]] = []
        little_range = 0
        parts = [[{one.name: torch.empty(0, one.width) for one in job.columns}] for job in self._jobs()]
        for batch, coming in group:
            failed += batch.failed
            little_range += batch.little_range
            if batch.rows:
                rows += batch.rows
                for kept, caught in zip(parts, self._arrived(batch, coming), strict=True):
                    kept.append(caught)
            self.emit(StageAdvanced("sweep", len(batch.rows) + len(batch.failed)))
        self.little_range += little_range
        for job, kept in zip(self._jobs(), parts, strict=True):
            for column in job.columns:
                joined = torch.cat([one[column.name] for one in kept])
                column.write(number, joined, rows, failed, little_range if job is self.images else 0)

    def _called(self, batch: Batch, name: str, module: nn.Module) -> contextlib.AbstractContextManager[None]:
        """Say which model failed on which images."""
        return calling(
            f"{name} failed on {self._images_of(batch)}",
            "it took the first image of the run: try these alone",
            network=module,
        )

    def _images_of(self, batch: Batch) -> str:
        first = self.probe.samples[batch.rows[0]]
        return f"the {len(batch.rows)} images from {first.source or first.id}"

    def _forward(self, batch: Batch) -> list[torch.Tensor]:
        """Return what each target and each dissector makes of a batch, on the device: ``(B, width)``, layers joined."""
        caught: dict[int, dict[str, torch.Tensor]] = {}
        for job in self.targets:
            if job.pooling.masked:
                job.recorder.mask = batch.mask(job.target.preprocessing, self.device)
        with autocast(self.device, self.precision):
            inputs = self._inputs(batch)
            for model in self._models():
                caught |= self._passed(batch, model, next(inputs))
        for one in self.dissectors:
            what = f"dissector {one.dissector.name}"
            check_shape(caught[id(one)][IMAGES], len(batch.rows), one.columns[0].width, what)
        for job in self.targets:
            for layer in job.layers:
                what = f"layer {layer.name} of {job.target.name}"
                check_shape(caught[id(job)][layer.name], len(batch.rows), layer.neurons, what)
        # One transfer for all layers: each has its cost.
        recorded = [torch.cat(list(caught[id(job)].values()), dim=1) for job in self.targets]
        return recorded + [caught[id(one)][IMAGES].float() for one in self.dissectors]

    def _arrived(self, batch: Batch, coming: Coming) -> list[dict[str, torch.Tensor]]:
        """Return what each job keeps of a batch, on the CPU, by the names of its columns."""
        late_failure = f"a model failed on {self._images_of(batch)}, or on those after them"
        with self._enough_memory(), calling(late_failure, "run it with --device cpu to see where"):
            tensors = coming.arrived()
        jobs: list[TargetJob | DissectorJob] = [*self.targets, *self.dissectors]
        found = []
        for job, tensor in zip(jobs, tensors, strict=True):
            parts = torch.split(tensor, [column.width for column in job.columns], dim=1)
            found.append({column.name: part for column, part in zip(job.columns, parts, strict=True)})
        hint = "try --precision fp32" if self.precision != "fp32" else "check the image and the weights"
        for one, kept in zip(self.dissectors, found[len(self.targets) :], strict=True):
            check_finite(kept[IMAGES], batch, self.probe, f"dissector {one.dissector.name}", hint)
        for target, kept in zip(self.targets, found, strict=False):
            through = {one.name: f"{hint}, and units '{one.units.name}'" for one in target.layers if one.units}
            for name, part in kept.items():
                what = f"layer {name} of {target.target.name}"
                check_finite(part, batch, self.probe, what, target.remedy or through.get(name, hint))
        return found + ([{IMAGES: batch.statistics}] if self.images else [])

    def _passed(
        self, batch: Batch, job: DissectorJob | TargetJob, images: torch.Tensor
    ) -> dict[int, dict[str, torch.Tensor]]:
        """Return what a model gives for a batch, by the id of the job that it is for.

        Where random numbers are drawn, perhaps for some images only, it runs twice and must give the same.
        """
        name, module, recipe = job.model
        tower_of = job.dissector if isinstance(job, DissectorJob) else self
        recorded = [one for one in self.targets if one is job or one.tower_of is tower_of]
        with self._recording(recorded), self._called(batch, name, module):
            before = job.draws.states()
            found = self._once(job, recorded, images)
            if self._watched[id(job)] < _WATCHED and job.draws.states() != before:
                self._watched[id(job)] += 1
                again = batch.input(recipe, self.device)
                second = self._once(job, recorded, again.contiguous(memory_format=job.memory_format))
                for key, tensors in found.items():
                    check_same(name, tensors, second[key], self._images_of(batch))
        return found

    def _once(
        self, job: DissectorJob | TargetJob, recorded: Sequence[TargetJob], images: torch.Tensor
    ) -> dict[int, dict[str, torch.Tensor]]:
        found = {id(job): job.run(images)}
        return found | {id(one): one.recorder.take() for one in recorded}

    @contextmanager
    def _recording(self, jobs: Sequence[TargetJob]) -> Iterator[None]:
        """Record these targets only: others may be the same module, or a part of it."""
        for job in self.targets:
            job.recorder.taps.paused = not any(job is one for one in jobs)
        yield

    def _inputs(self, batch: Batch) -> Iterator[torch.Tensor]:
        """Yield the input of each dissector, then of each target that runs by itself.

        Each holds its own: a network may change its input in place.
        """
        wanted = [(job.model[2], job.memory_format) for job in self._models()]
        left = Counter(recipe.fingerprint() for recipe, _ in wanted)
        made: dict[str, torch.Tensor] = {}
        for recipe, memory_format in wanted:
            key = recipe.fingerprint()
            if key not in made:
                made[key] = batch.input(recipe, self.device).contiguous(memory_format=torch.channels_last)
            left[key] -= 1
            own = made[key].clone() if left[key] else made.pop(key)
            yield own.contiguous(memory_format=memory_format)
