"""From stored values to what a reader at a workstation would see, in 16 bits."""

from __future__ import annotations

import warnings

import numpy as np
import pydicom
from numpy.typing import NDArray
from pydicom.pixels.processing import apply_modality_lut

from mcd.errors import ImageError

__all__ = ["is_negative", "positive", "rendered"]

Values = NDArray[np.float64]


def rendered(stored: NDArray[np.generic], header: pydicom.Dataset, voi: bool) -> NDArray[np.uint16]:
    """Return an image ``(rows, columns)`` uint16 whose white is 65535.

    Every possible stored value goes through one table: modality LUT or rescale, then VOI LUT, else the first
    window, else the whole range (PS3.3 C.11.1, C.11.2). Scaling is by the *possible* range, never the
    image's own, and so is the one inversion of MONOCHROME1. Padding becomes black.

    Raises
    ------
    ImageError
        When the photometric interpretation is not grey, or the header's tables contradict themselves.
    """
    negative = is_negative(header)
    lowest, bits = _range(header)
    possible = np.arange(lowest, lowest + 2**bits)
    table = _displayed(possible, header, voi)
    if negative:
        table = 1 - table
    index = np.clip(stored.astype(np.int64) - lowest, 0, len(possible) - 1)
    image: NDArray[np.uint16] = (table * 65535 + 0.5).astype(np.uint16)[index]
    image[_padding(stored, header)] = 0
    return image


def is_negative(header: pydicom.Dataset) -> bool:
    """Say whether low values are bright (MONOCHROME1).

    Raises
    ------
    ImageError
        When the photometric interpretation is not grey.
    """
    photometric = str(header.get("PhotometricInterpretation", "MONOCHROME2"))
    if photometric not in ("MONOCHROME1", "MONOCHROME2"):
        raise ImageError(f"photometric interpretation {photometric} is not grey")
    return photometric == "MONOCHROME1"


def positive(stored: NDArray[np.generic], header: pydicom.Dataset) -> tuple[NDArray[np.uint16], float]:
    """Return the stored values counted from the lowest possible one, a negative turned, and what white is.

    Neither LUT nor window nor padding takes part.

    Raises
    ------
    ImageError
        When the image is not grey or has more than 16 bits.
    """
    negative = is_negative(header)
    lowest, bits = _range(header)
    white = 2**bits - 1
    values = np.clip(stored.astype(np.int64) - lowest, 0, white)
    return (white - values if negative else values).astype(np.uint16), float(white)


def _range(header: pydicom.Dataset) -> tuple[int, int]:
    """Return the lowest possible stored value, and how many bits there are."""
    bits = int(header.get("BitsStored", header.get("BitsAllocated", 16)))
    if bits > 16:
        raise ImageError(f"{bits} bits stored; up to 16 can be read")
    return (-(2 ** (bits - 1)) if header.get("PixelRepresentation", 0) else 0), bits


def _displayed(possible: NDArray[np.int64], header: pydicom.Dataset, voi: bool) -> Values:
    """Return brightness 0…1 of every possible stored value."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            values = np.asarray(apply_modality_lut(possible, header), dtype=np.float64)
    except (ValueError, AttributeError, KeyError, IndexError) as error:
        raise ImageError(f"its modality LUT is broken: {error}") from None
    if voi and header.get("VOILUTSequence"):
        return _looked_up(values, header.VOILUTSequence[0])
    centre, width = _number(header.get("WindowCenter")), _number(header.get("WindowWidth"))
    if voi and centre is not None and width is not None and width > 0:
        return _windowed(values, centre, width, str(header.get("VOILUTFunction") or "LINEAR").upper())
    low, high = float(values.min()), float(values.max())
    return (values - low) / (high - low) if high > low else np.zeros_like(values)


def _windowed(values: Values, centre: float, width: float, function: str) -> Values:
    """Apply a window; the formulas of PS3.3 C.11.2.1.2 and C.11.2.1.3."""
    if function == "SIGMOID":
        sigmoid: Values = 1 / (1 + np.exp(-4 * (values - centre) / width))
        return sigmoid
    if function == "LINEAR_EXACT":
        return np.clip((values - centre) / width + 0.5, 0, 1)
    if function != "LINEAR":
        raise ImageError(f"VOI LUT function {function} is not known")
    if width <= 1:
        return (values > centre - 0.5).astype(np.float64)
    return np.clip((values - (centre - 0.5)) / (width - 1) + 0.5, 0, 1)


def _looked_up(values: Values, item: pydicom.Dataset) -> Values:
    """Apply a VOI LUT. pydicom's own clips 8-bit tables of over 256 entries, so this does not use it."""
    try:
        count, first, bits = (int(part) for part in item.LUTDescriptor)
        data = item.LUTData
    except (AttributeError, TypeError, ValueError):
        raise ImageError("its VOI LUT is broken: no descriptor or no data") from None
    count = count or 65536
    entries = np.frombuffer(data, dtype="<u2") if isinstance(data, bytes) else np.atleast_1d(np.asarray(data))
    if len(entries) < count:
        raise ImageError(f"its VOI LUT is broken: {len(entries)} entries of {count}")
    index = np.clip(np.round(values) - first, 0, count - 1).astype(np.int64)
    return np.clip(entries[index] / (2.0**bits - 1), 0, 1)


def _number(value: object) -> float | None:
    """Return the first of one or several numbers, or None."""
    if value is None or value == "":
        return None
    if isinstance(value, list | tuple | pydicom.multival.MultiValue):
        return _number(value[0]) if len(value) else None
    try:
        return float(str(value))
    except ValueError:
        return None


def _padding(stored: NDArray[np.generic], header: pydicom.Dataset) -> NDArray[np.bool_]:
    """Return where the detector saw nothing: the padding value, or the range up to its limit."""
    value = header.get("PixelPaddingValue")
    if not isinstance(value, int):
        return np.zeros(stored.shape, dtype=bool)
    limit = header.get("PixelPaddingRangeLimit")
    low, high = sorted((value, limit if isinstance(limit, int) else value))
    numbers = stored.astype(np.int64)
    masked: NDArray[np.bool_] = (numbers >= low) & (numbers <= high)
    return masked
