"""From a file to pixels: decoded, one channel, one frame, through one table."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from pydicom import uid

import mcd
from mcd.errors import ImageError
from mcd_plugins.dicom.decoding import Codes, frames_of, syntax_of
from mcd_plugins.dicom.description import is_for_processing
from mcd_plugins.dicom.display import (
    WHITE,
    Histogram,
    colour_table,
    crude_table,
    curve_of,
    displayed_table,
    padding,
    palette_table,
    stored_table,
)
from mcd_plugins.dicom.header import Header, opened
from mcd_plugins.dicom.layout import GREY, PALETTE, Layout, layout_of
from mcd_plugins.dicom.luts import Values
from mcd_plugins.dicom.settings import DicomOptions

__all__ = ["admitted", "displayed", "stored"]

Frames = Callable[[], Iterable[Codes]]

_LOSSY = frozenset({uid.JPEGBaseline8Bit, uid.JPEGExtended12Bit, uid.JPEGLSNearLossless, uid.JPEG2000, uid.HTJ2K})
_LOSSY_SPREAD = 4
"""How far the channels of a grey image may drift apart, in 255ths, by the rounding of lossy compression."""
_COLOURED = "it is truly coloured; set colour=luma to take its luma"


def displayed(path: str | Path, options: DicomOptions | None = None) -> mcd.Image:
    """Decode a file and show it as a workstation does: uint16 ``(rows, columns)``, black 0, white 65535.

    In this order: unused bits masked, padding marked, modality LUT or rescaling, VOI LUT or window, MONOCHROME1
    inverted once, padding made black.

    Raises
    ------
    ImageError
        When it cannot be decoded, or the options refuse it.
    """
    options = options or DicomOptions()
    header = opened(Path(path), pixels=True)
    layout = admitted(header, options)
    frames = _frames(header, layout, options)

    def histogram() -> NDArray[np.int64]:
        counts = np.zeros(1 << layout.allocated, dtype=np.int64)
        for codes in frames():
            counts += np.bincount(codes.ravel(), minlength=len(counts))
        return counts

    return mcd.Image(_brightest(_table(header, layout, options, histogram), frames), float(WHITE), layout.negative)


def stored(path: str | Path, options: DicomOptions | None = None) -> mcd.Image:
    """Decode a file and leave its values as they are stored, counted from the lowest possible; a negative is turned.

    uint16 ``(rows, columns)``, white is the highest value that BitsStored allows. Neither padding nor LUT nor window
    takes part. A palette is no value, so of an image with one it gives what `displayed` gives.

    Raises
    ------
    ImageError
        When it cannot be decoded, or the options refuse it.
    """
    options = options or DicomOptions()
    header = opened(Path(path), pixels=True)
    layout = admitted(header, options)
    frames = _frames(header, layout, options)
    if layout.photometric == PALETTE:
        return mcd.Image(_brightest(_palette(header, layout, options), frames), float(WHITE))
    return mcd.Image(_brightest(stored_table(layout), frames), float((1 << layout.stored) - 1), layout.negative)


def admitted(header: Header, options: DicomOptions) -> Layout:
    """Return the layout of an image that the options take.

    Raises
    ------
    ImageError
        When they refuse it, or it cannot be read whatever they are.
    """
    layout = layout_of(header)
    syntax_of(header)
    if layout.frames > 1 and options.frames == "refuse":
        raise ImageError(
            f"it holds {layout.frames} frames (tomosynthesis?), not one image; set frames=middle or frames=maximum"
        )
    if is_for_processing(header) and options.for_processing == "refuse":
        raise ImageError(
            "it is FOR PROCESSING: detector values, which no standard makes fit for display; "
            "set for_processing=log for a crude picture"
        )
    return layout


def _frames(header: Header, layout: Layout, options: DicomOptions) -> Frames:
    """Return what gives the frames that count, as one channel; a single one is decoded once, several each time."""
    which = range(layout.frames) if options.frames == "maximum" else (layout.frames // 2,)
    allowed = _allowed(header, layout) if options.unused_bits == "refuse" else None

    def decoded() -> Iterator[Codes]:
        for codes in frames_of(header, layout, which):
            if allowed is not None and not allowed[codes].all():
                raise ImageError(f"its pixels have bits set beyond the {layout.stored} stored; set unused_bits=mask")
            yield codes if codes.ndim == 2 else _one_channel(codes, options, header)

    if len(which) > 1:
        return decoded
    only = list(decoded())
    return lambda: only


def _allowed(header: Header, layout: Layout) -> NDArray[np.bool_]:
    """Return which codes set no bit beyond those stored, but for the sign's and for padding."""
    bare = layout.codes() & (((1 << layout.stored) - 1) << layout.shift)
    extended = layout.cells() == layout.values() << layout.shift
    allowed: NDArray[np.bool_] = (layout.codes() == bare) | extended
    return allowed | padding(header, layout) if layout.photometric in GREY else allowed


def _one_channel(colours: Codes, options: DicomOptions, header: Header) -> Codes:
    """Return one channel ``(rows, columns)`` of an RGB image: the common one of a grey image, or the luma."""
    spread = int((colours.max(axis=2) - colours.min(axis=2)).max())
    if spread == 0:
        grey: Codes = colours[..., 0].copy()
        return grey
    if spread > (_LOSSY_SPREAD if syntax_of(header) in _LOSSY else 0) and options.colour == "refuse":
        raise ImageError(_COLOURED)
    return cv2.cvtColor(colours, cv2.COLOR_RGB2GRAY)  # type: ignore[return-value]  # cv2 keeps the depth


def _luma(colours: Values, options: DicomOptions) -> Values:
    if (colours == colours[:, :1]).all():
        return colours[:, 0]
    if options.colour == "refuse":
        raise ImageError(_COLOURED)
    luma: Values = colours @ np.array([0.299, 0.587, 0.114])
    return luma


def _palette(header: Header, layout: Layout, options: DicomOptions) -> NDArray[np.uint16]:
    return palette_table(header, layout, lambda colours: _luma(colours, options))


def _table(header: Header, layout: Layout, options: DicomOptions, histogram: Histogram) -> NDArray[np.uint16]:
    if layout.photometric == PALETTE:
        return _palette(header, layout, options)
    if layout.photometric not in GREY:
        return colour_table(layout)
    padded = padding(header, layout)
    if is_for_processing(header):
        return crude_table(header, layout, padded, histogram)
    curve = curve_of(header, layout, options.voi, options.voi_index)
    return displayed_table(curve, layout, padded, histogram if options.voi == "min-max" else None)


def _brightest(table: NDArray[np.uint16], frames: Frames) -> NDArray[np.uint16]:
    """Return every pixel through the table; of several frames, the brightest value at each."""
    found: NDArray[np.uint16] | None = None
    for codes in frames():
        shown = np.take(table, codes)
        found = shown if found is None else np.maximum(found, shown, out=found)
    if found is None:
        raise ImageError("it holds no frame")
    return found
