"""The cache of images below its need.

All images of a data set are read in two passes, as by two studies; the cache may hold a share of what all of them
need. Hits
are images of the second pass that were there. Goal: as many as the limit has room for, which is the limit less a
32nd of it over the need.
"""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path

import mcd
from benchmarks.decoding import chosen
from benchmarks.report import Line, Report, Table
from mcd.extraction.cache import ImageCache
from mcd.extraction.reading import Reader
from mcd_plugins.phantom.dataset import PhantomDataset


class Counted(ImageCache):
    """A cache that counts its hits."""

    hits = 0

    def get(self, key: str) -> mcd.Image | None:
        found = super().get(key)
        self.hits += found is not None
        return found


@dataclass(frozen=True)
class Settings:
    """How many images, and limits as shares of the need."""

    images: int = 400
    shares: tuple[float, ...] = (0.25, 0.5, 0.9, 1.1)


TOY = Settings(images=40, shares=(0.5, 1.1))


def measure(settings: Settings) -> Report:
    """Return a row for each limit."""
    phantoms = PhantomDataset(PhantomDataset.Options(patients=(settings.images + 3) // 4))
    samples = chosen(phantoms)[: settings.images]
    plain = Reader(phantoms)
    with tempfile.TemporaryDirectory() as folder:
        scale = ImageCache(Path(folder, "scale"), 10**12)
        need = sum(scale.size(plain.image(sample, "displayed")) for sample in samples)
        rows = [
            row(phantoms, samples, share, int(share * need), Path(folder, f"{at}"))
            for at, share in enumerate(settings.shares)
        ]
    lines = [
        Line(
            f"cache, hits at a limit of {limit} of the need",
            hits,
            "limit / need",
            room,
            hits / room,
            "≥ 0.95",
            hits >= 0.95 * room,
        )
        for limit, hits, room in rows
    ]
    title = f"{settings.images} phantoms, {need / 1e6:.0f} MB"
    return Report([Table(title, ("limit", "hits of the second pass", "limit / need, at most 1"), rows)], lines)


def row(
    phantoms: PhantomDataset, samples: list[mcd.Sample], share: float, limit: int, folder: Path
) -> tuple[str, float, float]:
    for _ in range(2):
        cache = Counted(folder, limit)
        reader = Reader(phantoms, cache=cache)
        cache.expect([reader.key(sample, "displayed", False) for sample in samples], 1)
        for sample in samples:
            reader.image(sample, "displayed")
    return f"{share:.0%}", cache.hits / len(samples), min(1.0, share)
