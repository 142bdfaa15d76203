"""How far readers agree beyond chance: Cohen's and Fleiss' kappa, with bootstrap intervals over cards."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["RESAMPLES", "bootstrap", "cohen_kappa", "fleiss_kappa", "interval", "kappa"]

Codes = NDArray[np.int64]
Values = NDArray[np.float64]

RESAMPLES = 2000
_DEFINED = 0.95
"""Share of the resamples in which kappa must be defined for an interval to say something."""


def cohen_kappa(a: Codes, b: Codes, categories: int) -> float:
    """Return the agreement of two readers beyond chance: 1 whole, 0 what their own frequencies give, NaN undefined.

    ``(p_o - p_e) / (1 - p_e)`` with p_o the share of items that both put into the same category, and p_e the sum over
    categories of the product of the shares that each puts there. Source: Cohen 1960, A coefficient of agreement for
    nominal scales, Educational and Psychological Measurement 20, 37-46.

    Parameters
    ----------
    a, b
        ``(items,)``: the category, from 0, that each puts an item into.
    categories
        How many there are.
    """
    observed = float((a == b).mean())
    shares = [np.bincount(one, minlength=categories) / len(one) for one in (a, b)]
    return _beyond(observed, float((shares[0] * shares[1]).sum()))


def fleiss_kappa(counts: Codes) -> float:
    """Return the agreement of many readers beyond chance; NaN where it is not defined.

    With n readers and n_ij of them putting item i into category j, the agreement about an item is
    ``P_i = (sum_j n_ij² - n) / (n (n - 1))``, p_j the share of all n·N assignments that are to j, and kappa
    ``(mean P_i - sum_j p_j²) / (1 - sum_j p_j²)``. Source: Fleiss 1971, Measuring nominal scale agreement among many
    raters, Psychological Bulletin 76, 378-382.

    Parameters
    ----------
    counts
        ``(items, categories)``; the same number of readers for each item, two or more.
    """
    readers = int(counts[0].sum())
    each = ((counts**2).sum(axis=1) - readers) / (readers * (readers - 1))
    shares = counts.sum(axis=0) / counts.sum()
    return _beyond(float(each.mean()), float((shares**2).sum()))


def _beyond(observed: float, expected: float) -> float:
    return (observed - expected) / (1 - expected) if expected < 1 else float("nan")


def kappa(choices: Codes, categories: int) -> float:
    """Return Cohen's kappa of two readers, Fleiss' of more, from choices ``(readers, cards)``; NaN of one card."""
    if choices.shape[1] < 2:
        return float("nan")
    if len(choices) == 2:
        return cohen_kappa(choices[0], choices[1], categories)
    counts = (choices[:, :, None] == np.arange(categories)).sum(axis=0)
    return fleiss_kappa(counts.astype(np.int64))


def bootstrap(cards: int, seed: int) -> Codes:
    """Return which cards each of the resamples holds, ``(resamples, cards)``, drawn with replacement."""
    return np.random.default_rng(seed).integers(0, cards, (RESAMPLES, cards))


def interval(values: Values) -> tuple[float, float]:
    """Return the 2.5th and 97.5th percentile of values under resamples; NaN where too many are not defined."""
    known = values[~np.isnan(values)]
    if len(known) < _DEFINED * len(values):
        return float("nan"), float("nan")
    low, high = np.percentile(known, [2.5, 97.5])
    return float(low), float(high)
