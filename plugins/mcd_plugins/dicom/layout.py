"""How pixels are laid out in a file, and which layouts are refused."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mcd.errors import ImageError
from mcd_plugins.dicom.header import Header

__all__ = ["GREY", "PALETTE", "Layout", "layout_of"]

GREY = ("MONOCHROME1", "MONOCHROME2")
PALETTE = "PALETTE COLOR"
_COLOURS = ("RGB", "YBR_FULL", "YBR_FULL_422", "YBR_RCT", "YBR_ICT")

_WIDTHS = {
    1: "1 bit a pixel: it is a mask, not a mammogram",
    12: "12 bits packed without a gap, which the standard gave up",
    32: "32 bits a pixel; up to 16 can be read",
    64: "64 bits a pixel; up to 16 can be read",
}


@dataclass(frozen=True)
class Layout:
    """What the header says about stored values (PS3.5 8.1).

    A *code* is the content of a whole pixel cell, ``allocated`` bits, without a sign. The pixel's value is ``stored``
    of them, from bit ``shift`` on, as two's complement where ``signed``. The other bits are no part of it.
    """

    rows: int
    columns: int
    frames: int
    samples: int
    allocated: int
    stored: int
    shift: int
    signed: bool
    photometric: str

    @property
    def negative(self) -> bool:
        """Whether low values are bright."""
        return self.photometric == "MONOCHROME1"

    @property
    def lowest(self) -> int:
        """The lowest value there can be."""
        return -(1 << (self.stored - 1)) if self.signed else 0

    @property
    def highest(self) -> int:
        """The highest value there can be."""
        return self.lowest + (1 << self.stored) - 1

    @property
    def frame_bytes(self) -> int:
        """Bytes of one frame that is not compressed; YBR_FULL_422 shares colour between two pixels."""
        samples = 2 if self.photometric == "YBR_FULL_422" else self.samples
        return self.rows * self.columns * samples * self.allocated // 8

    def codes(self) -> NDArray[np.int64]:
        """Return every code, ``(2 ** allocated,)``."""
        return np.arange(1 << self.allocated)

    def values(self) -> NDArray[np.int64]:
        """Return the value of every code: unused bits masked away, the sign extended."""
        values = (self.codes() >> self.shift) & ((1 << self.stored) - 1)
        return np.where(values > self.highest, values - (1 << self.stored), values)

    def cells(self) -> NDArray[np.int64]:
        """Return every code read as a number of all its bits, the unused ones too."""
        codes = self.codes()
        return (
            np.where(codes >= 1 << (self.allocated - 1), codes - (1 << self.allocated), codes) if self.signed else codes
        )


def layout_of(header: Header) -> Layout:
    """Return how the pixels of a file are laid out.

    Raises
    ------
    ImageError
        When the header does not say so, contradicts itself, or says what cannot be read.
    """
    if not header.integer("Rows") or not header.integer("Columns"):
        raise ImageError("it holds no image, or its header is cut short: Rows or Columns are missing")
    if header.has("FloatPixelData") or header.has("DoubleFloatPixelData"):
        raise ImageError("its pixels are floating-point numbers, which have no fixed white")
    allocated, stored = _required(header, "BitsAllocated"), _required(header, "BitsStored")
    if allocated not in (8, 16):
        raise ImageError(
            "it has " + _WIDTHS.get(allocated, f"{allocated} bits allocated to a pixel; 8 or 16 can be read")
        )
    high = header.integer("HighBit")
    high = stored - 1 if high is None else high
    if not 1 <= stored <= allocated or not stored - 1 <= high < allocated:
        raise ImageError(
            f"its header contradicts itself: BitsAllocated {allocated}, BitsStored {stored}, HighBit {high}"
        )
    samples = _required(header, "SamplesPerPixel")
    photometric = _photometric(header, samples)
    signed = _required(header, "PixelRepresentation") == 1
    if photometric in _COLOURS and (signed or stored != allocated):
        raise ImageError("its colours have a sign or unused bits, which cannot be read")
    return Layout(
        rows=_required(header, "Rows"),
        columns=_required(header, "Columns"),
        frames=header.integer("NumberOfFrames") or 1,
        samples=samples,
        allocated=allocated,
        stored=stored,
        shift=high + 1 - stored,
        signed=signed,
        photometric=photometric,
    )


def _required(header: Header, name: str) -> int:
    value = header.integer(name)
    if value is None or value < 0:
        raise ImageError(f"its header does not say {name}")
    return value


def _photometric(header: Header, samples: int) -> str:
    """Return the photometric interpretation, of a list: another text may be anything, and is not shown."""
    said = header.code("PhotometricInterpretation")
    if not said:
        raise ImageError("its header does not say PhotometricInterpretation, so whether low values are black or white")
    if said not in (*GREY, PALETTE, *_COLOURS):
        raise ImageError("its PhotometricInterpretation is none that can be read")
    if samples != (3 if said in _COLOURS else 1):
        raise ImageError(f"its header contradicts itself: {said} with {samples} samples a pixel")
    return said
