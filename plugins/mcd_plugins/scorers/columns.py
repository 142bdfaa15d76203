"""What every scorer asks of the columns of A and P."""

from __future__ import annotations

from collections.abc import Callable

import torch

import mcd

__all__ = ["BLOCK", "extent", "lengths", "products", "refuse_unpaired", "responds"]

_ROWS = 2**13
"""Rows that a product adds up in float32: over a million of one sign, four digits would be left."""

BLOCK = 2**9
"""Rows that stay in the cache while they are worked on."""


def _as_they_are(rows: torch.Tensor) -> torch.Tensor:
    return rows


def products(
    left: torch.Tensor,
    right: torch.Tensor,
    of_left: Callable[[torch.Tensor], torch.Tensor] = _as_they_are,
    of_right: Callable[[torch.Tensor], torch.Tensor] = _as_they_are,
) -> torch.Tensor:
    """Return the scalar products of columns, ``(left columns, right columns)`` float32, of any number of rows.

    Parameters
    ----------
    left, right
        ``(images, columns)`` float32.
    of_left, of_right
        What is made of at most `BLOCK` rows before they are multiplied: to make it of all at once would go through
        memory once more.
    """
    part = left.new_zeros(left.shape[1], right.shape[1])
    total = None if len(left) <= _ROWS else part.double()
    for start in range(0, len(left), BLOCK):
        if total is not None and start % _ROWS == 0:
            total += part
            part.zero_()
        part.addmm_(of_left(left[start : start + BLOCK]).T, of_right(right[start : start + BLOCK]))
    return part if total is None else (total + part).float()


def extent(columns: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Return mean, smallest and largest value of each column ``(columns,)``: in one pass, a few rows at a time."""
    total = columns.new_zeros(columns.shape[1], dtype=torch.float64)
    low, high = columns[0].clone(), columns[0].clone()
    for part in torch.split(columns, BLOCK):
        total += part.sum(dim=0)
        torch.minimum(low, part.amin(dim=0), out=low)
        torch.maximum(high, part.amax(dim=0), out=high)
    return (total / len(columns)).to(columns.dtype), low, high


def lengths(columns: torch.Tensor) -> torch.Tensor:
    """Return the Euclidean length of each column, ``(columns,)``, of any number of rows.

    A few rows at a time, whose squares stay in the cache, added up in float64: a million rows in float32 would not do.
    """
    total = columns.new_zeros(columns.shape[1], dtype=torch.float64)
    squares = columns.new_empty(BLOCK, columns.shape[1])
    for part in torch.split(columns, BLOCK):
        total += torch.mul(part, part, out=squares[: len(part)]).sum(dim=0)
    return total.sqrt().to(columns.dtype)


def refuse_unpaired(activations: torch.Tensor, similarity: torch.Tensor) -> None:
    """Refuse A and P of different numbers of images: row numbers of the one would point anywhere in the other.

    Parameters
    ----------
    activations
        A, ``(images, neurons)``.
    similarity
        P, ``(images, concepts)``.

    Raises
    ------
    mcd.errors.DataError
        When the numbers of rows differ.
    """
    if len(activations) != len(similarity):
        raise mcd.errors.DataError(
            f"activations hold {len(activations)} images, similarity {len(similarity)}: not the same set",
            "give both for the same images, in the same order",
        )


def responds(columns: torch.Tensor) -> torch.Tensor:
    """Return ``(columns,)`` bool: whether a column has different values, all of them numbers.

    Parameters
    ----------
    columns
        ``(images, columns)`` float32. One NaN makes the column False, since NaN is greater than nothing.
    """
    return columns.amax(dim=0) > columns.amin(dim=0)
