"""A folder of made images, so that a second study on the same data set decodes nothing.

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
"""

from __future__ import annotations

import contextlib
import math
import os
import re
import time
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
import pyarrow as pa
import pydantic
from numpy.typing import NDArray

from mcd.api.image import Image
from mcd.files import digest_of, place, read_regular
from mcd.options import Settings
from mcd.study.outputs import clear_leftovers

__all__ = ["ImageCache"]

_MAGIC = b"mcd image 1\n"
_FOLDER = re.compile(r"[0-9a-f]{2}")
_KEY = re.compile(r"[0-9a-f]{16,128}")
_FILE = re.compile(r"[0-9a-f]{14,126}\.image")

_MOST_SIDE = 2**16
_MOST_BYTES = 2**31
"""Of one image, decoded: a file that declares more is not believed."""

_BLOCK = 64
"""Rows."""

Pixels = NDArray[np.uint8] | NDArray[np.uint16] | NDArray[np.float32]


class ImageCache:
    """Keeps images under keys made of everything that decides them; never more than its limit.

    It needs no lock: a file is written under another name and renamed, its checksum is tested when it is read, and it
    may vanish at any time. One that is cut short or not ours is removed and counts as absent. Files that are not called
    as the cache calls its own are left alone.

    What a pass reads from first to last, again and again, must not push itself out: of images that are `expected`, the
    first comers stay, and hits are as many as the limit has room for. For a new image, others are removed, the least
    recently read first.

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
    problem
        The first thing that went wrong in this process, such as "it cannot be written: No space left on device", and
        no name of a file; empty while all is well.
    """

    def __init__(self, folder: Path, limit_bytes: int) -> None:
        if limit_bytes < 1:
            raise ValueError(f"a cache of {limit_bytes} bytes holds nothing")
        self.folder, self.limit_bytes = folder, limit_bytes
        self.problem = ""
        self._writes = True
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
        path = self._file(key)
        try:
            data = read_regular(path, _MOST_BYTES)
        except FileNotFoundError:
            return None
        except OSError as error:
            self._remark(f"it cannot be read: {error.strerror}")
            return None
        found = _unpacked(data, key)
        with contextlib.suppress(OSError):  # a folder that may only be read, or a file that has just gone
            if found is None:
                path.unlink()
            else:
                now = time.time_ns()
                os.utime(path, ns=(now, now))
        return found

    def size(self, image: Image) -> int:
        """Return how many bytes an image takes here."""
        return len(_packed(image, "0" * 64)) if _can_be_kept(image) else 0

    def put(self, key: str, image: Image) -> None:
        """Keep an image under a key, if it can be kept. An existing image is kept."""
        path = self._file(key)
        if not self._writes:
            return
        try:
            if path.exists():
                return
            if not _can_be_kept(image):
                self._remark(f"images of {image.pixels.dtype} {image.pixels.shape} are not kept")
                return
            data = _packed(image, key)
            if len(data) > self.limit_bytes // 8:
                self._remark(f"its limit is too small: one image takes {len(data)} of {self.limit_bytes} bytes")
            elif self._has_room(len(data)):
                place(path, data, flushed=False)  # a torn file is found out when it is read
            else:
                self._stop_writing("it is full, and keeps the images that it has")
        except OSError as error:
            self._stop_writing(f"it cannot be written: {error.strerror}")

    def _file(self, key: str) -> Path:
        if not _KEY.fullmatch(key):
            raise ValueError(f"{key!r} is no key: 16 to 128 hexadecimal digits in lower case")
        return self.folder / key[:2] / f"{key[2:]}.image"

    def _remark(self, problem: str) -> None:
        self.problem = self.problem or problem

    def _stop_writing(self, problem: str) -> None:
        self._writes = False
        self._remark(problem)

    def _has_room(self, size: int) -> bool:
        """Return whether so many bytes may be written; where it is time to look, remove what is not expected first."""
        if self._since_look is not None and self._since_look + size <= self.limit_bytes // (32 * self._writers):
            self._since_look += size
            return True
        self._since_look = size
        files = sorted(self._files())
        most, total = self.limit_bytes - self.limit_bytes // 32, sum(one for _, one, _ in files)
        others = [one for one in files if not self._is_expected(one[2])]
        total -= _removed(others, total + size - most)
        if total > self.limit_bytes:  # it had a larger one before
            total -= _removed([one for one in files if self._is_expected(one[2])], total - most)
        return total + size <= most

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


_Side = Annotated[int, pydantic.Field(ge=1, le=_MOST_SIDE)]


class _Header(Settings):
    """What a file says before its bytes."""

    model_config = pydantic.ConfigDict(ser_json_inf_nan="constants")

    key: str
    dtype: Literal["uint8", "uint16", "float32"]
    shape: tuple[_Side, _Side] | tuple[_Side, _Side, Literal[3]]
    maximum: float = pydantic.Field(gt=0)
    negative: bool
    pixel_bytes: pydantic.NonNegativeInt
    masked: bool
    seal: str = ""

    def sealed(self) -> str:
        """Return the digest of all else: the checksum of the file says nothing of whether its parts fit together."""
        return digest_of(self.model_dump_json(exclude={"seal"}).encode())


