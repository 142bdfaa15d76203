"""Dictionaries: are planted directions found, and does R² or stability tell?

More sparse concepts than channels, each a random direction, and dictionaries of the samples by `mcd dictionary`. A
direction is found where a row of the decoder, each row once, has cosine .9 or more with it. R², L0 and which latents
respond are of samples kept for it. Stability is the mean cosine of matched decoder rows of the latents that respond,
where one without a partner counts 0, each weighted by how much of the samples it rebuilds: between two seeds, and
between fits on two halves of the samples. Where all count alike, surplus latents that hardly respond hide that what
the dictionary rests on is the same. *Found again* are the latents whose cosine between the seeds is .9 or more, and
the next column is the share of these that are planted directions. Seconds are processor seconds of one fit on one
core. λ is the setting `sparsity`. Semi-NMF has as many factors as there are channels; random directions respond as
TopK, and nothing of them is fitted.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import torch
import torch.nn.functional as functional

from benchmarks.report import Cell, Line, Report, Table
from mcd_plugins.dictionary.fitting import fit
from mcd_plugins.dictionary.kinds import Fitted, Recipe
from mcd_plugins.dictionary.matching import matched, paired
from mcd_plugins.dictionary.measuring import measured
from mcd_plugins.dictionary.stability import Alive, agreement

FOUND = 0.9
"""From this cosine on two directions count as the same."""
COLUMNS = (
    "dictionary",
    "R²",
    "directions found, %",
    "L0",
    "latents that respond",
    "stability of seeds",
    "of halves",
    "of seeds, all alike",
    "found again",
    "of these planted, %",
    "s",
)


@dataclass(frozen=True)
class Settings:
    """Concepts, how many respond in a sample, channels, samples; latents of dictionaries, k, λ, steps."""

    concepts: int = 160
    active: int = 5
    channels: int = 64
    samples: int = 60_000
    latents: int = 512
    k: int = 6
    sparsity: tuple[float, ...] = (0.02, 0.1, 0.2)
    steps: int = 2500
    seconds: float = 120


TOY = Settings(40, 3, 20, 2000, 120, 4, (0.02, 0.1, 0.2), 40)


def superposed(
    count: int, concepts: int, channels: int, active: float, seed: int = 12345
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return samples ``(count, channels)`` and directions ``(concepts, channels)``, ``active`` a sample on average."""
    generator = torch.Generator().manual_seed(seed)
    directions = functional.normalize(torch.randn(concepts, channels, generator=generator), dim=1)
    responds = torch.rand(count, concepts, generator=generator) < active / concepts
    amounts = 0.5 + torch.rand(count, concepts, generator=generator)
    return (responds * amounts) @ directions, directions


def share_found(directions: torch.Tensor, decoder: torch.Tensor) -> float:
    """Return the share of directions that rows of a decoder have."""
    return float((matched(directions, decoder) >= FOUND).sum()) / len(directions)


@dataclass(frozen=True)
class Found:
    """A row of the table: its cells, the share of directions found, R², and seconds of a fit."""

    cells: tuple[Cell, ...]
    share: float
    r2: float
    seconds: float


def measure(settings: Settings) -> Report:
    """Return a row for each dictionary."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        every = dict(rows(settings))
    finally:
        torch.set_num_threads(before)
    title = f"{settings.concepts} concepts in {settings.channels} channels, {settings.samples:,} samples"
    default = next(iter(every.values()))
    weak = f"ReLU-L1, λ {settings.sparsity[0]:g}"
    line = Line(
        f"{next(iter(every))}, R² {default.r2:.3f}, share of planted directions found",
        default.share,
        f"{weak}, R² {every[weak].r2:.3f}",
        every[weak].share,
        f"{default.seconds:.0f} s",
        f"≥ 95 % in ≤ {settings.seconds:g} s",
        default.share >= 0.95 and default.seconds <= settings.seconds,
    )
    nothing: tuple[Cell, ...] = ("–",) * (len(COLUMNS) - 4)
    neurons = ("neurons", 1.0, 100 * share_found(planted_by(settings)[1], torch.eye(settings.channels)))
    shown: list[tuple[Cell, ...]] = [*(one.cells for one in every.values()), (*neurons, settings.channels, *nothing)]
    return Report([Table(title, COLUMNS, shown)], [line])


def planted_by(settings: Settings) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the samples, and as many as a sixth more, with their directions."""
    count = settings.samples + settings.samples // 6
    return superposed(count, settings.concepts, settings.channels, settings.active)


def recipes(settings: Settings) -> Mapping[str, Recipe]:
    """Return what is fitted, by the name of its row."""
    size = {"latents": settings.latents, "steps": settings.steps}
    return {
        f"TopK, k {settings.k}": Recipe("topk", k=settings.k, **size),
        f"BatchTopK, k {settings.k}": Recipe("batchtopk", k=settings.k, **size),
        **{f"ReLU-L1, λ {one:g}": Recipe("relu", sparsity=one, **size) for one in settings.sparsity},
        "semi-NMF": Recipe("nmf", latents=settings.channels),
        "k-means": Recipe("kmeans", latents=settings.latents),
    }


def rows(settings: Settings) -> Iterator[tuple[str, Found]]:
    """Yield a row for each dictionary, by its name."""
    every, directions = planted_by(settings)
    samples, others = every[: settings.samples], every[settings.samples :]
    half = settings.samples // 2
    for name, recipe in recipes(settings).items():
        start = time.process_time()
        own = fit(samples, recipe, 0)
        seconds = time.process_time() - start
        again = fit(samples, recipe, 1)
        halves = fit(samples[:half], recipe, 2), fit(samples[half:], recipe, 3)
        yield name, compared(name, (own, again), halves, others, directions, seconds)
    drawn = [random(settings, seed) for seed in range(4)]
    yield (
        "random directions",
        compared("random directions", (drawn[0], drawn[1]), (drawn[2], drawn[3]), others, directions, None),
    )


def random(settings: Settings, seed: int) -> Fitted:
    """Return a dictionary of random directions, of the size and sparsity of the first."""
    generator = torch.Generator().manual_seed(seed)
    drawn = functional.normalize(torch.randn(settings.latents, settings.channels, generator=generator), dim=1)
    return Fitted(drawn, drawn, None, None, None, "topk", settings.k, "random")


def compared(
    name: str,
    seeds: tuple[Fitted, Fitted],
    halves: tuple[Fitted, Fitted],
    others: torch.Tensor,
    directions: torch.Tensor,
    seconds: float | None,
) -> Found:
    """Return the row of a dictionary, with another of another seed, and two of two halves of the samples."""
    own, again = (Alive.of(one, others) for one in seeds)
    by_seeds = agreement("seeds", [(own, again)])
    by_halves = agreement("halves", [(Alive.of(halves[0], others), Alive.of(halves[1], others))])
    which, _, cosines = paired(own.rows, again.rows)
    repeated = own.rows[which[cosines >= FOUND]]
    true = (functional.normalize(repeated, dim=1) @ directions.T >= FOUND).any(dim=1)
    of, share = measured(seeds[0], others), share_found(directions, seeds[0].decoder)
    cells = (
        name,
        of.r2,
        100 * share,
        of.l0,
        len(own.rows),
        by_seeds.weighted,
        by_halves.weighted,
        by_seeds.mean,
        len(repeated),
        100 * float(true.float().mean()) if len(repeated) else "–",
        "–" if seconds is None else seconds,
    )
    return Found(cells, share, of.r2, seconds or 0.0)
