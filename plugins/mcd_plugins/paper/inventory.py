"""What the paper needs, and what of it is in a folder: recognised by names and layout, nothing is opened."""

from __future__ import annotations

import fnmatch
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Literal

import pydantic
import yaml

from mcd.errors import UnknownNameError, UsageError, nearest

__all__ = ["Found", "Item", "Layout", "ProbeSet", "inventory", "look"]

_DEPTH = 3
"""Folders below the given one that are searched; data sets have thousands of folders further down."""

State = Literal["there", "incomplete", "cannot be read", "missing"]


class _Record(pydantic.BaseModel):
    model_config = pydantic.ConfigDict(extra="forbid", frozen=True)


class Item(_Record):
    """Something that the paper used.

    Attributes
    ----------
    title, role
        What it is, and what for.
    source, licence, access
        Where its authors publish it, under what, and who gets it.
    names
        Patterns of file names, or of paths, of which the first that fits a file counts; case does not.
    """

    title: str
    role: str
    source: str
    licence: str
    access: str
    names: tuple[str, ...] = ()


class Layout(_Record):
    """How a data set lies in a folder.

    Attributes
    ----------
    plugin, option
        The data set that reads it, and the setting that takes the place.
    markers
        Files by which the folder is recognised, patterns of paths below it.
    itself
        Whether the place is the marker, and not the folder that it lies in.
    """

    plugin: str
    option: str
    markers: tuple[str, ...]
    itself: bool = False


class ProbeSet(Item):
    """Images that the paper showed.

    Attributes
    ----------
    layouts
        In which it is read; the first that is there counts.
    where
        Which of its images the paper used, as in a study.
    preprocessing
        How the preprocessing of Mammo-CLIP differs for them.
    """

    layouts: tuple[Layout, ...]
    where: str | None = None
    preprocessing: Mapping[str, pydantic.JsonValue] = {}


class _Inventory(_Record):
    weights: Mapping[str, Item]
    concepts: Mapping[str, Item]
    probe_sets: Mapping[str, ProbeSet]

    def items(self) -> Iterator[tuple[str, Item]]:
        """Yield everything by its id."""
        for part in (self.weights, self.concepts, self.probe_sets):
            yield from part.items()


@cache
def inventory() -> _Inventory:
    """Return what the paper needs."""
    text = files("mcd_plugins.paper").joinpath("inventory.yaml").read_text(encoding="utf-8")
    return _Inventory.model_validate(yaml.safe_load(text))


@dataclass(frozen=True)
class Found:
    """What became of an item in a folder.

    Parameters
    ----------
    id, item
        Which; its text names the network that is there.
    path
        Where it is: a file, or the folder of a data set. None where it is missing.
    layout
        Of a data set.
    trouble
        Why it cannot be used although it is there; empty where it can.
    """

    id: str
    item: Item
    path: Path | None = None
    layout: Layout | None = None
    trouble: str = ""

    @property
    def state(self) -> State:
        """In a word or two."""
        if self.path is None:
            return "missing"
        if self.trouble:
            return "incomplete" if self.layout else "cannot be read"
        return "there"

    @property
    def usable(self) -> bool:
        """Whether it is there, as far as names say."""
        return self.state == "there"


def look(folder: Path, chosen: Mapping[str, str] | None = None) -> dict[str, Found]:
    """Return by id what is in a folder, in the order of the inventory.

    Parameters
    ----------
    chosen
        Id → a path below the folder, for what is called otherwise.

    Raises
    ------
    UsageError
        When the folder is none, or several files could be an item.
    """
    if not folder.is_dir():
        raise UsageError(f"{folder} is not a folder", "mcd paper DIR, of checkpoints and data; see: mcd paper --help")
    chosen, book = chosen or {}, inventory()
    known = [name for name, _ in book.items()]
    for name in chosen:
        if name not in known:
            raise UnknownNameError(f"files: the paper needs nothing called '{name}'", nearest(name, known))
    there = _files(folder)
    found: dict[str, Found] = {}
    network = "b5"
    for name, item in book.items():
        if isinstance(item, ProbeSet):
            found[name] = _data_set(name, item, folder, there, chosen.get(name))
            continue
        named = _for_network(item, network)
        found[name] = _file(name, named, folder, there, chosen.get(name))
        path = found[name].path
        if name == "mammo-clip" and path is not None and "b2" in path.name.lower():
            network = "b2"
    return found


