"""What somebody means who gave a file or a folder where the name of a component belongs."""

from __future__ import annotations

import ast
import os
import shlex
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from itertools import islice
from pathlib import Path

from mcd.components import Kind
from mcd.files import expanded, kind_of, read_regular
from mcd.host.records import Offer
from mcd.host.settings_text import declared_settings

__all__ = ["FLAGS", "meant", "which_path"]

FLAGS = {
    Kind.MODEL: ("--model-plugin", "--model-arg"),
    Kind.DISSECTOR: ("--dissector", "--dissector-arg"),
    Kind.DATASET: ("--dataset", "--dataset-arg"),
    Kind.PREPROCESSING: ("--recipe", "--recipe-arg"),
    Kind.UNITS: ("--units", ""),
    Kind.SCORER: ("--scorer", "--scorer-arg"),
    Kind.REPORTER: ("--reporter", "--reporter-arg"),
    Kind.CONCEPTS: ("--concepts", "--concepts-arg"),
}
"""The flag that names a component of a kind, and the one that sets what it is made with; none where study files do."""

_MOST_FILES = 1000
"""Files of a folder that are seen before it is decided what it holds."""


def which_path(name: str) -> str:
    """Say what a name is that is a path; an empty text where it looks like none."""
    found = kind_of(expanded(name))
    return f"it is a {found}" if found else ""


def meant(kind: Kind, name: str, offers: Sequence[Offer]) -> str:
    """Return the flags that somebody means, a line each; an empty text where nothing suggests any.

    Components say themselves which files are theirs (`mcd.Component.files`). Of those that claim a path the ones are
    returned that claim it by more than a suffix, if there are any; of a folder the one that claims most of its files.

    Parameters
    ----------
    kind
        Of the component that was asked for.
    name
        What was given as its name: a path, or a text that ends like one.
    offers
        The components of that kind.
    """
    path = expanded(name)
    if kind not in FLAGS or not (kind_of(path) or path.suffix):
        return ""
    flag, setting = FLAGS[kind]
    if kind is Kind.SCORER and path.suffix == ".py":
        return " or ".join(f"{flag} {one}" for one in _functions(path))
    if kind is Kind.PREPROCESSING:  # whatever the path is: recipes read no files
        return "\n".join(f"{flag} {one.component.name} {setting} KEY=VALUE" for one in offers)
    claims = list(_claims(offers))
    found = [(claim, path) for claim in _closest([one for one in claims if one.takes(_names(path))])]
    if kind_of(path) == "folder":
        found = _of_folder(path, [one for one in claims if one.is_of_folder])
    shown = {claim.offer.qualified: claim.written(where) for claim, where in found}
    if len(shown) == 1:
        return next(iter(shown.values()))
    about = {one.qualified: one.component.summary for one in offers}
    return "\n".join(f"{about[one] or one}: {flags}" for one, flags in shown.items())


@dataclass(frozen=True)
class _Claim:
    """One of the patterns in which a component says which files are its own; see `mcd.Component.files`."""

    offer: Offer
    patterns: tuple[str, ...]
    """Of the file's name and of the folders above it, the uppermost first: that one is the component's value."""
    function: str
    setting: str

    @classmethod
    def of(cls, offer: Offer, text: str) -> _Claim:
        before, equals, rest = text.rpartition("=")
        rest, _, function = rest.partition(":")
        return cls(offer, tuple(rest.lower().split("/")), function, before if equals else "")

    @property
    def is_of_folder(self) -> bool:
        return len(self.patterns) > 1

    @property
    def is_specific(self) -> bool:
        """Whether it says more of a path than a suffix."""
        return any(one.partition(".")[0] != "*" for one in self.patterns)

    def takes(self, names: Sequence[str]) -> bool:
        """Return whether it claims a file of these `_names`."""
        last = names[-len(self.patterns) :]
        return len(last) == len(self.patterns) and all(map(fnmatchcase, last, self.patterns))

    def written(self, path: Path) -> str:
        """Return the flags that give the component a path."""
        flag, setting = FLAGS[self.offer.kind]
        name = self.offer.component.name
        if self.offer.kind is Kind.REPORTER:  # it writes such a file, below --output
            return f"{flag} {name}"
        if self.function:
            return " or ".join(f"{flag} {name}:{one}" for one in _functions(path, self.function))
        if self.setting:
            first = next(iter(declared_settings(self.offer)), None)
            value = first.name.upper() if first is not None else "VALUE"
            return f"{flag} {name}:{value} {setting} {self.setting}={shlex.quote(str(path))}"
        inside = self.is_of_folder and kind_of(path) != "folder"
        return f"{flag} {name}:{shlex.quote(str(self._folder_of(path) if inside else path))}"

    def _folder_of(self, path: Path) -> str | Path:
        folder = path.absolute().parents[len(self.patterns) - 2]
        return folder if path.is_absolute() else os.path.relpath(folder)


def _claims(offers: Sequence[Offer]) -> Iterator[_Claim]:
    return (_Claim.of(offer, text) for offer in offers for text in offer.component.files)


def _closest(claims: Sequence[_Claim]) -> Sequence[_Claim]:
    return [one for one in claims if one.is_specific] or claims


def _of_folder(folder: Path, claims: Sequence[_Claim]) -> list[tuple[_Claim, Path]]:
    """Return the claims of the component to which most files of a folder belong, and what they claim.

    That is the folder, or where a claim says more of a path than a suffix, the first such file.
    """
    files = {path: _names(path) for path in islice(_files(folder), _MOST_FILES)}
    seen = [(claim, path) for path, names in files.items() for claim in claims if claim.takes(names)]
    hits = _closest([claim for claim, _ in seen])
    counts = Counter(claim.offer.qualified for claim in hits)
    most = max(counts.values(), default=0)
    first = dict(reversed(seen))
    best = [claim for claim in dict.fromkeys(hits) if counts[claim.offer.qualified] == most]
    return [(claim, first[claim] if claim.is_specific else folder) for claim in best]


def _names(path: Path) -> Sequence[str]:
    """Return the names of a file and of all folders above it, the file last, as claims compare them."""
    *folders, name = path.absolute().parts
    return [one.lower() for one in (*folders, name if path.suffix else f"{name}.")]


def _files(folder: Path) -> Iterator[Path]:
    """Yield files, first those of the folder and of the folders in it: data sets have their tables there."""
    for is_near in (True, False):
        for where, folders, names in os.walk(folder):
            level = len(Path(where).relative_to(folder).parts)
            if (level < 2) is is_near:
                yield from (Path(where, name) for name in sorted(names) if not name.startswith("."))
            if is_near and level == 1:
                folders.clear()


def _functions(path: Path, otherwise: str = "FUNCTION") -> Iterable[str]:
    """Return how the functions are written that a file of Python defines for others; the form alone without any."""
    try:
        body = ast.parse(read_regular(path)).body
    except (OSError, SyntaxError, ValueError, RecursionError, MemoryError):  # no such file, no Python, or nested deeply
        body = []
    names = [one.name for one in body if isinstance(one, ast.FunctionDef) and not one.name.startswith("_")][:3]
    return [f"{shlex.quote(str(path))}:{one}" for one in names or [otherwise]]
