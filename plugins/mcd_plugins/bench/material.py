"""What units are planted into: images of which it is known what they show, a layer's activations on them, and P."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

import mcd
from mcd_plugins.bench.contract import Flags, Located, Matrix, Values

__all__ = ["Material", "correlations", "fixed_by", "levels", "normalised"]

_NAMED, _COMPONENTS = 6, 5
"""Statistics of an image that are held fixed one by one, and principal components of its thumbnail."""
_FEWEST_TOGETHER = 8
"""Images of which both of two things are known, from which on their correlation says something."""


@dataclass(frozen=True, eq=False)
class Material:
    """Images, a layer and a dissector, before anything is planted; see `mcd_plugins.bench.contract.Case` for shapes.

    Parameters
    ----------
    name
        What tables say of it: images and network.
    activations
        A of the layer as it is, ``(images, units)``.
    truth
        ``(images, concepts)`` float64: how far each image shows each concept, what plants are made of; NaN where it is
        not known. 0 and 1 where it is annotated.
    truth_is
        Where it comes from: ``"annotations"``, or ``"similarity"``: P itself.
    confounders
        Name → ``(images,)`` float64: what confounded units follow.
    others
        The rest as in a case.
    """

    name: str
    activations: Matrix
    similarity: Matrix
    images: Matrix
    texts: Matrix
    empty: Matrix
    truth: Values
    truth_is: str
    annotations: Matrix
    patients: tuple[str, ...]
    concepts: tuple[mcd.Concept, ...]
    confounders: Mapping[str, Values]
    facts: Mapping[str, Sequence[str]] = field(default_factory=dict)
    statistics: Matrix | None = None
    untrained: tuple[Matrix, ...] = ()
    maps: Matrix | None = None
    boxes: tuple[tuple[Located, ...], ...] = ()

    @property
    def live(self) -> Flags:
        """Which units of the layer respond to something, ``(units,)``."""
        found: Flags = self.activations.max(axis=0) > self.activations.min(axis=0)
        return found

    def shortcuts(self) -> dict[str, str]:
        """Return for each confounder the concept that correlates with it most, with the correlation."""
        found = {}
        for name, values in self.confounders.items():
            correlation = correlations(values[:, None], self.truth)[0]
            most = int(np.abs(correlation).argmax())
            found[name] = f"{self.concepts[most].term} {correlation[most]:.2f}"
        return found


def levels(truth: Values) -> Values:
    """Return truth ``(images, n)`` with mean 0 and variance 1 in each column; 0 where it is not known, or all the same.

    Nothing is planted into an image of which the truth is not known.
    """
    known = ~np.isnan(truth)
    count = np.maximum(known.sum(axis=0), 1)
    centred = np.where(known, truth - np.where(known, truth, 0).sum(axis=0) / count, 0)
    spread = np.sqrt((centred**2).sum(axis=0) / count)
    found: Values = np.divide(centred, spread, out=np.zeros_like(centred), where=spread > 0)
    return found


def correlations(one: Values, other: Values) -> Values:
    """Return Pearson's r of each column of one table with each of another, over the images of which both are known.

    0 where these are fewer than eight, or one of the two is the same on all of them.

    Parameters
    ----------
    one, other
        ``(images, n)`` and ``(images, m)``; NaN where not known.

    Returns
    -------
    numpy.ndarray
        ``(n, m)``.
    """
    (a, there), (b, here) = ((levels(some), (~np.isnan(some)).astype(np.float64)) for some in (one, other))
    count = there.T @ here
    images = np.maximum(count, 1)
    mean_a, mean_b = a.T @ here / images, there.T @ b / images
    spread = ((a**2).T @ here / images - mean_a**2) * (there.T @ b**2 / images - mean_b**2)
    known = (count >= _FEWEST_TOGETHER) & (spread > np.finfo(np.float64).eps)
    found: Values = np.zeros_like(spread)
    np.divide(a.T @ b / images - mean_a * mean_b, np.sqrt(np.maximum(spread, 0)), out=found, where=known)
    return found


def normalised(rows: Matrix) -> Matrix:
    """Return rows of length 1, float32."""
    wide = rows.astype(np.float64)
    found: Matrix = (wide / np.linalg.norm(wide, axis=-1, keepdims=True)).astype(np.float32)
    return found


def fixed_by(statistics: Matrix) -> Matrix:
    """Return what a run holds fixed of the statistics of its images: the named ones, and components of the thumbnail.

    Parameters
    ----------
    statistics
        ``(images, n)``, as `mcd.Dissection.image_statistics` returns them.

    Returns
    -------
    numpy.ndarray
        ``(images, at most 11)`` float32.
    """
    thumbnail = statistics[:, _NAMED:].astype(np.float64)
    left, size, _ = np.linalg.svd(thumbnail - thumbnail.mean(axis=0), full_matrices=False)
    kept = left[:, :_COMPONENTS][:, size[:_COMPONENTS] > 0]
    return np.concatenate([statistics[:, :_NAMED], kept], axis=1).astype(np.float32)
