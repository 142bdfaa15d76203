"""What published rules make of neurons that are pure noise.

4,000 images, 763 concepts, 512 neurons; cosines and activations are independent normal, so no neuron has a concept.
"""

from __future__ import annotations

from functools import cache

import torch

import mcd
from mcd_plugins.scorers.soft_wpmi import SoftWPMI

__all__ = ["mean_score", "score_beside", "share_above_the_mean", "significant"]

_IMAGES, _CONCEPTS, _NEURONS = 4000, 763, 512
_FIRST = 32
_SEED = 0


@cache
def _material(deviation: float) -> tuple[torch.Tensor, torch.Tensor]:
    random = torch.Generator().manual_seed(_SEED)
    similarity = deviation * torch.randn(_IMAGES, _CONCEPTS, generator=random)
    return torch.randn(_IMAGES, _NEURONS, generator=random), similarity


def _best(deviation: float, neurons: int = _NEURONS) -> torch.Tensor:
    """Return the highest score of each neuron by soft-WPMI as published, its prior that of the layer."""
    activations, similarity = _material(deviation)
    scorer = SoftWPMI(SoftWPMI.Options(prior="layer"))
    return scorer.score(activations[:, :neurons], similarity).amax(dim=1)


def share_above_the_mean(deviation: float) -> float:
    """Return the share of the neurons whose score is at least the mean of the layer; cosines have that deviation."""
    best = _best(deviation)
    return float((best >= best.mean()).float().mean())


def mean_score(deviation: float) -> float:
    """Return the mean over the neurons of their highest score."""
    return float(_best(deviation).mean())


def score_beside(neurons: int) -> float:
    """Return the mean score of the first 32 neurons in a layer of that many."""
    return float(_best(0.05, neurons)[:_FIRST].mean())


def significant() -> int:
    """Return how many of the neurons are significant at q ≤ 0.05 by the shared null of mcd."""
    activations, similarity = _material(0.05)
    names = [f"concept {number}" for number in range(_CONCEPTS)]
    found = mcd.label(activations, similarity, names)
    return int((found[found["rank"] == 1]["q"] <= 0.05).sum())
