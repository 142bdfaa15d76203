"""Memory of scoring a stored run of very many images.

A run folder is simulated, shard by shard: activations, embeddings and a probe map, patients of four images; the widest
layer is larger than what scoring holds of activations. For each scorer a process of its own scores it by the functions
that `mcd score` calls, and says what it held at most: Python, its libraries and the images' embeddings included.
"""

from __future__ import annotations

import resource
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path

import torch

import mcd
from benchmarks.report import Cell, Line, Report, Table
from mcd.events import Clock
from mcd.extraction.jobs import IMAGES
from mcd.extraction.parts import shard_rows
from mcd.extraction.probe import ProbeSet
from mcd.extraction.probe_map import PROBE_MAP, write_probe_map
from mcd.extraction.store import Shards, layer_key
from mcd.extraction.texts import TextEncoder
from mcd.runs.labelling import labeller_of
from mcd.runs.manifest import LayerRecord, StoreRecord
from mcd.runs.material import gather
from mcd.runs.recorded import Recorded
from mcd.study.calibration import Calibration
from mcd.study.wording import Wording
from mcd_plugins.scorers.cosine import Cosine
from mcd_plugins.scorers.soft_wpmi import SoftWPMI

SCORERS = {"soft-wpmi": SoftWPMI, "cosine": Cosine}
WIDTH, FACTORS, ACTIVATIONS, EMBEDDINGS = 512, 24, "a" * 64, "e" * 64
BATCH, READS = 16, 16
"""Images of a batch; one neuron of so many follows the images; the others are noise."""


@dataclass(frozen=True)
class Settings:
    """Size of the run, the neurons of each layer, the scorers; each in a process of its own unless not ``apart``."""

    images: int = 500_000
    concepts: int = 763
    widths: tuple[int, ...] = (2048, 1024, 1024, 512, 512, 512, 512, 256, 256, 256, 88)
    scorers: tuple[str, ...] = ("soft-wpmi", "cosine")
    draws: int = 1000
    folder: str = ""
    apart: bool = True


TOY = Settings(images=600, concepts=20, widths=(40, 8), apart=False)
COLUMNS = ("scorer", "layers", "neurons", "images", "concepts", "GB at most", "processor s", "seconds")
LIMIT = 4.0
"""GB."""


def measure(settings: Settings) -> Report:
    """Return a row for each scorer."""
    with tempfile.TemporaryDirectory() as made:
        folder = Path(settings.folder or made)
        if not (folder / PROBE_MAP).exists():
            simulate(folder, settings)
        rows: list[Sequence[Cell]] = []
        for scorer in settings.scorers:
            if settings.apart:
                with ProcessPoolExecutor(1, get_context("spawn")) as pool:
                    rows.append(pool.submit(scored, folder, settings, scorer).result())
            else:
                rows.append(scored(folder, settings, scorer))
    lines = [
        Line(f"memory, {row[0]}, {row[3]:,} images", peak, "limit, GB", LIMIT, peak / LIMIT, "≤ 4 GB", peak <= LIMIT)
        for row in rows
        if isinstance(peak := row[5], float)
    ]
    return Report([Table("", COLUMNS, rows)], lines)


def planted(count: int, generator: torch.Generator) -> tuple[torch.Tensor, torch.Tensor]:
    """Return embeddings ``(count, WIDTH)`` near a common direction, and the few factors that they differ by."""
    fixed = torch.Generator().manual_seed(0)
    common, factors = torch.randn(WIDTH, generator=fixed), torch.randn(FACTORS, WIDTH, generator=fixed)
    seen = torch.randn(count, FACTORS, generator=generator)
    return common + 0.6 * seen @ factors / FACTORS**0.5, seen


class Words(mcd.Dissector):
    """Embeds texts as images are made; it sees no image."""

    def __init__(self) -> None:
        super().__init__()
        self.name, self.module, self.preprocessing = "words", torch.nn.Identity(), mcd.Preprocessing(height=8, width=8)

    def encode_images(self, batch: torch.Tensor) -> torch.Tensor:
        return batch

    def encode_texts(self, texts: Sequence[str]) -> torch.Tensor:
        return planted(len(texts), torch.Generator().manual_seed(sum(map(len, texts))))[0]


def recorded(folder: Path, settings: Settings) -> Recorded:
    """Return the simulated run."""
    layers = [
        LayerRecord(name=f"layer {at}", type="conv", layout="flat", neurons=width)
        for at, width in enumerate(settings.widths)
    ]
    store = StoreRecord(
        activations=ACTIVATIONS,
        layered=True,
        embeddings=EMBEDDINGS,
        embedding_width=WIDTH,
        shards=len(shard_rows(settings.images, BATCH)),
    )
    return Recorded(folder, store, layers, settings.images)


def simulate(folder: Path, settings: Settings) -> None:
    """Write the run, a shard at a time: activations of a few neurons read the factors of the images."""
    images, widths = settings.images, settings.widths
    layers = [
        Shards(folder / "activations", layer_key(ACTIVATIONS, f"layer {at}", "flat"), {f"layer {at}": width})
        for at, width in enumerate(widths)
    ]
    embeddings = Shards(folder / "embeddings", EMBEDDINGS, {IMAGES: WIDTH})
    reads = [torch.randn(FACTORS, n // READS, generator=torch.Generator().manual_seed(n)) for n in widths]
    for number, batches in enumerate(shard_rows(images, BATCH)):
        rows = [row for batch in batches for row in batch]
        generator = torch.Generator().manual_seed(number)
        seen, factors = planted(len(rows), generator)
        embeddings.write(number, {IMAGES: seen}, rows, [])
        for shards, read in zip(layers, reads, strict=True):
            ((name, width),) = shards.tensors.items()
            values = torch.randn(len(rows), width, generator=generator)
            values[:, : read.shape[1]] += 0.5 * factors @ read
            shards.write(number, {name: values}, rows, [])
    samples = tuple(mcd.Sample(id=f"{at:07}", source=f"{at:07}.dcm", patient=f"p{at // 4}") for at in range(images))
    write_probe_map(folder / PROBE_MAP, ProbeSet(samples, tuple(f"{at:016x}" for at in range(images))), {})


def scored(folder: Path, settings: Settings, scorer: str) -> Sequence[Cell]:
    """Score the run as `mcd score` does; return its row."""
    start, before = time.perf_counter(), time.process_time()
    found = recorded(folder, settings)
    of = settings.concepts
    concepts = mcd.ConceptSet.from_categories(
        {f"category {at}": [f"c{one}" for one in range(at, of, 40)] for at in range(min(40, of))}
    )
    encoder = TextEncoder(folder, [], lambda: (Words(), "w" * 64), torch.device("cpu"))
    calibration = Calibration(draws=settings.draws, most_draws=settings.draws)
    material = gather(found, concepts, Wording(), encoder)
    labeller = labeller_of(found, material, SCORERS[scorer](), concepts.concepts, Wording(), calibration, 10)
    labeller.label("simulated", found.sources(), Clock(lambda event: None))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9
    size = len(settings.widths), sum(settings.widths), settings.images, settings.concepts
    return scorer, *size, peak, time.process_time() - before, time.perf_counter() - start
