"""The labels that CoSy evaluates: how many there are, and how often two methods agree."""

from __future__ import annotations

from mcd.plugins import read_labels

__all__ = ["agreement", "distinct_labels", "mean_auroc"]


def distinct_labels(content: bytes) -> int:
    """Return how many different labels there are."""
    return int(read_labels(content).labels["concept"].nunique())


def mean_auroc(content: bytes) -> float:
    """Return the mean AUROC that INVERT states for its own labels, on the images that chose them."""
    return float(read_labels(content).numbers("metric").mean())


def agreement(clip_dissect: bytes, invert: bytes) -> float:
    """Return the share of neurons whose label by INVERT is one of the synonyms in that by CLIP-Dissect.

    Raises
    ------
    ValueError
        When the two are of different numbers of neurons.
    """
    first, second = (read_labels(one).labels["concept"] for one in (clip_dissect, invert))
    if len(first) != len(second) or not len(first):
        raise ValueError(f"{len(first)} and {len(second)} neurons")
    pairs = zip(first, second, strict=True)
    same = [two.lower() in [word.strip() for word in one.lower().split(",")] for one, two in pairs]
    return sum(same) / len(same)
