"""Merging the parts of a run of very many images.

Part folders are simulated, shard by shard: activations, embeddings, statistics, probe maps, patients of four images.
Then a process of its own merges them by the function that `mcd merge` calls, and says how long joining took, how long
labelling, and what it held at most: Python, its libraries and the images' embeddings included. One part beside many
shows what joining itself costs.
"""

from __future__ import annotations

import os
import resource
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from multiprocessing import get_context
from pathlib import Path

import torch

import mcd
from benchmarks.memory import BATCH, FACTORS, READS, WIDTH, Words, planted
from benchmarks.report import Cell, Line, Report, Table
from mcd.api.base import digest
from mcd.events import Clock
from mcd.extraction.image_statistics import STATISTICS
from mcd.extraction.jobs import IMAGES
from mcd.extraction.parts import Part
from mcd.extraction.probe import ProbeSet
from mcd.extraction.probe_map import PROBE_MAP, write_probe_map
from mcd.extraction.store import Shards
from mcd.extraction.texts import TextEncoder
from mcd.host import PluginHost
from mcd.networks.identity import identity_of
from mcd.runs.dissection import write_study
from mcd.runs.manifest import LayerRecord, Manifest, StoreRecord, machine
from mcd.runs.merging import merge
from mcd.runs.partial import columns
from mcd.runs.parts import Said, part_record, write_images
from mcd.runs.vocabulary import write_concepts
from mcd.study.study import Study
from mcd.study.wording import Wording
from mcd_plugins.scorers.soft_wpmi import SoftWPMI

CPU = torch.device("cpu")


@dataclass(frozen=True)
class Settings:
    """Size of the run, into how many parts it is divided, the neurons of each layer; a process for each."""

    images: int = 500_000
    parts: tuple[int, ...] = (1, 64)
    concepts: int = 763
    widths: tuple[int, ...] = (512, 256)
    draws: int = 0
    folder: str = ""
    apart: bool = True


TOY = Settings(images=600, parts=(1, 3), concepts=20, widths=(32, 16), apart=False)
COLUMNS = ("parts", "images", "neurons", "concepts", "join, s", "label, s", "GB at most", "processor s")
LIMIT = 4.0
"""GB."""


def measure(settings: Settings) -> Report:
    """Return a row for each number of parts."""
    rows: list[Sequence[Cell]] = []
    every = images(settings)
    with tempfile.TemporaryDirectory(dir=settings.folder or None) as made:
        for of in settings.parts:
            folder = Path(made) / str(of)
            parts = [simulate(folder, Part(number, of), every, settings) for number in range(1, of + 1)]
            if settings.apart:
                with ProcessPoolExecutor(1, get_context("spawn")) as pool:
                    found = pool.submit(merged, parts, folder / "run", settings).result()
            else:
                found = merged(parts, folder / "run", settings)
            rows.append((f"{of} parts", settings.images, sum(settings.widths), settings.concepts, *found))
    lines = [
        Line(f"memory of merging {row[0]}", peak, "limit, GB", LIMIT, peak / LIMIT, "≤ 4 GB", peak <= LIMIT)
        for row in rows
        if isinstance(peak := row[6], float)
    ]
    return Report([Table("", COLUMNS, rows)], lines)


def merged(parts: Sequence[Path], output: Path, settings: Settings) -> tuple[float, float, float, float]:
    """Merge parts; return the seconds of joining and labelling, the memory at most in GB, the processor time."""
    start, before = time.perf_counter(), time.process_time()
    (found,) = merge(parts, output, PluginHost.discover([], os.environ), shared=Path("off"))
    assert found.manifest.images == settings.images
    joining = found.manifest.seconds["join shards"]
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9
    return joining, time.perf_counter() - start - joining, peak, time.process_time() - before


def simulate(above: Path, part: Part, every: ProbeSet, settings: Settings) -> Path:
    """Write a part of the run, a shard at a time; return its folder."""
    folder = above / str(part.number)
    probe = replace(every, part=part.rows(settings.images, BATCH))
    study = Study.model_validate(
        {
            "models": {"plugin": "phantom-mammo", "layers": ["*"]},
            "dissectors": "phantom-clip",
            "dataset": "phantom",
            "calibration": {"draws": settings.draws, "most_draws": max(1, settings.draws), "right": False},
            "batch_size": BATCH,
        }
    )
    terms = [f"c{at}" for at in range(settings.concepts)]
    concepts = mcd.ConceptSet.from_categories({f"category {at}": terms[at::40] for at in range(min(40, len(terms)))})
    shards = probe.shards(study.batch_size)
    record = Manifest(
        target="simulated",
        dissector="words",
        scorer="soft-wpmi",
        study=study.settings(),
        machine=machine(CPU),
        fingerprints={
            "target": "t",
            "dissector": "w",
            "probe set": probe.fingerprint,
            "concepts": concepts.fingerprint(),
            "scorer": identity_of(SoftWPMI()).content,
        },
        preprocessing={},
        layers=[
            LayerRecord(name=f"layer {at}", type="conv", layout="flat", neurons=width)
            for at, width in enumerate(settings.widths)
        ],
        store=StoreRecord(
            activations="a" * 64,
            layered=True,
            embeddings="e" * 64,
            embedding_width=WIDTH,
            statistics="s" * 64,
            images=list(probe.images(study.batch_size)),
            first=min(shards),
            shards=len(shards),
            texts=["w" * 64],
        ),
        images=len(probe.rows),
    )
    stores = [
        Shards(folder / kind, key, widths, images=record.store.images, first=record.store.first)
        for kind, key, widths in columns(record, record.store)
    ]
    for number, batches in shards.items():
        write_shards(stores, number, [row for batch in batches for row in batch])
    encoder = TextEncoder(folder, [], lambda: (Words(), "w" * 64), CPU)
    encoder.concepts(concepts.concepts, Wording())
    write_probe_map(folder / PROBE_MAP, probe, {})
    write_study(folder, study)
    write_images(folder, probe)
    record.digests = write_concepts(folder, concepts)
    record.store.digests = {**encoder.used, **{k: v for one in stores for k, v in one.digests(len(shards)).items()}}
    said = Said(Clock(lambda event: None))
    for where in ("images", "next", "words", "sweep"):
        said.begin(where)
    record.part, record.status = part_record(part, 0, probe, said, "drawn", "this one"), "partial"
    record.write(folder)
    return folder


def images(settings: Settings) -> ProbeSet:
    """Return the images of the run."""
    every = range(settings.images)
    samples = tuple(mcd.Sample(f"{at:07}", digest(str(at)), f"{at:07}.dcm", f"p{at // 4}") for at in every)
    ids = tuple(f"{at:016x}" for at in every)
    return ProbeSet(samples, ids)


def write_shards(stores: Sequence[Shards], number: int, rows: Sequence[int]) -> None:
    """Write one shard of everything: some neurons read the factors of the images, the others are noise."""
    generator = torch.Generator().manual_seed(number)
    seen, factors = planted(len(rows), generator)
    for shards in stores:
        ((name, width),) = shards.tensors.items()
        values = seen
        if name != IMAGES:
            read = torch.randn(FACTORS, width // READS, generator=torch.Generator().manual_seed(width))
            values = torch.randn(len(rows), width, generator=generator)
            values[:, : read.shape[1]] += 0.5 * factors @ read
        elif width == STATISTICS:
            values = torch.rand(len(rows), width, generator=generator)
        shards.write(number, {name: values}, rows, [])
