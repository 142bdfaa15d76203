"""Mammo-CLIP B2 end to end, beside the released two-pass pipeline.

Both dissect all 23 blocks of the image tower of B2 (weights drawn at random) with itself as the dissector, on the same
pictures of 1520×912, 8 bits, in batches of four, by soft-WPMI with 763 concepts. The released pipeline decodes every
picture twice and runs the tower twice, once for embeddings, once with hooks, in fp32 and NCHW, then reloads and scores
each layer in a loop (written anew from a description; its tower is ours, which is no slower than theirs). Texts are
left out on both sides, and so is significance, which the released pipeline has not. Processor seconds an image are
those that more images add, so that imports, trial passes and scoring do not count; they are under *fixed*. Goal: four
times as fast.
"""

from __future__ import annotations

import copy
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import median
from typing import Literal

import cv2
import numpy as np
import PIL.Image
import torch
import torch.nn.functional as functional
from torch import nn

import mcd
from benchmarks.decoding import chosen, mammogram
from benchmarks.report import Cell, Line, Report, Table
from benchmarks.scorers import looped_soft_wpmi
from benchmarks.timing import in_turn, seconds, with_helper
from mcd.extraction.reading import Reader
from mcd_plugins.datasets.images import ImageFolder
from mcd_plugins.mammo_clip.preprocessing import MammoClipPreprocessing
from mcd_plugins.mammo_clip.tower import aliases, empty_tower
from mcd_plugins.phantom.dataset import PhantomDataset

Precision = Literal["fp32", "bf16"]
BATCH = 4
BLOCKS = "blocks.*.*"


@dataclass(frozen=True)
class Settings:
    """Numbers of pictures (few, many), their size, rounds, threads, images of the scorer (top k), and concepts."""

    few: int = 4
    many: int = 12
    rows: int = 1520
    columns: int = 912
    rounds: int = 1
    threads: int = 2
    top_k: int = 4
    concepts: int = 763

    @property
    def terms(self) -> list[str]:
        """Names of the concepts."""
        return [f"concept {at}" for at in range(self.concepts)]


TOY = Settings(few=2, many=4, rows=64, columns=48, threads=1, top_k=2, concepts=10)


class B2(mcd.Dissector):
    """The image tower with a random head; texts are random."""

    name = "Mammo-CLIP B2, random"

    def __init__(self, tower: nn.Module, recipe: mcd.Preprocessing) -> None:
        super().__init__()
        self.image_tower, self.preprocessing = tower, recipe
        self.module = nn.Sequential(tower, nn.Linear(1408, 512))

    def encode_images(self, batch: torch.Tensor) -> torch.Tensor:
        embedded: torch.Tensor = self.module(batch)
        return embedded

    def encode_texts(self, texts: Sequence[str]) -> torch.Tensor:
        return torch.randn(len(texts), 512, generator=torch.Generator().manual_seed(1))


def drawn_tower() -> nn.Module:
    """Return the tower of B2 with weights as its modules draw them."""
    tower = empty_tower("b2")
    torch.manual_seed(0)
    for part in tower.modules():
        if isinstance(part, nn.Conv2d | nn.BatchNorm2d):
            part.reset_parameters()
    return tower


