"""Reading PNG, JPEG, TIFF and BMP files: what every data set of such files shares."""

from __future__ import annotations

import hashlib
from collections import Counter
from dataclasses import replace
from pathlib import Path

import PIL.Image

import mcd
from mcd.errors import ImageError
from mcd.plugins import PictureOptions, check_picture, read_header

__all__ = [
    "DECODERS",
    "SUFFIXES",
    "PictureOptions",
    "PictureTally",
    "examine_picture",
    "is_file",
    "picture_size",
]

SUFFIXES = (".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp", ".pgm")
DECODERS = ("numpy", "opencv-python-headless", "pillow")
"""Distributions that decode these files."""
_BROKEN = (OSError, ValueError, SyntaxError, PIL.Image.DecompressionBombError)
_TIFF = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")


def examine_picture(sample: mcd.Sample, options: PictureOptions | None = None) -> mcd.Sample | mcd.Unreadable:
    """Return the sample with its digest and the values of the file's header, or why the file cannot be used.

    The file is read once. The header must be that of an image that the options take and, for PNG, all chunks whole.
    """
    try:
        content = Path(sample.source).read_bytes()
    except OSError as error:
        return mcd.Unreadable(sample.source, error.strerror or "it cannot be read")
    if not content:
        return mcd.Unreadable(sample.source, "the file is empty")
    try:
        header = read_header(content)
        check_picture(header, options or PictureOptions())
    except PIL.UnidentifiedImageError:
        return mcd.Unreadable(sample.source, _unknown(content))
    except ImageError as error:
        return mcd.Unreadable(sample.source, error.message)
    except _BROKEN as error:
        return mcd.Unreadable(sample.source, f"it is broken: {error}")
    facts = {"bits": str(header.bits), "rows": str(header.rows), "columns": str(header.columns)}
    if header.orientation != 1:
        facts["orientation"] = str(header.orientation)
    if header.transparent:
        facts["transparency"] = "yes"
    if len(header.pictures) > 1:
        facts["pictures"] = str(len(header.pictures))
    return replace(sample, digest=hashlib.sha256(content).hexdigest(), facts={**facts, **sample.facts})


def _unknown(start: bytes) -> str:
    if start[:4] in _TIFF:
        return "it is a TIFF whose samples are laid out in a way that cannot be read; save it as PNG with 16 bits"
    if start[:3] == b"\xff\xd8\xff":
        return "it is a JPEG of a kind that cannot be read, such as one of 12 bits; save it as PNG with 16 bits"
    if start[4:8] == b"ftyp" and start[8:11] in (b"hei", b"hev", b"mif", b"avi", b"msf"):
        return "it is a HEIF or AVIF file, which is not read; save it as PNG"
    if start[128:132] == b"DICM":
        return "it is a DICOM file, whatever it is called; the data set dicom reads it"
    return "it is not an image"


def is_file(path: Path) -> bool:
    """Say whether there is such a file; what is longer than a name may be names none."""
    try:
        return path.is_file()
    except OSError:
        return False


def picture_size(path: Path) -> tuple[int, int] | None:
    """Return rows and columns of the upright picture; None where it cannot be opened, which examining it reports."""
    try:
        header = read_header(path)
    except (*_BROKEN, ImageError):
        return None
    return header.rows, header.columns


class PictureTally:
    """Counts of what headers declare and users should know."""

    def __init__(self) -> None:
        self._facts: Counter[tuple[str, str]] = Counter()

    def add(self, found: mcd.Sample | mcd.Unreadable) -> None:
        """Count what `examine_picture` returned for a file."""
        if isinstance(found, mcd.Sample):
            self._facts.update((name, found.facts[name]) for name in _SAID if name in found.facts)

    def remarks(self) -> list[mcd.Remark]:
        """Return the counts as remarks, empty about what is as it should be."""
        counts = {said: sum(n for (key, _), n in self._facts.items() if key == name) for name, said in _SAID.items()}
        return [mcd.Remark(f"{{count:image}} {said}", count) for said, count in counts.items()]


_SAID = {
    "orientation": "turned upright as EXIF or TIFF orientation says: boxes drawn on unturned rows do not fit",
    "transparency": "with transparency: what is transparent is shown black",
    "pictures": "of files with several pictures, as the setting frames says",
}
