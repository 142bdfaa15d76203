"""From a sample to what every model of a pass reads of it: out of the cache, or made of the image and kept there."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import dataclass

import torch

from mcd.api.base import digest
from mcd.api.dataset import Sample
from mcd.api.image import Image, Levels, Preprocessing
from mcd.extraction.cached_files import Input
from mcd.extraction.image_statistics import image_statistics
from mcd.extraction.machine import processor
from mcd.extraction.reading import Reader, own
from mcd.networks.distributions import installed_version
from mcd.networks.identity import identity_of

__all__ = ["STATISTICS", "Inputs"]

STATISTICS = "statistics"
"""Among what is read of an image: its statistics."""

_ESTIMATED_FROM = 3
"""Images: how much room a cache needs."""

_RESAMPLING = ("torch", "numpy", "opencv-python-headless", "opencv-python", "pillow")
"""Distributions that decide what resampling gives."""


@dataclass(frozen=True)
class _Wanted:
    """One thing to read of every image: which of its values it is made of, and what decides how, empty if unknown."""

    values: str
    made_by: str


class Inputs:
    """Reads what models get of images.

    Parameters
    ----------
    reader
        Reads the images, and has the cache.
    preprocessings
        Of the models, by fingerprint.
    masked
        Which of these need breast masks.
    with_masks
        Whether images are read with theirs although nothing needs them.
    statistics
        Of which values statistics are wanted: ``"displayed"`` or ``"stored"``; empty for none.
    """

    def __init__(
        self,
        reader: Reader,
        preprocessings: Mapping[str, Preprocessing],
        *,
        masked: Set[str] = frozenset(),
        with_masks: bool = False,
        statistics: str = "",
    ) -> None:
        self.reader, self.preprocessings = reader, preprocessings
        self._masked, self._with_masks = masked, with_masks or bool(masked)
        made_by = _made_by if reader.cache is not None else lambda how: ""
        self._wanted = {key: _Wanted(reader.values(one), made_by(one)) for key, one in preprocessings.items()}
        if statistics:
            self._wanted[STATISTICS] = _Wanted(statistics, made_by(image_statistics))

    def read(self, sample: Sample) -> dict[str, Input]:
        """Return what is wanted of an image, by fingerprint; statistics ``(1, 1, N)`` under their own name.

        Raises
        ------
        mcd.errors.MCDError
            When it cannot be decoded or prepared.
        """
        found = {name: self._kept(sample, name) for name in self._wanted}
        lacking = [name for name, one in found.items() if one is None]
        made = self._made(sample, lacking) if lacking else {}
        for name, one in made.items():
            key = self._key(sample, name)
            if key and self.reader.cache is not None:
                self.reader.cache.put(key, one)
        return {name: one or made[name] for name, one in found.items()}

    def expect(self, samples: Sequence[Sample], processes: int) -> None:
        """Tell the cache what a pass reads, and in how many processes."""
        if self.reader.cache is not None:
            self.reader.cache.expect(self._expected(samples), processes)

    def warning(self, samples: Sequence[Sample]) -> str:
        """Return the remark about a cache that cannot hold all of a pass; empty where it can.

        How much that takes is estimated from a few images, and the cache leaves as much room to what models read. Where
        that is there already, nothing is made for the estimate.
        """
        cache, kept = self.reader.cache, [one for one in samples if self.reader.keeps(one)]
        if cache is None or not kept:
            return ""
        self.expect(samples, 1)  # what is kept of them already must not make room for the few
        count = min(_ESTIMATED_FROM, len(kept))
        read, decoded = [], []
        for sample in (kept[at * len(kept) // count] for at in range(count)):
            with contextlib.suppress(Exception):  # the pass says so
                there = all(self._kept(sample, name) for name in self._wanted)
                read.append(sum(map(cache.size, self.read(sample).values())))
                if not there:
                    decoded.append(sum(map(cache.size, self._images(sample, self._wanted).values())))
        for_models, others = (len(kept) * sum(some) / max(1, len(some)) for some in (read, decoded))
        cache.reserve, limit = math.ceil(for_models), cache.limit_bytes
        if for_models + others <= limit:
            return ""
        share = min(1.0, limit / max(1.0, for_models))
        other = min(1.0, max(0.0, limit - for_models) / max(1.0, others))
        return (
            f"the cache needs about {_gigabytes(for_models + others)} for all {len(kept):,} images, and its limit is "
            f"{_gigabytes(limit)}: what models read ({_gigabytes(for_models)}) is kept of about {share:.0%} of them, "
            f"the decoded image, for other models, of about {other:.0%}. --cache-size "
            f"{math.ceil((for_models + others) / 0.9e9)} would keep all"
        )

    def _expected(self, samples: Sequence[Sample]) -> Iterator[str]:
        kinds = {one.values for one in self._wanted.values()}
        for sample in samples:
            if self.reader.keeps(sample):
                images = {kind: self.reader.key(sample, kind, self._with_masks) for kind in kinds}
                yield from images.values()
                yield from (self._key_of(images[one.values], name) for name, one in self._wanted.items() if one.made_by)

    def _key_of(self, image: str, name: str) -> str:
        return digest("input/1", image, self._wanted[name].made_by, str(name in self._masked))

    def _key(self, sample: Sample, name: str) -> str:
        """Return the key of one thing that is read of an image; empty where it is not kept."""
        wanted = self._wanted[name]
        if not wanted.made_by or not self.reader.keeps(sample):
            return ""
        return self._key_of(self.reader.key(sample, wanted.values, self._with_masks), name)

    def _kept(self, sample: Sample, name: str) -> Input | None:
        key = self._key(sample, name) if self.reader.cache is not None else ""
        return self.reader.cache.get_input(key) if self.reader.cache is not None and key else None

    def _images(self, sample: Sample, names: Sequence[str] | Mapping[str, _Wanted]) -> dict[str, Image]:
        kinds = sorted({self._wanted[name].values for name in names})
        return {kind: self.reader.image(sample, kind, masked=self._with_masks) for kind in kinds}

    def _made(self, sample: Sample, names: Sequence[str]) -> dict[str, Input]:
        """Make what is not there, step by step for all models: which error comes first must not depend on the cache."""
        images = self._images(sample, names)
        shown = {name: images[self._wanted[name].values] for name in names}
        recipes = {name: self.preprocessings[name] for name in names if name != STATISTICS}
        levels = {name: one.levels(own(shown[name], one)) for name, one in recipes.items()}
        masks = {
            name: _in_few_bits(one.prepare_mask(own(shown[name], one)))
            for name, one in recipes.items()
            if name in self._masked
        }
        used = {kind: one.range_used for kind, one in images.items()}
        if STATISTICS in names:
            row = torch.from_numpy(image_statistics(shown[STATISTICS]))
            levels[STATISTICS] = Levels(row[None, None])
        return {name: Input(levels[name], used[self._wanted[name].values], masks.get(name)) for name in names}


def _made_by(how: object) -> str:
    """Return what decides how an image becomes what a model reads; empty where that cannot be known."""
    identity = identity_of(how)
    versions = (f"{name} {installed_version(name)}" for name in _RESAMPLING)
    return "" if identity.unknown else digest(identity.key, *versions, *processor())


def _gigabytes(count: float) -> str:
    return f"{count / 1e9:,.3g} GB"


def _in_few_bits(mask: torch.Tensor) -> torch.Tensor:
    """Return a mask that is 0 or 1 everywhere in 8 bits, any other as it is."""
    few = mask.to(torch.uint8)
    return few if torch.equal(few.to(mask.dtype), mask) else mask
