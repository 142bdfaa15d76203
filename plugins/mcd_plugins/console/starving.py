"""When models waited so long for images that advice on it is worth a line."""

from __future__ import annotations

__all__ = ["EVERY", "starved"]

EVERY = 10.0
"""Seconds between two lines of a log; a shorter wait for images is not worth advice."""


def starved(seconds: float, waited: float) -> bool:
    """Say whether models waited for images for more than a third of a stage, and long."""
    return waited > max(EVERY, seconds / 3)
