"""What of a unit a concept does not explain."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import torch

from mcd.api.ranking import Ties, ascending

__all__ = ["partialled_out"]

_BIN = 25
_BINS = (2, 20)
"""Images of a bin, and how many bins there are at least and at most."""

_CHUNK = 2**22


def partialled_out(activations: torch.Tensor, given: torch.Tensor, ties: Ties) -> torch.Tensor:
    """Return what of each unit its concept does not explain, ``(images, units)`` float32.

    Images are put into bins of similar similarity to the concept, equally many in each. Within a bin a line is
    subtracted, and what is left is replaced by normal scores of its ranks. So every bin has the same values, whatever
    curve the unit follows the concept by, and however its spread grows: under independence given the concept, the top
    images are a random share of every bin.

    Parameters
    ----------
    activations, given
        ``(images, units)`` float32: the activations of units, and for each the similarity of a concept.
    ties
        Breaks ties within bins.
    """
    images = len(activations)
    step = max(1, _CHUNK // max(1, images))
    parts = [
        _scores(own, other, ties)
        for own, other in zip(torch.split(activations, step, dim=1), torch.split(given, step, dim=1), strict=True)
    ]
    return torch.cat(parts, dim=1)


def _scores(activations: torch.Tensor, given: torch.Tensor, ties: Ties) -> torch.Tensor:
    chance = ties.chances(activations.T.contiguous())
    images, units = activations.shape
    count = int(np.clip(images // _BIN, *_BINS))
    low = torch.nan_to_num(given, nan=float("inf")).amin(dim=0)
    given = torch.where(given.isnan(), low - 1, given)  # where it is not known: bins of their own
    place = ascending(given.T, chance)
    x, y = (np.take_along_axis(one.T.double().numpy(), place, axis=1) for one in (given, activations))
    chance = np.take_along_axis(chance, place, axis=1)
    edges = np.arange(count + 1) * images // count
    found = np.empty((units, images), dtype=np.float32)
    for start, stop in pairwise(edges.tolist()):
        some = slice(start, stop)
        order = _ordered(_less_line(x[:, some], y[:, some]), chance[:, some])
        score = torch.special.ndtri((torch.arange(stop - start, dtype=torch.float64) + 0.5) / (stop - start))
        scores = np.broadcast_to(score.float().numpy(), order.shape)
        part = np.empty(order.shape, dtype=np.float32)
        np.put_along_axis(part, order, scores, axis=1)
        np.put_along_axis(found, place[:, some], part, axis=1)
    return torch.from_numpy(found).T.contiguous()


def _ordered(values: np.ndarray, chance: np.ndarray) -> np.ndarray:
    """Return the order of each row, the smallest value first; equal values are put in order by chance."""
    ordered = np.sort(values, axis=1)
    tied = (ordered[:, 1:] == ordered[:, :-1]).any(axis=1)
    order = np.empty(values.shape, dtype=np.int64)
    order[~tied] = np.argsort(values[~tied], axis=1)  # one sort, with vector instructions
    order[tied] = np.lexsort((chance[tied], values[tied]), axis=1)
    return order


def _less_line(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Return y less its least-squares line in x, row by row, ``(units, images of a bin)``; 0 where it is one."""
    x, rest = x - x.mean(axis=1, keepdims=True), y - y.mean(axis=1, keepdims=True)
    spread = (x**2).sum(axis=1, keepdims=True)
    with np.errstate(divide="ignore", invalid="ignore"):
        slope = np.where(spread > 0, (x * rest).sum(axis=1, keepdims=True) / spread, 0)
    left = rest - slope * x
    return np.where(np.abs(left) > _ROUNDING * np.abs(y).max(axis=1, keepdims=True), left, 0)


_ROUNDING = 1e-6
