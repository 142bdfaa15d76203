"""From an image file, or a PIL image, to `mcd.Image`, as its header declares.

Files are decoded in the helper process, which a damaged one may end.
"""

from __future__ import annotations

import hashlib
import io
import json
import warnings
from dataclasses import asdict, replace
from pathlib import Path
from typing import IO, BinaryIO, Literal, cast

import numpy as np
import PIL.Image
import pydantic
from numpy.typing import NDArray

from mcd.api.image import Image
from mcd.errors import ImageError
from mcd.options import Options
from mcd.study.isolation import Limits, isolated
from mcd.study.picture_header import BROKEN, FORMATS, PictureHeader, frame_of, picture_header, still_to_turn
from mcd.study.picture_pixels import all_bits, over_black, upright

__all__ = ["PictureOptions", "check_picture", "picture_of", "read_header", "read_picture"]


class PictureOptions(Options):
    """How image files (PNG, JPEG, TIFF …) are read."""

    bits: int | None = pydantic.Field(
        default=None,
        ge=1,
        le=16,
        description="how many bits of a sample hold values, such as 12 of files with 16: white is then 4095; by "
        "default that of the file. Files with fewer bits stay as they are",
    )
    white: float | None = pydantic.Field(
        default=None,
        gt=0,
        le=2.0**64,
        description="the value that means white, in place of bits; needed for signed, 32-bit and floating-point files. "
        "Files that cannot hold it stay as they are",
    )
    frames: Literal["refuse", "first", "middle", "maximum"] = pydantic.Field(
        default="refuse",
        description="files of several pictures, such as TIFF pages: refuse them, take the first or the middle one, or "
        "the brightest value of all at each pixel",
    )

    @pydantic.model_validator(mode="after")
    def _one_white(self) -> PictureOptions:
        if self.bits is not None and self.white is not None:
            raise ValueError("bits and white both say what white is: give one of them")
        return self


def check_picture(header: PictureHeader, options: PictureOptions) -> None:
    """Refuse a picture that the options do not take, as far as its header shows.

    Raises
    ------
    ImageError
        Saying which setting takes it.
    """
    if len(header.pictures) > 1 and options.frames == "refuse":
        raise ImageError(
            f"it holds {len(header.pictures)} pictures, not one; set frames=first, frames=middle or frames=maximum"
        )
    if header.number == "complex":
        raise ImageError("its samples are complex numbers")
    given = options.white is not None or (options.bits is not None and header.number != "floating-point")
    if not given and (header.number != "unsigned" or header.bits > 16):
        raise ImageError(
            f"its samples are {header.number} numbers of {header.bits} bits, which have no fixed white; "
            "set white=VALUE, or save it with 8 or 16 bits"
        )


def read_header(file: Path | bytes) -> PictureHeader:
    """Return the header of an image file, of a PNG when all its chunks are whole.

    Headers are read by Python, in this process; that of a WebP by its decoder, in the helper.

    Parameters
    ----------
    file
        Where it is, or its content.

    Raises
    ------
    PIL.UnidentifiedImageError
        When it is no image of a kind that is read.
    OSError, ValueError, SyntaxError, ImageError
        When it is broken.
    """
    with file.open("rb") if isinstance(file, Path) else io.BytesIO(file) as opened:
        start = opened.read(12)
        opened.seek(0)
        if (start[:4], start[8:]) != (b"RIFF", b"WEBP"):
            return _header(opened)
    found = json.loads(isolated(_header_as_text, file).tobytes())
    return PictureHeader(**{**found, "pictures": tuple(found["pictures"])})


def _header(opened: BinaryIO) -> PictureHeader:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a large image is no attack here; Pillow's error is for those
        with PIL.Image.open(opened, formats=FORMATS) as file:
            header = picture_header(file)
            file.verify()
    return header


def _header_as_text(file: Path | bytes) -> NDArray[np.uint8]:
    with file.open("rb") if isinstance(file, Path) else io.BytesIO(file) as opened:
        return np.frombuffer(json.dumps(asdict(_header(opened))).encode(), np.uint8)


