"""What a scorer makes of P and needs again for the next neurons, kept with P."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    import torch

__all__ = ["lasting", "made_of"]

MadeT = TypeVar("MadeT")
_MADE = "_mcd_made"


def lasting(similarity: torch.Tensor) -> torch.Tensor:
    """Return P, of which is known from now on that nobody writes to it: what is made of it may be kept with it."""
    vars(similarity).setdefault(_MADE, {})
    return similarity


def made_of(similarity: torch.Tensor, key: Hashable, make: Callable[[], MadeT]) -> MadeT:
    """Return what is made of P, which goes when P does.

    Where the engine holds P, it is made once for all neurons, layers and draws of a null. Any other tensor may be
    written to between two calls: of that it is made anew.

    Parameters
    ----------
    similarity
        P, as `mcd.Scorer.score` is given it.
    key
        With P, what decides the result: a name, and all settings that take part.
    make
        Makes it. Others are given the same: not to be written to.

    Examples
    --------
    >>> import torch
    >>> made_of(torch.ones(3, 2), "mean", lambda: torch.ones(3, 2).mean(dim=0))
    tensor([1., 1.])
    """
    made = vars(similarity).get(_MADE)
    if made is None:
        return make()
    if key not in made:
        made[key] = make()
    found: MadeT = made[key]
    return found
