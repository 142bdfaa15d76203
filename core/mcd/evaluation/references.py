"""What labels are judged against: for every image and concept whether, or how clearly, it shows the concept."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from mcd.api.concepts import Concept
from mcd.errors import DataError, UsageError
from mcd.evaluation.agreement import predicted, top_thresholds
from mcd.runs.dissection import Dissection
from mcd.runs.revived import StoredScores
from mcd.scoring.calibration.permutation import PermutationUnits
from mcd.scoring.similarity import Matrix, Similarity

__all__ = ["FEWEST", "TOP_SHARE", "Reference", "by_annotations", "by_other", "by_similarity", "complete"]

Values = NDArray[np.float64]
Flags = NDArray[np.bool_]

FEWEST = 5
"""Held-out patients that have a concept, and that lack it; with fewer it is not judged."""
TOP_SHARE = 0.1
"""Share of the held-out images that count as showing a concept where there are similarities: the largest."""


@dataclass(frozen=True)
class Reference:
    """What labels are judged against.

    Parameters
    ----------
    name
        See `mcd.runs.evaluated.AGAINST`.
    values
        ``(images, concepts)`` of all images; NaN where not known.
    assessable
        ``(concepts,)``: which concepts can be judged.
    annotated
        Whether values are 1 and 0, and not similarities.
    """

    name: str
    values: Similarity
    assessable: Flags
    annotated: bool

    def column(self, concept: int) -> Values:
        """Return the values of one concept, ``(images,)``."""
        found: Values = self.values.to(slice(concept, concept + 1))[:, 0].double().numpy()
        return found

    def shown(self, values: Values) -> Flags:
        """Return which of some images show a concept, given its values there, ``(images,)``, none NaN.

        Of similarities, the largest tenth: those no smaller than the k-th largest.
        """
        if self.annotated:
            there: Flags = values == 1
            return there
        if not len(values):
            return np.zeros(0, dtype=bool)
        column = values[:, None]
        return predicted(column, top_thresholds(column, np.array([TOP_SHARE]))[0])[:, 0]


def _enough(annotated: torch.Tensor, held_out: Flags, units: PermutationUnits) -> Flags:
    """Return which concepts enough held-out patients have, and enough lack, ``(concepts,)``."""
    state = annotated[torch.from_numpy(held_out)].numpy()
    own = PermutationUnits.renumbered(units.patient[held_out])
    found: Flags = (own.having(state == 1) >= FEWEST) & (own.having(state == 0) >= FEWEST)
    return found


def by_annotations(annotated: torch.Tensor, held_out: Flags, units: PermutationUnits) -> Reference:
    """Return annotations ``(images, concepts)``, 1, 0 or NaN, as what labels are judged against."""
    return Reference("annotations", Matrix(annotated), _enough(annotated, held_out, units), annotated=True)


def by_similarity(similarity: Similarity) -> Reference:
    """Return the run's own similarities as what labels are judged against."""
    return Reference("held-out", similarity, np.ones(similarity.concepts, dtype=bool), annotated=False)


def by_other(
    run: Dissection, other: Dissection, concepts: Sequence[Concept], held_out: Flags, units: PermutationUnits
) -> Reference:
    """Return the similarities of another run, by another dissector, as what labels are judged against.

    Concepts are the same by their terms. Images are the same by their ids and, where the probe sets differ, by their
    statistics: ids of two folders may be the same where images are not.

    Parameters
    ----------
    concepts
        Of the run.
    units
        Patients of its images.

    Raises
    ------
    UsageError
        When the other run has the same dissector.
    DataError
        When it has none of the held-out images, or none of the concepts.
    """
    if other.manifest.fingerprints.get("dissector") == run.manifest.fingerprints["dissector"]:
        raise UsageError(
            f"{other.folder} has the dissector of {run.folder}, {run.manifest.dissector}",
            "give a run by another dissector: --other RUN",
        )
    scores = StoredScores(other)
    found = scores.material()
    column = {concept.term: at for at, concept in enumerate(scores.concepts.concepts)}
    rows = _rows_in(other, run)
    shared = [(at, column[concept.term]) for at, concept in enumerate(concepts) if concept.term in column]
    if not (rows[held_out] >= 0).any():
        raise DataError(
            f"{other.folder} has none of the held-out images", "give a run of the same probe set: --other RUN"
        )
    if not shared:
        raise DataError(
            f"{other.folder} has none of the concepts of {run.folder}", "give a run of the same concepts: --other RUN"
        )
    theirs = found.similarity.columns([at for _, at in shared])
    there = torch.from_numpy(np.flatnonzero(rows >= 0))
    values = torch.full((len(rows), len(concepts)), float("nan"))
    mine = torch.tensor([at for at, _ in shared])
    values[there[:, None], mine] = theirs[torch.from_numpy(rows[rows >= 0])]
    if len(found.annotations):
        return Reference("other-dissector", Matrix(values), _enough(values, held_out, units), annotated=True)
    known = (~values[torch.from_numpy(held_out)].isnan()).sum(dim=0).numpy() >= 2 * FEWEST
    return Reference("other-dissector", Matrix(values), known, annotated=False)


def _rows_in(other: Dissection, run: Dissection) -> NDArray[np.int64]:
    """Return the row of each image of a run in another one, ``(images,)``; -1 where that does not have it."""
    place = {name: row for row, name in enumerate(other.image_ids)}
    rows = np.array([place.get(name, -1) for name in run.image_ids], dtype=np.int64)
    mine, theirs = run.image_statistics(), other.image_statistics()
    same = run.manifest.fingerprints["probe set"] == other.manifest.fingerprints["probe set"]
    if not same and mine is not None and theirs is not None:
        both = np.flatnonzero(rows >= 0)
        equal = (mine[torch.from_numpy(both)] == theirs[torch.from_numpy(rows[both])]).all(dim=1).numpy()
        rows[both[~equal]] = -1
    return rows


def complete(annotated: torch.Tensor, held_out: Flags, units: PermutationUnits) -> Flags:
    """Return of which concepts the truth of every image is known, and both occur, ``(concepts,)``."""
    known: Flags = (~annotated.isnan()).all(dim=0).numpy()
    return known & _enough(annotated, held_out, units)
