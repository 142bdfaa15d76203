"""JPEG Extended of 12 bits: GDCM's values, no colours, and what to type where GDCM is missing."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pydicom
import pytest
from numpy.typing import NDArray
from pydicom.encaps import encapsulate
from pydicom.uid import JPEGExtended12Bit

from mcd.errors import ImageError
from mcd_plugins.dicom.reading import displayed, stored


def test_the_values_are_those_of_libjpeg_turbo(shared: Path) -> None:
    files = shared / "data" / "dicom_wg04" / "files"
    found = stored(files / "JPLY" / "RG2_JPLY").pixels
    digest = hashlib.sha256(np.ascontiguousarray(found)).hexdigest()
    assert digest.startswith("a0dca087f2176a3c")  # of what libjpeg-turbo 3.1.3 decodes
    other = stored(files / "J2KI" / "RG2_J2KI").pixels
    assert np.sqrt(np.mean((found.astype(np.float32) - other) ** 2)) < 8  # of 1024: lossy, each in its own way


def test_colours_are_refused(saved: Callable[..., Path], ramp: NDArray[np.uint16]) -> None:
    kind = {"SamplesPerPixel": 3, "PhotometricInterpretation": "RGB", "PlanarConfiguration": 0}
    size = {"Rows": 48, "Columns": 40, "BitsStored": 16, "HighBit": 15}
    path = saved(pixels=np.stack([ramp] * 3, axis=2), **kind, **size)
    header = pydicom.dcmread(path)
    header.file_meta.TransferSyntaxUID = JPEGExtended12Bit
    sizes = b"\x0c" + b"".join(side.to_bytes(2) for side in ramp.shape) + b"\3"
    frame = b"\xff\xd8\xff\xc1\0\x11" + sizes + b"\1\x11\0\2\x11\0\3\x11\0" + b"\xff\xda\0\2\xff\xd9"
    header.PixelData = encapsulate([frame])
    header["PixelData"].is_undefined_length = True
    header.save_as(path)
    with pytest.raises(ImageError, match="colours of more than 8 bits"):
        displayed(path)


def test_a_decoder_that_is_missing_is_said_with_what_to_type(tmp_path: Path) -> None:
    (tmp_path / "gdcm.py").write_text("raise ImportError")
    code = (
        "from pydicom.uid import JPEGExtended12Bit as syntax; from mcd_plugins.dicom.decoding import decoder_for; "
        "decoder_for(syntax, b'', {'bits_stored': 12, 'samples_per_pixel': 1})"
    )
    path = os.pathsep.join([str(tmp_path), *sys.path])
    done = subprocess.run(
        [sys.executable, "-c", code], env=os.environ | {"PYTHONPATH": path}, capture_output=True, text=True, check=False
    )
    assert "(JPEG Extended (Process 2 and 4)) need a decoder" in done.stderr
    assert 'pip install "mammo-clip-dissect[dicom]"' in done.stderr