def read_picture(path: Path, options: PictureOptions | None = None) -> Image:
    """Decode an image file as its header declares, in the helper process; see `picture_of`.

    Raises
    ------
    ImageError
        When it cannot be decoded, the options do not take it, or it ends the helper.
    """
    try:
        size = path.stat().st_size
    except OSError as error:
        raise ImageError(f"it cannot be decoded: {error}") from None
    return isolated(_of_file, path, options or PictureOptions(), PIL.Image.MAX_IMAGE_PIXELS, limits=_limits(size))


def picture_of(file: PIL.Image.Image, options: PictureOptions | None = None) -> Image:
    """Return a PIL image, or an opened file, as `mcd.Image`; what is not decoded yet, is in the helper process.

    It is turned upright as its EXIF or TIFF orientation says, a palette becomes colours, what is transparent black;
    0 is black even where the file says that it is white; samples keep their depth, in colour too. Colours that are
    all grey become one channel.

    Raises
    ------
    ImageError
        When it cannot be decoded, or not be understood.
    """
    options = options or PictureOptions()
    source = cast("IO[bytes] | None", getattr(file, "fp", None))
    if source is None or not getattr(file, "tile", None):
        return _decoded(file, options)
    try:
        before = source.tell()
        source.seek(0)
        content = source.read()
        source.seek(before)
    except BROKEN as error:
        raise ImageError(f"it cannot be decoded: {error}") from None
    kind = "JPEG" if file.format == "MPO" else str(file.format)  # several JPEGs, which that plugin opens
    chosen = (content, (kind,), frame_of(file), options, PIL.Image.MAX_IMAGE_PIXELS)
    return isolated(_of_content, *chosen, limits=_limits(len(content)))


def _limits(size: int) -> Limits:
    return Limits(seconds=120 + 1e-6 * size, memory=(4 << 30) + 4 * size)


def _of_file(path: Path, options: PictureOptions, most: int | None) -> Image:
    try:
        content = path.read_bytes()
    except OSError as error:
        raise ImageError(f"it cannot be decoded: {error}") from None
    return replace(_of_content(content, FORMATS, 0, options, most), digest=hashlib.sha256(content).hexdigest())


def _of_content(
    content: bytes, formats: tuple[str, ...], frame: int, options: PictureOptions, most: int | None
) -> Image:
    """Decode a file from memory: the memory map that Pillow makes of a path takes rows for columns in a turned TIFF.

    ``most`` is how many pixels the caller lets Pillow decode.
    """
    PIL.Image.MAX_IMAGE_PIXELS = most
    try:
        with PIL.Image.open(io.BytesIO(content), formats=formats) as file:
            if frame:
                file.seek(frame)
            return _decoded(file, options)
    except BROKEN as error:
        raise ImageError(f"it cannot be decoded: {error}") from None


def _decoded(file: PIL.Image.Image, options: PictureOptions) -> Image:
    try:
        header = picture_header(file)
        check_picture(header, options)
        found: Image | None = None
        for at in _chosen(header.pictures, options):
            if at != frame_of(file):
                file.seek(at)
            found = _brighter(found, _picture(file, options))
    except ImageError:
        raise
    except BROKEN as error:
        raise ImageError(f"it cannot be decoded: {error}") from None
    assert found is not None
    return found


