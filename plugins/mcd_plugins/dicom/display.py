"""From stored values to what a workstation shows, in 16 bits: one table that holds the answer for every code."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from mcd.errors import ImageError
from mcd_plugins.dicom.header import Header
from mcd_plugins.dicom.layout import Layout
from mcd_plugins.dicom.luts import Lut, Rescale, Values, Window, luts_of, modality_of, palette_of, windows_of

T = TypeVar("T")

__all__ = [
    "WHITE",
    "Curve",
    "colour_table",
    "crude_table",
    "curve_of",
    "displayed_table",
    "occurring_span",
    "padding",
    "palette_table",
    "stored_table",
]

WHITE = 65535


@dataclass(frozen=True)
class Curve:
    """What of a header turns values into brightness.

    Parameters
    ----------
    modality
        The first step.
    voi
        The second; None shows the whole range.
    name
        Which one that is, in words.
    """

    modality: Lut | Rescale
    voi: Lut | Window | None
    name: str


def curve_of(header: Header, layout: Layout, voi: str, index: int, frame: int | None = None) -> Curve:
    """Choose among the modality and VOI transformations of a header.

    Parameters
    ----------
    header, layout
        Of a grey image.
    voi
        ``standard`` (VOI LUT, else window, else the whole range), ``lut``, ``window``, ``none`` or ``min-max``.
    index
        Which of several LUTs or windows.
    frame
        Whose own LUTs or window count; the middle one's by default.

    Raises
    ------
    ImageError
        When what is requested is missing or damaged.
    """
    frame = layout.frames // 2 if frame is None else frame
    modality = modality_of([header, *header.groups("PixelValueTransformationSequence", frame)])
    if voi in ("none", "min-max"):
        return Curve(modality, None, "none")
    places = [header, *header.groups("FrameVOILUTSequence", frame)]
    luts = luts_of(places) if voi != "window" else []
    if luts:
        return Curve(modality, _pick(luts, index, "VOI LUT")(), "LUT")
    if voi == "lut":
        raise ImageError("it has no VOI LUT; voi=standard takes a window instead")
    windows = windows_of(places)
    if voi == "window" and not windows:
        raise ImageError("it has no window; voi=standard shows its whole range then")
    window = _pick(windows, index, "window") if windows or index else None
    if window is None and voi == "window":
        raise ImageError("its window cannot be used: centre or width is missing, or the width is not positive")
    name = f"{window.function} window" if window else "unusable window" if windows else "none"
    return Curve(modality, window, name)


def _pick(several: list[T], index: int, what: str) -> T:
    if index >= len(several):
        raise ImageError(
            f"it has {len(several)} {what}{'' if len(several) == 1 else 's'}, so none with voi_index={index} (from 0)"
        )
    return several[index]


def padding(header: Header, layout: Layout) -> NDArray[np.bool_]:
    """Return which codes stand for nothing seen: PixelPaddingValue, or all from there to PixelPaddingRangeLimit.

    Compared are stored values, before any rescaling (PS3.3 C.7.5.1.1.2). A padding value that does not fit into
    BitsStored is compared with all bits of the pixel cell, for there it is found.
    """
    value = header.integer("PixelPaddingValue")
    if value is None:
        return np.zeros(1 << layout.allocated, dtype=bool)
    limit = header.integer("PixelPaddingRangeLimit")
    ends = [_signed_as(layout, one) for one in (value, value if limit is None else limit)]
    fits = all(layout.lowest <= one <= layout.highest for one in ends)
    numbers = layout.values() if fits else layout.cells()
    covered: NDArray[np.bool_] = (numbers >= min(ends)) & (numbers <= max(ends))
    return covered


def _signed_as(layout: Layout, value: int) -> int:
    """Return a padding value with the sign that pixels have: the header may be written with US for SS, or SS for US."""
    if layout.signed and value >= 1 << 15:
        return value - (1 << 16)
    return value + (1 << 16) if value < 0 and not layout.signed else value


def displayed_table(
    curve: Curve, layout: Layout, padded: NDArray[np.bool_], span: tuple[float, float] | None
) -> NDArray[np.uint16]:
    """Return what each code of a grey image is shown as, ``(2 ** allocated,)``; 65535 is white.

    Modality transformation, VOI transformation, the one inversion of MONOCHROME1, padding black. The whole range is
    that which the modality transformation can give, never X
    """
    values = layout.values().astype(np.float64)
    modal = curve.modality(values)
    if curve.voi is not None:
        shown = curve.voi.brightness(modal)
    else:
        shown = _stretched(modal, *(curve.modality.span(values) if span is None else span))
    return _sixteen(1 - shown if layout.negative else shown, padded)


def occurring_span(
    curve: Curve, layout: Layout, padded: NDArray[np.bool_], histogram: NDArray[np.int64]
) -> tuple[float, float] | None:
    """Return the lowest and the highest value after the modality transformation that occurs, padding left out."""
    occurring = curve.modality(layout.values().astype(np.float64))[(histogram > 0) & ~padded]
    return (float(occurring.min()), float(occurring.max())) if occurring.size else None


def crude_table(
    header: Header, layout: Layout, padded: NDArray[np.bool_], histogram: NDArray[np.int64]
) -> NDArray[np.uint16]:
    """Return what each code of a FOR PROCESSING image is shown as, ``(2 ** allocated,)``; no standard says how.

    Exposure becomes attenuation by a negative logarithm (unless PixelIntensityRelationship says that the logarithm
    is taken), and the percentiles 1 and 99 of what is not padding become black and white. The polarity is that of
    PixelIntensityRelationshipSign; where it is missing, high values are taken for much exposure.
    """
    values = layout.values().astype(np.float64) - layout.lowest
    exposure = values if header.code("PixelIntensityRelationship") == "LOG" else np.log1p(values)
    shown = exposure if header.integer("PixelIntensityRelationshipSign") == -1 else -exposure
    counts = np.where(padded, 0, histogram)
    order = np.argsort(shown, kind="stable")
    share = np.cumsum(counts[order]) / max(1, int(counts.sum()))
    low, high = shown[order][np.minimum(np.searchsorted(share, [0.01, 0.99]), len(order) - 1)]
    return _sixteen(_stretched(shown, float(low), float(high)), padded)


def palette_table(header: Header, layout: Layout, luma: Callable[[Values], Values]) -> NDArray[np.uint16]:
    """Return what each code of a palette is shown as; ``luma`` makes one channel of ``(2 ** allocated, 3)`` in 0…1."""
    values = layout.values().astype(np.float64)
    colours = np.stack([table.brightness(values) for table in palette_of(header)], axis=1)
    return _sixteen(luma(colours), np.zeros(len(values), dtype=bool))


def colour_table(layout: Layout) -> NDArray[np.uint16]:
    """Return what each code of one channel of a colour image is shown as: neither LUT nor window takes part."""
    shown = layout.values() / layout.highest
    return _sixteen(shown, np.zeros(len(shown), dtype=bool))


def stored_table(layout: Layout) -> NDArray[np.uint16]:
    """Return each code's value counted from the lowest there can be, a negative turned."""
    values = layout.values() - layout.lowest
    return ((1 << layout.stored) - 1 - values if layout.negative else values).astype(np.uint16)


def _stretched(values: Values, low: float, high: float) -> Values:
    return np.clip((values - low) / (high - low), 0, 1) if high > low else np.zeros_like(values)


def _sixteen(shown: Values, padded: NDArray[np.bool_]) -> NDArray[np.uint16]:
    # Rounding to 6 digits first: a negative and its positive twin meet at the same half, whatever the last bits are.
    table = np.floor(np.round(shown * WHITE, 6) + 0.5).astype(np.uint16)
    table[padded] = 0
    return table
