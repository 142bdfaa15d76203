"""From scores of units and concepts to a decision."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch

import mcd
from mcd_plugins.bench.contract import Case, Decision, Flags, Values

__all__ = ["Rule", "best", "by_scorer"]

Rule = Callable[[Values], Flags]
"""From the score of each unit's first concept, NaN where it has none, to whether it is claimed."""


def best(scores: Values, rule: Rule | None = None) -> Decision:
    """Return the decision that names each unit by its highest score, the first of equal ones.

    Parameters
    ----------
    scores
        ``(units, concepts)`` float64, higher is better; NaN where undefined. A unit without any score has no name.
    rule
        Which of the named units are claimed; by default all.
    """
    known = np.isfinite(scores).any(axis=1)
    first = np.where(known, np.where(np.isfinite(scores), scores, -np.inf).argmax(axis=1), -1)
    score = np.where(known, scores[np.arange(len(scores)), first], np.nan)
    claimed: Flags = np.array(known)
    if rule is not None:
        claimed &= rule(score)
    return Decision(first.astype(np.int64), score, claimed)


def by_scorer(case: Case, scorer: mcd.Scorer) -> Values:
    """Return the scores ``(units, concepts)`` of a scorer of mcd, higher is better; NaN for units that are constant.

    Ties between images are broken by row, as by the scorer alone.
    """
    live = np.flatnonzero(case.activations.max(axis=0) > case.activations.min(axis=0))
    found = np.full((case.units, len(case.concepts)), np.nan)
    if len(live):
        scores = scorer.score(
            torch.from_numpy(case.activations[:, live]), torch.from_numpy(np.array(case.similarity, np.float32))
        )
        found[live] = scores.double().numpy() * (1 if scorer.higher_is_better else -1)
    return found
