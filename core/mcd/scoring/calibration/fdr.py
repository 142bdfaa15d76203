"""False-discovery control over the neurons of a layer."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mcd.study.calibration import Correction

__all__ = ["QValues", "null_share"]

Values = NDArray[np.float64]


def null_share(p: Values, threshold: float = 0.5) -> float:
    """Return Storey's estimate of the share π0 of neurons that respond to nothing in particular, 0…1.

    ``π0 = (1 + #{p > λ}) / (m (1 - λ))``: p-values of null neurons are uniform, others crowd near 0. The 1 keeps it
    from promising that there are none (Storey 2002, J. R. Statist. Soc. B 64, equation 6, and Storey, Taylor &
    Siegmund 2004, equation 4). No neurons: 1.

    Parameters
    ----------
    p
        ``(neurons,)``, each in 0…1.
    threshold
        λ, above which all are taken for null.
    """
    if not len(p):
        return 1.0
    return min(1.0, float(1 + (p > threshold).sum()) / (len(p) * (1 - threshold)))


@dataclass(frozen=True)
class QValues:
    """The step function that takes a p-value of one of a family to its q-value.

    ``q(p) = min over t ≥ p of c · m · t / #{p_i ≤ t}``: the smallest false discovery rate at which it is discovered.
    With c = 1 it is that of Benjamini & Hochberg 1995; with c = Σ 1/i that of Benjamini & Yekutieli 2001, which holds
    under any dependence; with c = π0 that of Storey 2002.

    Parameters
    ----------
    steps
        Sorted p-values of the family, ``(m,)``.
    q
        Their q-values, ``(m,)``, rising.
    scale
        c · m.
    """

    steps: Values
    q: Values
    scale: float

    @classmethod
    def of(cls, p: Values, correction: Correction = "benjamini-hochberg") -> QValues:
        """Return the function for a family of p-values ``(m,)``."""
        steps = np.sort(np.asarray(p, dtype=np.float64))
        count = len(steps)
        ranks = np.arange(1, count + 1)
        factor = {
            "benjamini-hochberg": 1.0,
            "benjamini-yekutieli": float((1 / ranks).sum()),
            "storey": null_share(steps),
        }[correction]
        raw = factor * count * steps / np.maximum(ranks, 1)
        rising = np.minimum.accumulate(raw[::-1])[::-1] if count else raw
        return cls(steps, np.minimum(rising, 1.0), factor * count)

    def __call__(self, p: Values) -> Values:
        """Return the q-value of each p, of the family or not, in the shape of ``p``; NaN stays NaN.

        For one that is not of the family, t may be p itself.
        """
        at, below = (np.searchsorted(self.steps, p, side=side) for side in ("left", "right"))
        own = np.where(below > 0, self.scale * np.asarray(p) / np.maximum(below, 1), 1.0)
        found: Values = np.minimum(np.append(self.q, 1.0)[at], own)
        return np.where(np.isnan(p), np.nan, found)

    def threshold(self, rate: float, more: int = 0) -> float:
        """Return the largest p whose q does not pass ``rate``, of the family or not; 0 where none of it passes.

        Parameters
        ----------
        more
            With so many discoveries more than the family has. With R discoveries among m, one more would need
            ``p ≤ rate · (R + 1) / (c · m)``; no p of the family lies between that and the threshold without it, or the
            procedure would have discovered it.
        """
        count = int((self.q <= rate).sum()) + more
        return rate * count / self.scale if count else 0.0
