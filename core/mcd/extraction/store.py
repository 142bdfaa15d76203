"""Where activations and embeddings lie: safetensors shards under a key made of everything that decides them.

A shard is written to a temporary name and renamed; its digest is written beside it. A run that was killed finds the
shards it finished and uses those that have their digest, which a file that a loss of power cut short has not; before a
run says that it has finished, its shards are flushed to the disk. A run whose inputs changed has another key and never
sees them.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
from array import array
from collections.abc import Collection, Mapping, Sequence
from functools import cached_property, partial
from pathlib import Path

import pydantic
import torch
from safetensors.torch import save

from mcd.api.base import digest
from mcd.errors import StoreError
from mcd.extraction.tensor_files import AGAIN, TensorFile, open_tensors, record_of
from mcd.files import digest_of, linked_or_copied, unwritable, write_atomically
from mcd.options import Record
from mcd.study.digests import SUMS, CheckedFiles, Sums
from mcd.study.outputs import clear_leftovers

__all__ = ["Shards", "layer_key", "whole_key"]

_KEY = re.compile(r"[0-9a-z]{16,}")
_SHARD = re.compile(r"\d{5,}\.safetensors")
_write = partial(write_atomically, flushed=False)
"""That shards are on the disk is waited for once, at the end: see `Shards.flush`."""
_FLUSHED = "rb" if os.name == "posix" else "rb+"
"""How a file is opened to be flushed: one of a part, which has a second name in the run, may be read-only."""


def layer_key(activations: str, layer: str, layout: str | None, units: str = "") -> str:
    """Return the key of the activations of one layer.

    Parameters
    ----------
    activations
        Of its network, as `mcd.extraction.keys.activation_key` returns it.
    layer, layout
        Its name, and how its output is read.
    units
        What decides the numbers of the units that it is seen through; empty where its own neurons are seen.
    """
    return digest(activations, layer, layout or "flat", *([units] if units else []))


def whole_key(key: str, images: Sequence[str]) -> str:
    """Return the key of all shards together; that of older versions, which knows all images, as it is.

    Parameters
    ----------
    key
        Of what decides the numbers besides the images.
    images
        A digest of the images of each shard; see `mcd.extraction.probe.ProbeSet.images`.
    """
    return digest(key, *images) if images and key else key


class _Header(Record):
    """The metadata of a shard: its key, the rows of the probe set that it holds, and those that failed.

    ``little_range`` is how many of the images use little of the range from black to white, where statistics are kept.
    """

    key: str
    rows: list[pydantic.NonNegativeInt]
    failed: list[tuple[pydantic.NonNegativeInt, str]]
    little_range: pydantic.NonNegativeInt = 0


def _compact(ascending: Sequence[int]) -> Sequence[int]:
    """Return row numbers in little memory: each of many layers, in each of many runs, has those of all images."""
    if ascending and ascending[-1] - ascending[0] == len(ascending) - 1:
        return range(ascending[0], ascending[-1] + 1)
    return array("q", ascending)


class Shards:
    """The shards of one kind under one key, ``FOLDER/KEY/00000.safetensors`` and so on.

    The folder is called after the key of all of them. Each shard has a key of its own too, made of its own images: so
    the same shard comes out of a run in one process, and of a part of it that knows of no other images.

    Parameters
    ----------
    folder
        ``activations`` or ``embeddings`` of a run folder.
    key
        Digest of everything that decides the content, besides the images.
    tensors
        Names and widths of the tensors in each shard; each is float32 ``(rows, width)``.
    files
        The files of the run folder with the digests of its manifest, which shards are held against when they are read.
    images
        A digest of the images of each shard. Older versions, which have none, put all images into ``key``.
    first
        The number of the first shard: another than 0 in a part of a run.

    Attributes
    ----------
    key
        Of all shards together.
    """

    def __init__(
        self,
        folder: Path,
        key: str,
        tensors: Mapping[str, int],
        files: CheckedFiles | None = None,
        *,
        images: Sequence[str] = (),
        first: int = 0,
    ) -> None:
        self._of_numbers, self._images, self._first = key, tuple(images), first
        self.key, self.tensors = whole_key(key, images), dict(tensors)
        self.path = folder / self.key[:16]
        self._sums, self._files = Sums(self.path, _write), files or CheckedFiles(folder.parent, {})
        self._whole: set[int] = set()
        self._parts: dict[int, tuple[Sequence[int], list[tuple[int, str]]]] = {}

    def numbers(self, count: int) -> range:
        """Return the numbers of the first ``count`` shards."""
        return range(self._first, self._first + count)

    def _key(self, number: int) -> str:
        if not self._images:
            return self._of_numbers
        at = number - self._first
        return digest(self._of_numbers, self._images[at]) if 0 <= at < len(self._images) else ""

    @staticmethod
    def _name(number: int) -> str:
        return f"{number:05d}.safetensors"

    def _file(self, number: int) -> Path:
        return self.path / self._name(number)

    def place(self, number: int) -> str:
        """Return where a shard is in the run folder."""
        return f"{self.path.parent.name}/{self.path.name}/{self._name(number)}"

    def clear(self) -> None:
        """Remove what killed writers left among the shards, which may lie behind a link."""
        clear_leftovers(self.path)

    def write(
        self,
        number: int,
        tensors: Mapping[str, torch.Tensor],
        rows: Sequence[int],
        failed: Sequence[tuple[int, str]],
        little_range: int = 0,
    ) -> None:
        """Write one shard: its tensors, the rows of the probe set they stand for, and the rows that failed."""
        said: dict[str, object] = {
            "key": self._key(number),
            "rows": list(rows),
            "failed": [list(one) for one in failed],
        }
        # One metadata entry: safetensors writes several in no fixed order, and equal runs must give equal bytes.
        header = json.dumps(said | ({"little_range": little_range} if little_range else {}))
        ordered = {name: tensors[name].contiguous() for name in self.tensors}
        data = save(ordered, metadata={"mcd": header})
        self._note({number: digest_of(data)})
        _write(self._file(number), data)

    def _note(self, digests: Mapping[int, str]) -> None:
        named = {self._name(number): digest for number, digest in digests.items()}
        self._parts = {number: part for number, part in self._parts.items() if number not in digests}
        if any(self._digests.get(name) != digest for name, digest in named.items()):
            self._sums.add_all(named)
            self._digests.update(named)

    def file_of(self, number: int) -> tuple[Path, str]:
        """Return where a shard that was written lies, and its digest; an empty one where `SUMS` has lost its line."""
        return self._file(number), self._digests.get(self._name(number), "")

    def take_over(self, files: Mapping[int, tuple[Path, str]], *, sound: bool = False) -> list[int]:
        """Make shards that lie elsewhere under the same key ours too: one file under two names where that works.

        Parameters
        ----------
        files
            By number where each lies, and its digest, as `file_of` returns them.
        sound
            Whether it is known that they are what their digests are of.

        Returns
        -------
        list of int
            Those that are not what their digest is of, or not there any more. They are not ours then.
        """
        self._note({number: digest for number, (_, digest) in files.items()})
        lost = []
        for number, (source, _) in files.items():
            path = self._file(number)
            try:
                linked = linked_or_copied(source, path)
            except FileNotFoundError:
                lost.append(number)
                continue
            except OSError as error:
                raise unwritable(path, error) from None
            if sound and linked:
                self._whole.add(number)
            elif not self.whole(number):
                path.unlink(missing_ok=True)
                lost.append(number)
        return lost

    def copy(self, number: int, other: Shards) -> None:
        """Write a shard of another key, computed elsewhere, as ours: the same numbers of the same rows.

        Raises
        ------
        StoreError
            When it is missing or damaged.
        """
        with other._open(number) as file:
            header = other._header(file, number)
            tensors = {name: file.get_tensor(name) for name in self.tensors}
        self.write(number, tensors, header.rows, header.failed, header.little_range)

    def flush(self, count: int) -> None:
        """Wait until the first ``count`` shards are on the disk.

        Raises
        ------
        StoreError
            When the disk refuses them.
        """
        for path in (*map(self._file, self.numbers(count)), self._sums.path):
            try:
                with path.open(_FLUSHED) as file:
                    os.fsync(file.fileno())
            except OSError as error:
                raise unwritable(path, error) from None

    def exists(self, number: int) -> bool:
        """Say whether there is a shard, whole or damaged."""
        return os.path.lexists(self._file(number))

    def whole(self, number: int) -> bool:
        """Say whether a shard exists, ours and with the digest that was written beside it."""
        name = self._name(number)
        if number not in self._whole and name in self._digests:
            with contextlib.suppress(OSError, StoreError):
                CheckedFiles(self.path, self._digests).check(name)
                with self._open(number) as file:
                    self._header(file, number)
                self._whole.add(number)
        return number in self._whole

    @cached_property
    def _digests(self) -> dict[str, str]:
        return self._sums.read()

    def digests(self, count: int) -> dict[str, str]:
        """Return the digests of the first ``count`` shards, by their paths in the run folder."""
        return {self.place(number): self._digests[self._name(number)] for number in self.numbers(count)}

    def part(self, number: int) -> tuple[Sequence[int], list[tuple[int, str]]]:
        """Return the rows that one shard holds, in order, and those that failed with the reason.

        Raises
        ------
        StoreError
            When it is missing or damaged.
        """
        if number not in self._parts:
            with self._open(number) as file:
                header = self._header(file, number)
            self._parts[number] = _compact(header.rows), header.failed
        return self._parts[number]

    def little_range(self, count: int) -> int:
        """Return how many images of the first ``count`` shards use little of the range from black to white."""
        total = 0
        for number in self.numbers(count):
            with self._open(number) as file:
                total += self._header(file, number).little_range
        return total

    def rows(self, count: int) -> tuple[list[int], list[tuple[int, str]]]:
        """Return the rows that the first ``count`` shards hold, in order, and those that failed with the reason.

        Raises
        ------
        StoreError
            When a shard is missing or damaged.
        """
        rows: list[int] = []
        failed: list[tuple[int, str]] = []
        for number in self.numbers(count):
            found, without = self.part(number)
            if rows and found and found[0] <= rows[-1]:
                raise StoreError(f"{self._file(number)} is damaged: its images are those of another shard", AGAIN)
            rows += found
            failed += without
        return rows, failed

    def read(
        self, name: str, count: int, rows: torch.Tensor | None = None, columns: torch.Tensor | None = None
    ) -> torch.Tensor:
        """Return one tensor over the first ``count`` shards, float32 ``(rows, width)``; one shard is read at a time.

        Parameters
        ----------
        rows, columns
            Which of all that are stored, by number, in any order; None for all.

        Raises
        ------
        StoreError
            When a shard is missing or damaged, or holds NaN or infinity.
        """
        kept = {number: len(self.part(number)[0]) for number in self.numbers(count)}
        wanted = torch.arange(sum(kept.values())) if rows is None else rows
        ascending, place = torch.sort(wanted)
        width = self.tensors[name] if columns is None else len(columns)
        found = torch.empty(len(wanted), width, dtype=torch.float32)  # whatever the caller's default is
        start, at = 0, 0
        for number, images in kept.items():
            last = int(torch.searchsorted(ascending, start + images))
            if last > at:
                with self._open(number) as file:
                    part = file.get_tensor(name)
                if columns is not None:
                    part = part[:, columns]
                if rows is not None:
                    part = part[ascending[at:last] - start]
                if not bool(torch.isfinite(part).all()):
                    raise StoreError(f"{self._file(number)} is damaged: '{name}' holds NaN or infinity", AGAIN)
                found[place[at:last]] = part
            start, at = start + images, last
        return found

    def _open(self, number: int) -> contextlib.AbstractContextManager[TensorFile]:
        return open_tensors(self._files, self.place(number), "the stored shard")

    def _header(self, file: TensorFile, number: int) -> _Header:
        """Return the metadata of a shard.

        Raises
        ------
        StoreError
            When it is not ours, or its tensors do not match its metadata.
        """
        header = record_of(file, _Header, f"the stored shard {self._file(number)}")
        slices = {name: file.get_slice(name) for name in file.keys()}  # noqa: SIM118 -- it is no mapping
        found = {name: (one.get_dtype(), tuple(one.get_shape())) for name, one in slices.items()}
        expected = {name: ("F32", (len(header.rows), width)) for name, width in self.tensors.items()}
        ascending = all(one < other for one, other in zip(header.rows, header.rows[1:], strict=False))
        if header.key != self._key(number) or found != expected or not ascending:
            raise StoreError(f"the stored shard {self._file(number)} is damaged, or of another run", AGAIN)
        return header

    def forget(self, keys: Collection[str]) -> None:
        """Remove the shards of these keys, and no other file.

        Nothing behind a link is removed: there it may be another run's too.
        """
        folder = self.path.parent
        others = [folder / key[:16] for key in keys if _KEY.fullmatch(key)]
        for other in () if folder.is_symlink() else others:
            if other.is_symlink() or not other.is_dir():
                continue
            for path in other.iterdir():
                if _SHARD.fullmatch(path.name) or path.name == SUMS:
                    path.unlink(missing_ok=True)
            clear_leftovers(other)
            with contextlib.suppress(OSError):  # somebody else's files lie in it
                other.rmdir()
