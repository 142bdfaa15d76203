"""A run on Ray, which places and retries its parts: each is computed as `run_part` does, in a folder that all see."""

from __future__ import annotations

import itertools
import os
import re
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import ModuleType
from typing import Protocol

import torch

from mcd.api.reporter import Reporter
from mcd.errors import DataError, MCDError, UsageError, said_by
from mcd.events import Clock, Event, RunFinished, StageAdvanced, StageStarted
from mcd.extraction.fitted import Fitting
from mcd.extraction.parts import MOST_PARTS, Part, parts_folder, shard_size
from mcd.extraction.probe import count_chosen
from mcd.host import PluginHost
from mcd.host.registration import Observer
from mcd.networks.running import pick_device
from mcd.runs.cluster import Progress, connected, imported
from mcd.runs.dissection import Dissection
from mcd.runs.merging import merge
from mcd.runs.prepared import prepare
from mcd.runs.run import run_part
from mcd.study.check import checked_study
from mcd.study.objects import host_for
from mcd.study.preparer import Preparer
from mcd.study.privacy import salt
from mcd.study.study import Study

__all__ = ["on_ray"]

_EVERY = 0.5
"""Seconds between two readings of the progress of the workers."""
_RETRIES = 3
"""How often a part is computed again whose worker was lost."""


class _Method(Protocol):
    def remote(self, *arguments: object) -> object: ...


class _Heard(Protocol):
    """How far each task is, kept by a process of Ray: `mcd.runs.cluster.Progress`."""

    note: _Method
    total: _Method


@dataclass(frozen=True)
class _Task:
    """What a worker is given: the words of the command, and where it was given.

    Parameters
    ----------
    settings, files
        The study as it was written, and plugin files.
    here, environment, threads
        The current folder, the variables that mcd reads, and the number of threads of the process of the command.
    folder, part
        The folder of the part, and which one it is.
    model
        The number of the one target to compute; None for all.
    """

    settings: Mapping[str, object]
    files: tuple[Path, ...]
    here: Path
    environment: Mapping[str, str]
    threads: int
    folder: Path
    part: Part
    model: int | None = None


def _compute(task: _Task, heard: _Heard | None, *_before: object) -> None:
    """Compute a part in a worker, or one target of it; what is stored is not computed again."""
    os.chdir(task.here)
    os.environ.update(task.environment)
    torch.set_num_threads(task.threads)
    host = host_for(task.files, progress=False)
    if heard is not None:
        host = host.observed_by(Observer("ray", _noting(f"{task.part} {task.model}", heard)))
    prepared = prepare(host, checked_study(host, task.settings), task.folder, task.part)
    if task.model is not None:
        prepared = replace(prepared, plan=prepared.plan.of_model(task.model))
    run_part(prepared)


def _noting(task: str, heard: _Heard) -> Callable[[Event], None]:
    done = 0

    def observe(event: Event) -> None:
        nonlocal done
        match event:
            case StageStarted("sweep"):
                done = event.done
            case StageAdvanced("sweep", count):
                done += count
            case _:
                return
        heard.note.remote(task, done)

    return observe


def on_ray(
    host: PluginHost,
    settings: Mapping[str, object],
    output: Path,
    *,
    address: str = "",
    parts: int | None = None,
    reporters: Sequence[Reporter] | None = None,
) -> list[Dissection]:
    """Run a study on Ray: its parts by workers, then the merge in this process. The bytes are those of one process.

    Parts are written into ``OUTPUT.parts``, where the same call finds them again.

    Parameters
    ----------
    host
        The plugins, which workers find again, and the observers of the run.
    settings
        The study as it was written; workers check it as this process does.
    address
        ``ray://HOST:PORT``; empty uses what this process is connected to, or starts Ray on this machine alone.
    parts
        Into how many parts; by default those that an earlier call began, or one for each place of the cluster.
    reporters
        What writes reports; by default those of the study.

    Raises
    ------
    mcd.errors.MCDError
        What a part raises; when Ray is missing, no cluster answers or none of its machines has room; when a worker is
        lost too often. Parts that are whole stay.
    """
    study = checked_study(host, settings)
    pick_device(study.scoring_device)  # labels are scored here, after all else
    made = Preparer(host).reporters(study.reporters) if reporters is None else reporters
    ray = imported(local=not address)
    start, clock = time.perf_counter(), Clock(host.emit)
    with clock.run(f"{output.name} in parts on Ray"):
        folders = _parts(ray, host, study, settings, output, clock, address, parts)
    clock.emit(RunFinished(str(folders[0].parent), time.perf_counter() - start))
    return merge(folders, output, host, device=_here(study.device), shared=study.store, reporters=made, trust=True)


def _here(device: str) -> str:
    """Return a device of the study for the merge, which embeds no images: its own where this machine has it."""
    try:
        pick_device(device)
    except UsageError:
        return "cpu"
    return device