def _chosen(pictures: tuple[int, ...], options: PictureOptions) -> tuple[int, ...]:
    if options.frames == "maximum":
        return pictures
    return (pictures[len(pictures) // 2 if options.frames == "middle" else 0],)


def _brighter(one: Image | None, other: Image) -> Image:
    """Return the brighter of two pictures at each pixel."""
    if one is None:
        return other
    if one.pixels.shape != other.pixels.shape or one.maximum != other.maximum:
        raise ImageError("its pictures differ in size or depth, so the brightest of them is not defined")
    return Image(np.maximum(one.pixels, other.pixels), one.maximum, one.negative)


def _picture(file: PIL.Image.Image, options: PictureOptions) -> Image:
    """Return the picture that a file stands at."""
    header = picture_header(file)
    check_picture(header, options.model_copy(update={"frames": "first"}))
    if header.cut:
        pixels = all_bits(file, header)
    elif file.mode.startswith("I") or file.mode == "F" or header.number == "signed":
        pixels = _one_channel(file)
    elif header.transparent or file.mode not in ("1", "L"):
        pixels = _colours(file, transparent=header.transparent)
    else:
        pixels = np.asarray(file.convert("L"))
    if not header.cut:
        pixels = upright(pixels, still_to_turn(file, header))
    if pixels.ndim == 3 and _is_grey(pixels):
        pixels = pixels[..., 0]
    return _scaled(pixels, header, options, turned=file.mode in ("1", "L"))


def _is_grey(pixels: NDArray[np.generic]) -> bool:
    """Say whether three channels are equal. Photographs show in a few rows that they are not."""
    return all(
        np.array_equal(some[..., 0], some[..., other])
        for some in (pixels[:: len(pixels) // 4 + 1], pixels)
        for other in (1, 2)
    )


def _scaled(pixels: NDArray[np.generic], header: PictureHeader, options: PictureOptions, *, turned: bool) -> Image:
    """Return pixels with the value that means white; ``turned`` where Pillow makes a positive of a negative."""
    usual = 255.0 if pixels.dtype == np.uint8 else 65535.0
    white = header.white or usual
    if options.white is not None and not (header.number == "unsigned" and options.white >= 1 << header.bits):
        white = options.white
    elif options.bits is not None and options.bits < header.bits:
        white = float((1 << options.bits) - 1)
    elif 0 < header.significant < header.bits and not header.transparent:
        pixels, white = _of_significant_bits(pixels, header)
    low, high = pixels.min(), pixels.max()
    if low < 0 or high > white:
        raise ImageError(
            f"its values run from {low:g} to {high:g}, outside 0…{white:g}",
            "give another white, or none where the file says it",
        )
    if header.negative and not turned:
        pixels = np.subtract(white, cast("NDArray[np.float64]", pixels))
    kind: type[np.generic] = np.uint8 if pixels.dtype == np.uint8 else np.uint16
    if header.number == "floating-point" or white > 65535:
        kind = np.float32
    return Image(cast("NDArray[np.uint16]", np.ascontiguousarray(pixels, dtype=kind)), white, header.negative)


def _of_significant_bits(pixels: NDArray[np.generic], header: PictureHeader) -> tuple[NDArray[np.generic], float]:
    """Return the values that PNG's sBIT says to be in the samples, and white.

    By the standard they are the upper bits, and the lower ones follow from them. Writers that only note how many bits
    count leave them below. Where the samples are neither, sBIT is wrong.
    """
    most, shift = (1 << header.significant) - 1, header.bits - header.significant
    full = (1 << header.bits) - 1
    values = cast("NDArray[np.uint16]", pixels)
    upper = values >> shift
    exact = (upper << shift == values).all()
    if exact or (np.abs(values - np.rint(upper * (full / most))) <= 1).all():
        return upper, float(most)
    if values.max() <= most:
        return values, float(most)
    return values, float(full)


def _one_channel(file: PIL.Image.Image) -> NDArray[np.generic]:
    """Return the values of a grey image of 16 bits or more, or 8 signed; its transparent value, if any, is black."""
    values = np.asarray(file)
    values = values.view(np.int8) if file.mode == "L" else values.astype(values.dtype.newbyteorder("="))
    clear = file.info.get("transparency")
    if isinstance(clear, int):
        values[values == clear] = 0
    return values


def _colours(file: PIL.Image.Image, *, transparent: bool) -> NDArray[np.uint8]:
    """Return RGB ``(H, W, 3)`` of any image of 8 bits, over black where it is transparent."""
    if not transparent:
        return np.asarray(file.convert("RGB"))
    straight = file.convert("LA") if file.mode == "La" else file
    found = np.asarray(straight.convert("RGBA"))
    return cast("NDArray[np.uint8]", over_black(found[..., :3], found[..., 3]))
