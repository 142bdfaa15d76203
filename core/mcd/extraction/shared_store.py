"""The store that all runs of a user share: what was computed once, by content, for any run that needs the same.

A file lies under ``v1/KIND/KEY/NUMBER-SHA256.safetensors``. Its key is a digest of everything that decides its numbers,
its name holds the digest of its bytes. So nothing in it is ever changed: two writers of one entry both leave a whole
file, a damaged file is found out, and removing any of it at any time costs a run no more than computing it again. Run
folders hold the same files under names of their own, which stay when the store's are removed.
"""

from __future__ import annotations

import contextlib
import os
import re
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from mcd.api.base import digest
from mcd.errors import UsageError
from mcd.files import check_folder, digest_of, expanded, linked_or_copied, place, user_cache
from mcd.study.outputs import clear_leftovers

__all__ = ["KINDS", "OFF", "Entry", "SharedStore", "StoredFile", "store_folder", "store_limit"]

OFF = "off"
"""What stands for no store."""
_VARIABLE, _LIMIT_VARIABLE = "MCD_STORE", "MCD_STORE_LIMIT"
_GB, _LIMIT_GB, _MOST_GB = 10**9, 50, 1_000_000
_VERSION = "v1"
KINDS = ("activations", "embeddings", "nulls", "statistics", "texts", "untrained")
"""What is kept."""
_KEY = re.compile(r"[0-9a-f]{64}")
_FILE = re.compile(r"(\d{5,})-([0-9a-f]{64})\.safetensors")


def store_folder(asked: Path | None = None) -> Path | None:
    """Return the folder of the store, None for off: the one asked for, that of ``MCD_STORE``, or one of this user.

    Parameters
    ----------
    asked
        ``--store``.

    Raises
    ------
    UsageError
        When it cannot be a folder.
    """
    given = os.environ.get(_VARIABLE, "")
    if asked is None and given:
        asked = Path(given)
    if asked is None:
        return user_cache("store")
    if str(asked) == OFF:
        return None
    check_folder(expanded(asked), "--store")
    return expanded(asked)


def store_limit() -> int:
    """Return how many bytes a store keeps that no run folder holds: those of ``MCD_STORE_LIMIT``, in GB, or 50 GB.

    Raises
    ------
    UsageError
        When the variable is no such number.
    """
    given = os.environ.get(_LIMIT_VARIABLE, "").strip() or str(_LIMIT_GB)
    try:
        limit = float(given)
    except ValueError:
        limit = -1.0
    if not 0 <= limit <= _MOST_GB:  # NaN neither
        raise UsageError(
            f"the variable {_LIMIT_VARIABLE} is {given[:40]!r}",
            f"set it to a number of GB between 0 and {_MOST_GB}, such as {_LIMIT_GB}",
        )
    return int(limit * _GB)


@dataclass(frozen=True)
class StoredFile:
    """A file of the store.

    Parameters
    ----------
    path
        Where it is.
    kind, key, number, digest
        What it is called by: one of `KINDS`, the key of its entry, which part of it, and the SHA-256 of its bytes.
    size
        Bytes.
    used
        When its entry was last used, in seconds since 1970.
    shared
        Whether it has other names: removing this one frees nothing.
    """

    path: Path
    kind: str
    key: str
    number: int
    digest: str
    size: int
    used: float
    shared: bool