def _parts(
    ray: ModuleType,
    host: PluginHost,
    study: Study,
    settings: Mapping[str, object],
    output: Path,
    clock: Clock,
    address: str,
    parts: int | None,
) -> list[Path]:
    """Compute the parts of a study; return their folders."""
    preparer = Preparer(host)
    dataset, _ = preparer.dataset(study.dataset)
    sources = [preparer.units(model.units)[0] for model in study.models if model.units]
    fitting = Fitting.of(itertools.chain.from_iterable(sources), study.fitted_images)
    images = count_chosen(dataset, study.selection, clock, workers=study.workers, verify=study.verify, fitting=fitting)
    if parts:
        Part(1, parts).rows(images, study.batch_size)  # too many are said before a cluster is asked for
    threads, places = torch.get_num_threads(), parts_folder(output.absolute())
    environment = _environment(study)
    with connected(ray, address):
        needs, slots = _placed(ray, study, threads)
        count = parts or _begun(places) or min(slots, -(-images // shard_size(images, study.batch_size)))
        each = [Part(number, count) for number in range(1, count + 1)]
        words = settings, host.files, Path.cwd(), environment, threads
        tasks = [_Task(*words, places / part.folder, part) for part in each]
        # fewer parts than places: each target of a part has a place of its own, and decodes the images for itself
        apart = range(len(study.models)) if len(study.models) > 1 and count < slots else range(0)
        total = images * (len(apart) or 1)
        with clock.stage("sweep", total, "images") as advanced:
            _computed(ray, needs, tasks, apart, advanced, total)
    return [one.folder for one in tasks]


def _environment(study: Study) -> dict[str, str]:
    """Return the variables of this process that decide what a part does; the salt is one salt for all."""
    found = {name: one for name, one in os.environ.items() if name.startswith("MCD_") or name == "HF_HUB_OFFLINE"}
    return found if study.keep_identifiers else {**found, "MCD_SALT": salt()}


def _computed(
    ray: ModuleType,
    needs: Mapping[str, object],
    tasks: Sequence[_Task],
    apart: Sequence[int],
    advanced: Callable[[int], None],
    total: int,
) -> None:
    """Let Ray compute all tasks; say how far they are."""
    compute = ray.remote(**needs)(_compute)
    heard = ray.remote(num_cpus=0)(Progress).remote()
    every, last, shown = [], [], 0
    for task in tasks:
        before = [compute.remote(replace(task, model=model), heard) for model in apart]
        # where targets were computed apart, what is stored of all of them is opened once more as one part
        last.append(compute.remote(task, None if before else heard, *before))
        every += [*before, last[-1]]
    try:
        while last:
            done, last = ray.wait(last, timeout=_EVERY)
            ray.get(done)
            now = min(total, ray.get(heard.total.remote()))
            if now > shown:
                advanced(now - shown)
                shown = now
        advanced(total - shown)  # images that cannot be used
    except ray.exceptions.RayTaskError as error:
        if isinstance(error.cause, MCDError):
            raise error.cause from None
        raise
    except ray.exceptions.RayError as error:
        raise DataError(
            f"a part was lost, and {_RETRIES} times again: {said_by(error)}",
            "run the same command again: what has been computed is kept",
        ) from None
    finally:
        for one in every:
            ray.cancel(one)  # nothing to those that have ended


def _placed(ray: ModuleType, study: Study, threads: int) -> tuple[dict[str, object], int]:
    """Return what a task needs, as Ray writes it, and how many the cluster can run at once.

    Raises
    ------
    UsageError
        When no machine can run one: Ray would wait for one that can.
    """
    machines = [one["Resources"] for one in ray.nodes() if one["Alive"]]
    device, _, number = study.device.partition(":")
    if number:
        raise UsageError(f"--device {study.device}: a part sees one GPU, which Ray gives it", f"--device {device}")
    gpus = device in ("auto", "cuda") and any(one.get("GPU", 0) >= 1 for one in machines)
    if device == "cuda" and not gpus:
        raise UsageError("--device cuda: no machine of the cluster has a GPU", "--device auto")
    if device == "mps":
        pick_device(study.device)
    fitting = [min(one.get("CPU", 0) // threads, one.get("GPU", 0) if gpus else MOST_PARTS) for one in machines]
    if slots := int(sum(fitting)):
        own = {"env_vars": {"OMP_NUM_THREADS": str(threads)}}
        # a process for each task, as for each part by hand: nothing of one is left to another
        needs = {"num_cpus": threads, "num_gpus": int(gpus), "max_retries": _RETRIES, "max_calls": 1}
        return {**needs, "runtime_env": own}, slots
    most = int(max((one.get("CPU", 0) for one in machines if not gpus or one.get("GPU", 0)), default=0))
    raise UsageError(
        f"a part computes with {threads} threads, and no machine of the cluster has as many cores",
        f"fewer threads: OMP_NUM_THREADS={max(1, most)}",
    )


def _begun(places: Path) -> int | None:
    """Return into how many parts an earlier call divided the run, None where there was none."""
    found = [re.fullmatch(r"\d+-of-(\d+)", one.name) for one in (places.iterdir() if places.is_dir() else ())]
    return next((int(one[1]) for one in found if one), None)
