"""The header of a codestream, parsed before any decoder gets it, and compared with the DICOM header."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from pydicom import uid
from pydicom.uid import UID

from mcd.errors import ImageError
from mcd_plugins.dicom.layout import Layout

__all__ = ["Codestream", "checked_codestream", "completed", "is_ordinary", "is_start"]

_JPEG_2000 = frozenset({uid.JPEG2000Lossless, uid.JPEG2000, uid.HTJ2KLossless, uid.HTJ2KLosslessRPCL, uid.HTJ2K})
_SEQUENTIAL = frozenset({0xC0, 0xC1, 0xC2})
_FRAMES = {
    uid.JPEGBaseline8Bit: _SEQUENTIAL,
    uid.JPEGExtended12Bit: _SEQUENTIAL,
    uid.JPEGLossless: frozenset({0xC3}),
    uid.JPEGLosslessSV1: frozenset({0xC3}),
    uid.JPEGLSLossless: frozenset({0xF7}),
    uid.JPEGLSNearLossless: frozenset({0xF7}),
}
"""Which start of frame (SOF) a transfer syntax has; other decoders get what is none of these."""
_PRECISIONS = {0xC0: (8,), 0xC1: (8, 12), 0xC2: (8, 12), 0xC3: range(2, 17), 0xF7: range(2, 17)}
_SOF = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC} | {0xF7}
_STANDALONE = frozenset({0x01, *range(0xD0, 0xD9)})
_MOST_TILES = 65535
_END = b"\xff\xd9"
_TILE = b"\xff\x90\0\x0a"
"""Begins a part of a tile."""


@dataclass(frozen=True)
class Codestream:
    """The header of a codestream: JPEG and JPEG-LS in their SOF, JPEG 2000 in its SIZ.

    ``signed`` is None where the format does not say: JPEG and JPEG-LS leave it to the DICOM header.
    """

    rows: int
    columns: int
    samples: int
    precision: int
    signed: bool | None = None


class _NoHeaderError(Exception):
    """The bytes are not those of a header."""


def checked_codestream(frame: bytes, syntax: UID, layout: Layout) -> Codestream | None:
    """Return the header of a frame's codestream; None for RLE, whose header describes no pixels.

    Raises
    ------
    ImageError
        When it is none, is not of its transfer syntax, contradicts itself, or contradicts the DICOM header in the
        number of rows, columns or samples. A decoder that allocates by the one and writes by the other may crash.
    """
    if syntax == uid.RLELossless:
        return None
    try:
        found = _siz(frame, syntax) if syntax in _JPEG_2000 else _sof(frame, syntax)
    except (IndexError, _NoHeaderError):
        raise ImageError(f"its pixels ({syntax.name}) do not begin as such: the codestream is damaged") from None
    pairs = (("rows", found.rows, layout.rows), ("columns", found.columns, layout.columns))
    for what, inside, outside in (*pairs, ("samples a pixel", found.samples, layout.samples)):
        if inside != outside:
            raise ImageError(f"its codestream has {inside} {what}, its header says {outside}")
    if found.precision > layout.allocated:
        raise ImageError(
            f"its codestream has {found.precision} bits a sample, more than the {layout.allocated} allocated"
        )
    return found


def is_start(fragment: bytes) -> bool:
    """Say whether a codestream of the JPEG family begins here; inside of one, these bytes do not occur."""
    return fragment.startswith((b"\xff\xd8\xff", b"\xff\x4f\xff\x51"))


def completed(frame: bytes) -> bytes:
    """Return a JPEG, JPEG-LS or JPEG 2000 image with its end mark; nothing where it is cut short.

    The mark occurs nowhere else in one. Some encoders of JPEG 2000 leave it out. Then the lengths of the tile parts
    (ISO 15444-1 A.4.2) show whether all is there; a byte may fill up the last fragment.
    """
    if frame.rfind(_END) >= 0:
        return frame
    at = _end_of_tiles(frame)
    return frame[:at] + _END if at > 0 and 0 <= len(frame) - at <= 1 else b""


def is_ordinary(frame: bytes) -> bool:
    """Say whether a JPEG 2000 image is one that every decoder reads alike; its header must have been checked.

    No file format is around it, it begins at the origin of its grid (ISO 15444-1 A.5.1), and its tile parts end where
    its end mark is. Of one that begins elsewhere, pylibjpeg-openjpeg takes the size for larger than it is; of a last
    tile that lacks a byte, decoders think differently.
    """
    at = _end_of_tiles(frame)
    return at > 0 and frame.startswith(_END, at) and not any(frame[16:24])


def _end_of_tiles(frame: bytes) -> int:
    """Return where the last part of a tile ends by the lengths (ISO 15444-1 A.4.2); 0 or less where they do not say."""
    at = frame.find(_TILE) if frame.startswith(b"\xff\x4f") else 0
    while 0 < at < len(frame) and frame.startswith(_TILE, at):
        length = int.from_bytes(frame[at + 6 : at + 10], "big")
        if not length:  # up to the end mark, wherever that were
            return 0
        at += length
    return at


def _sof(frame: bytes, syntax: UID) -> Codestream:
    """Read the start of frame of a JPEG or JPEG-LS image (ISO 10918-1 B.2.2, ISO 14495-1 C.2.2)."""
    found = [(marker, body) for marker, body in _segments(frame) if marker in _SOF]
    if len(found) != 1:
        raise _NoHeaderError
    marker, body = found[0]
    if marker not in _FRAMES[syntax]:
        raise ImageError(
            f"its codestream is of another kind (SOF{marker & 0x3F}) than its transfer syntax, {syntax.name}"
        )
    precision, samples = body[0], body[5]
    rows, columns = (int.from_bytes(body[at : at + 2], "big") for at in (1, 3))
    if precision not in _PRECISIONS[marker]:
        raise ImageError(f"its codestream says {precision} bits a sample, which {syntax.name} does not have")
    if len(body) != 6 + 3 * samples or any(not 0x11 <= one <= 0x44 or not 1 <= one & 15 <= 4 for one in body[7::3]):
        raise _NoHeaderError
    return Codestream(rows, columns, samples, precision)


def _segments(frame: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield each marker with the content of its segment, up to the first scan."""
    if frame[:2] != b"\xff\xd8":
        raise _NoHeaderError
    at = 2
    while True:
        if frame[at] != 0xFF:
            raise _NoHeaderError
        while frame[at] == 0xFF:  # any number of them may fill up
            at += 1
        marker = frame[at]
        at += 1
        if marker in _STANDALONE:
            continue
        if marker == 0xDA:
            return
        if marker == 0xD9:
            raise _NoHeaderError
        length = int.from_bytes(frame[at : at + 2], "big")
        if length < 2 or at + length > len(frame):
            raise _NoHeaderError
        yield marker, frame[at + 2 : at + length]
        at += length


