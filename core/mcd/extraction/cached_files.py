"""The files of the image cache: images and inputs of models, without loss, under a checksum.

A line of JSON says what follows: the differences of each pixel from the one above it, low and high bytes apart, and the
mask, each compressed.
"""

from __future__ import annotations

import math
import zlib
from dataclasses import dataclass
from typing import Annotated, Literal, TypeVar

import numpy as np
import pyarrow as pa
import pydantic
import torch
from numpy.typing import NDArray

from mcd.api.image import Image, Levels
from mcd.files import digest_of
from mcd.options import Settings

__all__ = ["MOST_BYTES", "Input", "packed", "unpacked"]

_MOST_SIDE = 2**16
_MOST_CHANNELS = 64
MOST_BYTES = 2**31
"""Of one image, decoded: a file that declares more is not believed."""

_BLOCK = 64
"""Rows."""

Pixels = NDArray[np.uint8] | NDArray[np.uint16] | NDArray[np.float32]


@dataclass(frozen=True)
class Input:
    """What one model reads of an image.

    Parameters
    ----------
    levels
        The image as its preprocessing gives it.
    range_used
        How much of the range from black to white the image used before, 0…1.
    mask
        The breast mask as its preprocessing shows it, ``(1, H, W)``; None where it was not asked for.
    """

    levels: Levels
    range_used: float
    mask: torch.Tensor | None = None


KeptT = TypeVar("KeptT", Image, Input)

_Side = Annotated[int, pydantic.Field(ge=1, le=_MOST_SIDE)]


class _Sealed(Settings):
    """What a file says before its bytes."""

    model_config = pydantic.ConfigDict(ser_json_inf_nan="constants")

    key: str
    seal: str = ""

    def sealed(self) -> str:
        """Return the digest of all else: the checksum of the file says nothing of whether its parts fit together."""
        return digest_of(self.model_dump_json(exclude={"seal"}).encode())


class _ImageHeader(_Sealed):
    dtype: Literal["uint8", "uint16", "float32"]
    shape: tuple[_Side, _Side] | tuple[_Side, _Side, Literal[3]]
    maximum: float = pydantic.Field(gt=0)
    negative: bool
    pixel_bytes: pydantic.NonNegativeInt
    masked: bool


class _InputHeader(_Sealed):
    dtype: Literal["uint8", "uint16", "float32"]
    shape: tuple[Annotated[int, pydantic.Field(ge=1, le=_MOST_CHANNELS)], _Side, _Side]
    black: float
    span: float | None
    range_used: float
    value_bytes: pydantic.NonNegativeInt
    mask: Literal["", "uint8", "float32"]


def _can_be_kept(image: Image) -> bool:
    shape, mask = image.pixels.shape, image.mask
    return (
        image.pixels.dtype.name in ("uint8", "uint16", "float32")
        and image.pixels.size > 0
        and max(shape) <= _MOST_SIDE
        and image.pixels.nbytes <= MOST_BYTES
        and image.maximum > 0
        and (len(shape) == 2 or (len(shape) == 3 and shape[2] == 3))
        and (mask is None or (mask.dtype == bool and mask.shape == shape[:2]))
    )


_MAGIC: dict[type[Image | Input], bytes] = {Image: b"mcd image 1\n", Input: b"mcd input 1\n"}
_HEADERS: dict[type[Image | Input], type[_ImageHeader | _InputHeader]] = {Image: _ImageHeader, Input: _InputHeader}


def packed(kept: Image | Input, key: str) -> bytes | None:
    """Return the bytes of a file: magic, CRC-32 of what follows, header, pixels, mask; None for what is not kept."""
    found = _packed_image(kept, key) if isinstance(kept, Image) else _packed_input(kept, key)
    if found is None:
        return None
    header, parts = found
    header = header.model_copy(update={"seal": header.sealed()})
    content = b"".join([header.model_dump_json().encode(), b"\n", *parts])
    return b"".join([_MAGIC[type(kept)], zlib.crc32(content).to_bytes(4, "big"), content])


def _packed_image(image: Image, key: str) -> tuple[_Sealed, list[bytes]] | None:
    if not _can_be_kept(image):
        return None
    parts = [_compressed(_to_planes(image.pixels))]
    if image.mask is not None:
        parts.append(_compressed(np.packbits(image.mask)))
    header = {
        "key": key,
        "dtype": image.pixels.dtype.name,
        "shape": image.pixels.shape,
        "maximum": image.maximum,
        "negative": image.negative,
        "pixel_bytes": len(parts[0]),
        "masked": image.mask is not None,
    }
    return _ImageHeader.model_validate(header), parts


