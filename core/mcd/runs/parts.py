"""A part of a run: which runs can be divided, and what a part keeps for those who join it with the others."""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass, field
from pathlib import Path

import pydantic

from mcd.api.base import digest
from mcd.api.schema import Schema, read_record
from mcd.errors import StoreError, UsageError
from mcd.events import Clock
from mcd.extraction.parts import Part
from mcd.extraction.probe import ProbeSet
from mcd.extraction.probe_map import PRIVATE, read_private, write_private
from mcd.extraction.remarks import ProbeRemarks
from mcd.networks.identity import Identity
from mcd.options import Record
from mcd.runs.models import Models
from mcd.runs.records import PartRecord, RemarkRecord
from mcd.study.digests import damaged

__all__ = ["PartImages", "Said", "check_divisible", "kept_images", "part_record", "write_images"]

_FILE = f"{PRIVATE}/part.json"
_SCHEMA = Schema("part", 1, remedy="make the part again into another --output")


@dataclass
class Said:
    """What a run says before it labels, by where it says it: joined parts say the same in the same order.

    Parameters
    ----------
    clock
        Of the study.

    Attributes
    ----------
    remarks
        What is said of the images, once they are examined.
    """

    clock: Clock
    remarks: ProbeRemarks = field(default_factory=ProbeRemarks, init=False)
    _starts: dict[str, int] = field(default_factory=lambda: {"first": 0}, init=False)

    def begin(self, where: str) -> None:
        """Note that what is said from now on is said there."""
        self._starts[where] = len(self.clock.warnings)

    def examined(self, remarks: ProbeRemarks) -> None:
        """Say what is to be said of the images."""
        self.remarks = remarks
        self.begin("images")
        for one in remarks.sentences():
            self.clock.warn(one)
        self.begin("next")

    def of(self, where: str) -> list[str]:
        """Return what was said there."""
        names = list(self._starts)
        after = names[names.index(where) + 1 :]
        return self.clock.warnings[self._starts[where] : self._starts[after[0]] if after else None]


def check_divisible(models: Models, images: Identity) -> None:
    """Make sure that parts of a run can be known for parts of one run.

    Raises
    ------
    UsageError
        When they cannot.
    """
    unknown = [*models.not_reused(), *([f"images: {images.unknown}"] if images.unknown else [])]
    if unknown:
        raise UsageError(
            f"this run cannot be divided, for nobody can say whether parts are of the same run: {unknown[0]}",
            "leave out --part, or --engine: one process makes this run",
        )


class PartImages(Record):
    """What a part keeps of its images for those who join it, in ``private``.

    Parameters
    ----------
    listing
        Digest of the data set's own ids of all images that were chosen, in order, and of the metadata of each.
    digests
        Of the bytes of each image that is shown, in order; empty texts where the data set gives none.
    """

    schema_: str = pydantic.Field(default="mcd.part/1", alias="schema")
    listing: str
    digests: list[str]


def part_record(part: Part, place: int, probe: ProbeSet, said: Said, reading: str, machine: str) -> PartRecord:
    """Return what the manifest of a part records of it.

    ``place`` is that of its run in the plan, ``reading`` a digest of how images are read, ``machine`` one of what of
    this machine decides last bits, as `mcd.extraction.keys.arithmetic` returns it.
    """
    words = {where: RemarkRecord.of_each(said.of(where)) for where in ("first", "next", "words", "sweep")}
    words |= {name: RemarkRecord.of_each(getattr(said.remarks, name)) for name in ("heard", "listed")}
    return PartRecord(
        number=part.number,
        of=part.of,
        place=place,
        images=len(probe.samples),
        ids=digest(*probe.ids),
        reading=reading,
        machine=machine,
        said=words,
    )


def write_images(folder: Path, probe: ProbeSet) -> None:
    """Write what a part keeps of its images into its folder."""
    kept = PartImages(listing=probe.listing, digests=[one.digest for one in probe.shown])
    write_private(folder / _FILE, (json.dumps(kept.model_dump(by_alias=True)) + "\n").encode())


def kept_images(folder: Path) -> PartImages:
    """Return what a part keeps of its images.

    Raises
    ------
    StoreError
        When it is missing, or not what the part wrote.
    """
    path = folder / _FILE
    try:
        data, own = read_private(folder, _FILE)
    except OSError as error:
        raise StoreError(
            f"cannot read {path}: {error.strerror}",
            f"parts are joined with their folders {PRIVATE}: copy all of them",
        ) from None
    if not own:
        raise damaged(path)
    found = read_record(data, _SCHEMA, PartImages, str(path))
    return found.model_copy(update={"digests": [sys.intern(one) for one in found.digests]})  # all runs have the same
