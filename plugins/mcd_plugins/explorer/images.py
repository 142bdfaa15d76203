"""The images that a page shows: their ids, what is known about them, and small copies where that is allowed."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import NDArray

import mcd
from mcd.errors import MCDError, StoreError
from mcd.plugins import Copy, copies, data_set_of, digest, echo, same_samples, sight_of
from mcd_plugins.explorer.maps import Shown, maps_of, parts_of, sizes_of
from mcd_plugins.explorer.originals import Source
from mcd_plugins.explorer.packing import Json, Names, packed
from mcd_plugins.reporters.absent import left_out

__all__ = ["Gallery", "Thumbnails"]

FIELDS = ("view", "laterality", "density", "assessment", "implant")
"""What is shown of an image besides its findings. Never its source, patient or exam."""

_BYTES = 14 * 10**6
"""Of all small copies and maps in one page: as base64 they are a third longer, and a page is to stay under 25 MB."""

_MAPS = 5 * 10**6
"""Of these, all maps at most."""


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
    found: tuple[mcd.Dataset, Mapping[str, mcd.Sample]] | None = None
    """The data set and its samples, once small copies were made of some."""


@dataclass(frozen=True)
class _Mapped:
    """A run with maps: the number of its probe set, its top images, and their maps."""

    dissection: mcd.Dissection
    probe: int
    rows: NDArray[np.int64]
    maps: Shown


class Gallery:
    """Gathers the images of several runs; those of one probe set are shown once.

    Parameters
    ----------
    thumbnails
        What is wanted.
    runs
        How many there will be, at most.
    """

    def __init__(self, thumbnails: Thumbnails, runs: int = 1) -> None:
        self._thumbnails = thumbnails
        self._probes: dict[str, _Probe] = {}
        self._bytes, self._room_for_maps = _BYTES, _MAPS // runs
        self._mapped: dict[int, _Mapped] = {}

    def add(self, dissection: mcd.Dissection, rows: NDArray[np.int64]) -> dict[str, Json]:
        """Take in the top images of a run; return which probe set they are from, and their numbers in it.

        Parameters
        ----------
        rows
            Of A, ``(neurons, images)``.
        """
        try:
            ids = dissection.image_ids
        except StoreError as error:  # a run shared without its private folder
            left_out("top images", error)
            return {}
        key = digest(dissection.manifest.fingerprints["probe set"], *ids)
        probe = self._probes.setdefault(key, _Probe(dissection))
        # by rank, so that images that matter most come first when not all can be shown
        numbers = {row: probe.shown.number(ids[row]) for row in dict.fromkeys(rows.T.ravel().tolist())}
        known = np.zeros(len(ids), dtype=np.int64)
        known[list(numbers)] = list(numbers.values())
        return {"probe": list(self._probes).index(key), "image": packed(known[rows])}

    def add_maps(
        self, run: int, dissection: mcd.Dissection, rows: NDArray[np.int64], shown: Mapping[str, Json]
    ) -> None:
        """Take in the maps of a run, and leave room for them and for pictures of what its network saw.

        Parameters
        ----------
        run
            Its number in the page.
        rows
            As in `add`.
        shown
            As `add` returned it.
        """
        maps = maps_of(dissection, rows, self._room_for_maps)
        if maps is not None:
            self._mapped[run] = _Mapped(dissection, int(str(shown["probe"])), rows, maps)
            self._bytes -= maps.size

    def _room(self) -> int:
        return self._bytes // (len(self._probes) + len(self._mapped))

    def _laid_over(self, mapped: _Mapped, pictures: list[Json]) -> Json:
        """Return the maps of a run; add the pictures under them. Where there can be none, return a note instead."""
        probe = list(self._probes.values())[mapped.probe]
        if probe.found is None:
            return {"note": "Where in an image it responds is shown only where the images are."}
        dataset, samples = probe.found
        run, known = mapped.dissection, mapped.maps.there
        strongest = mapped.rows[:, : known.shape[1]].T[known.T]
        wanted = [run.image_ids[row] for row in dict.fromkeys(strongest.tolist())]
        try:
            found = copies(
                run,
                wanted,
                self._thumbnails.size,
                dataset=dataset,
                samples=samples,
                sight=sight_of(run),
                at_most=self._room(),
            )
        except MCDError as error:
            echo(f"note: no maps: {error.message}", err=True)
            return {
                "note": "Where in an image it responds is not shown: what the network saw of it could not be made "
                "again when this page was made."
            }
        made = [found.get(str(one)) for one in probe.shown.column()]
        pictures.append(_encoded(made))
        sizes = packed(sizes_of([one.content if one else b"" for one in made]))
        parts = packed(parts_of([one.part if one else None for one in made]))
        return {**mapped.maps.content, "pictures": len(pictures) - 1, "sizes": sizes, "parts": parts, "note": ""}

    def content(self) -> tuple[list[Json], list[Json], dict[int, Json]]:
        """Return what is known about the images of each probe set; pictures, ``""`` where there is none; maps by run.

        The first pictures are small copies of the images of each probe set, further ones what a network saw of them.
        """
        described: list[Json] = []
        pictures: list[Json] = []
        for probe in self._probes.values():
            ids = [str(one) for one in probe.shown.column()]
            found, note = self._copies(probe, ids)
            known = {entry["id"]: entry for entry in probe.dissection.probe_map}
            made = [found.get(one) for one in ids]
            shapes = np.array([one.shape if one else (0, 0) for one in made], dtype=np.int64).reshape(-1, 2)
            described.append({**_metadata([known[one] for one in ids]), "shapes": packed(shapes), "note": note})
            pictures.append(_encoded(made))
        return described, pictures, {run: self._laid_over(one, pictures) for run, one in self._mapped.items()}

    def sources(self) -> list[Source | None]:
        """Return where the images of each probe set are; None where they may not be shown. Call `content` before."""
        return [
            probe.found and Source(probe.dissection, key, [str(one) for one in probe.shown.column()], *probe.found)
            for key, probe in self._probes.items()
        ]

    def _copies(self, probe: _Probe, ids: Sequence[str]) -> tuple[Mapping[str, Copy], str]:
        """Return the small copies, and what a reader must know about them."""
        if self._thumbnails.wanted == "false":
            return {}, "Images are named by their ids only: this page was made without thumbnails."
        try:
            dataset = data_set_of(probe.dissection)
            if self._thumbnails.wanted == "auto" and not dataset.images_may_be_copied:
                return {}, _not_copied(dataset)
            if dataset.against_copies:
                echo(f"note: the page holds copies of images, but {dataset.against_copies}", err=True)
            samples = same_samples(probe.dissection, dataset)
            found = copies(
                probe.dissection, ids, self._thumbnails.size, dataset=dataset, samples=samples, at_most=self._room()
            )
            probe.found = dataset, samples
        except MCDError as error:  # its message may name files: it goes to the terminal, not into the page
            advice = f"; {error.hint.splitlines()[0]}" if error.hint else ""
            echo(f"note: no thumbnails: {error.message}{advice}", err=True)
            return {}, _UNREAD if probe.dissection.trust else _UNTRUSTED
        texts = sum(samples[one].burned_in for one in ids)
        return found, _copied(dataset, len(found), len(ids) - texts, texts)


_UNREAD = "The images could not be found again, or have changed, when this page was made."
_UNTRUSTED = (
    "Images are named by their ids only: this run would read files outside of its folder. If you trust it, and may "
    "copy its images: mcd report RUN --trust --reporter-arg thumbnails=true"
)


def _encoded(made: Sequence[Copy | None]) -> list[Json]:
    return [base64.b64encode(one.content).decode("ascii") if one else "" for one in made]


def _not_copied(dataset: mcd.Dataset) -> str:
    reason = dataset.against_copies or "they may show patients"
    return (
        f"Images are named by their ids only and not copied into this page: {reason}. If you may copy them: "
        "mcd report RUN --reporter-arg thumbnails=true"
    )


def _copied(dataset: mcd.Dataset, found: int, wanted: int, texts: int) -> str:
    cautions = []
    if dataset.against_copies:
        cautions.append(f"Do not pass this page on: it holds copies of images, and {dataset.against_copies}.")
    elif not dataset.images_may_be_copied:
        cautions.append("This page holds copies of images that may show patients: pass it on only if you may.")
    if found < wanted:
        cautions.append(
            f"{found} of {wanted} images are shown: others cannot be read any more, or the page would be too large."
        )
    if texts:
        cautions.append(
            f"{texts} {'images are' if texts > 1 else 'image is'} not shown: by their headers text is burned into the "
            "pixels, which may name the patient."
        )
    return " ".join(cautions)


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
