"""The names of the poolings: how a map, or a row of tokens, becomes one number per neuron."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal, get_args

__all__ = ["POOLINGS", "Pooling"]

PoolingName = Literal["avg", "max", "cls", "tokens", "gem", "top-fraction", "masked-avg", "masked-max"]
_NUMBERS = {"gem": 3.0, "top-fraction": 0.1}
"""Poolings with a number, and what it is where none is given."""

_MOST = {"gem": 100.0, "top-fraction": 1.0}
"""The highest numbers; powers above overflow."""

POOLINGS: tuple[PoolingName, ...] = get_args(PoolingName)


@dataclass(frozen=True)
class Pooling:
    """One way of pooling.

    Parameters
    ----------
    name
        ``avg`` and ``max`` over all positions; ``cls`` takes the first token; ``tokens`` averages those after class
        and register tokens; ``gem`` is the generalised mean (Radenović et al. 2018, equation 3); ``top-fraction``
        averages the highest of the positions; ``masked-avg`` and ``masked-max`` look inside the breast only.
    number
        The exponent of ``gem``, the fraction of ``top-fraction``; else 0.

    Examples
    --------
    >>> Pooling.parse("top-fraction:0.05")
    Pooling(name='top-fraction', number=0.05)
    >>> str(Pooling.parse("gem"))
    'gem:3'
    """

    name: PoolingName
    number: float = 0.0

    @property
    def masked(self) -> bool:
        """Whether it needs the breast mask of each image."""
        return self.name.startswith("masked-")

    def __str__(self) -> str:
        return f"{self.name}:{self.number:g}" if self.name in _NUMBERS else self.name

    @classmethod
    def parse(cls, text: str) -> Pooling:
        """Return the pooling that ``NAME`` or ``NAME:NUMBER`` stands for.

        Raises
        ------
        ValueError
            When there is none; made for a validator of settings.
        """
        written, colon, number = text.partition(":")
        name = next((one for one in POOLINGS if one == written), None)
        if name is None:
            raise ValueError(f"there is no pooling '{text}': it is one of {', '.join(POOLINGS)}")
        if name not in _NUMBERS:
            if colon:
                raise ValueError(f"pooling {name} takes no number, but got '{number}'")
            return cls(name)
        if colon and not re.fullmatch(r"\d*\.?\d+", number):
            raise ValueError(f"pooling {name}:{number}: what follows the colon is a number, such as {_NUMBERS[name]:g}")
        value = float(number) if colon else _NUMBERS[name]
        most = _MOST[name]
        if not 0 < value <= most:
            raise ValueError(f"pooling {text}: the number of {name} is above 0 and at most {most:g}")
        return cls(name, value)
