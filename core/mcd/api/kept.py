"""What a scorer makes of P and needs again for the next neurons, kept with P."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Hashable
from typing import TYPE_CHECKING, TypeVar, cast

if TYPE_CHECKING:
    import torch

__all__ = ["lasting", "made_of"]

MadeT = TypeVar("MadeT")
_MADE = "_mcd_made"


class _Made:
    """What is made of one tensor: a copy of it, which has the same attributes, may be written to and has nothing."""

    def __init__(self, owner: torch.Tensor) -> None:
        self._owner = weakref.ref(owner)
        self.kept: dict[Hashable, object] = {}

    @classmethod
    def of(cls, similarity: torch.Tensor) -> _Made | None:
        found = vars(similarity).get(_MADE)
        return found if isinstance(found, cls) and found._owner() is similarity else None

    def __reduce__(self) -> tuple[type[None], tuple[()]]:
        return type(None), ()


def lasting(similarity: torch.Tensor) -> torch.Tensor:
    """Return P, of which is known from now on that nobody writes to it: what is made of it may be kept with it."""
    if _Made.of(similarity) is None:
        vars(similarity)[_MADE] = _Made(similarity)
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
        With P and the module that ``make`` is of, what decides the result: a name, and all settings that take part.
    make
        Makes it. Others are given the same: not to be written to.

    Examples
    --------
    >>> import torch
    >>> made_of(torch.ones(3, 2), "mean", lambda: torch.ones(3, 2).mean(dim=0))
    tensor([1., 1.])
    """
    made, own = _Made.of(similarity), (make.__module__, key)
    if made is None:
        return make()
    if own not in made.kept:
        made.kept[own] = make()
    return cast("MadeT", made.kept[own])
