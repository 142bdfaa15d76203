"""The sweep: one pass over the probe set that feeds every target and the dissector."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field

import torch
from torch import nn

from mcd.api.dataset import Dataset
from mcd.api.dissector import Dissector
from mcd.api.image import Preprocessing
from mcd.api.model import Target
from mcd.errors import DataError, ImageError, UsageError
from mcd.events import Event, StageAdvanced, StageFinished, StageStarted
from mcd.extraction.decoding import Batch, batches, default_workers
from mcd.extraction.layers import Layer
from mcd.extraction.networks import Precision, at_work, autocast
from mcd.extraction.pooling import Pooling, Recorder
from mcd.extraction.probe import ProbeSet
from mcd.extraction.store import Shards

__all__ = ["Job", "Sweep", "shard_rows"]

IMAGES = "images"
"""Name of the tensor in the embedding shards."""


def shard_rows(images: int, batch_size: int) -> list[list[list[int]]]:
    """Return, for every shard, its batches as lists of rows.

    A shard holds at least 64 images and only whole batches: what a batch holds must not depend on where a
    run was interrupted, or the last bits of its numbers would.
    """
    per_shard = -(-max(64, batch_size) // batch_size) * batch_size
    return [
        [list(range(at, min(at + batch_size, stop))) for at in range(start, stop, batch_size)]
        for start in range(0, images, per_shard)
        for stop in [min(start + per_shard, images)]
    ]


@dataclass
class Job:
    """One target of a sweep: what to record and where to put it."""

    target: Target
    layers: Sequence[Layer]
    pooling: Pooling
    activations: Shards
    embeddings: Shards
    shares_tower: bool = False
    recorder: Recorder = field(init=False)

    def whole(self, shard: int) -> bool:
        """Say whether everything of a shard is stored."""
        return self.activations.whole(shard) and self.embeddings.whole(shard)


@dataclass
class Sweep:
    """One pass over the probe set for all jobs.

    Parameters
    ----------
    jobs, dissector, dataset, probe
        What is run on what.
    vectors
        One more place for the dissector's embeddings; where there are no jobs, the only one.
    device, precision, batch_size, workers
        How; ``workers`` None decides by the number of images.
    on_error
        ``"stop"`` refuses an image that cannot be decoded, ``"skip"`` leaves it out.
    emit
        Receives the events.
    """

    jobs: Sequence[Job]
    dissector: Dissector
    dataset: Dataset
    probe: ProbeSet
    device: torch.device
    precision: Precision
    batch_size: int
    workers: int | None
    on_error: str
    emit: Callable[[Event], None]
    vectors: Shards | None = None

    def run(self) -> int:
        """Compute what is not stored yet; return the number of shards."""
        shards = shard_rows(len(self.probe.samples), self.batch_size)
        missing = [number for number in range(len(shards)) if not self._whole(number)]
        total = len(self.probe.samples)
        left = sum(len(rows) for number in missing for rows in shards[number])
        self.emit(StageStarted("sweep", total, "images", done=total - left))
        start = time.perf_counter()
        if missing:
            work = [(number, shards[number]) for number in missing]
            self.compute(work, self._decoded(work, left))
        self.emit(StageFinished("sweep", time.perf_counter() - start))
        return len(shards)

    def _whole(self, shard: int) -> bool:
        return all(job.whole(shard) for job in self.jobs) and (self.vectors is None or self.vectors.whole(shard))

    def _decoded(self, shards: Sequence[tuple[int, list[list[int]]]], images: int) -> Iterator[Batch]:
        return batches(
            self.dataset,
            self.probe.samples,
            {recipe.fingerprint(): recipe for recipe in self._preprocessings()},
            [rows for _, group in shards for rows in group],
            workers=default_workers(images) if self.workers is None else self.workers,
            pin=self.device.type == "cuda",
        )

    def compute(self, shards: Sequence[tuple[int, list[list[int]]]], loader: Iterator[Batch]) -> None:
        """Run the models over decoded batches, shard by shard; write each shard when it is whole.

        ``shards`` says for each number the batches it is made of; ``loader`` yields them in that order.
        """
        with ExitStack() as stack:
            for module in self._modules():
                stack.enter_context(at_work(module, self.device))
            for job in self.jobs:
                module = self._tower() if job.shares_tower else job.target.module
                job.recorder = stack.enter_context(Recorder(module, job.layers, job.pooling))
            stack.enter_context(torch.inference_mode())
            for number, group in shards:
                self._shard(number, _take(loader, len(group)))

    def _preprocessings(self) -> list[Preprocessing]:
        return [self.dissector.preprocessing, *(job.target.preprocessing for job in self.jobs)]

    def _modules(self) -> list[nn.Module]:
        alone = [job.target.module for job in self.jobs if not job.shares_tower]
        return [self.dissector.module, *alone]

    def _tower(self) -> nn.Module:
        tower = self.dissector.image_tower
        if tower is None:
            raise DataError("the dissector has no image tower to share")
        return tower

    def _shard(self, number: int, group: Iterator[Batch]) -> None:
        rows: list[int] = []
        failed: list[tuple[int, str]] = []
        embeddings: list[torch.Tensor] = []
        activations: list[list[dict[str, torch.Tensor]]] = [[] for _ in self.jobs]
        for batch in group:
            self._refuse(batch)
            failed += batch.failed
            if batch.rows:
                rows += batch.rows
                with self._enough_memory():
                    embedded, recorded = self._forward(batch)
                embeddings.append(embedded)
                for kept, caught in zip(activations, recorded, strict=True):
                    kept.append(caught)
            self.emit(StageAdvanced("sweep", len(batch.rows) + len(batch.failed)))
        images = torch.cat(embeddings) if embeddings else None
        for job, kept in zip(self.jobs, activations, strict=True):
            empty = {layer.name: torch.empty(0, layer.neurons) for layer in job.layers}
            joined = {name: torch.cat([one[name] for one in kept]) for name in empty} if kept else empty
            job.activations.write(number, joined, rows, failed)
        for store in [*(job.embeddings for job in self.jobs), *filter(None, [self.vectors])]:
            width = store.tensors[IMAGES]
            store.write(number, {IMAGES: torch.empty(0, width) if images is None else images}, rows, failed)

    def _refuse(self, batch: Batch) -> None:
        if batch.failed and self.on_error == "stop":
            row, reason = batch.failed[0]
            raise ImageError(
                f"{self.probe.samples[row].source or self.probe.samples[row].id}: {reason}",
                "remove it, or leave such images out with --on-error skip; what is computed so far is kept",
            )

    @contextmanager
    def _enough_memory(self) -> Iterator[None]:
        try:
            yield
        except RuntimeError as error:  # torch.OutOfMemoryError on a GPU, a plain one on the CPU
            if not isinstance(error, torch.OutOfMemoryError) and "allocate memory" not in str(error):
                raise
            raise UsageError(
                f"{self.device.type} has too little memory for batches of {self.batch_size} images",
                f"try --batch-size {max(1, self.batch_size // 2)}",
            ) from None

    def _forward(self, batch: Batch) -> tuple[torch.Tensor, list[dict[str, torch.Tensor]]]:
        inputs: dict[str, torch.Tensor] = {}
        with autocast(self.device, self.precision):
            for recipe in self._preprocessings():
                key = recipe.fingerprint()
                if key not in inputs:
                    inputs[key] = _to_device(batch.tensors[key], recipe, self.device)
            embedded = self.dissector.encode_images(inputs[self.dissector.preprocessing.fingerprint()])
            for job in self.jobs:
                if not job.shares_tower:
                    job.target.module(inputs[job.target.preprocessing.fingerprint()])
        embedded = embedded.float().cpu()
        self._check_finite(embedded, batch, f"dissector {self.dissector.name}")
        recorded = []
        for job in self.jobs:
            caught = job.recorder.take()
            widths = [tensor.shape[1] for tensor in caught.values()]
            # One transfer for all layers: on a GPU each one waits for the device.
            parts = torch.split(torch.cat(list(caught.values()), dim=1).cpu(), widths, dim=1)
            for name, part in zip(caught, parts, strict=True):
                self._check_finite(part, batch, f"layer {name} of {job.target.name}")
            recorded.append(dict(zip(caught, parts, strict=True)))
        return embedded, recorded

    def _check_finite(self, tensor: torch.Tensor, batch: Batch, where: str) -> None:
        # The sum of finite numbers is finite short of overflow, and far cheaper than a mask of the whole tensor.
        if bool(torch.isfinite(tensor.sum())):
            return
        broken = (~torch.isfinite(tensor)).any(dim=1).nonzero().flatten().tolist()
        if broken:
            sample = self.probe.samples[batch.rows[broken[0]]]
            hint = "try --precision fp32" if self.precision != "fp32" else "look at the image and at the weights"
            raise DataError(f"{where} gives NaN or infinity for image {sample.source or sample.id}", hint)


def _take(loader: Iterator[Batch], count: int) -> Iterator[Batch]:
    for _ in range(count):
        yield next(loader)


def _to_device(tensor: torch.Tensor, recipe: Preprocessing, device: torch.device) -> torch.Tensor:
    batch = recipe.finalize(tensor.to(device, non_blocking=True))
    return batch.contiguous(memory_format=torch.channels_last)
