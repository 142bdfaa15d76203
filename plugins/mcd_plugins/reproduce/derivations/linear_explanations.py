"""How well explanations simulate neurons: the means of Linear Explanations, from its results of each neuron."""

from __future__ import annotations

from mcd.plugins import read_labels

__all__ = ["mean_ablation", "mean_correlation"]


def mean_correlation(content: bytes) -> float:
    """Return the mean over neurons of the correlation between activation and simulation."""
    return float(read_labels(content).numbers("sim correlation").mean())


def mean_ablation(content: bytes) -> float:
    """Return the mean over neurons of the ablation score, with the simulation scaled at its best."""
    return float(read_labels(content).numbers("sim ablation(optim)").mean())
