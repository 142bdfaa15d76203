"""Pixel data as they are in a file: whole or not, split into frames, and the codestream header of each frame."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from math import ceil

import numpy as np
from pydicom import uid
from pydicom.uid import UID

from mcd.errors import ImageError
from mcd_plugins.dicom.codestream import Codestream, checked_codestream, completed, is_start
from mcd_plugins.dicom.header import Header
from mcd_plugins.dicom.layout import Layout

__all__ = ["Packed", "packed"]

_ITEM = b"\xfe\xff\x00\xe0"
_DELIMITER = b"\xfe\xff\xdd\xe0"
_LARGEST = 1 << 28
"""Bytes of a frame; mammograms have up to 1 << 27."""


@dataclass(frozen=True)
class Packed:
    """The pixel data of a file that is whole, as far as can be seen without decoding.

    Parameters
    ----------
    frames
        The bytes of each frame; empty where nothing is compressed.
    codestream
        The codestream header that all frames share; None where they have none.
    """

    frames: tuple[bytes, ...] = ()
    codestream: Codestream | None = None


def packed(header: Header, syntax: UID, layout: Layout) -> Packed:
    """Return the pixel data of a file.

    Where nothing is compressed, the number of bytes says whether all is there; in the JPEG family, the mark that ends
    each image; in RLE, the offsets of the segments.

    Raises
    ------
    ImageError
        When pixel data are missing, cut short, or do not match the header.
    """
    data = header.data.get("PixelData")
    if not data:
        raise ImageError("its pixel data are missing")
    if layout.frame_bytes > _LARGEST:
        raise ImageError(f"its header says {layout.rows} rows and {layout.columns} columns, too many to be read")
    if not syntax.is_encapsulated:
        _check_native(header, data, syntax, layout)
        return Packed()
    if data[:4] != _ITEM:
        raise ImageError(
            f"its transfer syntax is {syntax.name}, but its pixels are not compressed: its header is wrong"
        )
    frames = _frames(data, syntax, layout)
    if syntax == uid.RLELossless:
        frames = [frame if _ends_of_rle(frame, layout) else b"" for frame in frames]
    else:
        frames = [completed(frame) for frame in frames]
    if not all(frames):
        raise ImageError(f"its pixels ({syntax.name}) are cut short")
    said = {checked_codestream(frame, syntax, layout) for frame in frames}
    if len(said) > 1:
        raise ImageError("its frames have different numbers of bits or signs")
    return Packed(tuple(frames), said.pop())


def _check_native(header: Header, data: bytes, syntax: UID, layout: Layout) -> None:
    needed = layout.frame_bytes * layout.frames
    if data[:4] == _ITEM and len(data) != needed:
        raise ImageError(f"its pixels are compressed, but its transfer syntax is {syntax.name}: its header is wrong")
    if len(data) < needed and header.is_cut:
        raise ImageError(f"it is cut short: {len(data)} bytes of pixels for {needed}")
    if len(data) < needed or len(data) >= needed + layout.frame_bytes:
        raise ImageError(
            f"its header is wrong: rows, columns, frames and bits make {needed} bytes of pixels, it holds {len(data)}"
        )


def _frames(data: bytes, syntax: UID, layout: Layout) -> list[bytes]:
    """Split encapsulated pixel data (PS3.5 A.4). An offset table that contradicts the fragments counts as none."""
    starts, fragments = _fragments(data)
    if len(fragments) == layout.frames:
        return fragments
    begins = [at for at, one in enumerate(fragments) if is_start(one)] if syntax != uid.RLELossless else []
    if len(begins) > layout.frames:
        raise ImageError(f"its header is wrong: it says {layout.frames} frames, its pixels are {len(begins)}")
    if len(fragments) < layout.frames:
        raise ImageError(f"its header is wrong: it says {layout.frames} frames, its pixels are {len(fragments)}")
    if layout.frames == 1:
        return [b"".join(fragments)]
    if len(begins) != layout.frames:
        begins = _table(data, starts)
    if len(begins) != layout.frames or begins[0]:
        raise ImageError("where one of its frames ends and the next begins cannot be seen")
    return [b"".join(fragments[a:b]) for a, b in pairwise([*begins, len(fragments)])]


def _table(data: bytes, starts: list[int]) -> list[int]:
    """Return which fragments begin a frame by the offset table; none where it names other places."""
    length = int.from_bytes(data[4:8], "little") // 4 * 4
    offsets = np.frombuffer(data, "<u4", length // 4, offset=8).tolist()
    fits = offsets == sorted(set(offsets) & set(starts))
    return [starts.index(one) for one in offsets] if fits else []


def _fragments(data: bytes) -> tuple[list[int], list[bytes]]:
    """Return where each fragment starts, counted from the first one, and its bytes."""
    at = 8 + int.from_bytes(data[4:8], "little")
    first, starts, fragments = at, [], []
    while data[at : at + 4] == _ITEM:
        end = at + 8 + int.from_bytes(data[at + 4 : at + 8], "little")
        if end > len(data):
            raise ImageError("its compressed pixel data are cut short")
        starts.append(at - first)
        fragments.append(data[at + 8 : end])
        at = end
    if not fragments or (data[at:] and data[at : at + 4] != _DELIMITER and any(data[at:])):
        raise ImageError("its compressed pixel data are broken or cut short")
    return starts, fragments


def _ends_of_rle(frame: bytes, layout: Layout) -> bool:
    """Whether all segments of an RLE frame (PS3.5 annex G) can be there; the decoder counts what is in them."""
    if len(frame) < 64:
        return False
    count, *offsets = np.frombuffer(frame, dtype="<u4", count=16).tolist()
    expected = layout.samples * ceil(layout.allocated / 8)
    if count != expected:
        raise ImageError(f"its pixels have {count} RLE segments, its header says {expected}")
    return all(64 <= offset < len(frame) for offset in offsets[:count])
