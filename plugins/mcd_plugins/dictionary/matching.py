"""Which latents of two dictionaries are the same."""

from __future__ import annotations

import torch
import torch.nn.functional as functional
from scipy.optimize import linear_sum_assignment

__all__ = ["matched"]


def matched(decoder_a: torch.Tensor, decoder_b: torch.Tensor) -> torch.Tensor:
    """Return the cosine of each pair of matched rows, ``(min(units_a, units_b),)``, float32.

    Rows are paired one to one such that the sum of cosines is largest (the Hungarian algorithm). A direction and its
    opposite are two: signs count. Rows of length zero have cosine 0 with any other.

    Parameters
    ----------
    decoder_a, decoder_b
        ``(units, channels)``, of as many channels.

    Returns
    -------
    In the order of the rows of the smaller one, of ``decoder_a`` where both are as large.
    """
    cosine = functional.normalize(decoder_a.double(), dim=1) @ functional.normalize(decoder_b.double(), dim=1).T
    if len(decoder_a) > len(decoder_b):
        cosine = cosine.T
    rows, columns = linear_sum_assignment(cosine.numpy(), maximize=True)
    return cosine[torch.from_numpy(rows), torch.from_numpy(columns)].float()
