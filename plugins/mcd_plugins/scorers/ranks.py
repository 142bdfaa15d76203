"""What scorers by rank and by label share: mid-ranks, the images on top of a column, and how many those are."""

from __future__ import annotations

import math
from typing import Annotated, Literal

import pydantic
import torch

import mcd
from mcd_plugins.scorers.columns import responds

__all__ = ["Alpha", "Quantile", "check_share", "counted", "mid_ranks", "run_ends", "top_labels"]

Quantile = Annotated[
    float, pydantic.Field(gt=0, lt=1, description="a concept's images are those above this quantile of its similarity")
]
Alpha = Annotated[
    float, pydantic.Field(gt=0, lt=1, description="a neuron's images are this share of all, most activating first")
]


def counted(images: int, share: float) -> int:
    """Return how many images a share of them is, halves rounded up."""
    return math.floor(round(share * images, 6) + 0.5)  # round: 1 - 0.9 is not 0.1


def check_share(name: str, setting: Literal["alpha", "quantile"], value: float, images: int) -> None:
    """Refuse a setting by which none or all of the images would be the top ones.

    Raises
    ------
    mcd.errors.DataError
        With a value that helps as hint, where there is one.
    """
    share = 1 - value if setting == "quantile" else value
    count = counted(images, share)
    if 1 <= count < images:
        return
    hint = "use more images"
    if images > 1:
        enough = 0.5 if count else math.ceil(1000 / images) / 1000  # rounded up: down, one is lost
        enough = 1 - enough if setting == "quantile" else enough
        hint += f", or --scorer-arg {setting}={round(enough, 3):g}"
    raise mcd.errors.DataError(
        f"{name} compares some images with the others, but with {setting}={value:g} it takes {count} of {images}", hint
    )


def mid_ranks(columns: torch.Tensor) -> torch.Tensor:
    """Return the rank of each value in its column, ``(columns, images)`` float32; equal values share their mean rank.

    The smallest value has rank 1, so that the ranks of a column add up to n(n + 1)/2 whatever is tied. Exact up to
    8 million images.

    Parameters
    ----------
    columns
        ``(images, columns)`` float32.
    """
    ordered, places = columns.T.contiguous().sort(dim=1)
    below = len(columns) - run_ends(ordered.flip(1)).flip(1)
    ranks = (below + run_ends(ordered) + 1) / 2
    return torch.empty_like(ranks).scatter_(1, places, ranks)


def run_ends(ordered: torch.Tensor) -> torch.Tensor:
    """Return for each value where the run of values equal to it ends, counted from 1, ``(columns, images)`` float32.

    Parameters
    ----------
    ordered
        ``(columns, images)`` float32, each row sorted, up or down.
    """
    count = ordered.shape[1]
    ends = torch.arange(1, count + 1, dtype=ordered.dtype, device=ordered.device).repeat(len(ordered), 1)
    ends[:, :-1].masked_fill_(ordered[:, 1:] == ordered[:, :-1], count)  # not an end: the next end after it is
    return ends.flip(1).cummin(dim=1).values.flip(1)


def top_labels(scorer: mcd.Scorer, columns: torch.Tensor, count: int) -> torch.Tensor:
    """Return 1 for the ``count`` largest values of each column and 0 for the others, ``(images, columns)`` float32.

    Of equal values at the edge as many are taken as are needed, by `mcd.Scorer.top_images`, so that the count is exact.
    A column that is the same everywhere, or holds NaN, is NaN.

    Parameters
    ----------
    scorer
        Whose top images they are.
    columns
        ``(images, columns)`` float32.
    """
    labels = torch.zeros_like(columns).scatter_(0, scorer.top_images(columns, count), 1)
    return labels.masked_fill_(~responds(columns), float("nan"))