def _for_network(item: Item, network: str) -> Item:
    names = tuple(one.replace("{network}", network) for one in item.names)
    return item.model_copy(update={"names": names, "source": item.source.replace("{network}", network)})


def _files(folder: Path) -> list[str]:
    """Return the paths of files below a folder, not far down, in a fixed order; hidden ones are left out."""
    found = []
    for place, folders, names in os.walk(folder, followlinks=True):  # no loop is longer than the depth
        below = Path(place).relative_to(folder)
        folders[:] = sorted(one for one in folders if not one.startswith(".")) if len(below.parts) < _DEPTH else []
        found += [(below / one).as_posix() for one in names if not one.startswith(".")]
    return sorted(found)


def _fits(path: str, pattern: str) -> bool:
    return fnmatch.fnmatchcase(path.lower(), pattern.lower())


def _file(name: str, item: Item, folder: Path, there: Sequence[str], chosen: str | None) -> Found:
    if chosen is not None:
        path = folder / chosen
        return Found(name, item, path, trouble=_unreadable(path))
    fitting = next((files for files in (_matching(there, pattern) for pattern in item.names) if files), [])
    if len(fitting) > 1:
        shown = ", ".join(fitting[:3]) + (" …" if len(fitting) > 3 else "")
        raise UsageError(
            f"{folder}: {len(fitting)} files could be the {item.title}: {shown}",
            f"keep one, or name it in the file of --settings: files: {{{name}: {fitting[0]}}}",
        )
    if not fitting:
        return Found(name, item)
    path = folder / fitting[0]
    return Found(name, item, path, trouble=_unreadable(path))


def _matching(there: Sequence[str], pattern: str) -> list[str]:
    """Return the paths whose file name, or whose end where the pattern has folders, fits a pattern."""
    if "/" in pattern:
        return [one for one in there if _fits(one, pattern)]
    return [one for one in there if _fits(one.rpartition("/")[2], pattern)]


def _unreadable(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return "" if file.read(1) else "it is empty"
    except OSError as error:
        return error.strerror or "it cannot be read"


def _data_set(name: str, item: ProbeSet, folder: Path, there: Sequence[str], chosen: str | None) -> Found:
    """Return the first layout that is complete, or else the first that has some of its files."""
    best = Found(name, item)
    for layout in item.layouts:
        for place in _places(layout, there) if chosen is None else [chosen]:
            inside = place if layout.itself else f"{place}/" if place not in ("", ".") else ""
            lacking = [one for one in layout.markers if not any(_marks(path, inside, one, layout) for path in there)]
            path = folder / place
            if not lacking:
                return Found(name, item, path, layout)
            if best.path is None and len(lacking) < len(layout.markers):
                best = Found(name, item, path, layout, f"{', '.join(lacking)} is missing")
    if best.path is None and chosen is not None:
        markers = ", ".join(item.layouts[0].markers)
        return Found(name, item, folder / chosen, item.layouts[0], f"{markers} is missing")
    return best


def _places(layout: Layout, there: Sequence[str]) -> list[str]:
    """Return where a layout may begin: what its markers lie in."""
    found = []
    for marker in layout.markers:
        for path in there:
            if layout.itself and _fits(path.rpartition("/")[2], marker):
                found.append(path)
            elif not layout.itself and (_fits(path, marker) or _fits(path, f"*/{marker}")):
                found.append("/".join(path.split("/")[: -len(marker.split("/"))]))
    return list(dict.fromkeys(found))


def _marks(path: str, inside: str, marker: str, layout: Layout) -> bool:
    if layout.itself:
        return path == inside
    return path.startswith(inside) and _fits(path.removeprefix(inside), marker)
