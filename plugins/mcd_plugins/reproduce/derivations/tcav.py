"""How often the t-test of TCAV calls a random concept significant.

The test (Kim et al., ICML 2018) draws the negatives of a concept's vectors anew, and compares their scores with those
of random vectors. All of a concept's vectors share its positives, so their scores share these images' sampling noise:
the more vectors, the more certain the test is of it. `of_random_sets` draws the positives too.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import stats

__all__ = ["of_random_sets", "share_rejected"]

Vectors = NDArray[np.float64]

_WIDTH, _HIDDEN = 64, 64
_EXAMPLES, _IMAGES = 50, 200
_TRIALS = 200
_RIDGE = 1.0
_SEED = 0


def share_rejected(vectors: int) -> float:
    """Return the share of random concepts with p ≤ 0.05 by the published test, of 200 trials.

    Features are independent standard normal, 64 wide; the class is the output of a random network with one hidden
    layer of ReLU; a vector separates 50 positives from 50 negatives by ridge regression.
    """
    random = np.random.default_rng(_SEED)
    rejected = 0
    for _ in range(_TRIALS):
        gradients = _gradients(random)
        concept = _scores(gradients, _drawn(random, 1), _drawn(random, vectors))
        chance = _scores(gradients, _drawn(random, vectors), _drawn(random, vectors))
        rejected += bool(stats.ttest_ind(concept, chance).pvalue <= 0.05)
    return rejected / _TRIALS


def of_random_sets(vectors: int, sets: int = 99) -> float:
    """Return the same share where the mean score is compared with that of whole random concepts.

    The null draws the positives too: p = (1 + number of random concepts whose mean score is as far from 0.5) /
    (sets + 1).
    """
    random = np.random.default_rng(_SEED)
    rejected = 0
    for _ in range(_TRIALS):
        gradients = _gradients(random)
        means = np.array([_mean(gradients, random, vectors) for _ in range(sets + 1)])
        distances = np.abs(means - 0.5)
        rejected += bool((1 + int((distances[1:] >= distances[0]).sum())) / (sets + 1) <= 0.05)
    return rejected / _TRIALS


def _mean(gradients: Vectors, random: np.random.Generator, vectors: int) -> float:
    return float(_scores(gradients, _drawn(random, 1), _drawn(random, vectors)).mean())


def _drawn(random: np.random.Generator, sets: int) -> Vectors:
    """Return features of examples, ``(sets, examples, width)``."""
    return random.normal(size=(sets, _EXAMPLES, _WIDTH))


def _gradients(random: np.random.Generator) -> Vectors:
    """Return the class logit's gradient at the features of each image, ``(images, width)``."""
    first = random.normal(size=(_HIDDEN, _WIDTH)) / np.sqrt(_WIDTH)
    second = random.normal(size=_HIDDEN)
    features = random.normal(size=(_IMAGES, _WIDTH))
    gradients: Vectors = ((features @ first.T > 0) * second) @ first
    return gradients


def _scores(gradients: Vectors, positives: Vectors, negatives: Vectors) -> Vectors:
    """Return the share of images whose logit grows along each vector, ``(sets,)``; one set of positives serves all."""
    positives = np.broadcast_to(positives, negatives.shape)
    features = np.concatenate([positives, negatives], axis=1)
    features = features - features.mean(axis=1, keepdims=True)
    present = np.repeat([1.0, -1.0], _EXAMPLES)
    transposed = features.transpose(0, 2, 1)
    ridge = transposed @ features + _RIDGE * np.eye(_WIDTH)
    vectors = np.linalg.solve(ridge, (transposed @ present)[..., None])[..., 0]
    shares: Vectors = (gradients @ vectors.T > 0).mean(axis=0)
    return shares
