"""CLIP-Dissect's soft WPMI, and Mammo-CLIP Dissect's threshold on it."""

from __future__ import annotations

import numpy as np

from mcd_plugins.bench.contract import SINGLE, TIED, Case, Decision, Flags, Method, Values
from mcd_plugins.bench.methods.deciding import best, by_scorer
from mcd_plugins.scorers.soft_wpmi import SoftWPMI

__all__ = ["METHODS"]


def _soft_wpmi(case: Case) -> Values:
    """Return soft WPMI with the published settings; of fewer than 500 images a fifth are the top ones."""
    top_k = min(100, max(1, len(case.activations) // 5))
    return by_scorer(case, SoftWPMI(SoftWPMI.Options(prior="layer", top_k=top_k)))


def _above_mean(score: Values) -> Flags:
    return np.where(np.isnan(score), -np.inf, score) >= np.nanmean(score)


def _named(case: Case) -> Decision:
    return best(_soft_wpmi(case))


def _thresholded(case: Case) -> Decision:
    return best(_soft_wpmi(case), _above_mean)


METHODS = (
    Method(
        name="CLIP-Dissect soft-WPMI",
        source="Oikarinen & Weng, CLIP-Dissect, ICLR 2023 (arXiv 2204.10965), SoftWPMI",
        needs=("similarity",),
        made_for=(SINGLE, TIED),
        decide=_named,
    ),
    Method(
        name="Mammo-CLIP Dissect",
        source="Mammo-CLIP Dissect, 2025 (arXiv 2509.21102), local threshold on soft WPMI",
        needs=("similarity",),
        made_for=(SINGLE, TIED),
        decide=_thresholded,
        rule="its score is at least the mean of the layer's",
    ),
)
