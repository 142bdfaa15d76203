"""Where the breast is in a mammogram: found on a thumbnail, without a model.

The background is the most frequent of the dark brightnesses, wherever it lies (a film's fog and a SIGMOID window lift
it off zero). What is a little brighter, hangs together and is the largest of its kind is the breast, once frames and
the edges of films are off. Letters lie apart from it and fall away. If what comes out does not look like a breast,
padding is cut off and a darker background tried; if it still does not, the whole frame is kept, with the reason.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal, NamedTuple, cast

from mcd.errors import ImageError
from mcd.extraction.background import Levels, levels_of

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Pixels = NDArray[np.uint8] | NDArray[np.uint16] | NDArray[np.float32]
    Values = NDArray[np.float32]
    Counts = NDArray[np.intp]
    Mask = NDArray[np.bool_]
    Window = tuple[slice, slice]

__all__ = ["Breast", "find_breast"]

_LONGEST = 256
"""Cells along the longer side of the thumbnail, at most."""
_NEGATIVE = "; it looks like a negative"
_FILM = 0.2
"""What padding leaves over is a film if it is a larger share of the frame, and letters if not."""
_DARKER, _PART = 0.18, 0.9
"""Of what is outside, the share that may be darker than the background; of a mask, what a better one must hold."""
_BLACK = 0.01
"""Padding is no brighter than this share of the image's range above its darkest value."""
_REACH = 0.05
"""How far the faint rim may reach beyond what is sure, as a share of the longer side of that."""
_EVEN = 0.05
"""A line is of one brightness if it varies by no more than this share of the image's range."""
_LEVEL, _UPRIGHT = 0.04, 0.08
"""How deep the bright edge of a film may be, as a share of the height and of the width."""


@dataclass(frozen=True)
class Breast:
    """Where the breast is.

    Parameters
    ----------
    mask
        ``(H, W)`` bool, one piece without holes; all True where the breast was not found.
    box
        Top, left, bottom, right in pixels with a margin round the mask; bottom and right are exclusive.
    side
        The vertical border at which the chest wall is: where the breast has more of its area.
    confident
        Whether the mask looks like a breast. If not, mask and box are the whole frame.
    reason
        Why the whole frame was kept; empty where the breast was found.

    Attributes
    ----------
    version
        Of the algorithm, raised when the same image gives another breast: a part of the fingerprint of whatever cuts
        by it.
    """

    version: ClassVar[str] = "2"

    mask: NDArray[np.bool_]
    box: tuple[int, int, int, int]
    side: Literal["left", "right"]
    confident: bool
    reason: str = ""


class _Attempt(NamedTuple):
    """The result of one attempt at an image: the mask, at full size where there is no reason to doubt it."""

    mask: Mask
    wall_is_right: bool
    reason: str
    rivalled: bool = False
    """Whether much of what is outside is darker than what was taken for background."""


def find_breast(pixels: Pixels, maximum: float, margin: float = 0.01) -> Breast:
    """Find the breast in a mammogram that is the right way round: tissue bright, black 0.

    The mirrored image gives exactly the mirrored breast.

    Parameters
    ----------
    pixels
        ``(H, W)``, or ``(H, W, 3)`` of which the brightest channel is used; uint8, uint16 or float32.
    maximum
        The value that means white.
    margin
        What the box leaves round the mask, as a share of the mask's longer side. A border of the image that is no
        more than another margin away is not cut, so that what is cut out once is not cut again.

    Raises
    ------
    ImageError
        When the image is blank, holds NaN or infinite values, or has another shape.
    """
    import cv2
    import numpy as np

    if pixels.ndim not in (2, 3) or pixels.size == 0:
        raise ImageError(f"shape {pixels.shape} is neither (H, W) nor (H, W, 3)")
    grey = cast("Pixels", np.ascontiguousarray(pixels if pixels.ndim == 2 else pixels.max(axis=2)))
    # Always processed as a left breast: cells and rounding then fall alike on an image and on its mirrored twin.
    turned = _leans_right(grey)
    left = cast("Pixels", cv2.flip(grey, 1)) if turned else grey
    whole = _attempt(left, maximum, lowest=False)
    negative = bool(whole.reason) and _looks_negative(left, maximum)
    again = (whole.reason or whole.rivalled) and not negative
    found = _found_without_padding(left, maximum, whole) if again else whole
    wall_is_right = found.wall_is_right != turned
    side: Literal["left", "right"] = "right" if wall_is_right else "left"
    if found.reason:
        reason = found.reason + (_NEGATIVE if negative else "")
        return Breast(np.ones(grey.shape, dtype=bool), (0, 0, *grey.shape), side, False, reason)
    mask = cv2.flip(found.mask.view(np.uint8), 1).view(bool) if turned else found.mask
    return Breast(mask, _box(mask, margin), side, True)


