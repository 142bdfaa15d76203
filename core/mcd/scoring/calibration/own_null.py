"""The null of each unit by itself, for tests that hold something fixed: no unit stands for another there."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import torch
from numpy.typing import NDArray

from mcd.scoring.calibration.null import NO_SPREAD, NullDistribution
from mcd.scoring.calibration.tail import Tail

__all__ = ["DRAWS", "FIRST_DRAWS", "FUTILE", "MOMENTS", "own_null"]

MOMENTS = 100
"""Draws that mean and standard deviation are taken from."""

DRAWS = 400
"""Draws that a unit is compared with: the fewest that have a tail."""

FIRST_DRAWS, FUTILE = 100, 0.1
"""After so many draws, a unit whose p is so large is drawn no further (Besag & Clifford 1991, Biometrika 78, 301)."""


def own_null(drawn: Iterable[torch.Tensor], rarest: float) -> NullDistribution:
    """Return the null of every unit, each its own stratum.

    Parameters
    ----------
    drawn
        The statistic of all units and concepts, ``(units, concepts)``, the higher the better, of each draw; the first
        `MOMENTS` give mean and standard deviation. NaN where it is not defined.
    rarest
        The chance of a single permutation.
    """
    draws = iter(drawn)
    first = next(draws).double()
    count, total, square = (~first.isnan()).double(), first.nan_to_num(), torch.zeros_like(first)
    for _ in range(MOMENTS - 1):  # Welford 1962, Technometrics 4, 419: nothing is kept of a draw
        one = next(draws).double()
        known = ~one.isnan()
        count += known
        step = torch.where(known, one - total, 0.0)
        total += step / count.clamp_min(1)
        square += step * torch.where(known, one - total, 0.0)
    mean, sd = total, (square / (count - 1).clamp_min(1)).sqrt().clamp_min(NO_SPREAD)
    highest = [((one - mean) / sd).nan_to_num(nan=float("-inf")).amax(dim=1).numpy() for one in draws]
    of_units: list[NDArray[np.float64]] = list(np.sort(np.stack(highest, axis=1), axis=1))
    return NullDistribution(of_units, mean.float(), sd.float(), [Tail.of(one) for one in of_units], rarest)
