"""Counts and lists as sentences have them: verbs that go with counts, shares, the first of many."""

from __future__ import annotations

from collections.abc import Sequence

__all__ = ["listed", "share", "verb"]


def verb(count: int, several: str, one: str) -> str:
    """Return the form of a verb that goes with a count."""
    return one if count == 1 else several


def share(part: int, whole: int) -> str:
    """Return a share in per cent, a dash where there is nothing to share; some are never 0 %."""
    if not whole:
        return "–"
    return "<1%" if 0 < part / whole < 0.005 else f"{part / whole:.0%}"


def listed(names: Sequence[str], most: int) -> str:
    """Return names in a row, ``a, b and c``, those after the first ``most`` as a count; one more is not counted."""
    shown = list(names) if len(names) <= most else [*names[:most], f"{len(names) - most:,} more"]
    return " and ".join(filter(None, [", ".join(shown[:-1]), *shown[-1:]]))
