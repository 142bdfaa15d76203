"""The images that a page shows: their ids, what is known about them, and small copies where that is allowed."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

import click
import numpy as np
from numpy.typing import NDArray

import mcd
from mcd.errors import MCDError, StoreError
from mcd.thumbnails import data_set_of, thumbnails
from mcd_plugins.explorer.packing import Json, Names, packed

__all__ = ["Gallery", "Thumbnails"]

FIELDS = ("view", "laterality", "density", "assessment", "implant")
"""What is shown of an image besides its findings. Never its source, patient or exam."""

_BYTES = 14 * 10**6
"""Of all small copies in one page: as base64 they are a third longer, and a page is to stay under 25 MB."""


@dataclass(frozen=True)
class Thumbnails:
    """Whether small copies are wanted, and how long their longer side is in pixels."""

    wanted: Literal["auto", "true", "false"]
    size: int


@dataclass
class _Probe:
    """One probe set, the run it is known from, and those of its images that are shown."""

    dissection: mcd.Dissection
    shown: Names = field(default_factory=Names)


class Gallery:
    """Gathers the images of several runs; those of one probe set are shown once.

    Parameters
    ----------
    thumbnails
        What is wanted.
    """

    def __init__(self, thumbnails: Thumbnails) -> None:
        self._thumbnails = thumbnails
        self._probes: dict[str, _Probe] = {}

    def add(self, dissection: mcd.Dissection, rows: NDArray[np.int64]) -> dict[str, Json]:
        """Take in the top images of a run; return which probe set they are from, and their numbers in it.

        Parameters
        ----------
        rows
            Of A, ``(neurons, images)``.
        """
        try:
            ids = dissection.image_ids
        except StoreError:  # a run shared without its private folder
            return {}
        key = mcd.digest(dissection.manifest.fingerprints["probe set"], *ids)
        probe = self._probes.setdefault(key, _Probe(dissection))
        # by rank, so that images that matter most come first when not all can be shown
        numbers = {row: probe.shown.number(ids[row]) for row in dict.fromkeys(rows.T.ravel().tolist())}
        known = np.zeros(len(ids), dtype=np.int64)
        known[list(numbers)] = list(numbers.values())
        return {"probe": list(self._probes).index(key), "image": packed(known[rows])}

    def content(self) -> tuple[list[Json], list[Json]]:
        """Return what is known about the images of each probe set, and the small copies, ``""`` where there is none."""
        described: list[Json] = []
        pictures: list[Json] = []
        for probe in self._probes.values():
            ids = [str(one) for one in probe.shown.column()]
            copies, note = self._copies(probe.dissection, ids)
            known = {entry["id"]: entry for entry in probe.dissection.probe_map}
            described.append({**_metadata([known[one] for one in ids]), "note": note})
            pictures.append([base64.b64encode(copies.get(one, b"")).decode("ascii") for one in ids])
        return described, pictures

    def _copies(self, dissection: mcd.Dissection, ids: Sequence[str]) -> tuple[dict[str, bytes], str]:
        """Return the small copies, and what a reader must know about them."""
        if self._thumbnails.wanted == "false":
            return {}, "Images are named by their ids only: this page was made without thumbnails."
        try:
            dataset = data_set_of(dissection)
            if self._thumbnails.wanted == "auto" and not dataset.images_may_be_copied:
                return {}, _not_copied(dataset)
            if dataset.against_copies:
                click.echo(f"note: the page holds copies of images, but {dataset.against_copies}", err=True)
            found = thumbnails(dissection, ids, self._thumbnails.size, dataset=dataset,
                               at_most=_BYTES // len(self._probes))  # fmt: skip
        except MCDError as error:  # what it says may name files: it goes to the terminal, not into the page
            click.echo(f"note: no thumbnails: {error.message}", err=True)
            return {}, "The images could not be found again, or have changed, when this page was made."
        return dict(found), _copied(dataset, len(found), len(ids))


def _not_copied(dataset: mcd.Dataset) -> str:
    reason = dataset.against_copies or "they may show patients"
    return f"Images are named by their ids only and not copied into this page: {reason}."


def _copied(dataset: mcd.Dataset, found: int, wanted: int) -> str:
    told = []
    if dataset.against_copies:
        told.append(f"Do not pass this page on: it holds copies of images, and {dataset.against_copies}.")
    elif not dataset.images_may_be_copied:
        told.append("This page holds copies of images that may show patients: pass it on only if you may.")
    if found < wanted:
        told.append(f"{found} of {wanted} images are shown: others cannot be read any more, or the page would be too "
                    "large.")  # fmt: skip
    return " ".join(told)


def _metadata(entries: Sequence[dict[str, str]]) -> dict[str, Json]:
    found: dict[str, Json] = {"ids": [entry["id"] for entry in entries]}
    for name in FIELDS:
        names = Names()
        numbers = [names.number(entry.get(name, "")) for entry in entries]
        found[name] = {"names": names.column(), "of": packed(np.array(numbers, dtype=np.int64))}
    findings = Names()
    present: list[Json] = []
    for entry in entries:
        present.append([findings.number(one) for one in entry.get("findings", "").split("|") if one])
    found["findings"] = {"names": findings.column(), "of": present}
    return found
