"""What every scorer asks of the columns of A and P."""

from __future__ import annotations

import torch

import mcd

__all__ = ["lengths", "products", "refuse_unpaired", "responds"]

_ROWS = 2**13
"""Rows that a product adds up in float32: over a million of one sign, four digits would be left."""


_BLOCK = 2**9
"""Rows whose squares fit into the cache."""


def products(left: torch.Tensor, right: torch.Tensor) -> torch.Tensor:
    """Return the scalar products of columns, ``(left columns, right columns)`` float32, of any number of rows.

    Parameters
    ----------
    left, right
        ``(images, columns)`` float32.
    """
    if len(left) <= _ROWS:
        return left.T @ right
    total = left.new_zeros(left.shape[1], right.shape[1], dtype=torch.float64)
    for mine, other in zip(torch.split(left, _ROWS), torch.split(right, _ROWS), strict=True):
        total += mine.T @ other
    return total.float()


def lengths(columns: torch.Tensor) -> torch.Tensor:
    """Return the Euclidean length of each column, ``(columns,)``, of any number of rows.

    A few rows at a time, whose squares stay in the cache, added up in float64: a million rows in float32 would not do.
    """
    total = columns.new_zeros(columns.shape[1], dtype=torch.float64)
    for part in torch.split(columns, _BLOCK):
        total += part.square().sum(dim=0)
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
            f"activations hold {len(activations)} images, similarity {len(similarity)}: not the same set"
        )


def responds(columns: torch.Tensor) -> torch.Tensor:
    """Return ``(columns,)`` bool: whether a column has different values, all of them numbers.

    Parameters
    ----------
    columns
        ``(images, columns)`` float32. One NaN makes the column False, since NaN is greater than nothing.
    """
    return columns.amax(dim=0) > columns.amin(dim=0)
