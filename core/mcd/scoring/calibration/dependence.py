"""Hypotheses of dependence: what is tested of the units of a layer, as one object."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch

from mcd.scoring.calibration.null import NullDistribution, StratumNull
from mcd.scoring.calibration.permutation import Rows
from mcd.scoring.calibration.tail import Tail

__all__ = ["DependenceTest", "drawn"]


@dataclass(frozen=True)
class DependenceTest:
    """Tests for each unit of a layer and each concept whether the one depends on the other.

    Parameters
    ----------
    observed
        The statistic, ``(units, concepts)``, the higher the better; NaN where it is not defined.
    stratum
        Null stratum of each unit, ``(units,)``: those of one stratum share a null distribution.
    null
        Returns the null distribution of the statistic from a number of draws; more draws go on where fewer ended.
    given
        Returns the statistic ``(some units, concepts)`` of units, by number, with one concept each, by number, held
        fixed: what of the unit that concept does not explain. None where that cannot be asked.
    """

    observed: torch.Tensor
    stratum: Rows
    null: Callable[[int], NullDistribution]
    given: Callable[[torch.Tensor, torch.Tensor], torch.Tensor] | None = None


def drawn(strata: Mapping[int, StratumNull], draws: int, concepts: int, rarest: float = 0.0) -> NullDistribution:
    """Return the null distribution of a layer from those of its strata, by number.

    Parameters
    ----------
    rarest
        See `NullDistribution`.
    """
    highest, tails, mean, sd = [], [], [], []
    for number in range(max(strata, default=-1) + 1):
        one = strata.get(number)
        found = one.highest(draws) if one else torch.zeros(0).double().numpy()
        highest.append(found)
        tails.append(Tail.of(found))
        mean.append(one.mean if one else torch.zeros(concepts))
        sd.append(one.sd if one else torch.ones(concepts))
    none = torch.zeros(0, concepts)
    return NullDistribution(
        highest, torch.stack(mean) if mean else none, torch.stack(sd) if sd else none, tails, rarest
    )
