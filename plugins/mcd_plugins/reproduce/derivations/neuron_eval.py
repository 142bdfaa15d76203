"""NeuronEval's sanity checks (Oikarinen et al., ICML 2025): what a measure loses when labels are missing, or too many.

A neuron and its concept are 1 on the same share γ of the inputs. *Missing*: each label is dropped with probability
0.5. *Extra*: labels are added until their number doubles. The change of the score is divided by the measure's range.
The neuron is the truth, the labels are the prediction; an *inverse* measure takes them the other way round.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["auc_of_noisy_ranks", "change", "spearman_of_noisy_ranks"]

_INPUTS = 500_000
_SEEDS = 20
_NOISE = 1e-7
"""Added to break ties before ranking; in float32, what lies between 1 and the next number is 1.2e-7."""


@dataclass(frozen=True)
class _Counts:
    """How many inputs have both, the label alone, the neuron alone, neither."""

    both: int
    label: int
    neuron: int
    neither: int

    def inverse(self) -> _Counts:
        return _Counts(self.both, self.neuron, self.label, self.neither)

    @property
    def recall(self) -> float:
        return self.both / (self.both + self.neuron)

    @property
    def precision(self) -> float:
        return self.both / (self.both + self.label)

    @property
    def specificity(self) -> float:
        return self.neither / (self.neither + self.label)

    @property
    def balanced(self) -> float:
        return (self.recall + self.specificity) / 2

    @property
    def inputs(self) -> int:
        return self.both + self.label + self.neuron + self.neither


def _pearson(of: _Counts) -> float:
    labels, active = of.both + of.label, of.both + of.neuron
    shared = of.inputs * of.both - labels * active
    return shared / math.sqrt(labels * (of.inputs - labels) * active * (of.inputs - active))


def _average_precision(of: _Counts) -> float:
    base = (of.both + of.neuron) / of.inputs
    return of.recall * of.precision + (1 - of.recall) * base


_MEASURES: dict[str, tuple[Callable[[_Counts], float], float]] = {
    "recall": (lambda of: of.recall, 1),
    "precision": (lambda of: of.precision, 1),
    "F1": (lambda of: 2 * of.both / (2 * of.both + of.label + of.neuron), 1),
    "IoU": (lambda of: of.both / (of.both + of.label + of.neuron), 1),
    "accuracy": (lambda of: (of.both + of.neither) / of.inputs, 1),
    "balanced accuracy": (lambda of: of.balanced, 1),
    "inverse balanced accuracy": (lambda of: of.inverse().balanced, 1),
    "AUC": (lambda of: of.balanced, 1),  # of two binary variables, ties counted half
    "inverse AUC": (lambda of: of.inverse().balanced, 1),
    "Pearson": (_pearson, 2),
    "Spearman": (_pearson, 2),  # of two binary variables, with mean ranks
    "cosine": (lambda of: of.both / math.sqrt((of.both + of.neuron) * (of.both + of.label)), 2),
    "AUPRC": (_average_precision, 1),
}
"""Each measure of binary variables, and its range; all are 1 where labels and neuron agree."""


def change(measure: str, labels: str, share: float) -> float:
    """Return the change of a measure, the mean over 20 draws of 500,000 inputs; ``labels`` is missing or extra."""
    score, width = _MEASURES[measure]
    return float(np.mean([(score(_counts(labels, share, seed)) - 1) / width for seed in range(_SEEDS)]))


def _counts(labels: str, share: float, seed: int) -> _Counts:
    random = np.random.default_rng(seed)
    active = round(share * _INPUTS)
    if labels == "missing":
        kept = int(random.binomial(active, 0.5))
        return _Counts(kept, 0, active - kept, _INPUTS - active)
    added = int(random.binomial(_INPUTS - active, share / (1 - share)))
    return _Counts(active, added, 0, _INPUTS - active - added)


def auc_of_noisy_ranks(measure: str, labels: str, share: float) -> float:
    """Return the change of the AUC where ties are broken by noise in float32, and the rest by the order of rows."""
    neuron, found = _drawn(labels, share)
    active = int(neuron.sum())
    above = _noisy_ranks(found, 1)[neuron == 1].sum() - active * (active - 1) / 2
    return float(above / (active * (_INPUTS - active)) - 1)


def spearman_of_noisy_ranks(measure: str, labels: str, share: float) -> float:
    """Return the change of Spearman's correlation where ties are broken so: order is invented among equals.

    Even the right labels then correlate with the neuron by less than 1.
    """
    neuron, found = _drawn(labels, share)
    ranks = _noisy_ranks(neuron, 0)
    right, changed = (np.corrcoef(ranks, _noisy_ranks(one, 1))[0, 1] for one in (neuron, found))
    return float((changed - right) / 2)


def _drawn(labels: str, share: float) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return the neuron and the labels, active inputs first."""
    random = np.random.default_rng(0)
    neuron = (np.arange(_INPUTS) < round(share * _INPUTS)).astype(np.float32)
    drawn = random.random(_INPUTS)
    if labels == "missing":
        return neuron, neuron * (drawn < 0.5)
    return neuron, np.maximum(neuron, (drawn < share / (1 - share)).astype(np.float32))


def _noisy_ranks(values: NDArray[np.float32], seed: int) -> NDArray[np.float64]:
    noise = (np.random.default_rng(seed).random(_INPUTS) * _NOISE).astype(np.float32)
    order = np.argsort(values + noise, kind="stable")
    ranks = np.empty(_INPUTS)
    ranks[order] = np.arange(_INPUTS)
    return ranks
