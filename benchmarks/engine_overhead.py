"""The engine over a bare forward loop.

Both see the same prepared batches in memory, the same target and dissector; rounds alternate. The engine hooks, pools,
checks, moves and writes shards; the loop only runs the models. Goal: at most 1.10.
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
from benchmarks.report import Line, Report, Table
from benchmarks.timing import in_turn, ratio
from mcd.api.base import digest
from mcd.extraction.columns import Column
from mcd.extraction.decoding import Batch
from mcd.extraction.jobs import IMAGES, DissectorJob, TargetJob
from mcd.extraction.probe import ProbeSet
from mcd.extraction.store import Shards
from mcd.extraction.sweep import Sweep, shard_rows
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
    """Networks of timm, the layers of each, images of random values, rounds, threads of torch."""

    models: tuple[str, ...] = ("resnet18", "tf_efficientnet_lite0")
    layers: tuple[str, ...] = ("layer*", "blocks.*.*")
    images: int = 128
    rounds: int = 5
    threads: int = 2


TOY = Settings(models=("resnet18",), layers=("layer*",), images=2, rounds=1, threads=1)


def measure(settings: Settings) -> Report:
    """Return the seconds of both, and the median of the ratios of the rounds."""
    torch.set_num_threads(settings.threads)
    rows = [row(*one, settings.images, settings.rounds) for one in zip(settings.models, settings.layers, strict=True)]
    columns = ("target, layers", "engine, median s", "bare, median s", "median of the ratios")
    lines = [
        Line(f"engine, {name}", ours, "bare forward loop", bare, found, "≤ 1.10", float(found) <= 1.1)
        for name, ours, bare, found in rows
    ]
    title = f"{settings.images} images, batches of 16, fp32, on the CPU"
    return Report([Table(title, columns, rows)], lines)


def row(model: str, layers: str, images: int, rounds: int) -> tuple[str, float, float, float]:
    target = TimmLoader(TimmLoader.Options(name=model)).load()
    dissector = PhantomClip()
    dissector.load()
    chosen = select_layers([layers], trial_pass(target).layers, target.name)
    shards = shard_rows(images, 16)
    recipes = {one.preprocessing.fingerprint(): one.preprocessing for one in (target, dissector)}
    decoded = [
        Batch(tuple(rows), {key: _noise(recipe, len(rows)) for key, recipe in recipes.items()})
        for shard in shards
        for rows in shard
    ]

    def engine() -> None:
        with tempfile.TemporaryDirectory() as folder:
            columns = [_column(folder, layer.name, layer.neurons) for layer in chosen]
            job = TargetJob(target, chosen, Pooling("avg"), columns)
            reader = DissectorJob(dissector, [_column(folder, IMAGES, 128)])
            names = tuple(str(row) for row in range(images))
            probe = ProbeSet(tuple(mcd.Sample(name, name) for name in names), names)
            sweep = Sweep(
                [job], [reader], Prepared(), probe, torch.device("cpu"), "fp32", 16, 0, "stop", lambda _: None
            )
            sweep.compute([(number, shards[number]) for number in range(len(shards))], iter(decoded))

    def bare() -> None:
        with (
            at_work(target.module, torch.device("cpu")),
            at_work(dissector.module, torch.device("cpu")),
            torch.inference_mode(),
        ):
            for batch in decoded:
                for one, run in ((dissector, dissector.encode_images), (target, target.module)):
                    recipe = one.preprocessing
                    tensor = recipe.finalize(batch.tensors[recipe.fingerprint()])
                    run(tensor.contiguous(memory_format=torch.channels_last))

    times = in_turn({"engine": engine, "bare": bare}, rounds, time.perf_counter)
    medians = [statistics.median(one) for one in times.values()]
    return f"{model}, `{layers}`", *medians, ratio(times["engine"], times["bare"])


def _column(folder: str, name: str, width: int) -> Column:
    key = digest(name)
    return Column(name, width, key, [Shards(Path(folder), key, {name: width})])


def _noise(recipe: mcd.Preprocessing, count: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.rand(count, recipe.channels or 3, recipe.height or 224, recipe.width or 224, generator=generator)
