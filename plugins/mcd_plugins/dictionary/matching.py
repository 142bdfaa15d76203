"""Which latents of two dictionaries are the same."""

from __future__ import annotations

import torch
import torch.nn.functional as functional
from scipy.optimize import linear_sum_assignment

__all__ = ["matched", "paired"]


def paired(decoder_a: torch.Tensor, decoder_b: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Return which rows of two decoders are matched, and the cosine of each pair, each ``(min(units_a, units_b),)``.

    Rows are paired one to one such that the sum of cosines is largest (the Hungarian algorithm). A direction and its
    opposite are two: signs count. Rows of length zero have cosine 0 with any other.

    Parameters
    ----------
    decoder_a, decoder_b
        ``(units, channels)``, of as many channels.

    Returns
    -------
    The numbers of rows of ``decoder_a``, rising, those of ``decoder_b``, and cosines, float64.
    """
    cosine = functional.normalize(decoder_a.double(), dim=1) @ functional.normalize(decoder_b.double(), dim=1).T
    rows, columns = map(torch.from_numpy, linear_sum_assignment(cosine.numpy(), maximize=True))
    return rows, columns, cosine[rows, columns]


def matched(decoder_a: torch.Tensor, decoder_b: torch.Tensor) -> torch.Tensor:
    """Return the cosine of each pair of matched rows, ``(min(units_a, units_b),)``, float32; see `paired`.

    They are in the order of the rows of the smaller one, of ``decoder_a`` where both are as large.
    """
    if len(decoder_a) > len(decoder_b):
        return matched(decoder_b, decoder_a)
    return paired(decoder_a, decoder_b)[2].float()
