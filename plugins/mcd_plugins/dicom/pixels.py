"""The pixels of a file that the options take: whole, compared with the header, decoded frame by frame, one channel."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import cv2
from pydicom import uid

from mcd.errors import ImageError
from mcd_plugins.dicom.agreement import Agreed, Codes, agreed, ordinary, seen_in
from mcd_plugins.dicom.decoding import frames_of, syntax_of
from mcd_plugins.dicom.header import Header
from mcd_plugins.dicom.layout import Layout
from mcd_plugins.dicom.packing import Packed, packed
from mcd_plugins.dicom.settings import DicomOptions

__all__ = ["COLOURED", "Pixels", "pixels_of"]

_LOSSY = frozenset({uid.JPEGBaseline8Bit, uid.JPEGExtended12Bit, uid.JPEGLSNearLossless, uid.JPEG2000, uid.HTJ2K})
_LOSSY_SPREAD = 4
"""How far the channels of a grey image may drift apart, in 255ths, by the rounding of lossy compression."""
COLOURED = "it is truly coloured; set colour=luma to take its luma"


@dataclass(frozen=True)
class Pixels:
    """The pixel data of a file.

    Parameters
    ----------
    header, options
        Of the file, and how it is to be read.
    packed
        The pixel data as they are in the file.
    agreed
        How codes are to be read.
    """

    header: Header
    options: DicomOptions
    packed: Packed
    agreed: Agreed

    @property
    def layout(self) -> Layout:
        """How codes are to be read."""
        return self.agreed.layout

    @property
    def which(self) -> range:
        """The frames that count."""
        frames = self.layout.frames
        return range(frames) if self.options.frames == "maximum" else range(frames // 2, frames // 2 + 1)

    def frames(self) -> Iterator[tuple[int, Codes]]:
        """Yield number and codes of each frame that counts, as one channel ``(rows, columns)``.

        Raises
        ------
        ImageError
            When it cannot be decoded, or the options refuse it.
        """
        allowed = ordinary(self.header, self.layout) if self.options.unused_bits == "refuse" else None
        decoded = frames_of(self.header, self.layout, self.packed, self.which)
        for index, codes in zip(self.which, decoded, strict=True):
            self.agreed.check(codes)
            if allowed is not None and not allowed[codes].all():
                raise ImageError(
                    f"its pixels have bits set beyond the {self.layout.stored} stored; set unused_bits=mask"
                )
            yield index, codes if codes.ndim == 2 else self._one_channel(codes)

    def facts(self) -> dict[str, str]:
        """Return what is contradictory about the bits, as far as it can be seen without a slow decoder."""
        found = dict(self.agreed.facts)
        if self.packed.codestream is None and self.layout.samples == 1:
            for codes in frames_of(self.header, self.layout, self.packed, self.which):
                found |= seen_in(codes, self.header, self.layout)
        return found

    def _one_channel(self, colours: Codes) -> Codes:
        """Return one channel of an RGB image ``(rows, columns, 3)``: the common one of a grey image, or the luma."""
        spread = int((colours.max(axis=2) - colours.min(axis=2)).max())
        if spread == 0:
            grey: Codes = colours[..., 0].copy()
            return grey
        lossy = syntax_of(self.header) in _LOSSY
        if spread > (_LOSSY_SPREAD if lossy else 0) and self.options.colour == "refuse":
            raise ImageError(COLOURED)
        return cv2.cvtColor(colours, cv2.COLOR_RGB2GRAY)  # type: ignore[return-value]  # cv2 keeps the depth


def pixels_of(header: Header, layout: Layout, options: DicomOptions) -> Pixels:
    """Return the pixel data of a file, compared with its header before anything is decoded.

    Raises
    ------
    ImageError
        When they are missing, cut short, or do not match the header.
    """
    data = packed(header, syntax_of(header), layout)

    def middle(low: Layout) -> Codes:
        return next(frames_of(header, low, data, (layout.frames // 2,)))

    return Pixels(header, options, data, agreed(header, layout, data.codestream, options.depth_from, middle))