def _can_be_kept(image: Image) -> bool:
    shape, mask = image.pixels.shape, image.mask
    return (
        image.pixels.dtype.name in ("uint8", "uint16", "float32")
        and image.pixels.size > 0
        and max(shape) <= _MOST_SIDE
        and image.pixels.nbytes <= _MOST_BYTES
        and image.maximum > 0
        and (len(shape) == 2 or (len(shape) == 3 and shape[2] == 3))
        and (mask is None or (mask.dtype == bool and mask.shape == shape[:2]))
    )


def _packed(image: Image, key: str) -> bytes:
    """Return the bytes of a file: magic, CRC-32 of what follows, header line, pixels, mask."""
    codec = pa.Codec("zstd", compression_level=1)
    pixels: bytes = codec.compress(_to_planes(image.pixels), asbytes=True)
    mask: bytes = b"" if image.mask is None else codec.compress(np.packbits(image.mask), asbytes=True)
    header = _Header.model_validate(
        {
            "key": key,
            "dtype": image.pixels.dtype.name,
            "shape": image.pixels.shape,
            "maximum": image.maximum,
            "negative": image.negative,
            "pixel_bytes": len(pixels),
            "masked": image.mask is not None,
        }
    )
    header = header.model_copy(update={"seal": header.sealed()})
    content = b"".join([header.model_dump_json().encode(), b"\n", pixels, mask])
    return b"".join([_MAGIC, zlib.crc32(content).to_bytes(4, "big"), content])


def _unpacked(data: bytes, key: str) -> Image | None:
    """Return the image in the bytes of a file; None where they are cut short, damaged or of something else."""
    start = len(_MAGIC) + 4
    content = memoryview(data)[start:]
    if not data.startswith(_MAGIC) or zlib.crc32(content) != int.from_bytes(data[start - 4 : start], "big"):
        return None
    try:
        end = data.index(b"\n", start)
        header = _Header.model_validate_json(data[start:end])
        if header.key != key or header.seal != header.sealed():
            return None
        return _image(header, memoryview(data)[end + 1 :])
    except (ValueError, OSError, MemoryError):  # whole, but written by something else
        return None


def _image(header: _Header, packed: memoryview) -> Image:
    codec, dtype = pa.Codec("zstd"), np.dtype(header.dtype)
    (rows, columns), size = header.shape[:2], math.prod(header.shape) * dtype.itemsize
    if size > _MOST_BYTES or header.pixel_bytes > len(packed) or (header.pixel_bytes < len(packed)) != header.masked:
        raise ValueError("the header is of another image")
    planes: bytes = codec.decompress(packed[: header.pixel_bytes], size, asbytes=True)
    pixels = _from_planes(planes, rows, dtype.itemsize).view(dtype).reshape(header.shape)
    mask: NDArray[np.bool_] | None = None
    if header.masked:
        bits: bytes = codec.decompress(packed[header.pixel_bytes :], (rows * columns + 7) // 8, asbytes=True)
        flat = np.unpackbits(np.frombuffer(bits, dtype=np.uint8), count=rows * columns)
        mask = flat.view(np.bool_).reshape(rows, columns)
    return Image(pixels, header.maximum, header.negative, mask)


def _to_planes(pixels: Pixels) -> NDArray[np.uint8]:
    """Return the bits of pixels as differences down each column, small ones near 0: ``(bytes, rows, values)``.

    Both ways go through a block of rows at a time, which stays in the processor's cache: three times as fast.
    """
    size = pixels.dtype.itemsize
    words = np.ascontiguousarray(pixels, pixels.dtype.newbyteorder("=")).view(f"u{size}").reshape(len(pixels), -1)
    planes = np.empty((size, *words.shape), dtype=np.uint8)
    for top in range(0, len(words), _BLOCK):
        steps = words[top : top + _BLOCK].copy()
        first = max(top, 1)
        steps[first - top :] -= words[first - 1 : top + len(steps) - 1]
        steps = (steps << 1) ^ np.negative(steps >> (8 * size - 1))  # 0, -1, 1, -2 … become 0, 1, 2, 3 …
        for number in range(size):
            planes[number, top : top + _BLOCK] = steps >> (8 * number)
    return planes


def _from_planes(planes: bytes, rows: int, size: int) -> NDArray[np.unsignedinteger]:
    """Return the bits of pixels ``(rows, values)``; undoes `_to_planes`."""
    parts = np.frombuffer(planes, dtype=np.uint8).reshape(size, rows, -1)
    words = np.empty(parts.shape[1:], dtype=f"u{size}")
    for top in range(0, rows, _BLOCK):
        block = words[top : top + _BLOCK]
        block[...] = parts[-1, top : top + _BLOCK]
        for part in parts[-2::-1]:
            block <<= 8
            block |= part[top : top + _BLOCK]
        signs = np.negative(block & 1)
        block >>= 1
        block ^= signs
        for row in range(max(top, 1), top + len(block)):
            words[row] += words[row - 1]
    return words
