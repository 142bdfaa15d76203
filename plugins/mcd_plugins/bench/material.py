"""What units are planted into: images of which it is known what they show, a layer's activations on them, and P."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

import mcd
from mcd_plugins.bench.contract import Flags, Located, Matrix, Values

__all__ = ["Material", "fixed_by", "levels", "normalised"]

_NAMED, _COMPONENTS = 6, 5
"""Statistics of an image that are held fixed one by one, and principal components of its thumbnail."""


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
        standard = levels(self.truth)
        found = {}
        for name, values in self.confounders.items():
            correlation = levels(values[:, None])[:, 0] @ standard / len(standard)
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
