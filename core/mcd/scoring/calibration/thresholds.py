"""The mean-score threshold of the paper: a label counts where its score reaches a mean. It is no significance test.

Mammo-CLIP Dissect (arXiv 2509.21102) keeps a neuron where the score of its first label reaches the mean of all first
labels of the layer: its own model's (local), or the higher one of two models (global). On neurons that respond to
nothing it keeps almost half. It is here so that published figures can be made again.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray

__all__ = ["MeanScoreThreshold", "global_threshold", "local_threshold", "reaches"]

Values = NDArray[np.floating]
MeanScoreThreshold = Literal["local", "global"]


def local_threshold(scores: Values) -> float:
    """Return the mean score of the first labels of a layer, ``(neurons,)``; neurons without one (NaN) take no part.

    NaN where no neuron has a label. Source: the published code's ``Mean_similarity`` by layer.
    """
    known = np.asarray(scores, dtype=np.float64)
    known = known[~np.isnan(known)]
    return float(known.mean()) if len(known) else float("nan")


def global_threshold(*layers: Values, higher_is_better: bool = True) -> float:
    """Return the strictest of the local thresholds of several models at a layer.

    Parameters
    ----------
    layers
        Scores of first labels, ``(neurons,)`` each: the layer of one model, and what it is compared with.
    higher_is_better
        As the scorer says. The published code knows only scores of which the highest is best.
    """
    means = [mean for mean in map(local_threshold, layers) if not np.isnan(mean)]
    if not means:
        return float("nan")
    return max(means) if higher_is_better else min(means)


def reaches(scores: Values, threshold: float, *, higher_is_better: bool = True) -> NDArray[np.bool_]:
    """Say of each score whether it reaches a threshold; one that is NaN does not."""
    found: NDArray[np.bool_] = scores >= threshold if higher_is_better else scores <= threshold
    return found
