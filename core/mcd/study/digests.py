"""Digests of files: kept beside them when they are written, compared before they are read."""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
from collections.abc import Callable, Collection, Iterator, Mapping
from pathlib import Path

from mcd.errors import DamagedError
from mcd.files import digest_of, open_regular, read_regular, write_atomically

__all__ = ["SUMS", "CheckedFiles", "Sums", "damaged"]

SUMS = "SHA256SUMS"
"""The file that holds the digests of its neighbours, as ``sha256sum --check`` reads it."""
_LINE = re.compile(r"([0-9a-f]{64})  ([^/\\\x00-\x1f]+)")


class Sums:
    """The digests of the files of a folder, in a file beside them; see `SUMS`.

    A line is written before the file that it is about: a file that has its final name has its digest.

    Parameters
    ----------
    folder
        The folder.
    write
        How the file is written.
    """

    def __init__(self, folder: Path, write: Callable[[Path, bytes], None] | None = None) -> None:
        self.path, self._write = folder / SUMS, write or write_atomically

    def read(self) -> dict[str, str]:
        """Return digests by names; lines that are damaged are left out."""
        return {name: digest for digest, name in self._lines()}

    def of(self, name: str) -> set[str]:
        """Return the digest of a file; two while it is being replaced, none where it is not known."""
        return {digest for digest, one in self._lines() if one == name}

    def _lines(self) -> list[tuple[str, str]]:
        try:
            lines = read_regular(self.path).decode("utf-8", "replace").splitlines()
        except OSError:
            return []
        return [(found[1], found[2]) for line in lines if (found := _LINE.fullmatch(line))]

    def add(self, name: str, digest: str) -> None:
        """Set the digest of a file.

        Raises
        ------
        StoreError
            When the disk is full or may not be written.
        """
        self.add_all({name: digest})

    def add_all(self, digests: Mapping[str, str]) -> None:
        """Set the digests of several files, by their names.

        Raises
        ------
        StoreError
            When the disk is full or may not be written.
        """
        before = self._lines()
        after = [
            *((digest, name) for name, digest in digests.items()),
            *(one for one in before if one[1] not in digests),
        ]
        self._put(before, {*before, *after})
        self._put({*before, *after}, after)

    @contextlib.contextmanager
    def replacing(self, name: str, digest: str) -> Iterator[None]:
        """Set the digest of a file that is written within: until then its old one holds as well.

        Raises
        ------
        StoreError
            When the disk is full or may not be written.
        """
        before = self._lines()
        after = [(digest, name), *(line for line in before if line[1] != name)]
        self._put(before, {*before, *after})
        yield
        self._put({*before, *after}, after)

    def _put(self, before: Collection[tuple[str, str]], lines: Collection[tuple[str, str]]) -> None:
        if set(before) != set(lines):
            ordered = sorted(lines, key=lambda line: (line[1], line[0]))
            self._write(self.path, "".join(f"{digest}  {name}\n" for digest, name in ordered).encode())


class CheckedFiles:
    """The files of a folder, each held against its digest before it is used.

    A file of which no digest is known is used as it is: folders of older versions have none.

    Parameters
    ----------
    folder
        The folder.
    digests
        SHA-256 by path in it, parts joined by ``/``.
    """

    def __init__(self, folder: Path, digests: Mapping[str, str]) -> None:
        self.folder, self.digests = folder, digests
        self._sound: dict[str, tuple[int, ...]] = {}

    def read(self, name: str, most: int) -> bytes:
        """Return the bytes of a file.

        Raises
        ------
        OSError
            As `read_regular`.
        DamagedError
            When they are not what the run wrote.
        """
        data = read_regular(self.folder / name, most)
        if self.digests.get(name, "") not in ("", digest_of(data)):
            raise damaged(self.folder / name)
        return data

    def check(self, name: str) -> None:
        """Make sure that a file is what the run wrote; one that has not changed since is not read again.

        Raises
        ------
        OSError
            As `open_regular`.
        DamagedError
            When it is not.
        """
        with open_regular(self.folder / name) as file:
            status = os.fstat(file.fileno())
            state = (status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns)
            expected = self.digests.get(name)
            if expected is None or self._sound.get(name) == state:
                return
            if hashlib.file_digest(file, "sha256").hexdigest() != expected:
                raise damaged(self.folder / name)
        self._sound[name] = state


def damaged(path: Path) -> DamagedError:
    """Return the error about a file that is not what was written."""
    return DamagedError(
        f"{path} is not what the run wrote: its SHA-256 is another",
        "restore it from a copy, or run again: mcd runs verify RUN lists every file that differs",
    )
