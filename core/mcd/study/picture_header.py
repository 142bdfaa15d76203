"""The header of an image file: depth, sign, polarity, orientation, transparency, how many pictures it holds."""

from __future__ import annotations

import contextlib
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO, Literal, cast

import PIL.Image
from PIL.TiffImagePlugin import TiffImageFile

__all__ = ["BROKEN", "FORMATS", "PictureHeader", "frame_of", "orientation_of", "picture_header", "still_to_turn"]

FORMATS = ("PNG", "JPEG", "TIFF", "BMP", "DIB", "PPM", "GIF", "JPEG2000", "WEBP")
"""What Pillow may take a file for. Of others it knows, one starts another program, EPS Ghostscript."""

BROKEN = (OSError, ValueError, SyntaxError, PIL.Image.DecompressionBombError)
"""What Pillow raises where a file is not as it should be."""
_BROKEN_TAGS = (*BROKEN, KeyError, TypeError, struct.error)

_SUBFILE, _WIDTH, _LENGTH, _BITS, _PHOTOMETRIC, _ORIENTATION, _EXTRA, _FORMAT = 254, 256, 257, 258, 262, 274, 338, 339
"""Tags of TIFF 6.0; EXIF shares the orientation."""
_NUMBERS: dict[int, Literal["unsigned", "signed", "floating-point", "complex"]] = {
    2: "signed",
    3: "floating-point",
    5: "complex",
    6: "complex",
}
_NO_PICTURE = 0b101
"""Bits of NewSubfileType: a smaller copy of another picture of the file, and a transparency mask."""
_EIGHT_BITS = ("L", "LA", "La", "RGB", "RGBA", "RGBa", "RGBX", "CMYK", "YCbCr")


@dataclass(frozen=True)
class PictureHeader:
    """What is known of a picture before its pixels are decoded.

    Parameters
    ----------
    bits
        Of a sample, as the file stores it.
    number
        What kind of number a sample is.
    white
        The value that means white where the file says it, else None.
    negative
        Whether the file says that 0 is white.
    orientation
        1 to 8 as EXIF counts: which way the rows and columns of the file are turned for display.
    transparent
        Whether it has an alpha channel, or a colour that stands for transparency.
    significant
        How many bits of a sample PNG's sBIT says to be significant; 0 where it does not say.
    cut
        Whether Pillow would give 8 bits of samples that have more.
    rows, columns
        Of the picture when it is upright.
    pictures
        Which pictures of the file are its own, not smaller copies of another one.
    """

    bits: int
    number: Literal["unsigned", "signed", "floating-point", "complex"]
    white: float | None
    negative: bool
    orientation: int
    transparent: bool
    significant: int
    cut: bool
    rows: int
    columns: int
    pictures: tuple[int, ...] = (0,)


def picture_header(file: PIL.Image.Image) -> PictureHeader:
    """Return the header of an image, without decoding it: of an opened file, or of any other PIL image."""
    raw, maximum = _raw(file)
    chunks = dict(_png_chunks(file))
    tags = file.tag_v2 if isinstance(file, TiffImageFile) else None
    stored = _first(tags.get(_BITS)) if tags is not None else 0
    bits = stored or maximum.bit_length() or (16 if ";16" in raw else _bits_of(file.mode))
    number = _NUMBERS.get(_first(tags.get(_FORMAT)), "unsigned") if tags is not None else "unsigned"
    if file.mode == "F":
        number = "floating-point"
    white = float(maximum) if maximum and file.mode in _EIGHT_BITS else None
    if stored and 8 < stored < 16:
        white = float((1 << stored) - 1)
    orientation = _of_exif(chunks[b"eXIf"]) if b"eXIf" in chunks else orientation_of(file)
    columns, rows = (_first(tags[_WIDTH]), _first(tags[_LENGTH])) if tags is not None else file.size
    return PictureHeader(
        bits=bits,
        number=number,
        white=white,
        negative=tags is not None and tags.get(_PHOTOMETRIC) == 0,
        orientation=orientation,
        transparent="transparency" in file.info
        or (file.mode in ("LA", "La", "PA", "RGBA", "RGBa") and (tags is None or _EXTRA in tags)),
        significant=_significant(chunks.get(b"sBIT", b""), file.mode),
        cut=bits > 8 and file.mode in _EIGHT_BITS,
        rows=columns if orientation >= 5 else rows,
        columns=rows if orientation >= 5 else columns,
        pictures=_pictures(file),
    )


def frame_of(file: PIL.Image.Image) -> int:
    """Return which picture of a file it stands at; the first also where it no longer knows, as after unpickling."""
    try:
        return file.tell()
    except AttributeError:
        return 0


