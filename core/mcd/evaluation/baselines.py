"""Which concept each kind of label gives a neuron: its own, and what that must be better than."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from mcd.runs.evaluated import FIRST

__all__ = ["NONE", "labels_of"]

Codes = NDArray[np.int64]

NONE = -1
"""In the place of a concept's number where there is none."""


def labels_of(
    first: Codes, second: Codes, allowed: NDArray[np.bool_], categories: Sequence[str], seed: Sequence[int]
) -> dict[str, Codes]:
    """Return the concept of each neuron by each kind of label, ``(neurons,)``; `NONE` where it has none to be judged.

    Parameters
    ----------
    first, second
        ``(neurons,)``: numbers of the first and the second concept; `NONE` where a neuron has no label.
    allowed
        ``(concepts,)``: which concepts can be judged.
    categories
        Of the concepts.
    seed
        What decides the random labels, and which of several most frequent ones is the constant.
    """
    rng = np.random.default_rng(np.random.SeedSequence(list(seed)))
    own = _judged(first, allowed)
    return {
        FIRST: own,
        "runner-up": np.where(own == NONE, NONE, _judged(second, allowed)),
        "random": _random(own, allowed, categories, rng),
        "constant": _constant(own, rng),
    }


def _judged(concepts: Codes, allowed: NDArray[np.bool_]) -> Codes:
    found: Codes = np.where((concepts >= 0) & allowed[np.maximum(concepts, 0)], concepts, NONE)
    return found


def _random(own: Codes, allowed: NDArray[np.bool_], categories: Sequence[str], rng: np.random.Generator) -> Codes:
    """Return for each label a random other concept of its category; `NONE` where there is no other."""
    found = np.full(len(own), NONE, dtype=np.int64)
    groups = np.unique(np.array(categories, dtype=object).astype(str), return_inverse=True)[1]
    drawn = rng.random(len(own))  # one a neuron, whatever the others are
    for concept in np.unique(own[own >= 0]).tolist():
        others = np.flatnonzero(allowed & (groups == groups[concept]))
        others = others[others != concept]
        if len(others):
            mine = own == concept
            found[mine] = others[(drawn[mine] * len(others)).astype(np.int64)]
    return found


def _constant(own: Codes, rng: np.random.Generator) -> Codes:
    """Return the most frequent label for all neurons that have one."""
    labelled = own >= 0
    if not labelled.any():
        return own.copy()
    counts = np.bincount(own[labelled])
    most = rng.choice(np.flatnonzero(counts == counts.max()))
    return np.where(labelled, most, NONE)
