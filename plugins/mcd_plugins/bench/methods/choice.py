"""What published methods share: the strongest images of a unit and its best concept, ties broken by seeded chance."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from mcd_plugins.bench.contract import Case, Decision, Flags, Numbers, Values

__all__ = ["activations", "few", "named", "similarity", "top_images"]

_ROUNDING = 1e-9
"""Scores that differ by less, relative to their size, are equal: so much, the order of a sum may change."""


def activations(case: Case) -> Values:
    """Return A as float64: what the order of a sum changes is then too small to change a decision."""
    return case.activations.astype(np.float64)


def similarity(case: Case) -> Values:
    """Return P as float64."""
    return case.similarity.astype(np.float64)


def few(case: Case, published: int) -> int:
    """Return how many images stand for a unit: as published, but at most a fifth of all.

    The numbers were published for tens of thousands of images; of 300, the top 100 are no top.
    """
    return min(published, max(1, len(case.activations) // 5))


def top_images(case: Case, count: int) -> Numbers:
    """Return the row numbers of the largest activations of each unit, largest first, ``(count, units)``.

    Equal activations are in random order, in each unit another one: the order of rows, all tied units would share.
    """
    chance = np.random.default_rng(case.seed).random(case.activations.shape)
    found: Numbers = np.lexsort((chance, -case.activations), axis=0)[:count]
    return found


def named(
    case: Case,
    scores: Values,
    rule: Callable[[Values], Flags] | None = None,
    accepted: Flags | None = None,
) -> Decision:
    """Return the decision that names each unit by its highest score, one of equal ones by chance.

    Parameters
    ----------
    scores
        ``(units, concepts)``, higher is better. NaN is no score; a unit without any has no name.
    rule
        From the best scores of the named units to whether each is claimed; by default all are.
    accepted
        Which concepts are said of a unit, ``(units, concepts)``; by default one. A unit without any is not claimed.
    """
    filled = np.where(np.isfinite(scores), scores, -np.inf)
    top = filled.max(axis=1)
    known = np.isfinite(top)
    slack = np.where(known, _ROUNDING * np.maximum(1, np.abs(top)), 0)
    chance = np.random.default_rng(case.seed).random(scores.shape)
    first = np.where(filled >= (top - slack)[:, None], chance, -1).argmax(axis=1)
    claimed: Flags = known.copy()
    if rule is not None:
        claimed[known] = rule(top[known])
    more: tuple[tuple[int, ...], ...] = ()
    if accepted is not None:
        claimed &= accepted.any(axis=1)
        order = np.argsort(-filled, axis=1, kind="stable")
        more = tuple(
            tuple(one for one in order[unit].tolist() if accepted[unit, one] and one != first[unit])
            for unit in range(len(scores))
        )
    return Decision(np.where(known, first, -1), np.where(known, top, np.nan), claimed, more=more)
