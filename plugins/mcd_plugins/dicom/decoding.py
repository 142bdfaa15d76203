"""From pixel data to stored codes: which decoder, whether all is there, one frame after the other."""

from __future__ import annotations

import platform
from collections.abc import Iterable, Iterator, Mapping
from typing import cast

import numpy as np
from numpy.typing import NDArray
from pydicom import uid
from pydicom.encaps import encapsulate
from pydicom.pixels.decoders.base import get_decoder
from pydicom.uid import UID

from mcd.errors import ImageError
from mcd.plugins import Limits, isolated
from mcd_plugins.dicom.codestream import is_ordinary
from mcd_plugins.dicom.extended import decoded_extended
from mcd_plugins.dicom.header import Header, quiet
from mcd_plugins.dicom.layout import Layout
from mcd_plugins.dicom.packing import Packed

__all__ = ["DECODERS", "Codes", "decoded", "decoder_for", "frames_of", "syntax_of"]

Codes = NDArray[np.uint8] | NDArray[np.uint16]

_JPEG_2000 = ("gdcm", "pylibjpeg", "pillow")
_DECODERS: dict[str, tuple[str, ...]] = {
    uid.ImplicitVRLittleEndian: (),
    uid.ExplicitVRLittleEndian: (),
    uid.ExplicitVRBigEndian: (),
    uid.DeflatedExplicitVRLittleEndian: (),
    uid.RLELossless: ("pylibjpeg", "pydicom"),
    uid.JPEGBaseline8Bit: ("pillow", "gdcm"),
    uid.JPEGExtended12Bit: ("pillow", "gdcm"),  # with 8 bits
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
    "pylibjpeg-openjpeg",
    "pylibjpeg-rle",
    "python-gdcm",
)
"""Distributions that decode these files."""

_ORDINARY = ("pylibjpeg", *_JPEG_2000) if platform.machine().lower() in ("x86_64", "amd64") else _JPEG_2000
"""For ordinary grey JPEG 2000: faster than GDCM, with the same pixels. That was compared on x86-64; elsewhere compilers
may round a lossy image otherwise."""

_DEEP = ("gdcm",)
"""For JPEG Extended with more than 8 bits."""

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


def frames_of(header: Header, layout: Layout, pixels: Packed, which: Iterable[int]) -> Iterator[Codes]:
    """Decode frames, ``(rows, columns)`` or RGB ``(rows, columns, 3)``, as codes: all bits of each pixel cell.

    One decoder is used for each transfer syntax, the first that is installed of a fixed order. It is not followed by
    another where it fails: two decoders of a lossy syntax need not agree. They work in a process of their own, which a
    damaged codestream may end.

    Parameters
    ----------
    header, pixels
        Of the file.
    layout
        How codes are to be read. The codestream's sign and depth are used where it has some.

    Raises
    ------
    ImageError
        When no decoder for it is installed, or the decoder fails.
    """
    syntax = syntax_of(header)
    stream = pixels.codestream
    signed = layout.signed if stream is None or stream.signed is None else stream.signed
    options: dict[str, object] = {
        "photometric_interpretation": layout.photometric,
        "pixel_representation": int(signed),
        "bits_stored": layout.stored if stream is None else stream.precision,
        "allow_excess_frames": False,
        "correct_unused_bits": False,
    }
    for index in which:
        if not pixels.frames:
            found = _native(header, index, {**options, "number_of_frames": layout.frames, "view_only": True})
        else:
            shape = {"rows": layout.rows, "columns": layout.columns, "samples_per_pixel": layout.samples}
            options |= {**shape, "bits_allocated": layout.allocated, "number_of_frames": 1}
            options |= {"planar_configuration": header.integer("PlanarConfiguration") or 0}
            plugin = decoder_for(syntax, pixels.frames[index], options)
            limits = Limits(seconds=60 + 5e-6 * layout.rows * layout.columns)
            found = isolated(decoded, pixels.frames[index], str(syntax), plugin, options, limits=limits)
        yield _codes(found, layout)


