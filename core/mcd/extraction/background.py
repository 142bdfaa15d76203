"""How bright the background of a mammogram is, and above which brightness the breast begins."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Values = NDArray[np.float32]
    Counts = NDArray[np.intp]
    Window = tuple[slice, slice]

__all__ = ["Levels", "levels_of"]

_BINS = 1024
"""Of the histogram."""
_SURE, _FAINT = 0.05, 0.01
"""How far above background, on the way to bright tissue, the breast surely is; its skin and nipple may be."""


class Levels(NamedTuple):
    """Brightness of the background, and above which the breast surely is, and its rim may be."""

    background: float
    sure: float
    faint: float


def levels_of(thumbnail: Values, inner: Window, *, lowest: bool) -> tuple[Values, Levels]:
    """Return the thumbnail with an even background, since films are fogged unevenly, and its levels."""
    import numpy as np

    levels = _levels(thumbnail[inner], lowest)
    for _ in range(3):
        if levels.faint - levels.background <= 0.3 * (levels.sure - levels.background):
            break
        slope = _slope(thumbnail, inner, levels)
        if float(np.abs(slope).max()) < 0.2 * (levels.sure - levels.background):
            break
        thumbnail = thumbnail - slope
        levels = _levels(thumbnail[inner], lowest)
    return thumbnail, levels


def _levels(picture: Values, lowest: bool) -> Levels:
    """Measure background and contrast of an image without frame."""
    import cv2
    import numpy as np

    # What is thinner than five cells is no tissue to measure by: letters, wires, calcifications.
    solid = np.asarray(cv2.erode(picture, np.ones((5, 5), np.uint8)), dtype=np.float32)
    low, high = float(picture.min()), float(solid.max())
    step = (high - low) / _BINS
    if step <= 0:
        return Levels(low, high, high)
    counts = _histogram(picture, low, step)
    dark = counts[: _otsu(counts) + 1]
    mode = _lowest_peak(dark) if lowest else int(np.argmax(np.convolve(dark, np.ones(5), "same")))
    background = max(0, mode - 2) + int(np.argmax(dark[max(0, mode - 2) : mode + 3]))
    tissue = np.cumsum(_histogram(solid, low, step))
    contrast = max(1, int(np.searchsorted(tissue, 0.99 * tissue[-1])) - background)
    noise = _spread(counts[: background + max(2, round(_SURE * contrast))], background)
    faint = min(max(_FAINT * contrast, 4 * noise), 2 * _SURE * contrast)
    sure = max(_SURE * contrast, faint, 1.0)
    return Levels(low + step * background, low + step * (background + sure), low + step * (background + faint))


def _lowest_peak(counts: Counts) -> int:
    """Return the darkest bin that is the most frequent one far around it, and not rare."""
    import numpy as np

    smooth = np.convolve(counts, np.ones(15), "same")
    reach = _BINS // 32
    around = np.lib.stride_tricks.sliding_window_view(np.pad(smooth, reach), 2 * reach + 1).max(axis=1)
    return int(np.flatnonzero((smooth == around) & (smooth >= 0.1 * smooth.max()))[0])


def _histogram(values: Values, low: float, step: float) -> Counts:
    import numpy as np

    bins = np.minimum((values - low) / step, _BINS - 1).astype(np.intp)
    return np.bincount(bins.ravel(), minlength=_BINS)


def _otsu(counts: Counts) -> int:
    """Return the last dark bin of a histogram: the variance between dark and bright is largest there (Otsu 1979)."""
    import numpy as np

    weight = np.cumsum(counts)[:-1]
    moment = np.cumsum(counts * np.arange(len(counts)))
    mean = moment[-1] / counts.sum()
    between = (mean * weight - moment[:-1]) ** 2 / np.maximum(weight * (counts.sum() - weight), 1)
    return int(np.argmax(between))


def _spread(counts: Counts, centre: int) -> float:
    """Return the standard deviation of a histogram round one of its bins, from the median distance."""
    import numpy as np

    within = np.cumsum(np.bincount(np.abs(np.arange(len(counts)) - centre), weights=counts))
    return 1.4826 * float(np.searchsorted(within, 0.5 * within[-1]))


def _slope(thumbnail: Values, inner: Window, levels: Levels) -> Values:
    """Return the plane, 0 in the middle of the background, that fits the background inside the frame."""
    import numpy as np

    background = np.zeros(thumbnail.shape, dtype=bool)
    background[inner] = np.abs(thumbnail[inner] - levels.background) <= levels.sure - levels.background
    rows, columns = np.nonzero(background)
    if len(rows) < 3:
        return np.zeros_like(thumbnail)
    middle = (rows.mean(), columns.mean())
    across = np.stack([rows - middle[0], columns - middle[1]])
    down, along = np.linalg.pinv(across @ across.T) @ (across @ thumbnail[background])  # least squares
    high, wide = thumbnail.shape
    plane: Values = np.add.outer(down * (np.arange(high) - middle[0]), along * (np.arange(wide) - middle[1]))
    return plane.astype(np.float32)