def orientation_of(file: PIL.Image.Image) -> int:
    """Return the orientation that a file's EXIF or XMP asks for; 1 where it says none, or none that is known.

    Of an opened PNG, what precedes its pixels: PNG's own method would decode these to look behind them.
    """
    try:
        found = _first(PIL.Image.Image.getexif(file).get(_ORIENTATION, 1))
    except _BROKEN_TAGS:  # a broken block of EXIF says nothing
        return 1
    return found if 1 <= found <= 8 else 1


def still_to_turn(file: PIL.Image.Image, header: PictureHeader) -> int:
    """Return the orientation that decoded pixels have still to be turned by: Pillow turns TIFF files itself."""
    return orientation_of(file) if isinstance(file, TiffImageFile) else header.orientation


def _of_exif(block: bytes) -> int:
    exif = PIL.Image.Exif()
    try:
        exif.load(b"Exif\0\0" + block)
        found = _first(exif.get(_ORIENTATION, 1))
    except _BROKEN_TAGS:
        return 1
    return found if 1 <= found <= 8 else 1


def _first(value: object) -> int:
    value = value[0] if isinstance(value, tuple | list) and value else value
    return value if isinstance(value, int) else 0


def _raw(file: PIL.Image.Image) -> tuple[str, int]:
    """Return how Pillow will read the samples of a file not decoded yet, and the white of a PPM above 255, else 0."""
    tiles = getattr(file, "tile", None) or ()
    arguments = next((one[3] for one in tiles), "")
    if isinstance(arguments, tuple | list):
        name = arguments[0] if arguments and isinstance(arguments[0], str) else ""
        white = arguments[1] if len(arguments) == 2 and isinstance(arguments[1], int) else 0
        return name, white if file.format == "PPM" and white > 255 else 0
    return (arguments, 0) if isinstance(arguments, str) else ("", 0)


def _bits_of(mode: str) -> int:
    return {"1": 1, "I": 16, "F": 32}.get(mode, 16 if mode.startswith("I;16") else 8)


def _png_chunks(file: PIL.Image.Image) -> Iterator[tuple[bytes, bytes]]:
    """Yield name and content of the chunks of a PNG; content of those only that say how samples are meant.

    Nothing, where it is no PNG or is decoded already: then Pillow has closed the file.
    """
    source = cast("IO[bytes] | None", getattr(file, "fp", None))
    if file.format != "PNG" or source is None or not getattr(file, "tile", None):
        return
    before, at = source.tell(), 8
    try:
        while len(head := _bytes(source, at, 8)) == 8:
            length, name = int.from_bytes(head[:4], "big"), head[4:]
            yield name, source.read(length) if name in (b"sBIT", b"eXIf") else b""
            at += 12 + length
    finally:
        source.seek(before)


def _bytes(source: IO[bytes], at: int, count: int) -> bytes:
    source.seek(at)
    return source.read(count)


def _significant(content: bytes, mode: str) -> int:
    """Return the significant bits of a sample where all channels but alpha have the same, else 0."""
    colours = set(content[:1] if mode in ("1", "L", "LA", "I", "I;16", "I;16B") else content[:3])
    return colours.pop() if len(colours) == 1 and mode not in ("P", "PA") else 0


def _pictures(file: PIL.Image.Image) -> tuple[int, ...]:
    """Return which pictures a file holds. One that was moved to another than the first was chosen by its owner."""
    here = frame_of(file)
    try:
        count = int(getattr(file, "n_frames", 1))
    except _BROKEN_TAGS:
        return (here,)
    if file.format == "PPM" and _another_follows(file):
        return (0, 1)
    if count < 2 or here:
        return (here,)
    if not isinstance(file, TiffImageFile):
        return tuple(range(count))
    found = []
    for at in range(count):
        with contextlib.suppress(*_BROKEN_TAGS):  # one that Pillow cannot read still is one
            file.seek(at)
            if _first(file.tag_v2.get(_SUBFILE, 0)) & _NO_PICTURE:
                continue
        found.append(at)
    file.seek(0)
    return tuple(found) or (0,)


def _another_follows(file: PIL.Image.Image) -> bool:
    """Whether a PBM, PGM or PPM holds a second picture, which Pillow passes over: netpbm allows a sequence of them."""
    source, tiles = cast("IO[bytes] | None", getattr(file, "fp", None)), getattr(file, "tile", None)
    if source is None or not tiles or tiles[0][0] == "ppm_plain":
        return False
    arguments = tiles[0][3] if isinstance(tiles[0][3], tuple) else (tiles[0][3],)
    wide = arguments[0] == "I;16B" or max((one for one in arguments if isinstance(one, int)), default=0) > 255
    columns, rows = file.size
    row = -(-columns // 8) if file.mode == "1" else columns * len(file.getbands()) * (2 if wide else 1)
    before = source.tell()
    try:
        rest = _bytes(source, tiles[0][2] + rows * row, 64).lstrip()
    finally:
        source.seek(before)
    return len(rest) > 2 and rest[:1] == b"P" and rest[1:2] in b"123456" and rest[2:3].isspace()
