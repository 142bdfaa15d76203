"""The images of a page at full resolution: as many in the page as have room, further ones in a folder beside it."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import mcd
from mcd.errors import MCDError, StoreError
from mcd.plugins import Copy, copies, digest, echo, write_atomically

__all__ = ["FOLDER", "Full", "Source", "originals_of"]

FOLDER = "explorer-images"
"""Beside the page. Its files are called by salted ids."""

_SALTED = re.compile(r"[0-9a-f]{16}")
_AT_ONCE = 64
"""Images between two writes into the folder: what bounds the memory."""
_MB = 10**6
_NAMED = 64
"""Bytes that an image takes in the page besides its content, at most: those of its name."""


@dataclass(frozen=True)
class Full:
    """Whether images at full resolution are wanted.

    Parameters
    ----------
    where
        ``page``: in the page, as many as have room; ``folder``: those that have none, beside it; ``off``: nowhere.
    page, folder
        Megabytes (10⁶ bytes) that the page and the folder may have.
    """

    where: Literal["page", "folder", "off"]
    page: int
    folder: int


@dataclass(frozen=True)
class Source:
    """The images of one probe set that may be shown: its run, their ids, most important first, and where they are."""

    dissection: mcd.Dissection
    key: str
    ids: Sequence[str]
    dataset: mcd.Dataset
    samples: Mapping[str, mcd.Sample]


def originals_of(
    sources: Sequence[Source | None], wanted: Full, used: int, folder: Path
) -> tuple[list[list[str]], list[Path]]:
    """Return each image at full resolution, and what was written beside the page.

    Parameters
    ----------
    sources
        Of each probe set; None where its images may not be shown.
    used
        Bytes that the page has without them.
    folder
        That of the page.

    Returns
    -------
    tuple
        For each probe set and image base64, the name of a file beside the page, or nothing.

    Raises
    ------
    StoreError
        When the folder cannot be written.
    """
    known = [one for one in sources if one is not None]
    room = wanted.page * _MB - used - _NAMED * sum(len(one.ids) for one in known)
    beside = wanted.folder * _MB
    found: list[list[str]] = []
    written: list[Path] = []
    for source in sources:
        there: dict[str, str] = {}
        if source is not None and wanted.where != "off":
            there = _embedded(source, max(room, 0) * 3 // 4 // len(known))  # base64 is a third longer
            if wanted.where == "folder":
                for name, path in _beside(
                    source, [one for one in source.ids if one not in there], beside // len(known), folder
                ):
                    there[name] = f"{FOLDER}/{path.name}"
                    written.append(path)
        found.append([] if source is None else [there.get(name, "") for name in source.ids])
    return found, written


def _copies(source: Source, ids: Sequence[str], at_most: int) -> Mapping[str, Copy]:
    try:
        return copies(source.dissection, ids, None, dataset=source.dataset, samples=source.samples, at_most=at_most)
    except MCDError as error:
        echo(f"note: no images at full resolution: {error.message}", err=True)
        return {}


def _embedded(source: Source, room: int) -> dict[str, str]:
    found: dict[str, str] = {}
    for name, one in _copies(source, source.ids, room).items() if room else ():
        room -= len(one.content)
        if room < 0:
            break
        found[name] = base64.b64encode(one.content).decode("ascii")
    return found


def _beside(source: Source, ids: Sequence[str], room: int, folder: Path) -> Iterator[tuple[str, Path]]:
    for at in range(0, len(ids), _AT_ONCE):
        for name, one in _copies(source, ids[at : at + _AT_ONCE], room).items():
            room -= len(one.content)
            if room < 0:
                return
            yield name, _written(folder / FOLDER, _called(source, name), one.content)


def _called(source: Source, name: str) -> str:
    """Return a file name that says nothing: a salted id, or where ids are not salted a digest."""
    return f"{name if _SALTED.fullmatch(name) else digest(source.key, name)[:16]}.webp"


def _written(folder: Path, name: str, content: bytes) -> Path:
    try:
        folder.mkdir(exist_ok=True)
    except OSError as error:
        raise StoreError(f"cannot write into {folder}: {error.strerror}", "choose another --output") from None
    write_atomically(folder / name, content)
    return folder / name
