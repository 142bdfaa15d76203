"""CLIP-Dissect's published labels, and the threshold that its descendants put on them."""

from __future__ import annotations

import pandas as pd

from mcd.plugins import read_labels

__all__ = ["distinct_labels", "share_above_the_mean"]


def distinct_labels(content: bytes, layer: str) -> int:
    """Return how many different labels the neurons of a layer have."""
    return int(_layer(content, layer)["concept"].nunique())


def share_above_the_mean(content: bytes, layer: str) -> float:
    """Return the share of a layer's neurons whose score is at least the mean of the layer.

    Mammo-CLIP Dissect (arXiv 2509.21102) keeps these.
    """
    scores = _layer(content, layer)["score"]
    return float((scores >= scores.mean()).mean())


def _layer(content: bytes, layer: str) -> pd.DataFrame:
    """Return the labels of a layer.

    Raises
    ------
    ValueError
        When it has none.
    """
    labels = read_labels(content).labels
    rows = labels[labels["layer"] == layer]
    if rows.empty:
        raise ValueError(f"no row is of the layer {layer}")
    return rows