def _found_without_padding(pixels: Pixels, maximum: float, whole: _Attempt) -> _Attempt:
    """Look again, with padding cut off, and with the darkest of the frequent brightnesses as background.

    The breast in a film that it fills is more frequent than the film around it: what was found in the whole image may
    be only the brighter part of it. Returned as it is where nothing better is found.
    """
    import numpy as np

    window = _without_padding(pixels)
    inner = pixels[window]
    if inner.min() == inner.max():
        return whole
    for lowest in (False, True):
        found = _attempt(inner, maximum, lowest=lowest)
        if not found.reason and not found.rivalled:
            mask = np.zeros(pixels.shape, dtype=bool)
            mask[window] = found.mask
            if whole.reason or mask[whole.mask].mean() > _PART:
                return found._replace(mask=mask)
    return whole


def _looks_negative(pixels: Pixels, maximum: float) -> bool:
    """Whether a breast is found once dark and bright are exchanged, also in a film with padding around it."""
    inner = pixels[_without_padding(pixels)]
    parts = [pixels, *([inner] if inner.size > _FILM * pixels.size and inner.min() < inner.max() else [])]
    turned = (cast("Pixels", (maximum - part).astype(part.dtype)) for part in parts)
    return any(not _attempt(one, maximum, lowest=False).reason for one in turned)


def _attempt(pixels: Pixels, maximum: float, *, lowest: bool) -> _Attempt:
    thumbnail, cell = _thumbnail(pixels, maximum)
    # Padding would pass for background, so lines of one brightness do not count for it.
    inner = _inside_frame(thumbnail, 0.0)
    levelled, levels = levels_of(thumbnail, inner, lowest=lowest)
    found = _found(thumbnail, levelled, levels)
    reason = _doubt(found) or _doubt_outside(found[inner], levelled[inner])
    if reason:
        return _Attempt(found, _leans_right(thumbnail), reason)
    outside = levelled[inner][~found[inner] & (thumbnail[inner] > _black(thumbnail))]
    darker = (outside < 2 * levels.background - levels.sure).sum() / max(1, (~found[inner]).sum())
    return _Attempt(_enlarged(found, cell, *pixels.shape), _leans_right(_inside(found)), "", bool(darker > _DARKER))


def _without_padding(pixels: Pixels) -> Window:
    """Return what is left without the lines at the borders that are black throughout."""
    import numpy as np

    spans = []
    for axis in (1, 0):
        kept = np.flatnonzero(pixels.max(axis=axis) > _black(pixels))
        spans.append(slice(int(kept[0]), int(kept[-1]) + 1))
    return spans[0], spans[1]


def _black(pixels: Pixels | Values) -> float:
    """Return the brightest value that padding may have."""
    low, high = float(pixels.min()), float(pixels.max())
    return low + _BLACK * (high - low)


