"""What a layer's neurons are named, as arrays: as it is, and as it would be with other patients."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from mcd.api.concepts import Concept
from mcd.errors import UsageError
from mcd.runs.dissection import Dissection
from mcd.scoring.ordering import above_chance

__all__ = [
    "NOTHING",
    "Codes",
    "Outcome",
    "Vocabulary",
    "level_of",
    "read_outcomes",
    "significance",
    "significant_labels",
]

Codes = NDArray[np.int64]
Values = NDArray[np.float64]

NOTHING = -1
"""The number in place of a concept's where a neuron has no significant first label."""


@dataclass(frozen=True)
class Outcome:
    """The first labels of one layer.

    Parameters
    ----------
    layer
        Its name.
    first
        ``(neurons,)``: number of each neuron's first concept, `NOTHING` where it has no label.
    significant
        ``(neurons,)``: whether that is significant.
    z, score
        ``(neurons,)``: of the first label; NaN where there is none.
    """

    layer: str
    first: Codes
    significant: NDArray[np.bool_]
    z: Values
    score: Values

    @property
    def neurons(self) -> int:
        """How many neurons the layer has."""
        return len(self.first)

    @property
    def labelled(self) -> int:
        """How many of them have a label, significant or not."""
        return int((self.first != NOTHING).sum())

    @property
    def concept(self) -> Codes:
        """``(1, neurons)``: number of each significant first concept, `NOTHING` for all others."""
        return np.where(self.significant, self.first, NOTHING)[None]


@dataclass(frozen=True)
class Vocabulary:
    """The concepts of a comparison by number, and where they belong.

    Parameters
    ----------
    concepts
        In the order of the concept set.
    """

    concepts: tuple[Concept, ...]

    def names(self, level: str) -> list[str]:
        """Return the names of a level (``broad_category``, ``category``, ``concept``) in the order of the set."""
        if level == "concept":
            return [one.term for one in self.concepts]
        return list(dict.fromkeys(getattr(one, level) for one in self.concepts))

    def membership(self, level: str) -> Codes:
        """Return for each concept the number of its name at a level, ``(concepts,)``."""
        if level == "concept":
            return np.arange(len(self.concepts), dtype=np.int64)
        number = {name: at for at, name in enumerate(self.names(level))}
        return np.array([number[getattr(one, level)] for one in self.concepts], dtype=np.int64)

    @property
    def mammographic(self) -> NDArray[np.bool_]:
        """Which concepts are about the breast, ``(concepts,)``."""
        return np.array([one.mammographic for one in self.concepts], dtype=bool)

    def counts(self, codes: Codes) -> Codes:
        """Return how many neurons carry each concept, ``(resamples, concepts)``, from codes ``(resamples, neurons)``.

        `NOTHING` counts for none.
        """
        width = len(self.concepts) + 1
        rows = np.arange(len(codes))[:, None] * width
        found = np.bincount((codes + 1 + rows).ravel(), minlength=len(codes) * width)
        return found.reshape(len(codes), width)[:, 1:].astype(np.int64)

    def summed(self, counts: Codes, level: str) -> Codes:
        """Return counts by concept ``(resamples, concepts)`` summed by the names of a level."""
        found = np.zeros((len(self.names(level)), len(counts)), dtype=np.int64)
        np.add.at(found, self.membership(level), counts.T)
        return found.T


def level_of(vocabulary: Vocabulary, level: str) -> list[tuple[str, int]]:
    """Return the names of a level, each with how many concepts of the vocabulary are in it."""
    sizes = np.bincount(vocabulary.membership(level), minlength=len(vocabulary.names(level)))
    return list(zip(vocabulary.names(level), sizes.tolist(), strict=True))


def read_outcomes(dissection: Dissection, concepts: Sequence[Concept]) -> dict[str, Outcome]:
    """Return the first labels of every layer of a run, from its label table.

    Raises
    ------
    UsageError
        When significance was not computed for the run: its scores alone are not comparable.
    """
    number = {one.term: at for at, one in enumerate(concepts)}
    rate = significance(dissection)
    table = dissection.labels
    table = table[table["rank"].isna() | (table["rank"] == 1)].sort_values(["neuron"], kind="stable")
    if not table["q"].notna().any() and (table["status"] == "labelled").any():
        raise UsageError(
            f"{dissection.folder} has no significance, and the scale of scores depends on layer and model",
            f"compute it first: mcd score {dissection.folder} --draws 1000",
        )
    found = {}
    for layer, rows in table.groupby("layer", sort=False):
        found[str(layer)] = _outcome(str(layer), rows, number, rate)
    return {layer: found[layer] for layer in dissection.layers if layer in found}


def _outcome(layer: str, rows: pd.DataFrame, number: dict[str, int], rate: float) -> Outcome:
    return Outcome(
        layer=layer,
        first=np.array([number.get(term, NOTHING) for term in rows["concept"]], dtype=np.int64),
        significant=(rows["q"] <= rate).to_numpy(dtype=bool),
        z=rows["z"].to_numpy(dtype=np.float64),
        score=rows["score"].to_numpy(dtype=np.float64),
    )


def significance(dissection: Dissection) -> float:
    """Return the false discovery rate (q) of a run's significant labels."""
    return dissection.manifest.q


def significant_labels(dissection: Dissection) -> pd.DataFrame:
    """Return the kept labels of a run that are significant, of neurons whose first label is."""
    return dissection.labels[above_chance(dissection.labels, significance(dissection))]
