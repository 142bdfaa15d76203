"""The tail of a null distribution beyond its draws: a generalised Pareto distribution, where it fits."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["ENOUGH", "Tail", "anderson_darling", "fitted"]

Values = NDArray[np.float64]

ENOUGH = 10
"""Draws that must reach a value for its p to be counted; with fewer, it is that of the tail (Knijnenburg 2009)."""

_EXCEEDANCES = (250, 200, 150, 100, 75, 50)
"""How many of the highest draws are the tail: the most that fit."""

_SHARE = 8
"""The tail is an eighth of the draws at most."""

_CRITICAL = ((-0.5, -0.3, -0.1, 0.0, 0.1, 0.3, 0.5), (1.08, 1.03, 0.975, 0.955, 0.905, 0.865, 0.82))
"""By shape, the distance that one in twenty samples of a generalised Pareto distribution exceeds, simulated with
4,000 samples of 50, 100 and 250 each, fitted as here; the size hardly matters."""


@dataclass(frozen=True)
class Tail:
    """What is left of a null distribution above a value: ``P(z) = share · (1 + shape (z - start) / scale)^(-1/shape)``.

    Parameters
    ----------
    start
        Where it begins.
    share
        The chance of more than that.
    scale, shape
        Of the generalised Pareto distribution. The shape is not negative, so that the tail does not end: with an end,
        whatever lies behind it would be impossible (the support constraint of permApprox, arXiv 2602.22975, met by all
        observations alike). Where the draws would end, this is the exponential distribution, whose p are larger.
    """

    start: float
    share: float
    scale: float
    shape: float

    @classmethod
    def of(cls, highest: Values) -> Tail | None:
        """Return the tail of draws ``(draws,)``, sorted; None where none fits.

        Source: Knijnenburg et al. 2009, Bioinformatics 25, i161: the exceedances are fewer and fewer until the
        Anderson-Darling test does not reject them.
        """
        draws = len(highest)
        for count in _EXCEEDANCES:
            if count * _SHARE > draws or not np.isfinite(highest[-count - 1 :]).all():
                continue
            start = float(highest[-count - 1 : -count + 1].mean())
            above = highest[-count:] - start
            if above[0] <= 0 or above[0] == above[-1]:
                continue
            scale, shape = fitted(above)
            if anderson_darling(above, scale, shape) <= np.interp(shape, *_CRITICAL):
                share = (count + 1) / (draws + 1)
                return cls(start, share, scale, shape) if shape > 0 else cls(start, share, float(above.mean()), 0.0)
        return None

    def p(self, z: Values) -> Values:
        """Return the chance of at least each z, none of which lies below the start."""
        above = np.maximum(z - self.start, 0) / self.scale
        if self.shape == 0:
            return self.share * np.exp(-above)
        found: Values = self.share * np.exp(-np.log1p(self.shape * above) / self.shape)
        return found

    def reaching(self, p: float) -> float:
        """Return the z whose p is this one."""
        if p >= self.share:
            return self.start
        fold = np.log(self.share / p)
        return self.start + self.scale * float(fold if self.shape == 0 else np.expm1(self.shape * fold) / self.shape)


def fitted(above: Values) -> tuple[float, float]:
    """Return scale and shape of a generalised Pareto distribution, given exceedances ``(count,)``, sorted.

    Source: Zhang & Stephens 2009, Technometrics 51, 316: a posterior mean with a prior that the data set. As efficient
    as maximum likelihood, without an iteration that may not end.
    """
    count, most = len(above), float(above[-1])
    grid = 20 + int(np.sqrt(count))
    quarter = float(above[int(count / 4 + 0.5) - 1])
    theta = 1 / most + (1 - np.sqrt(grid / (np.arange(1, grid + 1) - 0.5))) / (3 * quarter)
    k = np.log1p(-theta[:, None] * above).mean(axis=1)
    likelihood = count * (np.log(-theta / k) - k - 1)
    weight = np.exp(likelihood - likelihood.max())
    chosen = float((theta * weight).sum() / weight.sum())
    shape = float(np.log1p(-chosen * above).mean())
    return -shape / chosen, shape


def anderson_darling(above: Values, scale: float, shape: float) -> float:
    """Return the distance of Anderson & Darling of exceedances ``(count,)``, sorted, from a fitted distribution."""
    left = np.log1p(shape * above / scale) / shape  # minus the logarithm of what is above
    count = len(above)
    below = np.log(np.clip(-np.expm1(-left), 1e-300, None))
    weights = 2 * np.arange(1, count + 1) - 1
    return float(-count - (weights * (below - left[::-1])).mean())
