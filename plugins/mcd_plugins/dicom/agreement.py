"""Where header, codestream and the bits themselves say different things about stored values: who is believed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray
from pydicom import uid

from mcd.errors import ImageError
from mcd_plugins.dicom.codestream import Codestream
from mcd_plugins.dicom.display import padding
from mcd_plugins.dicom.header import Header
from mcd_plugins.dicom.layout import GREY, Layout

__all__ = ["Agreed", "Codes", "agreed", "ordinary", "seen_in"]

Codes = NDArray[np.uint8] | NDArray[np.uint16]

_SIXTEEN_BY_HABIT = frozenset({uid.JPEGLossless, uid.JPEGLosslessSV1})
"""Whose encoders write a precision of 16 for 12 bits, too."""


@dataclass(frozen=True)
class Agreed:
    """How codes are to be read.

    Parameters
    ----------
    layout
        By the header, corrected where that is certain.
    facts
        What was contradictory.
    disputed
        Which codes header and codestream read as different values, ``(2 ** allocated,)``: none of them may occur.
    """

    layout: Layout
    facts: Mapping[str, str] = field(default_factory=dict)
    disputed: NDArray[np.bool_] | None = None

    def check(self, codes: Codes) -> None:
        """Refuse pixels that header and codestream read differently.

        Raises
        ------
        ImageError
            Saying so.
        """
        if self.disputed is not None and self.disputed[: int(codes.max()) + 1].any() and self.disputed[codes].any():
            what = "sign" if self.facts.get("codestream") == "another sign" else "number of bits"
            raise ImageError(
                f"its codestream and its header contradict each other about the {what}, and pixels depend on it; "
                "set depth_from=codestream or depth_from=header"
            )


def agreed(
    header: Header,
    layout: Layout,
    codestream: Codestream | None,
    depth_from: str,
    middle: Callable[[Layout], Codes],
) -> Agreed:
    """Return how the codes of a file are to be read.

    Parameters
    ----------
    layout
        As the header says.
    codestream
        What that says; None where nothing is compressed, and for RLE.
    depth_from
        ``header`` or ``codestream`` to believe one of them, ``both`` where they must not contradict each other.
    middle
        Decodes the middle frame.
    """
    if depth_from == "header":
        return Agreed(layout)
    if codestream is not None and depth_from == "codestream":
        return Agreed(_as_in(codestream, layout))
    facts: dict[str, str] = {}
    if layout.shift and _lies_low(header, layout, codestream, middle):
        layout = replace(layout, shift=0)
        facts["high bit"] = "wrong"
    if codestream is None or layout.shift:
        return Agreed(layout, facts)
    other = _as_in(codestream, layout)
    if other.signed is not layout.signed:
        facts["codestream"] = "another sign"
    elif other.stored < layout.stored:
        facts["codestream"] = "fewer bits"
    elif other.stored > layout.stored and header.syntax not in _SIXTEEN_BY_HABIT:
        facts["codestream"] = "more bits"
    layout = replace(layout, stored=min(layout.stored, other.stored))
    disputed = layout.values() != other.values()
    if layout.photometric in GREY:
        disputed &= ~padding(header, layout)
    return Agreed(layout, facts, disputed if disputed.any() else None)


def _as_in(codestream: Codestream, layout: Layout) -> Layout:
    signed = layout.signed if codestream.signed is None else codestream.signed
    return replace(layout, stored=codestream.precision, shift=0, signed=signed)


def _lies_low(header: Header, layout: Layout, codestream: Codestream | None, middle: Callable[[Layout], Codes]) -> bool:
    """Whether values lie in the low bits although HighBit says otherwise.

    So it is where the codestream does not have the highest bit; else where all pixels are values of BitsStored bits,
    and the bits below those that HighBit and BitsStored name are not the same in all pixels.
    """
    low = replace(layout, shift=0)
    if codestream is not None and codestream.precision < layout.shift + layout.stored:
        return True
    codes = middle(low)
    below = np.unique(codes & ((1 << layout.shift) - 1))
    return len(below) > 1 and bool(ordinary(header, low)[codes].all())


def ordinary(header: Header, layout: Layout) -> NDArray[np.bool_]:
    """Return which codes set no bit beyond those stored, but for the sign's and for padding."""
    bare = layout.codes() & (((1 << layout.stored) - 1) << layout.shift)
    found: NDArray[np.bool_] = (layout.codes() == bare) | (layout.cells() == layout.values() << layout.shift)
    return found | padding(header, layout) if layout.photometric in GREY else found


def seen_in(codes: Codes, header: Header, layout: Layout) -> dict[str, str]:
    """Return what the unused bits of uncompressed pixels show of the bit depth, if anything."""
    if layout.allocated == layout.stored or (not layout.signed and not layout.shift and codes.max() <= layout.highest):
        return {}
    occurring = np.bincount(codes.ravel(), minlength=1 << layout.allocated) > 0
    facts = {}
    if (occurring & ~ordinary(header, layout)).any():
        facts["unused bits"] = "set"
    negative = layout.values() < 0
    if (occurring & negative & (layout.cells() >= 0)).any():
        facts["sign"] = "not extended"
    return facts
