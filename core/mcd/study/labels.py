"""Labels of images that a table describes in several rows."""

from __future__ import annotations

import re

__all__ = ["any_row", "split_rows"]

_BETWEEN_ROWS = r" \| |; "


def split_rows(label: str) -> list[str]:
    """Return the values of the rows that a label was joined from; empty ones are left out."""
    return [text for text in re.split(_BETWEEN_ROWS, label) if text]


def any_row(label: str) -> set[str]:
    """Return all that a row may have said: what is between `` | `` may have ``; `` of its own.

    >>> sorted(any_row("irregular; large | round"))
    ['irregular', 'irregular; large', 'irregular; large | round', 'large', 'round']
    """
    return {label, *filter(None, label.split(" | ")), *split_rows(label)}
