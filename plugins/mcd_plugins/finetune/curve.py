"""The calibration curve as a picture."""

from __future__ import annotations

from collections.abc import Sequence

from mcd_plugins.finetune.measures import Bin

__all__ = ["curve_of"]

_SIDE, _MARGIN = 240, 40


def curve_of(bins: Sequence[Bin]) -> str:
    """Return the observed share against the mean predicted probability as SVG; on the dotted line both are equal."""
    points = [(_across(one.predicted), _down(one.observed)) for one in bins]
    size = _SIDE + 2 * _MARGIN
    ticks = "".join(
        f'<text x="{_across(at):g}" y="{_down(0) + 16:g}" text-anchor="middle">{at:g}</text>'
        f'<text x="{_across(0) - 6:g}" y="{_down(at) + 4:g}" text-anchor="end">{at:g}</text>'
        for at in (0.0, 0.5, 1.0)
    )
    line = " ".join(f"{x:.2f},{y:.2f}" for x, y in points)
    dots = "".join(f'<circle cx="{x:.2f}" cy="{y:.2f}" r="3"/>' for x, y in points)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {size} {size}" width="{size}" height="{size}" '
        'role="img" aria-label="Calibration curve" font-family="sans-serif" font-size="11">'
        f'<rect width="{size}" height="{size}" fill="#fff"/>'
        f'<rect x="{_MARGIN}" y="{_MARGIN}" width="{_SIDE}" height="{_SIDE}" fill="none" stroke="#999"/>'
        f'<path d="M{_across(0):g} {_down(0):g}L{_across(1):g} {_down(1):g}" stroke="#999" stroke-dasharray="2 3"/>'
        f'<polyline points="{line}" fill="none" stroke="#1b5e9e" stroke-width="1.5"/>'
        f'<g fill="#1b5e9e">{dots}</g>{ticks}'
        f'<text x="{size / 2:g}" y="{size - 6}" text-anchor="middle">mean predicted probability</text>'
        f'<text transform="translate(12 {size / 2:g}) rotate(-90)" text-anchor="middle">observed share</text></svg>\n'
    )


def _across(share: float) -> float:
    return _MARGIN + _SIDE * share


def _down(share: float) -> float:
    return _MARGIN + _SIDE * (1 - share)