def _packed_input(kept: Input, key: str) -> tuple[_Sealed, list[bytes]] | None:
    values, mask = kept.levels.values, kept.mask
    kinds = {torch.uint8: "uint8", torch.uint16: "uint16", torch.float32: "float32"}
    if (
        values.dtype not in kinds
        or values.requires_grad
        or not values.is_cpu
        or values.ndim != 3
        or not values.numel()
        or len(values) > _MOST_CHANNELS
        or max(values.shape) > _MOST_SIDE
        or values.nbytes > MOST_BYTES
        or (mask is not None and (mask.dtype not in kinds or mask.shape != (1, *values.shape[1:])))
    ):
        return None
    parts = [_compressed(_to_planes(_rows(one))) for one in (values, mask) if one is not None]
    header = {
        "key": key,
        "dtype": kinds[values.dtype],
        "shape": tuple(values.shape),
        "black": kept.levels.black,
        "span": kept.levels.span,
        "range_used": kept.range_used,
        "value_bytes": len(parts[0]),
        "mask": "" if mask is None else kinds[mask.dtype],
    }
    return _InputHeader.model_validate(header), parts


def _rows(tensor: torch.Tensor) -> Pixels:
    return tensor.reshape(-1, tensor.shape[-1]).numpy()


def _compressed(values: NDArray[np.uint8]) -> bytes:
    found: bytes = pa.Codec("zstd", compression_level=1).compress(np.ascontiguousarray(values), asbytes=True)
    return found


def unpacked(data: bytes, key: str, kind: type[KeptT]) -> KeptT | None:
    """Return what is in the bytes of a file; None where they are cut short, damaged or of something else."""
    magic = _MAGIC[kind]
    start = len(magic) + 4
    content = memoryview(data)[start:]
    if not data.startswith(magic) or zlib.crc32(content) != int.from_bytes(data[start - 4 : start], "big"):
        return None
    try:
        end = data.index(b"\n", start)
        header = _HEADERS[kind].model_validate_json(data[start:end])
        if header.key != key or header.seal != header.sealed():
            return None
        rest = memoryview(data)[end + 1 :]
        found = _image(header, rest) if isinstance(header, _ImageHeader) else _input(header, rest)
    except (ValueError, OSError, MemoryError):  # whole, but written by something else
        return None
    return found if isinstance(found, kind) else None


def _image(header: _ImageHeader, packed: memoryview) -> Image:
    codec, dtype = pa.Codec("zstd"), np.dtype(header.dtype)
    (rows, columns), size = header.shape[:2], math.prod(header.shape) * dtype.itemsize
    if size > MOST_BYTES or header.pixel_bytes > len(packed) or (header.pixel_bytes < len(packed)) != header.masked:
        raise ValueError("the header is of another image")
    planes: bytes = codec.decompress(packed[: header.pixel_bytes], size, asbytes=True)
    pixels = _from_planes(planes, rows, dtype.itemsize).view(dtype).reshape(header.shape)
    mask: NDArray[np.bool_] | None = None
    if header.masked:
        bits: bytes = codec.decompress(packed[header.pixel_bytes :], (rows * columns + 7) // 8, asbytes=True)
        flat = np.unpackbits(np.frombuffer(bits, dtype=np.uint8), count=rows * columns)
        mask = flat.view(np.bool_).reshape(rows, columns)
    return Image(pixels, header.maximum, header.negative, mask)


def _input(header: _Sealed, packed: memoryview) -> Input:
    assert isinstance(header, _InputHeader)
    channels, rows, columns = header.shape
    if header.value_bytes > len(packed) or (header.value_bytes < len(packed)) != bool(header.mask):
        raise ValueError("the header is of another input")
    values = _tensor(packed[: header.value_bytes], header.dtype, (channels, rows, columns))
    mask = _tensor(packed[header.value_bytes :], header.mask, (1, rows, columns)) if header.mask else None
    return Input(Levels(values, header.black, header.span), header.range_used, mask)


def _tensor(packed: memoryview, dtype: str, shape: tuple[int, int, int]) -> torch.Tensor:
    kind = np.dtype(dtype)
    size = math.prod(shape) * kind.itemsize
    if size > MOST_BYTES:
        raise ValueError("the header is of another input")
    planes: bytes = pa.Codec("zstd").decompress(packed, size, asbytes=True)
    return torch.from_numpy(_from_planes(planes, shape[0] * shape[1], kind.itemsize).view(kind).reshape(shape))


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
