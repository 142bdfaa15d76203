"""A folder of made images, and of what models read of them, so that a second study decodes nothing.

A file holds one image under its key: pixels and mask without loss, as the differences of each pixel from the one above
it, low and high bytes apart, compressed by zstd at level 1. Processor time to write and to read a file that lies in
memory, and its size, for a phantom mammogram with quantum noise, 12 bits in 16
(``python -m benchmarks decoding``, one core of an AMD EPYC):

=======================  =========================  ==========================
format                   4096×3328                  1520×912
=======================  =========================  ==========================
this one                   39 ms   35 ms  11.3 MB   3.7 ms   3.6 ms   1.3 MB
PNG, level 1 (OpenCV)     560 ms  208 ms  15.2 MB    64 ms    26 ms   1.8 MB
npz                      1056 ms  120 ms  18.7 MB   117 ms    13 ms   2.0 MB
zstd, level 1, alone       48 ms   44 ms  20.7 MB   3.1 ms   2.3 ms   2.1 MB
npy, as safetensors         4 ms    2 ms  27.3 MB   0.5 ms   0.2 ms   2.8 MB
=======================  =========================  ==========================

A plain array is read faster as long as it lies in memory. But this way two and a half times as many images fit into
memory or under a limit, and a disk that gives 500 MB/s needs as long for the rest of a plain array as this to decode.

What models read comes first, because it is smaller and saves more. Of the same mammogram, on the same core:

========================================  =======  =====================  ========
kept                                      size     read, and prepared     without
========================================  =======  =====================  ========
the image as decoded, 4096×3328           11.3 MB  107 to 214 ms          decoding
what Mammo-CLIP reads, 1520×912, uint8     0.5 MB  3.2 ms                 both
what a network reads, 1520×912, float32    2.8 MB  5.5 ms                 both
what a network reads, 224×224, float32     0.1 MB  0.5 ms                 both
========================================  =======  =====================  ========
"""

from __future__ import annotations

import contextlib
import os
import re
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TypeVar

import numpy as np

from mcd.api.image import Image
from mcd.extraction.cached_files import MOST_BYTES, Input, packed, unpacked
from mcd.files import place, read_regular
from mcd.study.outputs import clear_leftovers

__all__ = ["ImageCache"]

_FOLDER = re.compile(r"[0-9a-f]{2}")
_KEY = re.compile(r"[0-9a-f]{16,128}")
_FILE = re.compile(r"[0-9a-f]{14,126}\.(image|input)")
_ENDINGS: dict[type[Image | Input], str] = {Image: ".image", Input: ".input"}

KeptT = TypeVar("KeptT", Image, Input)