def _siz(frame: bytes, syntax: UID) -> Codestream:
    """Read the image and tile size of a JPEG 2000 codestream (ISO 15444-1 A.5.1), which must be its first segment."""
    if frame[4:8] == b"jP  ":  # the file format around a codestream, which DICOM does not want, and decoders know
        frame = _in_box(frame)
    if frame[:4] != b"\xff\x4f\xff\x51":
        raise _NoHeaderError
    length, samples = (int.from_bytes(frame[at : at + 2], "big") for at in (4, 40))
    if not samples or length != 38 + 3 * samples or len(frame) < 4 + length:
        raise _NoHeaderError
    right, bottom, left, top, tile_width, tile_height, tile_left, tile_top = (
        int.from_bytes(frame[at : at + 4], "big") for at in range(8, 40, 4)
    )
    columns, rows = right - left, bottom - top
    if rows < 1 or columns < 1 or not tile_width or not tile_height or tile_left > left or tile_top > top:
        raise _NoHeaderError
    tiles = -(-(right - tile_left) // tile_width) * -(-(bottom - tile_top) // tile_height)
    if tiles > _MOST_TILES:
        raise ImageError(f"its codestream says that it has {tiles} tiles; {syntax.name} has at most {_MOST_TILES}")
    components = [frame[42 + 3 * at : 45 + 3 * at] for at in range(samples)]
    if len({one[0] for one in components}) > 1 or any(one[1:] != b"\1\1" for one in components):
        raise ImageError("its codestream has components of different depths or sizes, which cannot be read")
    _check_main_header(frame)
    depth = components[0][0]
    return Codestream(rows, columns, samples, (depth & 0x7F) + 1, bool(depth & 0x80))


def _check_main_header(frame: bytes) -> None:
    """Follow the segments of a JPEG 2000 codestream up to its first tile."""
    at = 2
    while frame[at : at + 2] != b"\xff\x90":
        length = int.from_bytes(frame[at + 2 : at + 4], "big")
        if frame[at] != 0xFF or length < 2:
            raise _NoHeaderError
        at += 2 + length


def _in_box(frame: bytes) -> bytes:
    """Return the codestream in the boxes of a JP2 file (ISO 15444-1 I.4)."""
    at = 0
    while at + 8 <= len(frame):
        length, kind, head = int.from_bytes(frame[at : at + 4], "big"), frame[at + 4 : at + 8], 8
        if length == 1:
            length, head = int.from_bytes(frame[at + 8 : at + 16], "big"), 16
        if kind == b"jp2c":
            return frame[at + head :]
        if length < head:
            break
        at += length
    raise _NoHeaderError
