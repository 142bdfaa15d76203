"""Lookup tables, rescaling and windows of a header: what turns a stored value into a brightness."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from functools import partial
from itertools import zip_longest

import numpy as np
from numpy.typing import NDArray

from mcd.errors import ImageError
from mcd_plugins.dicom.header import Header

__all__ = ["Lut", "Rescale", "Window", "held_bits", "luts_of", "modality_of", "palette_of", "windows_of"]

Values = NDArray[np.float64]

_DEPTHS = (8, 10, 12, 14, 16)
"""Bits that images have."""


@dataclass(frozen=True, eq=False)
class Lut:
    """A lookup table (PS3.3 C.11.1.1, C.11.2.1.1, C.7.6.3.1.5).

    Parameters
    ----------
    entries
        Output of ``first``, ``first + 1`` …; what is below or above gets the first or the last entry.
    first
        The lowest input that has an entry of its own.
    bits
        Of an entry; ``2 ** bits - 1`` is white.
    declared
        What its descriptor says instead.
    """

    entries: NDArray[np.uint16]
    first: int
    bits: int
    declared: int

    def __call__(self, values: Values) -> Values:
        """Return the entries of values, as numbers."""
        first = self.first
        if first > 32767 and first > values.max():
            first -= 1 << 16  # a negative number that was written, or read, as an unsigned one
        at = np.clip(np.rint(values) - first, 0, len(self.entries) - 1).astype(np.int64)
        found: Values = np.take(self.entries, at).astype(np.float64)
        return found

    def brightness(self, values: Values) -> Values:
        """Return the entries of values in 0…1."""
        return np.minimum(self(values) / ((1 << self.bits) - 1), 1.0)

    def span(self, _values: Values) -> tuple[float, float]:
        """Return the lowest and the highest output that the table could have."""
        return 0.0, float((1 << self.bits) - 1)


@dataclass(frozen=True)
class Rescale:
    """Modality rescaling, ``slope × value + intercept`` (PS3.3 C.11.1.1.2)."""

    slope: float = 1.0
    intercept: float = 0.0

    def __call__(self, values: Values) -> Values:
        """Return the values rescaled."""
        return values * self.slope + self.intercept

    def span(self, values: Values) -> tuple[float, float]:
        """Return the lowest and the highest output of all possible values."""
        rescaled = self(values)
        return float(rescaled.min()), float(rescaled.max())


@dataclass(frozen=True)
class Window:
    """A window and its function, LINEAR, LINEAR_EXACT or SIGMOID."""

    centre: float
    width: float
    function: str

    def brightness(self, values: Values) -> Values:
        """Return the brightness of values in 0…1; the formulas of PS3.3 C.11.2.1.2 and C.11.2.1.3."""
        if self.function == "SIGMOID":  # 1 / (1 + exp(-4 (x - c) / w)), written so that nothing overflows
            return 0.5 * (1 + np.tanh(2 * (values - self.centre) / self.width))
        if self.function == "LINEAR_EXACT":
            return np.clip((values - self.centre) / self.width + 0.5, 0, 1)
        if self.width == 1:
            return (values > self.centre - 0.5).astype(np.float64)
        return np.clip((values - (self.centre - 0.5)) / (self.width - 1) + 0.5, 0, 1)


def modality_of(places: Iterable[Header]) -> Lut | Rescale:
    """Return the modality LUT, or else the rescaling, of the first place that has one; else one that changes nothing.

    Of a rescaling of which only one half is there, the other half is taken to change nothing.

    Raises
    ------
    ImageError
        When it is broken, or its slope is 0.
    """
    for place in places:
        table = place.item("ModalityLUTSequence")
        if table is not None:
            return _lut(table, "LUTDescriptor", "LUTData")
        slope, intercept = place.number("RescaleSlope"), place.number("RescaleIntercept")
        if slope == 0:
            raise ImageError("its RescaleSlope is 0, which makes every pixel the same")
        if slope is not None or intercept is not None:
            return Rescale(1.0 if slope is None else slope, intercept or 0.0)
    return Rescale()


def luts_of(places: Iterable[Header]) -> list[Callable[[], Lut]]:
    """Return what reads each VOI LUT of the first place that has any."""
    for place in places:
        items = place.items("VOILUTSequence")
        if items:
            return [partial(_lut, item, "LUTDescriptor", "LUTData") for item in items]
    return []


def windows_of(places: Iterable[Header]) -> list[Window | None]:
    """Return the windows of the first place that has any; None for one that cannot be used.

    That is one of which only centre or width is there, or whose width is not positive (for LINEAR, below 1).

    Raises
    ------
    ImageError
        When the function is none of the three.
    """
    for place in places:
        pairs = list(zip_longest(place.numbers("WindowCenter"), place.numbers("WindowWidth")))
        if pairs:
            function = place.code("VOILUTFunction") or "LINEAR"
            if function not in ("LINEAR", "LINEAR_EXACT", "SIGMOID"):
                raise ImageError("its VOILUTFunction is none of LINEAR, LINEAR_EXACT and SIGMOID")
            return [_window(centre, width, function) for centre, width in pairs]
    return []


def palette_of(header: Header) -> tuple[Lut, Lut, Lut]:
    """Return the tables of red, green and blue of a palette.

    Raises
    ------
    ImageError
        When one is missing, broken, or written in segments.
    """
    names = [f"{colour}PaletteColorLookupTable" for colour in ("Red", "Green", "Blue")]
    tables = [_lut(header, f"{name}Descriptor", f"{name}Data") for name in names]
    bits = max(held_bits(max(int(one.entries.max()) for one in tables), one.declared) for one in tables)
    red, green, blue = (replace(one, bits=bits) for one in tables)
    return red, green, blue


def _window(centre: float | None, width: float | None, function: str) -> Window | None:
    if centre is None or width is None or width <= 0 or (function == "LINEAR" and width < 1):
        return None
    return Window(centre, width, function)


def _lut(place: Header, descriptor: str, data: str) -> Lut:
    """Read a table. pydicom's own lookup clips the index of 8-bit tables at 255, so only its values are taken."""
    parts = [part for part in place.numbers(descriptor) if part is not None]
    if len(parts) != 3:
        raise ImageError(f"its {descriptor} is not three numbers")
    count, first, bits = (int(part) for part in parts)
    count = count % (1 << 16) or 1 << 16  # 0 stands for 65536, and a signed number may have been read
    if not 1 <= bits <= 16:
        raise ImageError(f"its {descriptor} says {bits} bits an entry; 1 to 16 can be read")
    raw = _bytes(place, data)
    if len(raw) >= 2 * count:
        entries = np.frombuffer(raw, dtype="<u2", count=count)
    elif bits <= 8 and len(raw) >= count:
        entries = np.frombuffer(raw, dtype="u1", count=count).astype(np.uint16)
    else:
        raise ImageError(f"its {data} holds {len(raw)} bytes, not the {count} entries of {bits} bits that are declared")
    return Lut(entries, first, held_bits(int(entries.max()), bits), bits)


def held_bits(highest: int, declared: int) -> int:
    """Return how many bits an entry of a table has: the declared ones, unless the highest entry belies them.

    That is so where it is all ones of fewer bits, leaves two bits unused, or needs two more: then the next depth that
    images have. A table that merely ends below white, or is clipped at white, keeps what it declares.
    """
    needed = highest.bit_length()
    if 0 < needed < declared and highest == (1 << needed) - 1:
        return needed
    if 0 < needed <= declared - 2:
        return min(next(depth for depth in _DEPTHS if depth >= needed), declared)
    return next(depth for depth in _DEPTHS if depth >= needed) if needed >= declared + 2 else declared


def _bytes(place: Header, name: str) -> bytes:
    """Return the entries as little-endian words, or as bytes in order where two share a word."""
    value = place.value(name)
    if isinstance(value, bytes):
        if place.little_endian:
            return value
        return np.frombuffer(value[: len(value) // 2 * 2], dtype=">u2").astype("<u2").tobytes()
    words = np.array([int(one or 0) for one in place.numbers(name)], dtype=np.int64)
    return (words & 0xFFFF).astype("<u2").tobytes()
