"""Before the sweep: what the normalisations of networks that have not been trained see of the probe set.

In training mode a normalisation goes by the images of a batch, in eval mode by statistics of images seen before. An
untrained network has seen none.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass

import torch

from mcd.events import Clock
from mcd.extraction.decoding import Batch, batches
from mcd.extraction.jobs import TargetJob
from mcd.extraction.probe import ProbeSet
from mcd.extraction.reading import Reader
from mcd.extraction.refusing import refuse
from mcd.networks.foreign import calling, enough_memory
from mcd.networks.running import Precision, autocast, prepare, reproducible
from mcd.networks.tuning import UNTUNED, Tuning
from mcd.networks.untrained import collecting, tracking

__all__ = ["NormalisingPass"]


@dataclass(frozen=True)
class NormalisingPass:
    """A pass that estimates the statistics of normalisations: the mean over batches of `ProbeSet.estimating`.

    Parameters
    ----------
    jobs
        Of the networks, which are changed; those without such statistics are left out.
    reader, probe
        What they see; in a part of a run too what they see in the whole.
    device, precision, batch_size, workers, on_error, tuning
        How, as in the sweep.
    """

    jobs: Sequence[TargetJob]
    reader: Reader
    probe: ProbeSet
    device: torch.device
    precision: Precision
    batch_size: int
    workers: int | None
    on_error: str
    tuning: Tuning = UNTUNED

    def run(self, clock: Clock) -> int:
        """Estimate them.

        Returns
        -------
        int
            How many images could not be decoded and took no part.

        Raises
        ------
        ImageError
            When an image cannot be decoded.
        UsageError
            When a network fails.
        """
        jobs = [job for job in self.jobs if tracking(job.target.module)]
        failed = 0
        if not jobs:
            return failed
        with (
            clock.stage("estimate normalisations", len(self.probe.estimating), "images") as advanced,
            ExitStack() as stack,
        ):
            stack.enter_context(reproducible(self.device, self.tuning))
            for job in jobs:
                stack.enter_context(self._estimating(job))
            stack.enter_context(torch.no_grad())
            for batch in self._decoded(jobs):
                if self.on_error == "stop":
                    refuse(batch, self.probe)
                if len(batch.rows) > 1:  # one image may be one value a channel, which has no spread
                    self._see(jobs, batch)
                failed += len(batch.failed)
                advanced(len(batch.rows) + len(batch.failed))
        return failed

    @contextlib.contextmanager
    def _estimating(self, job: TargetJob) -> Iterator[None]:
        module = job.target.module
        prepare(module, self.device, job.memory_format)
        try:
            with collecting(tracking(module)):
                yield
        finally:
            module.cpu()

    def _decoded(self, jobs: Sequence[TargetJob]) -> Iterator[Batch]:
        seen, size = self.probe.estimating, max(2, self.batch_size)
        shown = list(seen)
        rows = [list(shown[at : at + size]) for at in range(0, len(shown), size)]
        if len(rows) > 1 and len(rows[-1]) == 1:
            rows[-2:] = [rows[-2] + rows[-1]]
        return batches(
            self.reader,
            [seen.get(row, sample) for row, sample in enumerate(self.probe.samples)],
            {job.target.preprocessing.fingerprint(): job.target.preprocessing for job in jobs},
            rows,
            workers=self.workers,
            pin=self.device.type == "cuda",
        )

    def _see(self, jobs: Sequence[TargetJob], batch: Batch) -> None:
        for job in jobs:
            recipe, module = job.target.preprocessing, job.target.module
            failed = f"{job.target.name} failed while its normalisations were in training mode"
            with (
                enough_memory(self.device, "try a smaller --batch-size, or leave out --untrained"),
                calling(failed, "leave out --untrained", network=module),
                autocast(self.device, self.precision),
            ):
                inputs = batch.input(recipe, self.device)
                module(inputs.contiguous(memory_format=job.memory_format))
