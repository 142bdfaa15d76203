"""Fields of a sample with few values, in the words that all data sets share.

Kept apart from the contract of data sets: flags are made from what a study may select by, and looking at them
imports nothing heavy.
"""

from __future__ import annotations

from collections.abc import Mapping

__all__ = ["CLOSED", "VIEWS"]


VIEWS = ("CC", "MLO", "ML", "LM", "LMO", "XCCL", "XCCM", "FB", "SIO", "ISO")
CLOSED: Mapping[str, tuple[str, ...]] = {
    "laterality": ("L", "R"),
    "density": ("a", "b", "c", "d"),
    "assessment": ("0", "1", "2", "3", "4", "4a", "4b", "4c", "5", "6"),
}
"""Those that take no other value; data sets may name views that `VIEWS` lacks."""
