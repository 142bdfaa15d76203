"""The engine over a bare forward loop.

Both see the same prepared batches in memory, the same target and dissector; rounds alternate. The engine hooks, pools,
checks, moves and writes shards; the loop only copies batches and runs the models. Goal: at most 1.10, on a GPU too.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import torch

import mcd
from benchmarks.report import Cell, Line, Report, Table
from benchmarks.timing import in_turn, ratio
from mcd.api.base import digest
from mcd.extraction.columns import Column
from mcd.extraction.decoding import Batch
from mcd.extraction.jobs import IMAGES, DissectorJob, TargetJob
from mcd.extraction.parts import shard_rows
from mcd.extraction.probe import ProbeSet
from mcd.extraction.reading import Reader
from mcd.extraction.store import Shards
from mcd.extraction.sweep import Sweep
from mcd.networks.pooling import Pooling
from mcd.networks.running import at_work
from mcd.networks.selecting import select_layers
from mcd.networks.trial import trial_pass
from mcd_plugins.phantom.dissector import PhantomClip
from mcd_plugins.timm.loader import TimmLoader


class Prepared(mcd.Dataset):
    """Images that are never decoded: their batches are there already."""

    def __len__(self) -> int:
        return 0

    def scan(self) -> Iterator[mcd.Sample | mcd.Unreadable]:
        yield from ()

    def read(self, sample: mcd.Sample) -> mcd.Image:
        raise mcd.errors.ImageError("not decoded here")


@dataclass(frozen=True)
class Settings:
    """Networks of timm, the layers of each, images of random values and those of a batch, rounds, threads of torch.

    ``device`` is cpu, cuda or both; ``gpu_images`` and ``gpu_batch`` hold on a GPU, where 128 images take no time.
    """

    models: tuple[str, ...] = ("resnet18", "tf_efficientnet_lite0")
    layers: tuple[str, ...] = ("layer*", "blocks.*.*")
    images: int = 128
    gpu_images: int = 2048
    gpu_batch: int = 64
    device: str = "both"
    rounds: int = 5
    threads: int = 2


TOY = Settings(models=("resnet18",), layers=("layer*",), images=2, gpu_images=2, gpu_batch=2, rounds=1, threads=1)


def measure(settings: Settings) -> Report:
    """Return the seconds of both, and the median of the ratios of the rounds."""
    torch.set_num_threads(settings.threads)
    tables, lines = [], []
    for device, images, size in (("cpu", settings.images, 16), ("cuda", settings.gpu_images, settings.gpu_batch)):
        if settings.device not in (device, "both"):
            continue
        where = "on the CPU" if device == "cpu" else "on a GPU"
        there = device == "cpu" or torch.cuda.is_available()
        rows: list[tuple[str, Cell, Cell, Cell]] = [
            (
                f"{model}, `{layers}`",
                *(row(model, layers, torch.device(device), images, size, settings.rounds) if there else [None] * 3),
            )
            for model, layers in zip(settings.models, settings.layers, strict=True)
        ]
        columns = ("target, layers", "engine, median s", "bare, median s", "median of the ratios")
        tables.append(Table(f"{images} images, batches of {size}, fp32, {where}", columns, rows))
        for name, ours, bare, found in rows:
            what = f"engine, {name}" if device == "cpu" else f"engine {where}, {name}"
            holds = None if found is None else float(found) <= 1.1
            lines.append(Line(what, ours, "bare forward loop", bare, found, "≤ 1.10", holds))
    return Report(tables, lines)


def row(
    model: str, layers: str, device: torch.device, images: int, size: int, rounds: int
) -> tuple[float, float, float]:
    target = TimmLoader(TimmLoader.Options(name=model)).load()
    dissector = PhantomClip()
    dissector.load()
    chosen = select_layers([layers], trial_pass(target).layers, target.name)
    shards = shard_rows(images, size)
    recipes = {one.preprocessing.fingerprint(): one.preprocessing for one in (target, dissector)}
    decoded = [
        Batch(tuple(rows), {key: _noise(recipe, len(rows)) for key, recipe in recipes.items()})
        for shard in shards
        for rows in shard
    ]
    if device.type == "cuda":
        decoded = [one.pin_memory() for one in decoded]

    def engine() -> None:
        with tempfile.TemporaryDirectory() as folder:
            columns = [_column(folder, layer.name, layer.neurons) for layer in chosen]
            job = TargetJob(target, chosen, Pooling("avg"), columns)
            reader = DissectorJob(dissector, [_column(folder, IMAGES, 128)])
            names = tuple(str(row) for row in range(images))
            probe = ProbeSet(tuple(mcd.Sample(name, name) for name in names), names)
            sweep = Sweep([job], [reader], Reader(Prepared()), probe, device, "fp32", size, 0, "stop", lambda _: None)
            sweep.compute([(number, shards[number]) for number in range(len(shards))], iter(decoded))

    def bare() -> None:
        with (
            at_work(target.module, device),
            at_work(dissector.module, device),
            torch.inference_mode(),
        ):
            for batch in decoded:
                for one, run in ((dissector, dissector.encode_images), (target, target.module)):
                    recipe = one.preprocessing
                    tensor = recipe.finalize(batch.tensors[recipe.fingerprint()].to(device, non_blocking=True))
                    run(tensor.contiguous(memory_format=torch.channels_last))
            if device.type == "cuda":
                torch.cuda.synchronize(device)

    times = in_turn({"engine": engine, "bare": bare}, rounds, time.perf_counter)
    medians = [statistics.median(one) for one in times.values()]
    return medians[0], medians[1], ratio(times["engine"], times["bare"])


def _column(folder: str, name: str, width: int) -> Column:
    key = digest(name)
    return Column(name, width, key, [Shards(Path(folder), key, {name: width})])


def _noise(recipe: mcd.Preprocessing, count: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.rand(count, recipe.channels or 3, recipe.height or 224, recipe.width or 224, generator=generator)
