"""The data set ``combine``: several data sets as one, each with its share."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Annotated

import numpy as np
import pydantic
from numpy.typing import NDArray

import mcd
from mcd.errors import DataError, PluginLoadError, amount
from mcd.plugins import Seed, digest, examine_each

__all__ = ["Combined", "Part"]


def _or_text(value: object) -> object:
    return {"plugin": value} if isinstance(value, str) else value


def _share(value: object) -> object:
    """Refuse what is neither a count nor a fraction: 1.0 could be meant as either."""
    if isinstance(value, float) and not 0 < value < 1:
        raise ValueError("write a fraction between 0 and 1, a whole number of images, or leave it out for all")
    return value


class Part(mcd.Options):
    """One of the data sets."""

    plugin: str = pydantic.Field(min_length=1, description="the data set, as NAME or NAME:VALUE")
    options: dict[str, pydantic.JsonValue] = pydantic.Field(default_factory=dict, description="its settings")
    share: Annotated[int | float | None, pydantic.BeforeValidator(_share)] = pydantic.Field(
        default=None,
        gt=0,
        le=1_000_000_000,
        description="how many of its images: a whole number, or a fraction of them; by default all",
    )
    name: str = pydantic.Field(
        default="", pattern=r"^[^/]*$", description="what ids and remarks call it; by default the data set's name"
    )

    @property
    def called(self) -> str:
        """What ids and remarks call it."""
        return self.name or self.plugin.partition(":")[0].rpartition("/")[2]


class Combined(mcd.CompositeDataset):
    """Several data sets as one, in their order: mammograms beside natural images, or several cohorts.

    Ids, patients and exams get the part's name before them, so that equal keys of two parts stay apart. A share is
    drawn by the ids alone: it does not depend on the order of a part, and with more images in a part most of it stays.
    """

    class Options(mcd.Options):
        """Settings of the data set."""

        parts: tuple[Annotated[Part, pydantic.BeforeValidator(_or_text)], ...] = pydantic.Field(
            min_length=1, description='the data sets, such as ["vindr-mammo:DIR", {"plugin": "csv:FILE", "share": 200}]'
        )
        seed: Seed = pydantic.Field(default=0, description="decides which images make up a share")

        @pydantic.field_validator("parts")
        @classmethod
        def _distinct(cls, parts: tuple[Part, ...]) -> tuple[Part, ...]:
            names = [part.called for part in parts]
            twice = sorted({name for name in names if names.count(name) > 1})
            if twice:
                raise ValueError(f"two parts are called '{twice[0]}': give each a name")
            return parts

    options: Options

    def __init__(self, options: mcd.Options | None = None) -> None:
        super().__init__(options)
        self._parts: dict[str, mcd.Dataset] = {}
        self._taken: dict[str, tuple[int, int]] = {}
        self._ways: dict[str, str] = {}

    def assemble(self, parts: Sequence[mcd.Dataset]) -> None:
        """Take the data sets that `options.parts` asks for, in that order; the engine creates them by name."""
        self._parts = {part.called: one for part, one in zip(self.options.parts, parts, strict=True)}
        ways = {name: one.decoding() for name, one in self._parts.items()}
        self._ways = ways if len(set(ways.values())) > 1 else {}
        self.ids_are_public = all(one.ids_are_public for one in parts)
        self.has_masks = all(one.has_masks for one in parts)
        self.images_may_be_copied = all(one.images_may_be_copied for one in parts)
        self.against_copies = "; ".join(dict.fromkeys(one.against_copies for one in parts if one.against_copies))

    def __len__(self) -> int:
        """Return how many images the parts give, as far as that can be said before they are listed."""
        return sum(_count(part, len(one)) for part, one in self._assembled())

    def scan(self) -> Iterator[mcd.Sample | mcd.Unreadable]:
        """Yield the chosen samples of each part; what is broken in any of them too."""
        for part, dataset in self._assembled():
            found = list(dataset.scan())
            samples = [one for one in found if isinstance(one, mcd.Sample)]
            chosen = self._chosen(part, samples)
            self._taken[part.called] = (len(chosen), len(samples))
            for one in found:
                if isinstance(one, mcd.Unreadable):
                    yield one
                elif one.id in chosen:
                    yield self._shown(part.called, one)

    def remarks(self) -> list[str]:
        """Return what the parts remark, each with its name before it, and how much of each is taken."""
        remarks = [_of_part(f"{part.called}: ", one) for part, own in self._assembled() for one in own.remarks()]
        return remarks + [
            f"{name}: {taken} of {there} images are taken (seed {self.options.seed})"
            for name, (taken, there) in self._taken.items()
            if taken < there
        ]

    def examine(self, sample: mcd.Sample) -> mcd.Sample | mcd.Unreadable:
        """Return what the part that the sample is from finds."""
        name, dataset, own = self._own(sample)
        found = dataset.examine(own)
        return self._shown(name, found, own.digest) if isinstance(found, mcd.Sample) else found

    def examine_each(self, samples: Sequence[mcd.Sample]) -> Iterator[mcd.Sample | mcd.Unreadable]:
        """Yield what `examine` returns for each sample, by its part."""
        for name, group in itertools.groupby(samples, lambda one: one.id.partition("/")[0]):
            several = [self._own(one)[2] for one in group]
            for own, found in zip(several, examine_each(self._parts[name], several), strict=True):
                yield self._shown(name, found, own.digest) if isinstance(found, mcd.Sample) else found

    def current_digest(self, sample: mcd.Sample) -> str:
        """Return the sample as the part that it is from examines it."""
        name, dataset, own = self._own(sample)
        return self._digest(name, dataset.current_digest(own))

    def read(self, sample: mcd.Sample) -> mcd.Image:
        """Decode one image."""
        _, dataset, own = self._own(sample)
        return dataset.read(own)

    def read_stored(self, sample: mcd.Sample) -> mcd.Image:
        """Decode one image with its stored values."""
        _, dataset, own = self._own(sample)
        return dataset.read_stored(own)

    def mask(self, sample: mcd.Sample, image: mcd.Image) -> NDArray[np.bool_] | None:
        """Return where the breast is, as the part says."""
        _, dataset, own = self._own(sample)
        return dataset.mask(own, image)

    def fingerprint(self) -> str:
        """Return a digest of the settings and of the parts'."""
        return digest(super().fingerprint(), *(one.fingerprint() for _, one in self._assembled()))

    def decoding(self) -> str:
        """Return a digest of what decides how the parts' files become pixels."""
        return digest("combine", *(text for part, one in self._assembled() for text in (part.called, one.decoding())))

    def _assembled(self) -> list[tuple[Part, mcd.Dataset]]:
        if not self._parts:
            raise PluginLoadError("combine was not given its parts", "create it by name, or call assemble")
        return [(part, self._parts[part.called]) for part in self.options.parts]

    def _chosen(self, part: Part, samples: Sequence[mcd.Sample]) -> set[str]:
        wanted = _count(part, len(samples))
        if wanted > len(samples):
            raise DataError(
                f"part '{part.called}' has {amount(len(samples), 'image')}, but its share is {wanted}",
                "ask for fewer, or leave share out for all",
            )
        drawn = sorted((one.id for one in samples), key=lambda own: digest(str(self.options.seed), own))
        return set(drawn[:wanted])

    def _digest(self, name: str, found: str) -> str:
        """Return the digest of a part's image: with how the part reads it, where another part reads otherwise.

        The same file then is another image in each of them.
        """
        return digest(self._ways[name], found) if found and name in self._ways else found

    def _shown(self, name: str, sample: mcd.Sample, before: str = "") -> mcd.Sample:
        """Return a part's sample as the combination shows it; ``before`` is the digest that it had in it already."""
        return replace(
            sample,
            id=f"{name}/{sample.id}",
            digest=before if sample.digest == before else self._digest(name, sample.digest),
            patient=sample.patient and f"{name}/{sample.patient}",
            exam=sample.exam and f"{name}/{sample.exam}",
            collection=sample.collection or name,
        )

    def _own(self, sample: mcd.Sample) -> tuple[str, mcd.Dataset, mcd.Sample]:
        """Return the part's name, the part, and the sample as the part knows it."""
        name = sample.id.partition("/")[0]
        start = f"{name}/"
        own = replace(
            sample,
            id=sample.id.removeprefix(start),
            patient=sample.patient.removeprefix(start),
            exam=sample.exam.removeprefix(start),
        )
        return name, self._parts[name], own


def _of_part(start: str, remark: str) -> str:
    if isinstance(remark, mcd.Remark):
        return remark.after(start)
    return remark and f"{start}{remark}"


def _count(part: Part, there: int) -> int:
    if part.share is None:
        return there
    return part.share if isinstance(part.share, int) else max(1, round(part.share * there))
