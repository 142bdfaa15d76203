"""Pixels of image files where Pillow alone is not enough: colours of 16 bits, transparency, orientation."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import IO, cast

import numpy as np
import PIL.Image
from numpy.typing import NDArray

from mcd.errors import ImageError
from mcd.study.picture_header import PictureHeader, still_to_turn

__all__ = ["all_bits", "over_black", "upright"]

_DRIFT = 2
"""How far, in 255ths, two decoders of the same samples may be apart by rounding."""
_COMPARED = 1_000_000
"""About how many pixels of two decoders are compared."""


def upright(pixels: NDArray[np.generic], orientation: int) -> NDArray[np.generic]:
    """Return pixels ``(H, W, …)`` turned and mirrored as an EXIF orientation, 1 to 8, asks for."""
    if orientation >= 5:
        pixels = pixels.swapaxes(0, 1)
    rows, columns = {2: (1, -1), 3: (-1, -1), 4: (-1, 1), 6: (1, -1), 7: (-1, -1), 8: (-1, 1)}.get(orientation, (1, 1))
    return pixels[::rows, ::columns]


def over_black(colours: NDArray[np.generic], alpha: NDArray[np.generic]) -> NDArray[np.generic]:
    """Return colours ``(H, W, 3)`` as they look over black: what lies under transparent pixels is not for display.

    Raises
    ------
    ImageError
        When everything is transparent.
    """
    opaque = int(np.iinfo(colours.dtype).max)  # type: ignore[type-var]  # of integers only
    if (alpha == opaque).all():
        return colours
    if not alpha.any():
        raise ImageError("it is transparent everywhere")
    shown = (colours.astype(np.uint32) * alpha[..., None].astype(np.uint32) + opaque // 2) // opaque
    return cast("NDArray[np.generic]", shown.astype(colours.dtype))


def all_bits(file: PIL.Image.Image, header: PictureHeader) -> NDArray[np.generic]:
    """Return the colours ``(H, W, 3)`` of a file with all their bits, upright, over black where it is transparent.

    Pillow keeps 8 bits of a colour. OpenCV keeps all of them, but turns some files upright and misreads the layout of
    others; so it is believed where Pillow's 8 bits agree.

    Raises
    ------
    ImageError
        Where they do not.
    """
    raw = str(file.tile[0][3]) if getattr(file, "tile", None) else ""  # type: ignore[attr-defined]  # of opened files
    found = _by_opencv(file)
    seen = upright(np.asarray(file), still_to_turn(file, header))
    if found is not None and file.mode in ("LA", "RGB", "RGBA", "RGBX"):
        for turned in (found, upright(found, header.orientation)):
            if _agree(turned, seen, header.white or 65535.0, premultiplied="RGBa" in raw):
                return _opaque(turned, file, header, premultiplied="RGBa" in raw)
    raise ImageError(
        f"its colours of {header.bits} bits cannot be read at their depth", "save it as PNG, or as grey with 16 bits"
    )


def _by_opencv(file: PIL.Image.Image) -> NDArray[np.generic] | None:
    """Return what OpenCV makes of a file, uint16 ``(H, W, 3 or 4)``; None where it makes nothing of it."""
    import cv2

    source = cast("IO[bytes]", file.fp)  # type: ignore[attr-defined]  # of opened files
    before = source.tell()
    source.seek(0)
    data = np.frombuffer(source.read(), np.uint8)
    source.seek(before)
    # What it cannot read is said here, not on the console. OpenCV 5 has moved the function.
    log = cast("Callable[[int], int]", getattr(cv2, "setLogLevel", None) or cv2.utils.logging.setLogLevel)
    level = log(0)
    try:
        if file.tell():
            several = cv2.imdecodemulti(data, cv2.IMREAD_UNCHANGED)[1]
            found = several[file.tell()] if file.tell() < len(several) else None
        else:
            found = cv2.imdecode(data, cv2.IMREAD_UNCHANGED)
    except cv2.error:
        return None
    finally:
        log(level)
    if found is None or found.dtype != np.uint16 or found.ndim != 3 or found.shape[2] not in (3, 4):
        return None
    return cast("NDArray[np.generic]", found[..., [2, 1, 0, 3][: found.shape[2]]])


def _agree(deep: NDArray[np.generic], seen: NDArray[np.generic], white: float, *, premultiplied: bool) -> bool:
    """Whether 16 bits of one decoder and 8 bits of another are the same picture; a grid of its pixels is compared."""
    if deep.shape[:2] != seen.shape[:2]:
        return False
    step = max(1, math.isqrt(deep.shape[0] * deep.shape[1] // _COMPARED))
    channels = [3] if premultiplied else [0] if seen.shape[2] == 2 else [0, 1, 2]  # of the others Pillow undoes alpha
    if max(channels) >= deep.shape[2]:
        return False
    ours = deep[::step, ::step][..., channels].astype(np.float32) * (255 / white)
    return bool((np.abs(ours - seen[::step, ::step][..., channels].astype(np.float32)) <= _DRIFT).all())


def _opaque(
    deep: NDArray[np.generic], file: PIL.Image.Image, header: PictureHeader, *, premultiplied: bool
) -> NDArray[np.generic]:
    colours = deep[..., :3]
    clear = file.info.get("transparency")
    if isinstance(clear, tuple):
        return np.where((colours == np.array(clear, colours.dtype)).all(axis=2)[..., None], 0, colours)
    if premultiplied or not header.transparent:
        return colours
    return over_black(colours, deep[..., 3])
