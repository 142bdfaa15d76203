"""Columns of numbers as short text: little-endian arrays in base64, which a browser turns into typed arrays."""

from __future__ import annotations

import base64

import numpy as np
import pydantic
from numpy.typing import NDArray

__all__ = ["Json", "Names", "packed", "rounded"]

Json = pydantic.JsonValue

_WHOLE = ((2**8, "u1"), (2**16, "u2"), (2**32, "u4"))


def packed(values: NDArray[np.generic]) -> Json:
    """Return an array, row after row, as ``{type: base64}``: whole numbers ≥ 0 as short as they fit, others as f4."""
    kind = "f4"
    if np.issubdtype(values.dtype, np.integer):
        highest = int(values.max(initial=0))
        kind = next(kind for limit, kind in _WHOLE if highest < limit)
    return {kind: base64.b64encode(values.astype(f"<{kind}").tobytes()).decode("ascii")}


def rounded(values: NDArray[np.floating], digits: int = 4) -> list[Json]:
    """Return numbers as JSON has them; infinite and undefined ones as null."""
    return [round(float(one), digits) if np.isfinite(one) else None for one in values]


class Names:
    """Gives each different thing a number, in the order in which they come."""

    def __init__(self) -> None:
        self._numbers: dict[tuple[str, ...], int] = {}

    def number(self, *name: str) -> int:
        """Return the number of a name, a new one if it is new."""
        return self._numbers.setdefault(name, len(self._numbers))

    def __len__(self) -> int:
        """Return how many names there are."""
        return len(self._numbers)

    def column(self, at: int = 0) -> list[Json]:
        """Return one part of all names, by their numbers."""
        return [name[at] for name in self._numbers]
