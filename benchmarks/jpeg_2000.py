"""Decoders of JPEG 2000.

A phantom mammogram, enlarged to full size with quantum noise, is decoded by the decoders that are installed: GDCM,
pylibjpeg-openjpeg and Pillow through pydicom, OpenCV alone. The least processor seconds of all rounds, one thread.
Ordinary grey images are pylibjpeg-openjpeg's, since its pixels are GDCM's to a bit; others are GDCM's. OpenCV is not
used: both are OpenJPEG and equally fast, and it refuses images with a sign.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import cv2
import numpy as np
from numpy.typing import NDArray
from openjpeg.utils import encode_array
from pydicom.uid import JPEG2000

from benchmarks.decoding import chosen, mammogram
from benchmarks.report import Line, Report, Table
from benchmarks.timing import Work, in_turn, ratio
from mcd_plugins.dicom.decoding import decoded
from mcd_plugins.phantom.dataset import PhantomDataset

DECODERS = {"GDCM": "gdcm", "pylibjpeg-openjpeg": "pylibjpeg", "Pillow": "pillow"}


@dataclass(frozen=True)
class Settings:
    """Rows and columns of the image, and rounds."""

    rows: int = 4096
    columns: int = 3328
    rounds: int = 5


TOY = Settings(rows=256, columns=208, rounds=1)


def works(code: bytes, image: NDArray[np.uint8] | NDArray[np.uint16], bits: int) -> dict[str, Work]:
    """Return what decodes a codestream, by the decoder's name."""
    options: dict[str, object] = {"rows": image.shape[0], "columns": image.shape[1], "samples_per_pixel": 1}
    options |= {"photometric_interpretation": "MONOCHROME2", "pixel_representation": 0, "number_of_frames": 1}
    options |= {"bits_stored": bits, "bits_allocated": 8 * image.itemsize, "planar_configuration": 0}
    found: dict[str, Work] = {
        name: partial(decoded, code, str(JPEG2000), plugin, options) for name, plugin in DECODERS.items()
    }
    return found | {"OpenCV": partial(cv2.imdecode, np.frombuffer(code, np.uint8), cv2.IMREAD_UNCHANGED)}


def measure(settings: Settings) -> Report:
    """Return the seconds of each decoder, and whether the pixels of all are equal."""
    cv2.setNumThreads(1)
    cv2.utils.logging.setLogLevel(0)  # it says much about what it decodes
    phantoms = PhantomDataset(PhantomDataset.Options(patients=1))
    deep = mammogram(phantoms.read(chosen(phantoms)[0]).pixels.astype(np.uint8), settings.rows, settings.columns, 0)
    flat = (deep >> 4).astype(np.uint8)
    kinds: dict[str, tuple[NDArray[np.uint8] | NDArray[np.uint16], int, bytes]] = {
        "lossless, 12 bits": (deep, 12, encode_array(deep, bits_stored=12)),
        "lossy 1:20, 12 bits": (deep, 12, encode_array(deep, bits_stored=12, compression_ratios=[20])),
        "lossless, 8 bits": (flat, 8, encode_array(flat, bits_stored=8)),
    }
    rows: list[tuple[str | float, ...]] = []
    lines = []
    for what, (image, bits, code) in kinds.items():
        decoders = works(code, image, bits)
        pixels = [np.asarray(decode()) for decode in decoders.values()]
        same = all(np.array_equal(pixels[0], one) for one in pixels)
        times = in_turn(decoders, settings.rounds)
        least = [min(one) for one in times.values()]
        rows.append((what, len(code) / 1e6, *least, "equal" if same else "differ"))
        one = ratio(times["pylibjpeg-openjpeg"], times["GDCM"])
        lines.append(Line(f"JPEG 2000, {what}, s", least[1], "GDCM", least[0], one, "equal pixels", same))
    title = f"{settings.rows}×{settings.columns}, seconds"
    return Report([Table(title, ("image", "MB", *DECODERS, "OpenCV", "pixels"), rows)], lines)
