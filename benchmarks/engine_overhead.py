"""What the engine costs over a bare forward loop on the same tensors.

Both see the same prepared batches in memory, the same target and dissector; rounds alternate, so that whatever else
the machine does falls on both. The engine hooks, pools, checks, moves and writes shards; the loop only runs the models.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import click
import torch

import mcd
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


@click.command()
@click.option("--model", default="resnet18", show_default=True)
@click.option("--layers", default="layer*", show_default=True)
@click.option("--images", default=128, show_default=True)
@click.option("--rounds", default=5, show_default=True)
def main(model: str, layers: str, images: int, rounds: int) -> None:
    """Print seconds of both and their ratio."""
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

    engine(), bare()
    times: dict[str, list[float]] = {"engine": [], "bare": []}
    for _ in range(rounds):
        for name, run in (("engine", engine), ("bare", bare)):
            start = time.perf_counter()
            run()
            times[name].append(time.perf_counter() - start)
    ratios = [one / two for one, two in zip(times["engine"], times["bare"], strict=True)]
    for name, seconds in times.items():
        click.echo(f"{name:<7} median {statistics.median(seconds):.2f} s, best {min(seconds):.2f} s")
    click.echo(
        f"ratio   median {statistics.median(ratios):.3f}, of the best {min(times['engine']) / min(times['bare']):.3f}"
    )


def _column(folder: str, name: str, width: int) -> Column:
    key = digest(name)
    return Column(name, width, key, [Shards(Path(folder), key, {name: width})])


def _noise(recipe: mcd.Preprocessing, count: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.rand(count, recipe.channels or 3, recipe.height or 224, recipe.width or 224, generator=generator)


if __name__ == "__main__":
    main()