def _leans_right(values: Pixels | Mask) -> bool:
    """Whether the right half weighs more than the left."""
    import numpy as np

    every = max(1, len(values) // _LONGEST)
    columns = values[::every].sum(axis=0, dtype=np.float64)
    # Column by column against its mirror image, so that mirroring changes the sign and nothing else.
    with np.errstate(invalid="ignore"):  # infinite values are refused later on
        return bool((columns - columns[::-1])[: len(columns) // 2].sum() < 0)


def _thumbnail(pixels: Pixels, maximum: float) -> tuple[Values, int]:
    """Return the image in cells, 0…1, and the side of a cell in pixels; a rest at the far edges is left out."""
    import cv2
    import numpy as np

    rows, columns = pixels.shape
    cell = max(1, min(-(-max(rows, columns) // _LONGEST), rows, columns))
    high, wide = rows // cell, columns // cell
    whole = pixels[: high * cell, : wide * cell]  # OpenCV is five times slower where cells are not whole pixels
    cells = cv2.resize(whole, (wide, high), interpolation=cv2.INTER_AREA) if cell > 1 else whole
    thumbnail: Values = (cells / np.float32(maximum)).astype(np.float32)
    if not np.isfinite(thumbnail).all():
        raise ImageError("it holds NaN or infinite values")
    if thumbnail.min() == thumbnail.max():
        raise ImageError("it is blank: there is no breast to be found")
    return thumbnail, cell


def _inside_frame(thumbnail: Values, above: float) -> Window:
    """Return what lies inside frames and padding: lines at the borders that are even and nowhere below a value."""
    import numpy as np

    slight = _EVEN * float(np.ptp(thumbnail))
    spans = []
    for axis in (1, 0):
        lowest = thumbnail.min(axis=axis)
        kept = np.flatnonzero((thumbnail.max(axis=axis) - lowest > slight) | (lowest < above))
        spans.append(slice(int(kept[0]), int(kept[-1]) + 1) if len(kept) > 2 else slice(None))
    return spans[0], spans[1]


def _found(thumbnail: Values, levelled: Values, levels: Levels) -> Mask:
    """Return the breast in a thumbnail; all False where nothing stands out."""
    import cv2
    import numpy as np

    inner = _inside_frame(thumbnail, levels.sure)  # black lines stay: faint skin may lie in them
    picture = levelled[inner]
    core = _largest(_without_edges(picture > levels.sure))
    reach = 2 * max(1, round(_REACH * max(_inside(core).shape))) + 1
    near = cv2.dilate(core.view(np.uint8), np.ones((reach, reach), np.uint8)).view(bool)
    found = np.zeros(thumbnail.shape, dtype=bool)
    found[inner] = _filled(_largest(core | (_without_edges(picture > levels.faint) & near)))
    return found


def _without_edges(bright: Mask) -> Mask:
    """Return a mask without the bright edges of a film: strips along a border that nothing continues inwards."""
    import numpy as np

    kept = bright.copy()
    for turn in range(4):
        side = np.rot90(kept, turn)  # a view whose first lines are one border
        upright = turn % 2 == 1
        depth = max(1, round((_UPRIGHT if upright else _LEVEL) * len(side)))
        if depth >= len(side):
            continue
        strip = side[:depth].any(axis=0) & ~side[depth]
        if strip.mean() <= 0.1:
            continue
        along = bool(side[:depth].any(axis=0).mean() > 0.9)
        depths = side[:depth, strip].sum(axis=0)
        # Tissue may run thin along the chest wall, but it tapers; light that fell in reaches equally far everywhere.
        middle = float(np.median(depths))
        if upright and not (along and (np.abs(depths - middle) <= 0.5 * middle).mean() > 0.65):
            continue
        # What is bright above and below hides the tissue; light at the sides lies over it.
        hidden = 0 if upright or not along else int((side[:depth, strip].mean(axis=1) > 0.5).sum())
        side[:depth] &= side[depth]
        side[:hidden] = False
    return kept


def _largest(mask: Mask) -> Mask:
    """Return the largest piece of a mask, once specks and thin bridges are gone."""
    import cv2
    import numpy as np

    opened = cv2.morphologyEx(mask.view(np.uint8), cv2.MORPH_OPEN, np.ones((3, 3), np.uint8))
    pieces = cv2.connectedComponents(opened, connectivity=4)[1]
    areas = np.bincount(pieces.ravel())[1:]  # three times as fast as OpenCV's own statistics
    largest: Mask = pieces == 1 + int(np.argmax(areas)) if len(areas) else np.zeros(mask.shape, dtype=bool)
    return largest


def _filled(mask: Mask) -> Mask:
    """Return one piece without its holes; at the chest wall a hole may be open to the side."""
    import cv2
    import numpy as np

    if not mask.any():
        return mask
    closed = mask.astype(np.uint8)
    wall = np.flatnonzero(mask.any(axis=0))[-1 if _leans_right(_inside(mask)) else 0]
    rows = np.flatnonzero(mask[:, wall])
    closed[rows[0] : rows[-1] + 1, wall] = 1
    outlines, _ = cv2.findContours(closed, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    filled = np.zeros(mask.shape, np.uint8)
    cv2.drawContours(filled, outlines, -1, (1,), cv2.FILLED)
    return filled.view(bool)


def _inside(mask: Mask) -> Mask:
    """Return the part of a mask inside its own bounding box."""
    top, left, bottom, right = _box(mask, 0.0)
    return mask[top:bottom, left:right]


def _doubt(found: Mask) -> str:
    """Return why a mask does not look like a breast; empty where it does.

    The limits let pass 1,000 phantoms, 8 films of CBIS-DDSM and, without padding, all 510 of DMID.
    """
    share = float(found.mean())
    if not share:
        return "nothing stands out from the background"
    if not 0.05 <= share <= 0.95:
        return f"what stands out is {'hardly any' if share < 0.5 else 'nearly all'} of the frame"
    shape = _inside(found)
    if shape.mean() > 0.98:
        return "what stands out is a rectangle"
    if _solidity(shape) < 0.75:
        return "what stands out is hollow or ragged"
    wide = max(2, round(0.03 * shape.shape[1]))
    at_left, at_right = shape[:, :wide].any(axis=1), shape[:, -wide:].any(axis=1)
    if max(at_left.mean(), at_right.mean()) < 0.6:
        return "what stands out has no straight upright side, where the chest wall would be"
    # A breast that fills its film may reach the lower border, but then it is round at the upper one.
    low = max(2, round(0.03 * len(shape)))
    top, bottom = (float(rows.any(axis=0).mean()) for rows in (shape[:low], shape[-low:]))
    if bottom > 0.8 and (top > 0.8 or (at_left & at_right).mean() <= 0.6):
        return "what stands out reaches from side to side"
    return ""


def _doubt_outside(found: Mask, picture: Values) -> str:
    """Return why what is outside a mask does not look like background; empty where it does."""
    import cv2
    import numpy as np

    near = cv2.dilate(found.view(np.uint8), np.ones((7, 7), np.uint8)).view(bool)
    outside, inside = (picture[::2, ::2][where[::2, ::2]] for where in (~near, found))  # a quarter is enough
    if not len(outside) or not len(inside):
        return ""
    middle = float(np.median(outside))
    contrast = float(np.percentile(inside, 90)) - middle
    spread, within = (float(np.median(np.abs(one - np.median(one)))) for one in (outside, inside))
    if contrast <= 0 or (spread > 0.07 * contrast and spread > 0.4 * within):
        return "what is left outside is no even background"
    return ""


def _solidity(shape: Mask) -> float:
    """Return the share of its convex hull that a piece fills."""
    import cv2
    import numpy as np

    outlines, _ = cv2.findContours(np.ascontiguousarray(shape).view(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    points = np.concatenate(outlines)
    hull = cv2.fillConvexPoly(np.zeros(shape.shape, np.uint8), cv2.convexHull(points), (1,))
    return float(shape.sum() / hull.sum())


def _enlarged(found: Mask, cell: int, rows: int, columns: int) -> Mask:
    """Return a thumbnail's mask at full size, its outline smooth."""
    import cv2
    import numpy as np

    high, wide = -(-rows // cell), -(-columns // cell)
    cells = np.pad(found.view(np.uint8) * 255, ((0, high - len(found)), (0, wide - found.shape[1])), "edge")
    smooth = cv2.resize(cells, (wide * cell, high * cell), interpolation=cv2.INTER_LINEAR)
    mask = cv2.threshold(smooth, 127, 1, cv2.THRESH_BINARY)[1].view(bool)
    return np.ascontiguousarray(mask[:rows, :columns])


def _box(mask: Mask, margin: float) -> tuple[int, int, int, int]:
    """Return top, left, bottom, right of a mask with a margin round it."""
    import cv2
    import numpy as np

    left, top, wide, high = cv2.boundingRect(mask.view(np.uint8))
    room = round(margin * max(high, wide))
    ends = []
    for first, length, size in ((top, high, mask.shape[0]), (left, wide, mask.shape[1])):
        start, stop = first - room, first + length + room
        ends.append((0 if start <= room else start, size if stop >= size - room else stop))
    (top, bottom), (left, right) = ends
    return top, left, bottom, right
