"""The third rung: first labels beside those of networks of the same architecture that have not been trained.

Some concepts are easy: the view, or how dense a breast is, shows in random features too, with a high z. So a z counts
by how far it lies above those that untrained units have for the same concept.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from mcd.scoring.activations import Activations
from mcd.scoring.calibration.permutation import Rows

__all__ = ["Beside", "UntrainedNetworks"]

Values = NDArray[np.float64]


@dataclass(frozen=True)
class Beside:
    """A layer beside the same layer of networks that have not been trained.

    Parameters
    ----------
    p
        Of each unit, ``(units,)``: how often the first label of an untrained unit lies as far above what untrained
        units have for its concept. NaN where a unit has no z.
    networks
        How many networks there are.
    reached
        How many of them have labels that on average lie as far above, or farther, than those of the layer.
    """

    p: Values
    networks: int
    reached: int

    @property
    def p_layer(self) -> float:
        """The p of the layer: networks are what is exchanged, since the units of one are not independent."""
        return (1 + self.reached) / (1 + self.networks)


@dataclass(frozen=True)
class _Sums:
    """Sums over units of the z of each concept, ``(concepts,)``: how many have one, z, and its square."""

    count: Values
    total: Values
    square: Values

    @classmethod
    def of(cls, z: Values) -> _Sums:
        known = np.nan_to_num(z)
        return cls((~np.isnan(z)).sum(axis=0).astype(np.float64), known.sum(axis=0), (known**2).sum(axis=0))

    def without(self, other: _Sums) -> _Sums:
        return _Sums(self.count - other.count, self.total - other.total, self.square - other.square)

    def above(self, z: Values, concept: Rows) -> Values:
        """Return how far each z lies above the mean of its concept, in standard deviations: 1 at least, as of noise."""
        mean = self.total / np.maximum(self.count, 1)
        sd = np.sqrt(np.maximum(self.square / np.maximum(self.count, 1) - mean**2, 1))
        found: Values = (z - mean[concept]) / sd[concept]
        return found


@dataclass(frozen=True)
class _Network:
    """Of each live unit that has a label its z and its concept; sums over all live units."""

    z: Values
    concept: Rows
    sums: _Sums

    @classmethod
    def of(cls, z: Values, first: Rows) -> _Network:
        own = z[np.arange(len(z)), first]
        known = ~np.isnan(own)
        return cls(own[known], first[known], _Sums.of(z))


class UntrainedNetworks:
    """What networks that have not been trained give, layer by layer; each layer is scored once.

    Parameters
    ----------
    activations
        Returns A of a layer in each network, ``(images, units)``.
    measured
        Returns z of all concepts, ``(live units, concepts)``, and the first label of each live unit, given A.
    """

    def __init__(
        self,
        activations: Callable[[str], Iterable[torch.Tensor | Activations]],
        measured: Callable[[torch.Tensor | Activations], tuple[Values, Rows]],
    ) -> None:
        self._activations, self._measured = activations, measured
        self._known: dict[str, list[_Network]] = {}

    def beside(self, layer: str, z: Values, first: Rows) -> Beside:
        """Return how a layer compares, given z and concept of the first label of each live unit, ``(units,)``."""
        if layer not in self._known:
            self._known[layer] = [_Network.of(*self._measured(one)) for one in self._activations(layer)]
        networks = self._known[layer]
        every = _Sums(
            sum((one.sums.count for one in networks), np.zeros(1)),
            sum((one.sums.total for one in networks), np.zeros(1)),
            sum((one.sums.square for one in networks), np.zeros(1)),
        )
        # The target has no part in what it is held against, and so has none of the others.
        drawn = [every.without(one.sums).above(one.z, one.concept) for one in networks]
        own = every.above(z, first)
        ascending = np.sort(np.concatenate(drawn))
        reached = len(ascending) - np.searchsorted(ascending, own, side="left")
        p = np.where(np.isnan(z), np.nan, (1 + reached) / (1 + len(ascending)))
        mean = _mean(own[~np.isnan(own)])
        return Beside(p, len(networks), sum(_mean(one) >= mean for one in drawn))


def _mean(values: Values) -> float:
    """Return a mean; minus infinity where nothing responds: a layer without labels has none that hold."""
    return float(values.mean()) if len(values) else -np.inf