def _native(header: Header, index: int, options: dict[str, object]) -> NDArray[np.generic]:
    try:
        with quiet():
            decoder = get_decoder(syntax_of(header))
            found, _ = decoder.as_array(header.data, index=index, **options)  # type: ignore[arg-type]  # types each alone
    except MemoryError:
        raise
    except Exception:  # as below
        raise ImageError("its pixels cannot be read") from None
    return found


def decoded(frame: bytes, syntax: str, plugin: str, options: dict[str, object]) -> NDArray[np.generic]:
    """Decode one frame, in this process.

    Raises
    ------
    ImageError
        When the decoder fails.
    """
    source = encapsulate([frame], has_bot=False)
    options = {"index": 0, "decoding_plugin": plugin, "pixel_keyword": "PixelData", **options}
    try:
        with quiet():
            if _is_deep(UID(syntax), options):
                shape, bits = (options["rows"], options["columns"]), options["bits_stored"]
                return decoded_extended(frame, cast("tuple[int, int]", shape), cast("int", bits))
            decoder = get_decoder(UID(syntax))
            if options["samples_per_pixel"] != 1:
                return decoder.as_array(source, **options)[0]  # type: ignore[arg-type]  # pydicom types each alone
            # a buffer, which is not copied
            values, said = decoder.as_buffer(source, **options)  # type: ignore[arg-type]  # pydicom types each alone
            kind = f"<{'i' if said['pixel_representation'] else 'u'}{int(said['bits_allocated']) // 8}"
            return np.frombuffer(values, kind).reshape(int(said["rows"]), int(said["columns"]))
    except (MemoryError, KeyboardInterrupt, SystemExit):
        raise
    except BaseException:  # decoders raise whatever the bytes lead to, one in Rust something that is no Exception
        by = f" by {plugin}, the decoder for it" if plugin else ""
        raise ImageError(f"its pixels ({UID(syntax).name}) cannot be decoded{by}") from None


def _codes(found: NDArray[np.generic], layout: Layout) -> Codes:
    """Return decoded values as cells of all the bits allocated; decoders give fewer where fewer are stored.

    Raises
    ------
    ImageError
        When they are not of the size that the header says.
    """
    size = (layout.rows, layout.columns) if layout.samples == 1 else (layout.rows, layout.columns, layout.samples)
    width = layout.allocated // 8
    if found.shape != size or found.dtype.kind not in "iu" or found.dtype.itemsize > width:
        raise ImageError("its decoded pixels do not match its header")
    native = np.ascontiguousarray(found, dtype=found.dtype.newbyteorder("="))
    return native.astype(f"{native.dtype.kind}{width}", copy=False).view(f"u{width}")


def decoder_for(syntax: UID, frame: bytes, options: Mapping[str, object]) -> str:
    """Return the name of the decoder for a frame, one of pydicom's plugins; empty where nothing is packed.

    Parameters
    ----------
    options
        With ``bits_stored`` of the codestream, and ``samples_per_pixel``.

    Raises
    ------
    ImageError
        When no decoder for it is installed, or there is none.
    """
    wanted = _DECODERS[syntax]
    if _is_deep(syntax, options):
        if options["samples_per_pixel"] != 1:
            raise ImageError(f"its pixels ({syntax.name}) have colours of more than 8 bits, which cannot be decoded")
        wanted = _DEEP
    elif wanted is _JPEG_2000 and options["samples_per_pixel"] == 1 and is_ordinary(frame):
        wanted = _ORDINARY
    installed = get_decoder(syntax).available_plugins
    plugin = next((name for name in wanted if name in installed), "")
    if wanted and not plugin:
        raise ImageError(f"its pixels ({syntax.name}) need a decoder that is not installed: {_ALL}")
    return plugin


def _is_deep(syntax: UID, options: Mapping[str, object]) -> bool:
    return syntax == uid.JPEGExtended12Bit and options["bits_stored"] != 8
