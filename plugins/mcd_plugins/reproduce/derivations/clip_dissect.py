"""CLIP-Dissect's published labels, and the threshold that its descendants put on them."""

from __future__ import annotations

from mcd_plugins.reproduce.derivations.tables import column, layer_of, table

__all__ = ["distinct_labels", "share_above_the_mean"]


def distinct_labels(content: bytes, layer: str) -> int:
    """Return how many different labels the neurons of a layer have."""
    return int(layer_of(table(content), layer)["description"].nunique())


def share_above_the_mean(content: bytes, layer: str) -> float:
    """Return the share of a layer's neurons whose score is at least the mean of the layer.

    Mammo-CLIP Dissect (arXiv 2509.21102) keeps these.
    """
    scores = column(layer_of(table(content), layer), "similarity")
    return float((scores >= scores.mean()).mean())
