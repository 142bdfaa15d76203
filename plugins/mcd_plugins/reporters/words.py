"""Counts and lists as sentences have them: singular and plural, shares, the first of many."""

from __future__ import annotations

import math
from collections.abc import Sequence

__all__ = ["amount", "by_chance", "listed", "share", "verb"]


def amount(count: int, noun: str) -> str:
    """Return a count with its noun: ``1 neuron``, ``2,000 neurons``, ``0 neurons``."""
    return f"{count:,} {noun if count == 1 else f'{noun}s'}"


def verb(count: int, several: str, one: str) -> str:
    """Return the form of a verb that goes with a count."""
    return one if count == 1 else several


def share(part: int, whole: int) -> str:
    """Return a share in per cent, a dash where there is nothing to share."""
    return f"{part / whole:.0%}" if whole else "–"


def listed(names: Sequence[str], most: int) -> str:
    """Return names in a row, ``a, b and c``, those after the first ``most`` as a count; one more is not counted."""
    shown = list(names) if len(names) <= most else [*names[:most], f"{len(names) - most:,} more"]
    return " and ".join(filter(None, [", ".join(shown[:-1]), *shown[-1:]]))


def by_chance(level: float, discovered: int) -> str:
    """Return how many of so many discoveries are expected to be false at a false discovery rate, in words."""
    expected = level * discovered
    return "fewer than 1" if expected < 1 else f"about {math.floor(expected + 0.5):,}"
