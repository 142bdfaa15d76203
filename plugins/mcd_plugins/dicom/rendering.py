"""From a file to pixels: decoded, one channel, one frame, through one table."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

import mcd
from mcd.errors import ImageError
from mcd.plugins import Limits, isolated
from mcd_plugins.dicom.agreement import Codes
from mcd_plugins.dicom.decoding import syntax_of
from mcd_plugins.dicom.description import is_for_processing
from mcd_plugins.dicom.display import (
    WHITE,
    Curve,
    colour_table,
    crude_table,
    curve_of,
    displayed_table,
    occurring_span,
    padding,
    palette_table,
    stored_table,
)
from mcd_plugins.dicom.header import Header, opened
from mcd_plugins.dicom.layout import GREY, PALETTE, Layout, layout_of
from mcd_plugins.dicom.luts import Values
from mcd_plugins.dicom.pixels import COLOURED, Pixels, pixels_of
from mcd_plugins.dicom.settings import DicomOptions

__all__ = ["admitted", "displayed", "stored"]

Frames = Callable[[], Iterable[tuple[int, Codes]]]
Table = NDArray[np.uint16]
_Reader = Callable[[Path | BinaryIO, DicomOptions], mcd.Image]


def displayed(path: str | Path, options: DicomOptions | None = None) -> mcd.Image:
    """Decode a file and show it as a workstation does: uint16 ``(rows, columns)``, black 0, white 65535.

    In this order: unused bits masked, padding marked, modality LUT or rescaling, VOI LUT or window, MONOCHROME1
    inverted once, padding made black.

    Raises
    ------
    ImageError
        When it cannot be decoded, or the options refuse it.
    """
    return _safely(_displayed, Path(path), options or DicomOptions())


def stored(path: str | Path, options: DicomOptions | None = None) -> mcd.Image:
    """Decode a file and leave its values as they are stored, counted from the lowest possible; a negative is turned.

    uint16 ``(rows, columns)``, white is the highest value that BitsStored allows. Neither padding nor LUT nor window
    takes part. A palette is no value, so of an image with one it gives what `displayed` gives.

    Raises
    ------
    ImageError
        When it cannot be decoded, or the options refuse it.
    """
    return _safely(_stored, Path(path), options or DicomOptions())


def _safely(read: _Reader, path: Path, options: DicomOptions) -> mcd.Image:
    """Read a file here, or in the helper process where a decoder is needed, which it may end."""
    header = opened(path, pixels=False)
    layout = admitted(header, options)
    if not syntax_of(header).is_encapsulated:
        return read(path, options)
    pixels = layout.rows * layout.columns * (layout.frames if options.frames == "maximum" else 1)
    limits = Limits(seconds=60 + 5e-6 * pixels, memory=(4 << 30) + 4 * path.stat().st_size)
    return isolated(_of_bytes, read, path, options, limits=limits)


def _of_bytes(read: _Reader, path: Path, options: DicomOptions) -> mcd.Image:
    """Read a compressed file once: what is decoded is what its digest is of."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise ImageError(error.strerror or "it cannot be read") from None
    return replace(read(io.BytesIO(data), options), digest=hashlib.sha256(data).hexdigest())


def _displayed(file: Path | BinaryIO, options: DicomOptions) -> mcd.Image:
    pixels, frames = _read(file, options)
    return mcd.Image(_brightest(_tables(pixels, frames), frames), float(WHITE), pixels.layout.negative)


def _stored(file: Path | BinaryIO, options: DicomOptions) -> mcd.Image:
    pixels, frames = _read(file, options)
    layout = pixels.layout
    if layout.photometric == PALETTE:
        return mcd.Image(_brightest(_tables(pixels, frames), frames), float(WHITE))
    table = stored_table(layout)
    return mcd.Image(_brightest(lambda _frame: table, frames), float((1 << layout.stored) - 1), layout.negative)


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


def _read(file: Path | BinaryIO, options: DicomOptions) -> tuple[Pixels, Frames]:
    """Return the pixels of a file, and what gives its frames; a single one is decoded once, several each time."""
    header = opened(file, pixels=True)
    pixels = pixels_of(header, admitted(header, options), options)
    if len(pixels.which) > 1:
        return pixels, pixels.frames
    only = list(pixels.frames())
    return pixels, lambda: only


def _tables(pixels: Pixels, frames: Frames) -> Callable[[int], Table]:
    """Return what gives the table of each frame: what every code is shown as, ``(2 ** allocated,)``."""
    header, layout, options = pixels.header, pixels.layout, pixels.options
    if layout.photometric == PALETTE:
        one = palette_table(header, layout, lambda colours: _luma(colours, options))
        return lambda _frame: one
    if layout.photometric not in GREY:
        one = colour_table(layout)
        return lambda _frame: one
    padded = padding(header, layout)
    if is_for_processing(header):
        counts = np.zeros(1 << layout.allocated, dtype=np.int64)
        for _, codes in frames():
            counts += _histogram(codes, layout)
        one = crude_table(header, layout, padded, counts)
        return lambda _frame: one

    def curve(frame: int) -> Curve:
        return curve_of(header, layout, options.voi, options.voi_index, frame)

    span: tuple[float, float] | None = None
    if options.voi == "min-max":
        spans = [occurring_span(curve(at), layout, padded, _histogram(codes, layout)) for at, codes in frames()]
        ends = [end for one in spans if one is not None for end in one]
        span = (min(ends, default=0.0), max(ends, default=0.0))
    made: dict[Curve, Table] = {}

    def table(frame: int) -> Table:
        key = curve(frame)
        if key not in made:
            made.clear()  # few frames have one of their own, and the next one mostly has the last one's
            made[key] = displayed_table(key, layout, padded, span)
        return made[key]

    return table


def _histogram(codes: Codes, layout: Layout) -> NDArray[np.int64]:
    """Return how often each code occurs, ``(2 ** allocated,)``."""
    return np.bincount(codes.ravel(), minlength=1 << layout.allocated)


def _luma(colours: Values, options: DicomOptions) -> Values:
    if (colours == colours[:, :1]).all():
        return colours[:, 0]
    if options.colour == "refuse":
        raise ImageError(COLOURED)
    luma: Values = colours @ np.array([0.299, 0.587, 0.114])
    return luma


def _brightest(table: Callable[[int], Table], frames: Frames) -> NDArray[np.uint16]:
    """Return every pixel through its frame's table; of several frames, the brightest value at each."""
    found: NDArray[np.uint16] | None = None
    for frame, codes in frames():
        shown = np.take(table(frame), codes)
        found = shown if found is None else np.maximum(found, shown, out=found)
    if found is None:
        raise ImageError("it holds no frame")
    return found