class ImageCache:
    """Keeps images under keys made of everything that decides them; never more than its limit.

    It needs no lock: a file is written under another name and renamed, its checksum is tested when it is read, and it
    may vanish at any time. One that is cut short or not ours is removed and counts as absent. Files that are not called
    as the cache calls its own are left alone.

    What a pass reads from first to last, again and again, must not push itself out: of images that are `expected`, the
    first comers stay, and hits are as many as the limit has room for. For a new image, others are removed, the least
    recently read first. What models read is kept first; images as decoded, which serve other models, get the room that
    it leaves (`reserve`, where that is known before), and are removed for it.

    Each process counts what it writes and looks at the folder before its first file and after every 32nd part of the
    limit, divided by the processes of the pass; above 31 of these parts there is no room. So the folder stays below the
    limit while no image takes more than what a process writes between two looks; a larger image adds its own size once
    a process, and another run at the same time another 32nd part.

    Whatever the file system refuses, the run continues: images are made anew, and `problem` says why.

    Parameters
    ----------
    folder
        Created if it does not exist.
    limit_bytes
        How large it may grow, at least 1.

    Attributes
    ----------
    reserve
        Bytes that images as decoded leave to what models read.
    problem
        The first thing that went wrong in this process, such as "it cannot be written: No space left on device", and
        no name of a file; empty while all is well.
    """

    def __init__(self, folder: Path, limit_bytes: int) -> None:
        if limit_bytes < 1:
            raise ValueError(f"a cache of {limit_bytes} bytes holds nothing")
        self.folder, self.limit_bytes = folder, limit_bytes
        self.problem, self.reserve = "", 0
        self._refused: set[type[Image | Input]] = set()
        self._since_look: int | None = None
        self._expected = np.zeros(0, dtype=np.uint64)
        self._writers = 1
        try:
            folder.mkdir(parents=True, exist_ok=True)
            if not os.access(folder, os.W_OK):
                raise PermissionError(0, "Permission denied")
        except OSError as error:
            self._stop_writing(f"it cannot be written: {error.strerror}")

    def expect(self, keys: Iterable[str], writers: int) -> None:
        """Say which images a pass reads, and how many processes write: none of these images is removed for another."""
        self._expected = np.unique(np.array([_short(key) for key in keys], dtype=np.uint64))
        self._writers = max(1, writers)

    def get(self, key: str) -> Image | None:
        """Return the image under a key, None where there is none."""
        return self._found(key, Image)

    def get_input(self, key: str) -> Input | None:
        """Return the input of a model under a key, None where there is none."""
        return self._found(key, Input)

    def _found(self, key: str, kind: type[KeptT]) -> KeptT | None:
        path = self._file(key, kind)
        try:
            data = read_regular(path, MOST_BYTES)
        except FileNotFoundError:
            return None
        except OSError as error:
            self._remark(f"it cannot be read: {error.strerror}")
            return None
        found = unpacked(data, key, kind)
        with contextlib.suppress(OSError):  # a folder that may only be read, or a file that has just gone
            if found is None:
                path.unlink()
            else:
                now = time.time_ns()
                os.utime(path, ns=(now, now))
        return found

    def size(self, kept: Image | Input) -> int:
        """Return how many bytes something takes here."""
        return len(packed(kept, "0" * 64) or b"")

    def put(self, key: str, kept: Image | Input) -> None:
        """Keep something under a key, if it can be kept. What is there already stays."""
        path = self._file(key, type(kept))
        if type(kept) in self._refused:
            return
        try:
            if path.exists():
                return
            data = packed(kept, key)
            if data is None:
                values = kept.pixels if isinstance(kept, Image) else kept.levels.values
                self._remark(f"images of {values.dtype} {tuple(values.shape)} are not kept")
            elif len(data) > self.limit_bytes // 8:
                self._remark(f"its limit is too small: one image takes {len(data)} of {self.limit_bytes} bytes")
            elif self._has_room(len(data), type(kept)):
                place(path, data, flushed=False)  # a torn file is found out when it is read
            else:
                self._refused.add(type(kept))
                if isinstance(kept, Input) or not self.reserve:  # else it was said before
                    self._remark("it is full, and keeps the images that it has")
        except OSError as error:
            self._stop_writing(f"it cannot be written: {error.strerror}")

    def _file(self, key: str, kind: type[Image | Input]) -> Path:
        if not _KEY.fullmatch(key):
            raise ValueError(f"{key!r} is no key: 16 to 128 hexadecimal digits in lower case")
        return self.folder / key[:2] / f"{key[2:]}{_ENDINGS[kind]}"

    def _remark(self, problem: str) -> None:
        self.problem = self.problem or problem

    def _stop_writing(self, problem: str) -> None:
        self._refused.update(_ENDINGS)
        self._remark(problem)

    def _has_room(self, size: int, kind: type[Image | Input]) -> bool:
        """Return whether so many bytes may be written; where it is time to look, remove what is not expected first."""
        if self._since_look is not None and self._since_look + size <= self.limit_bytes // (32 * self._writers):
            self._since_look += size
            return True
        self._since_look = size
        files = sorted(self._files())
        most, total = self.limit_bytes - self.limit_bytes // 32, sum(one for _, one, _ in files)
        expected = [one for one in files if self._is_expected(one[2])]
        inputs = [one for one in expected if one[2].suffix == _ENDINGS[Input]]
        images = [one for one in expected if one[2].suffix == _ENDINGS[Image]]
        left = 0 if kind is Input else max(0, self.reserve - sum(one for _, one, _ in inputs))
        total -= _removed([one for one in files if not self._is_expected(one[2])], total + size + left - most)
        if kind is Input:
            total -= _removed(images, total + size - most)
        if total > self.limit_bytes:  # it had a larger one before
            total -= _removed([*images, *inputs], total - most)
        return total + size + left <= most

    def _is_expected(self, path: Path) -> bool:
        short = _short(path.parent.name + path.stem)
        at = int(np.searchsorted(self._expected, short))
        return at < len(self._expected) and int(self._expected[at]) == short

    def _files(self) -> Iterator[tuple[int, int, Path]]:
        """Yield, for each file, when it was last read, its bytes and its path; remove what killed processes left."""
        for folder in _entries(self.folder):
            if not (_FOLDER.fullmatch(folder.name) and folder.is_dir(follow_symlinks=False)):
                continue
            clear_leftovers(Path(folder))
            for entry in _entries(folder):
                with contextlib.suppress(FileNotFoundError):  # another process removed it
                    if _FILE.fullmatch(entry.name) and entry.is_file(follow_symlinks=False):
                        status = entry.stat(follow_symlinks=False)
                        yield status.st_mtime_ns, status.st_size, Path(entry)


def _removed(files: Iterable[tuple[int, int, Path]], excess: int) -> int:
    """Remove files in their order until so many bytes are gone; return how many are."""
    gone = 0
    for _, size, path in files:
        if gone >= excess:
            break
        with contextlib.suppress(OSError):  # open elsewhere, on Windows
            path.unlink(missing_ok=True)
            gone += size
    return gone


def _short(key: str) -> int:
    """Return the first 64 bits of a key: a number, of which half a million take 4 MB in every process."""
    return int(key[:16], 16)


def _entries(folder: str | os.PathLike[str]) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as found:
            return list(found)
    except FileNotFoundError:
        return []
