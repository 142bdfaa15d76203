"""Whole models, large vocabularies and very many images.

Seconds and peak memory of scoring and calibration by soft-wpmi, patients of four images, the null as by default. Memory
is what the process holds at most above its inputs, in a process of its own.
"""

from __future__ import annotations

import resource
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from multiprocessing import get_context

import torch

from benchmarks.report import Report, Table
from mcd.api.concepts import Concept
from mcd.scoring.labelling import Labeller
from mcd.scoring.similarity import Cosines
from mcd.study.calibration import Calibration
from mcd_plugins.scorers.soft_wpmi import SoftWPMI

# Neurons of the 39 blocks of EfficientNet-B5, as Mammo-CLIP has it.
B5 = [24] * 3 + [40] * 5 + [64] * 5 + [128] * 7 + [176] * 7 + [304] * 9 + [512] * 3
SCENES = {"b5": (4_000, 763, B5), "words": (4_000, 20_000, [512]), "images": (1_000_000, 763, [64])}


def planted(images: int, concepts: int, width: int = 512) -> tuple[torch.Tensor, torch.Tensor]:
    """Return embeddings whose cosines spread as those of CLIP do: images near a common direction, a few factors."""
    generator = torch.Generator().manual_seed(0)
    common = torch.randn(width, generator=generator)
    factors = torch.randn(24, width, generator=generator)
    seen = common + 0.6 * torch.randn(images, 24, generator=generator) @ factors / 24**0.5
    words = common + 0.6 * torch.randn(concepts, 24, generator=generator) @ factors / 24**0.5
    return seen, words + 0.3 * torch.randn(concepts, width, generator=generator)


def layer(images: torch.Tensor, neurons: int, seed: int) -> torch.Tensor:
    """Return activations ``(images, neurons)``: half of them read a direction of the embeddings, half are noise."""
    generator = torch.Generator().manual_seed(seed)
    found = torch.randn(len(images), neurons, generator=generator)
    half = neurons // 2
    reads = images @ torch.randn(images.shape[1], half, generator=generator)
    found[:, :half] += reads / reads.std(dim=0)
    return found


@dataclass(frozen=True)
class Settings:
    """The scenes, each in a process of its own unless not ``apart``; the most images, concepts and layers of each."""

    scenes: tuple[str, ...] = tuple(SCENES)
    apart: bool = True
    images: int = 10**6
    concepts: int = 20_000
    layers: int = 39


TOY = Settings(apart=False, images=200, concepts=20, layers=1)
COLUMNS = ("scene", "layers", "neurons", "images", "concepts", "N × C, MiB", "draws", "seconds", "MiB above inputs")


def measure(settings: Settings) -> Report:
    """Return a row for each scene."""
    limits = settings.images, settings.concepts, settings.layers
    rows = []
    for name in settings.scenes:
        if settings.apart:
            with ProcessPoolExecutor(1, get_context("spawn")) as pool:
                rows.append(pool.submit(scene, name, *limits).result())
        else:
            rows.append(scene(name, *limits))
    return Report([Table("", COLUMNS, rows)])


def peak() -> float:
    """Return the most MiB that this process has held."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def scene(name: str, most_images: int, most_concepts: int, most_layers: int) -> Sequence[str | float]:
    """Score and calibrate one scene; return its row."""
    images, concepts, widths = SCENES[name]
    images, concepts, widths = min(images, most_images), min(concepts, most_concepts), widths[:most_layers]
    seen, words = planted(images, concepts)
    layers = {f"block {at}": layer(seen, width, at) for at, width in enumerate(widths)}
    before = peak()
    known = [Concept(f"c{at}", f"category {at % 40}", "broad") for at in range(concepts)]
    patients = [f"p{at // 4}" for at in range(images)]
    start = time.perf_counter()
    cosines = Cosines(seen, words, [""] * images, [one.term for one in known])
    labeller = Labeller(SoftWPMI(), cosines, known, Calibration(), patients, 10)
    draws = 0
    for found in labeller.scored({one: partial(layers.__getitem__, one) for one in layers}):
        assert found.judged is not None
        draws = max(draws, found.judged.draws)
    seconds = time.perf_counter() - start
    table = images * concepts * 4 / 2**20
    return name, len(widths), sum(widths), images, concepts, table, draws, seconds, peak() - before
