"""How well explanations simulate neurons: the means of Linear Explanations, from its results of each neuron."""

from __future__ import annotations

from mcd_plugins.reproduce.derivations.tables import column, table

__all__ = ["mean_ablation", "mean_correlation"]


def mean_correlation(content: bytes) -> float:
    """Return the mean over neurons of the correlation between activation and simulation."""
    return float(column(table(content), "sim correlation").mean())


def mean_ablation(content: bytes) -> float:
    """Return the mean over neurons of the ablation score, with the simulation scaled at its best."""
    return float(column(table(content), "sim ablation(optim)").mean())