@dataclass
class SharedStore:
    """The store in a folder; made when the first file goes into it.

    Whatever the file system refuses, runs continue.

    Parameters
    ----------
    folder
        Where it is.
    machine
        As `mcd.extraction.keys.arithmetic` returns it: what was computed elsewhere is not found.

    Attributes
    ----------
    problem
        The first thing that kept something out of it; empty while all is well.
    damaged
        How many files were not what they are called after; they are removed.
    taken
        How often runs of this process took something from it.
    added
        How many files they put into it.
    """

    folder: Path
    machine: str = ""
    problem: str = field(default="", init=False)
    damaged: int = field(default=0, init=False)
    taken: int = field(default=0, init=False)
    added: int = field(default=0, init=False)

    def check(self) -> None:
        """Refuse a folder that somebody else could put numbers into.

        Raises
        ------
        UsageError
            Saying what to do.
        """
        for folder in (self.folder, self.folder / _VERSION):
            if not hasattr(os, "getuid") or not folder.exists():
                continue
            status = folder.stat()
            if status.st_uid != os.getuid() or status.st_mode & 0o022:
                raise UsageError(
                    f"the store {folder} is another user's, or others may write into it",
                    "make it yours alone (chmod 700), choose another --store, or --store off",
                )

    def entry(self, kind: str, key: str, machine: str = "") -> Entry:
        """Return what is kept, or will be, under a key of a run; see `mcd.extraction.keys`.

        Parameters
        ----------
        machine
            Where it is computed; by default where the store's runs compute.
        """
        return Entry(self, self.folder / _VERSION / kind / digest(kind, key, machine or self.machine))

    def files(self) -> Iterator[StoredFile]:
        """Yield what is in it, in no order; what killed writers left is removed first."""
        for kind in KINDS:
            for entry in _listed(self.folder / _VERSION / kind):
                if not (_KEY.fullmatch(entry.name) and entry.is_dir(follow_symlinks=False)):
                    continue
                clear_leftovers(Path(entry))
                with contextlib.suppress(FileNotFoundError):
                    used = entry.stat(follow_symlinks=False).st_mtime
                    for one in _listed(Path(entry)):
                        found = _FILE.fullmatch(one.name)
                        if found and one.is_file(follow_symlinks=False):
                            status = one.stat(follow_symlinks=False)
                            own = (kind, entry.name, int(found[1]), found[2])
                            yield StoredFile(Path(one), *own, status.st_size, used, status.st_nlink > 1)

    def refused(self, error: OSError) -> None:
        """Note what the file system refused."""
        self.problem = self.problem or f"{self.folder}: {error.strerror or error}"

    def remove(self, file: StoredFile) -> None:
        """Remove a file of it, and its entry where that was the last one.

        Raises
        ------
        OSError
            Where the file system refuses.
        """
        file.path.unlink(missing_ok=True)
        with contextlib.suppress(OSError):  # it holds others, or was written to just now
            file.path.parent.rmdir()


class Entry:
    """What a store keeps under one key: files by number.

    Parameters
    ----------
    store
        The store.
    folder
        Where the entry lies in it.
    """

    def __init__(self, store: SharedStore, folder: Path) -> None:
        self._store, self._folder = store, folder
        self._found: dict[int, tuple[Path, str]] | None = None

    def find(self, number: int) -> tuple[Path, str] | None:
        """Return where a file lies, and its digest, which it is to be held against; None where there is none."""
        if self._found is None:
            clear_leftovers(self._folder)
            names = [(Path(one), one.name) for one in _listed(self._folder) if one.is_file(follow_symlinks=False)]
            matches = sorted((path, found) for path, name in names if (found := _FILE.fullmatch(name)))
            self._found = {int(found[1]): (path, found[2]) for path, found in matches}
        return self._found.get(number)

    def last(self) -> int | None:
        """Return the highest number that a file has; None where there is none."""
        self.find(0)
        return max(self._found or (), default=None)

    def write(self, number: int, data: bytes) -> None:
        """Keep a file of these bytes. What is there already stays."""
        if self._store.problem or self.find(number) is not None:
            return
        try:
            _make_private(self._folder)
            place(self._folder / _named(number, digest_of(data)), data, flushed=False)  # its name tells it from a part
            self._store.added += 1
        except OSError as error:
            self._store.refused(error)

    def put(self, number: int, source: Path, digest: str) -> None:
        """Keep a file: under a second name, or as a copy. What is there already stays."""
        if self._store.problem or self.find(number) is not None:
            return
        path = self._folder / _named(number, digest)
        try:
            _make_private(self._folder)
            linked_or_copied(source, path)
            self._store.added += 1
        except OSError as error:
            self._store.refused(error)

    def took(self) -> None:
        """Note that a run used the entry just now."""
        self._store.taken += 1
        with contextlib.suppress(OSError):
            now = time.time_ns()
            os.utime(self._folder, ns=(now, now))

    def drop(self, number: int) -> None:
        """Remove a file that is not what its name says; one that has just vanished is no damage."""
        found = self.find(number)
        assert self._found is not None
        self._found.pop(number, None)
        if found is not None and found[0].exists():
            self._store.damaged += 1
            with contextlib.suppress(OSError):
                found[0].unlink(missing_ok=True)


def _named(number: int, digest: str) -> str:
    return f"{number:05d}-{digest}.safetensors"


def _make_private(folder: Path) -> None:
    """Make a folder and those above it, for this user only."""
    if folder.is_dir():
        return
    if not folder.parent.is_dir():
        _make_private(folder.parent)
    folder.mkdir(mode=0o700, exist_ok=True)


def _listed(folder: Path) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as found:
            return list(found)
    except OSError:  # there is none, or it may not be read
        return []
