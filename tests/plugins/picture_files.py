"""PNG and TIFF files byte by byte: what Pillow itself does not write."""

from __future__ import annotations

import struct
import zlib

import numpy as np

Array = np.ndarray


def chunk(name: bytes, content: bytes) -> bytes:
    """Return a chunk of a PNG."""
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))


def png(pixels: Array, *chunks: bytes) -> bytes:
    """Return a PNG of ``(H, W)`` grey, or ``(H, W, 2, 3 or 4)``, uint8 or uint16, more chunks before its pixels."""
    rows, columns = pixels.shape[:2]
    kind = {1: 0, 2: 4, 3: 2, 4: 6}[1 if pixels.ndim == 2 else pixels.shape[2]]
    lines = b"".join(b"\0" + row.astype(pixels.dtype.newbyteorder(">")).tobytes() for row in pixels)
    header = struct.pack(">IIBBBBB", columns, rows, 8 * pixels.dtype.itemsize, kind, 0, 0, 0)
    parts = [chunk(b"IHDR", header), *chunks, chunk(b"IDAT", zlib.compress(lines)), chunk(b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def orientation_chunk(orientation: int) -> bytes:
    """Return PNG's chunk of EXIF with an orientation."""
    return chunk(b"eXIf", b"II*\0" + struct.pack("<IHHHIII", 8, 1, 274, 3, 1, orientation, 0))


def tiff(
    pixels: Array,
    *,
    photometric: int = 1,
    sample_format: int = 1,
    bits: int | None = None,
    columns: int | None = None,
    planar: int = 1,
    extra: int | None = None,
    orientation: int = 1,
    order: str = "<",
) -> bytes:
    """Return an uncompressed TIFF of one strip a plane; with ``bits`` and ``columns``, of packed bytes ``(H, …)``."""
    rows, wide = pixels.shape[:2]
    samples = 1 if pixels.ndim == 2 else pixels.shape[2]
    planes = samples if planar == 2 else 1
    stored = np.moveaxis(pixels, -1, 0) if planar == 2 else pixels
    data = stored.astype(pixels.dtype.newbyteorder(order)).tobytes()  # type: ignore[arg-type]  # a text with one of two
    tags: dict[int, tuple[str, list[int]]] = {
        256: ("H", [columns or wide]),
        257: ("H", [rows]),
        258: ("H", [bits or 8 * pixels.dtype.itemsize] * samples),
        259: ("H", [1]),
        262: ("H", [photometric]),
        273: ("I", [0] * planes),
        274: ("H", [orientation]),
        277: ("H", [samples]),
        278: ("H", [rows]),
        279: ("I", [len(data) // planes] * planes),
        284: ("H", [planar]),
        339: ("H", [sample_format] * samples),
    }
    if extra is not None:
        tags[338] = ("H", [extra])
    place = 8 + 2 + 12 * len(tags) + 4
    long = {tag: struct.calcsize(f"<{len(values)}{kind}") for tag, (kind, values) in tags.items()}
    start = place + sum(size for size in long.values() if size > 4)
    tags[273] = ("I", [start + at * len(data) // planes for at in range(planes)])
    entries, outside = b"", b""
    for tag, (kind, values) in sorted(tags.items()):
        content = struct.pack(f"{order}{len(values)}{kind}", *values)
        if len(content) > 4:
            here, outside = struct.pack(f"{order}I", place + len(outside)), outside + content
        else:
            here = content.ljust(4, b"\0")
        entries += struct.pack(f"{order}HHI", tag, 3 if kind == "H" else 4, len(values)) + here
    first = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(f"{order}IH", 8, len(tags))
    return first + entries + b"\0\0\0\0" + outside + data


def packed_12_bits(values: Array) -> Array:
    """Return rows of 12-bit values, an even number of columns, as bytes: two values in three."""
    first, second = values[:, ::2].astype(np.uint16), values[:, 1::2].astype(np.uint16)
    found = np.stack([first >> 4, (first & 15) << 4 | second >> 8, second & 255], axis=2).astype(np.uint8)
    return found.reshape(len(values), -1)