def pictures(folder: Path, settings: Settings) -> list[Path]:
    """Write phantoms as the released pipeline reads them: PNG of one size, 8 bits."""
    phantoms = PhantomDataset(PhantomDataset.Options(patients=(settings.many + 3) // 4))
    found = []
    for seed, sample in enumerate(chosen(phantoms)[: settings.many]):
        drawn = mammogram(phantoms.read(sample).pixels.astype(np.uint8), settings.rows, settings.columns, seed)
        found.append(folder / f"{seed:03d}.png")
        cv2.imwrite(str(found[-1]), (drawn >> 4).astype(np.uint8))
    return found


def loaded(path: Path) -> torch.Tensor:
    """Return a picture as the released data set makes it: ``(3, H, W)``."""
    with PIL.Image.open(path) as picture:
        values = np.asarray(picture.convert("RGB")).astype(np.float32)
    values -= values.min()
    values /= values.max()
    values = (values - 0.3089279) / 0.25053555408335154
    return torch.from_numpy(values).permute(2, 0, 1)


def batches(paths: Sequence[Path]) -> Iterator[torch.Tensor]:
    for at in range(0, len(paths), BATCH):
        yield torch.stack([loaded(path) for path in paths[at : at + BATCH]]).contiguous()


def released(dissector: B2, texts: torch.Tensor, paths: Sequence[Path], folder: Path, top_k: int) -> None:
    """Do what the released pipeline does, on the CPU: two passes, then a layer at a time."""
    tower = dissector.image_tower
    assert tower is not None
    recorded: dict[str, list[torch.Tensor]] = {}
    stages = [len(list(stage.children())) for stage in tower.get_submodule("blocks").children()]
    layers = [f"blocks.{at}.{one}" for at, count in enumerate(stages) for one in range(count)]

    def keep(layer: str, module: nn.Module, given: object, output: torch.Tensor) -> None:
        recorded.setdefault(layer, []).append(output.mean(dim=(2, 3)))

    with torch.no_grad():
        torch.save(torch.cat([dissector.encode_images(batch) for batch in batches(paths)]), folder / "images.pt")
        hooks = [tower.get_submodule(layer).register_forward_hook(partial(keep, layer)) for layer in layers]
        for batch in batches(paths):
            tower(batch)
        for hook in hooks:
            hook.remove()
        for layer, values in recorded.items():
            torch.save(torch.cat(values), folder / f"{layer}.pt")
        for layer in layers:
            images, activations = (torch.load(folder / f"{name}.pt") for name in ("images", layer))
            cosine = functional.normalize(images, dim=1) @ functional.normalize(texts, dim=1).T
            looped_soft_wpmi(activations, cosine, top_k).topk(10, dim=1)
            activations.topk(min(5, len(paths)), dim=0)


def engine(dissector: B2, tower: nn.Module, paths: Sequence[Path], settings: Settings, precision: Precision) -> None:
    """Dissect with mcd; the tower may be that of the dissector."""
    with tempfile.TemporaryDirectory() as folder:
        mcd.dissect(
            mcd.Target("B2", tower, dissector.preprocessing, aliases(tower)),
            layers=BLOCKS,
            dissector=dissector,
            dataset=ImageFolder(ImageFolder.Options(path=paths[0].parent)),
            limit=len(paths),
            concepts=settings.terms,
            scorer={"plugin": "soft-wpmi", "options": {"top_k": settings.top_k}},
            calibration={"draws": 0},
            device="cpu",
            precision=precision,
            batch_size=BATCH,
            workers=0,
            store="off",
            output=Path(folder) / "run",
            progress=False,
        )


def warm(dissector: B2, paths: Sequence[Path], settings: Settings) -> None:
    """Import and initialise, at a small size, what is used later: it is to be in no pipeline's first run."""
    tower = dissector.image_tower
    assert tower is not None
    small = B2(tower, MammoClipPreprocessing(height=64, width=48))
    engine(small, tower, paths[: settings.top_k], settings, "bf16")


Both = tuple[float, float]
"""Processor and wall seconds."""


def spent(work: Callable[[], None]) -> Both:
    begun = time.perf_counter()
    processor = seconds(work, with_helper)
    return processor, time.perf_counter() - begun


def measure(settings: Settings) -> Report:
    """Return the pipelines, the parts of the difference, and decoding."""
    torch.set_num_threads(settings.threads)
    torch.manual_seed(0)
    tower = drawn_tower()
    recipe = MammoClipPreprocessing(height=settings.rows, width=settings.columns)
    dissector, other = B2(tower, recipe), copy.deepcopy(tower)
    next(other.parameters()).data *= 1.0001  # another network: nothing is shared
    texts = dissector.encode_texts(settings.terms)
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        (folder / "pictures").mkdir()
        paths = pictures(folder / "pictures", settings)
        works: Mapping[str, Callable[[Sequence[Path]], None]] = {
            "released, fp32": lambda some: released(dissector, texts, some, folder, settings.top_k),
            "mcd, tower not shared, fp32": lambda some: engine(dissector, other, some, settings, "fp32"),
            "mcd, fp32": lambda some: engine(dissector, tower, some, settings, "fp32"),
            "mcd, bf16": lambda some: engine(dissector, tower, some, settings, "bf16"),
        }
        warm(dissector, paths, settings)
        rows = pipelines(works, paths, settings)
        parts = forwards(tower, settings)
        decoded = decoding(paths, recipe)
    return reported(rows, parts, decoded, settings)


def pipelines(
    works: Mapping[str, Callable[[Sequence[Path]], None]], paths: Sequence[Path], settings: Settings
) -> dict[str, tuple[float, float, float]]:
    """Return of each the processor seconds an image, the wall seconds an image, and the fixed processor seconds."""
    found: dict[str, list[tuple[float, float, float]]] = {name: [] for name in works}
    more = settings.many - settings.few
    for _ in range(settings.rounds):
        for name, work in works.items():
            few, many = (spent(partial(work, paths[:count])) for count in (settings.few, settings.many))
            each, wall = ((two - one) / more for one, two in zip(few, many, strict=True))
            found[name].append((each, wall, few[0] - settings.few * each))
    return {name: min(several) for name, several in found.items()}


def forwards(tower: nn.Module, settings: Settings) -> dict[str, float]:
    """Return the processor seconds an image of forward passes, by memory format and precision."""
    batch = torch.rand(BATCH, 3, settings.rows, settings.columns, generator=torch.Generator().manual_seed(0))
    formats = {"NCHW": torch.contiguous_format, "channels_last": torch.channels_last}

    def run(network: nn.Module, given: torch.Tensor, bf16: bool) -> None:
        with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16, enabled=bf16):
            network(given)

    works = {
        f"{name}, {precision}": partial(
            run,
            copy.deepcopy(tower).to(memory_format=memory),
            batch.contiguous(memory_format=memory),
            precision == "bf16",
        )
        for name, memory in formats.items()
        for precision in ("fp32", "bf16")
    }
    return {name: median(times) / BATCH for name, times in in_turn(works, settings.rounds).items()}


def decoding(paths: Sequence[Path], recipe: mcd.Preprocessing) -> dict[str, float]:
    """Return the processor seconds of making a tensor of a picture."""
    images = ImageFolder(ImageFolder.Options(path=paths[0].parent))
    samples, reader = chosen(images)[:BATCH], Reader(images)

    def ours() -> None:
        for sample in samples:
            recipe.prepare(reader.image(sample, "stored"))

    def theirs() -> None:
        for path in paths[:BATCH]:
            loaded(path)

    times = in_turn({"released": theirs, "mcd": ours}, 3, with_helper)
    return {name: median(one) / len(samples) for name, one in times.items()}


def reported(
    rows: Mapping[str, tuple[float, float, float]],
    parts: Mapping[str, float],
    decoded: Mapping[str, float],
    settings: Settings,
) -> Report:
    base = rows["released, fp32"][0]
    table: list[tuple[Cell, ...]] = [(name, *values, base / values[0]) for name, values in rows.items()]
    table += [(f"{name}, on a GPU", None, None, None, None) for name in ("released, fp32", "mcd, fp32", "mcd, bf16")]
    bare = parts["NCHW, fp32"]
    lines: list[Line] = []
    for name in ("mcd, fp32", "mcd, bf16"):
        times = base / rows[name][0]
        goal, holds = ("≥ 4 ×", times >= 4) if name == "mcd, bf16" else ("", None)
        what = f"Mammo-CLIP B2 end to end, {name.removeprefix('mcd, ')}, CPU s an image"
        lines.append(Line(what, rows[name][0], "released pipeline", base, f"{times:.2g} ×", goal, holds))
    lines.append(Line("the same on a GPU", None, "released pipeline", None, None, "≥ 4 ×"))
    shared = rows["mcd, tower not shared, fp32"][0] / rows["mcd, fp32"][0]
    memory = bare / parts["channels_last, fp32"]
    half = parts["channels_last, fp32"] / parts["channels_last, bf16"]
    once = rows["released, fp32"][0] / rows["mcd, tower not shared, fp32"][0]
    note = (
        f"Which part gives what: the shared tower {shared:.2g} ×; channels_last {memory:.2g} ×; bf16 {half:.2g} × of a "
        f"forward pass in channels_last. All that mcd does otherwise with an unshared tower in fp32 (channels_last, "
        f"pictures decoded once, 16 bits, checks): {once:.2g} ×."
    )
    size = (
        f"{settings.rows}×{settings.columns}, {settings.many} less {settings.few} pictures, {settings.threads} threads"
    )
    columns = ("pipeline", "CPU s an image", "wall s an image", "fixed CPU s", "times as fast")
    return Report(
        [
            Table(size, columns, table),
            Table(
                "Forward passes of the tower alone, batches of four",
                ("memory format, precision", "CPU s an image", "times as fast"),
                [(name, one, bare / one) for name, one in parts.items()],
            ),
            Table(
                "A picture read and prepared",
                ("pipeline", "CPU s", "times an image"),
                [(name, one, 2 if name == "released" else 1) for name, one in decoded.items()],
            ),
        ],
        lines,
        [note],
    )
