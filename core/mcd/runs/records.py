"""Entries of a manifest: labels imported from files, parts of a run, and what a layer is seen through."""

from __future__ import annotations

from collections.abc import Iterable

import pydantic

from mcd.api.base import digest
from mcd.api.remark import Remark
from mcd.api.units import Units
from mcd.extraction.parts import MOST_PARTS, Part
from mcd.options import Record

__all__ = [
    "MOST",
    "NOT_STATED",
    "NO_SCORES",
    "Imported",
    "ImportedFile",
    "PartRecord",
    "RemarkRecord",
    "UnitsRecord",
]

MOST = 2**31
"""Neurons of a layer, images, shards."""


class UnitsRecord(Record):
    """What a layer is seen through: the names of units, facts about them, and how many images they were fitted on.

    ``fitted_digest`` is one digest of those of the images. Without images it is not recorded which these were. ``kept``
    is how many images of the probe set are of patients that they were fitted on.
    """

    names: list[str] = pydantic.Field(default_factory=list)
    facts: dict[str, str] = pydantic.Field(default_factory=dict)
    fitted: int = pydantic.Field(default=0, ge=0, le=MOST)
    fitted_digest: str = ""
    kept: int = pydantic.Field(default=0, ge=0, le=MOST)

    @classmethod
    def of(cls, units: Units, kept: int) -> UnitsRecord:
        """Return what is recorded of units, of which so many images are no test."""
        fitted = sorted(units.fitted)
        names, facts = list(units.names), dict(units.facts)
        found = digest(*fitted) if fitted else ""
        return cls(names=names, facts=facts, fitted=len(fitted), fitted_digest=found, kept=kept)


class ImportedFile(Record):
    """A file that labels were imported from: its SHA-256, the format it was read in, and how many rows it has."""

    sha256: str
    format: str
    rows: int = pydantic.Field(ge=1, le=MOST)


class Imported(Record):
    """Where labels come from that another tool made.

    ``tool`` made them, ``score`` is what it calls its scores, empty where there are none. ``concepts`` is the concept
    set that labels were looked up in, empty where the set of the run is made of the labels; ``renamed`` has the labels
    that it calls otherwise.
    """

    tool: str
    score: str = ""
    files: list[ImportedFile] = pydantic.Field(min_length=1)
    concepts: str = ""
    renamed: dict[str, str] = pydantic.Field(default_factory=dict)


NO_SCORES = "none"
"""The scorer of imported labels without scores."""
NOT_STATED = "not stated"
"""The target or tool of imported labels that nobody named."""


class RemarkRecord(Record):
    """A remark with its counts, as `mcd.Remark` takes them."""

    text: str
    count: int = pydantic.Field(ge=0, le=MOST)
    of: int = pydantic.Field(ge=0, le=MOST)
    kinds: dict[str, pydantic.NonNegativeInt]
    usual: list[str]
    least: int = pydantic.Field(ge=0, le=MOST)

    @classmethod
    def of_each(cls, remarks: Iterable[str]) -> list[RemarkRecord | str]:
        """Return remarks as a manifest keeps them: with their counts, where they have some."""
        return [
            cls(
                text=one.text,
                count=one.number,
                of=one.of,
                kinds=dict(one.kinds),
                usual=list(one.usual),
                least=one.least,
            )
            if isinstance(one, Remark)
            else one
            for one in remarks
        ]

    @property
    def remark(self) -> Remark:
        """The remark."""
        return Remark(self.text, self.count, of=self.of, kinds=self.kinds, usual=self.usual, least=self.least)


class PartRecord(Record):
    """Which part of a run a folder holds, and what a part knows of the whole.

    Parameters
    ----------
    number, of
        Which part it is, from 1, and how many there are.
    place
        Which of the runs of the plan it is of.
    images
        How many images were chosen, of all parts.
    ids
        Digest of their ids, in order.
    reading
        Digest of code and settings of the data set and the recipe, whatever is installed.
    machine
        Digest of what of its machine decides last bits, as the store knows it.
    said
        What the part has to say by where a run of one process says it: ``first``, ``heard`` and ``listed`` of the
        images, ``next``, of the ``words``, of the ``sweep``.
    """

    number: int = pydantic.Field(ge=1, le=MOST_PARTS)
    of: int = pydantic.Field(ge=1, le=MOST_PARTS)
    place: int = pydantic.Field(ge=0, le=MOST)
    images: int = pydantic.Field(ge=1, le=MOST)
    ids: str
    reading: str
    machine: str
    said: dict[str, list[RemarkRecord | str]]

    @property
    def part(self) -> Part:
        """Which part it is."""
        return Part(self.number, self.of)

    def remarks(self, where: str) -> list[str]:
        """Return what the part says in one place, with its counts."""
        return [one.remark if isinstance(one, RemarkRecord) else one for one in self.said.get(where, [])]
