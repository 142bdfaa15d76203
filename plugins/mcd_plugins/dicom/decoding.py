"""From pixel data to stored codes: which decoder, whether all is there, one frame after the other."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from math import ceil

import numpy as np
from numpy.typing import NDArray
from pydicom import uid
from pydicom.encaps import generate_frames
from pydicom.pixels.decoders.base import get_decoder
from pydicom.uid import UID

from mcd.errors import ImageError
from mcd_plugins.dicom.header import Header, quiet
from mcd_plugins.dicom.layout import Layout

__all__ = ["DECODERS", "Codes", "check_whole", "frames_of", "syntax_of"]

Codes = NDArray[np.uint8] | NDArray[np.uint16]

_JPEG_2000 = ("gdcm", "pylibjpeg", "pillow")
_DECODERS: dict[str, tuple[str, ...]] = {
    uid.ImplicitVRLittleEndian: (),
    uid.ExplicitVRLittleEndian: (),
    uid.ExplicitVRBigEndian: (),
    uid.DeflatedExplicitVRLittleEndian: (),
    uid.RLELossless: ("pylibjpeg", "pydicom"),
    uid.JPEGBaseline8Bit: ("pillow", "gdcm"),
    uid.JPEGExtended12Bit: ("pillow", "gdcm"),
    uid.JPEGLossless: ("gdcm", "pylibjpeg"),
    uid.JPEGLosslessSV1: ("gdcm", "pylibjpeg"),
    uid.JPEGLSLossless: ("pyjpegls", "gdcm"),
    uid.JPEGLSNearLossless: ("pyjpegls", "gdcm"),
    uid.JPEG2000Lossless: _JPEG_2000,
    uid.JPEG2000: _JPEG_2000,
    uid.HTJ2KLossless: ("pylibjpeg",),
    uid.HTJ2KLosslessRPCL: ("pylibjpeg",),
    uid.HTJ2K: ("pylibjpeg",),
}
"""Which of pydicom's plugins may decode what, the one to be preferred first; none is needed where nothing is packed."""

DECODERS = (
    "numpy",
    "pillow",
    "pydicom",
    "pyjpegls",
    "pylibjpeg",
    "pylibjpeg-libjpeg",
    "pylibjpeg-openjpeg",
    "pylibjpeg-rle",
    "python-gdcm",
)
"""Distributions that decode these files."""

_GPL = ("pylibjpeg",)
"""With pylibjpeg-libjpeg, which nothing here requires."""

_ALL = 'pip install "mammo-clip-dissect[dicom]"'


def syntax_of(header: Header) -> UID:
    """Return the transfer syntax.

    Raises
    ------
    ImageError
        When the file does not state one, or one that is not of single images.
    """
    syntax = header.syntax
    if syntax is None:
        raise ImageError(
            "its header does not say in which transfer syntax it is written, or says one that is not known"
        )
    if syntax not in _DECODERS:
        raise ImageError(f"its transfer syntax, {syntax.name}, is not one that can be read")
    return syntax


def frames_of(header: Header, layout: Layout, which: Iterable[int]) -> Iterator[Codes]:
    """Decode frames, ``(rows, columns)`` or RGB ``(rows, columns, 3)``, as codes: all bits of each pixel cell.

    One decoder is used for each transfer syntax, the first that is installed of a fixed order. It is not followed by
    another where it fails: two decoders of a lossy syntax need not agree.

    Raises
    ------
    ImageError
        When no decoder for it is installed, the pixel data are cut short, or the decoder fails.
    """
    syntax = syntax_of(header)
    plugin = _plugin(syntax, layout)
    check_whole(header, layout)
    options = {
        "number_of_frames": layout.frames,
        "allow_excess_frames": False,
        "correct_unused_bits": False,
        **({} if syntax.is_encapsulated else {"view_only": True}),
    }
    for index in which:
        try:
            with quiet():
                found, _ = get_decoder(syntax).as_array(
                    header.data,
                    index=index,
                    decoding_plugin=plugin,
                    **options,  # type: ignore[arg-type]
                )
        except (MemoryError, KeyboardInterrupt, SystemExit):
            raise
        except BaseException:  # decoders raise whatever the bytes lead to, one in Rust something that is no Exception
            by = f" by {plugin}, the decoder for it" if plugin else ""
            raise ImageError(f"its pixels ({syntax.name}) cannot be decoded{by}") from None
        yield np.ascontiguousarray(found, dtype=found.dtype.newbyteorder("=")).view(f"u{layout.allocated // 8}")


def _plugin(syntax: UID, layout: Layout) -> str:
    wanted = _DECODERS[syntax]
    if not wanted:
        return ""
    if syntax == uid.JPEGExtended12Bit and layout.stored > 8:
        wanted = _GPL  # the others know its 8-bit form only
    installed = get_decoder(syntax).available_plugins
    plugin = next((name for name in wanted if name in installed), None)
    if plugin is None and wanted == _GPL:
        raise ImageError(
            f"its pixels ({syntax.name}, {layout.stored} bit) cannot be decoded: no decoder with a permissive licence "
            "knows this syntax with more than 8 bits (pylibjpeg-libjpeg, under the GPL, may)"
        )
    if plugin is None:
        raise ImageError(f"its pixels ({syntax.name}) need a decoder that is not installed: {_ALL}")
    return plugin


def check_whole(header: Header, layout: Layout) -> None:
    """Refuse pixel data that are missing or cut short, as far as that can be seen without decoding.

    Where nothing is packed, the number of bytes tells; in the JPEG family, the mark that ends each image; in RLE, the
    offsets of the segments.

    Raises
    ------
    ImageError
        Saying so.
    """
    data = header.data.get("PixelData")
    if not data:
        raise ImageError("its pixel data are missing or cut short")
    syntax = syntax_of(header)
    if not syntax.is_encapsulated:
        needed = layout.frame_bytes * layout.frames
        if len(data) < needed:
            raise ImageError(f"it is cut short: {len(data)} bytes of pixels for {needed}")
        return
    try:
        with quiet():
            frames = list(generate_frames(data, number_of_frames=layout.frames))
    except MemoryError:
        raise
    except Exception:  # a decoder raises whatever the codestream leads to
        raise ImageError("its compressed pixel data are broken or cut short") from None
    if len(frames) < layout.frames:
        raise ImageError(f"it is cut short: {len(frames)} of {layout.frames} frames")
    ends = _ends_of_rle if syntax == uid.RLELossless else _ends
    for frame in frames:
        if not ends(frame, layout):
            raise ImageError(f"its pixels ({syntax.name}) are cut short")


def _ends(frame: bytes, _layout: Layout) -> bool:
    """Whether a JPEG, JPEG-LS or JPEG 2000 image has its end mark, which occurs nowhere else in one."""
    return frame.rfind(b"\xff\xd9") >= 0


def _ends_of_rle(frame: bytes, layout: Layout) -> bool:
    """Whether all segments of an RLE frame (PS3.5 annex G) can be there; the decoder counts what is in them."""
    if len(frame) < 64:
        return False
    count, *offsets = np.frombuffer(frame, dtype="<u4", count=16).tolist()
    expected = layout.samples * ceil(layout.allocated / 8)
    return count == expected and all(64 <= offset < len(frame) for offset in offsets[:count])
