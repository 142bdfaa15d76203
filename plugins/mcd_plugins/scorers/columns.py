"""What every scorer asks of the columns of A and P."""

from __future__ import annotations

import torch

import mcd

__all__ = ["refuse_unpaired", "responds"]


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
