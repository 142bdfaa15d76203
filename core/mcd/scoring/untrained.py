"""The third rung: first labels beside those of networks of the same architecture that have not been trained."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

__all__ = ["Beside", "UntrainedNetworks"]

Values = NDArray[np.float64]


@dataclass(frozen=True)
class Beside:
    """A layer beside the same layer of networks that have not been trained.

    Parameters
    ----------
    p
        Of each unit, ``(units,)``: how often the z of the first label of an untrained unit reaches that of its own.
    networks
        How many networks there are.
    reached
        How many of them have a mean z of first labels that is no lower than that of the layer.
    """

    p: Values
    networks: int
    reached: int

    @property
    def p_layer(self) -> float:
        """The p of the layer: networks are what is exchanged, since the units of one are not independent."""
        return (1 + self.reached) / (1 + self.networks)


class UntrainedNetworks:
    """What networks that have not been trained give, layer by layer; each layer is scored once.

    Parameters
    ----------
    activations
        Returns A of a layer in each network, ``(images, units)``.
    first_z
        Returns the z of the first label of each live unit, given A.
    """

    def __init__(
        self,
        activations: Callable[[str], Iterable[torch.Tensor]],
        first_z: Callable[[torch.Tensor], Values],
    ) -> None:
        self._activations, self._first_z = activations, first_z
        self._known: dict[str, list[Values]] = {}

    def beside(self, layer: str, z: Values) -> Beside:
        """Return how a layer compares, given the z of the first label of each live unit, ``(units,)``.

        A unit whose z is not defined has no p (NaN).
        """
        if layer not in self._known:
            found = [self._first_z(one) for one in self._activations(layer)]
            self._known[layer] = [one[~np.isnan(one)] for one in found]
        networks = self._known[layer]
        drawn = np.sort(np.concatenate(networks))
        reached = len(drawn) - np.searchsorted(drawn, z, side="left")
        p = np.where(np.isnan(z), np.nan, (1 + reached) / (1 + len(drawn)))
        own, means = _mean(z[~np.isnan(z)]), [_mean(one) for one in networks]
        return Beside(p, len(networks), sum(one >= own for one in means))


def _mean(z: Values) -> float:
    """Return a mean; minus infinity where nothing responds: a layer without labels has none that hold."""
    return float(z.mean()) if len(z) else -np.inf
