"""JPEG Extended with 12 bits, which GDCM decodes and pydicom does not ask it for."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from pydicom import uid

__all__ = ["decoded_extended"]


def decoded_extended(frame: bytes, shape: tuple[int, int], bits: int) -> NDArray[np.uint16]:
    """Return the samples of a grey JPEG image (ISO 10918-1, processes 4 and 12), ``(rows, columns)``.

    pydicom's plugin for GDCM refuses more than 8 bits: GDCM gives wrong values where the number of bits that it gets
    is not that of the codestream.

    Parameters
    ----------
    shape, bits
        Rows and columns, and bits a sample, by the codestream.

    Raises
    ------
    Exception
        When it is damaged.
    """
    import gdcm

    rows, columns = shape
    fragment, fragments = gdcm.Fragment(), gdcm.SequenceOfFragments.New()
    fragment.SetByteStringValue(frame)
    fragments.AddFragment(fragment)
    element = gdcm.DataElement(gdcm.Tag(0x7FE0, 0x0010))
    element.SetValue(fragments.__ref__())
    image = gdcm.Image()
    image.SetNumberOfDimensions(2)
    image.SetDimensions((columns, rows, 1))
    image.SetDataElement(element)
    grey = gdcm.PhotometricInterpretation.GetPIType("MONOCHROME2")
    image.SetPhotometricInterpretation(gdcm.PhotometricInterpretation(grey))
    syntax = gdcm.TransferSyntax.GetTSType(str(uid.JPEGExtended12Bit))
    image.SetTransferSyntax(gdcm.TransferSyntax(syntax))
    image.SetPixelFormat(gdcm.PixelFormat(1, 16, bits, bits - 1, 0))
    values = image.GetBuffer().encode("utf-8", "surrogateescape")  # bytes, which GDCM gives as text
    return np.frombuffer(values, "<u2").reshape(rows, columns)
