"""Half of a run's patients names its neurons anew; the other half can judge those names."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from mcd.api.concepts import Concept
from mcd.api.scorer import Scorer
from mcd.errors import DataError
from mcd.runs.material import Material, bound
from mcd.runs.recorded import Recorded
from mcd.scoring.calibration.permutation import PermutationUnits, Rows
from mcd.scoring.labelling import Labeller
from mcd.study.calibration import Calibration
from mcd.study.vocabularies.coverage import ABSENT, PRESENT, UNKNOWN, presence
from mcd.study.wording import Wording

__all__ = ["annotated_of", "columns_annotated", "naming_half", "scorer_for", "units_of"]

_NAMING = Calibration(draws=0)
"""Names without significance."""


def units_of(recorded: Recorded, statistics: torch.Tensor | None) -> PermutationUnits:
    """Return patients; of images whose patient is not known, those with equal statistics are one picture."""
    keys = list(recorded.patients)
    if statistics is not None:
        keys = [
            key or f"\0{row.numpy().tobytes().hex()}" for key, row in zip(keys, statistics, strict=True)
        ]  # no patient has such a key
    ids = np.argsort(np.array(recorded.image_ids), kind="stable")
    return PermutationUnits.of(keys, "patient", ids)


def annotated_of(recorded: Recorded, material: Material, concepts: Sequence[Concept]) -> torch.Tensor:
    """Return what is annotated of the images of a run, ``(images, concepts)`` float32: 1, 0, NaN where not known."""
    if len(material.annotations):
        return material.similarity.whole()  # they name the neurons
    return _as_floats(presence(recorded.samples, concepts))


def columns_annotated(
    recorded: Recorded, material: Material, concepts: Sequence[Concept]
) -> tuple[torch.Tensor, Rows | None]:
    """Return the same of the concepts that anything is said of, and for each concept its column; -1 where none is.

    There are few such concepts, and a column for each of the others would take more memory than embeddings do.
    """
    if len(material.annotations):
        return annotated_of(recorded, material, concepts), None
    known = presence(recorded.samples, concepts)
    said = np.flatnonzero((known != UNKNOWN).any(axis=0))
    place = np.full(len(concepts), -1, dtype=np.int64)
    place[said] = np.arange(len(said))
    return _as_floats(known[:, said]), place


def _as_floats(states: NDArray[np.int8]) -> torch.Tensor:
    known = torch.from_numpy(states)
    found = torch.full(known.shape, float("nan"))
    found[known == PRESENT], found[known == ABSENT] = 1, 0
    return found


def scorer_for(scorer: Scorer, images: int, whole: int) -> Scorer:
    """Return a scorer for some of a run's images: where its top images are more than these, it has the same share.

    Parameters
    ----------
    images
        How many they are.
    whole
        How many the run has.

    Raises
    ------
    DataError
        When they are too few all the same.
    """
    try:
        scorer.check(images)
    except DataError:
        top_k = getattr(scorer.options, "top_k", None)
        if not isinstance(top_k, int):
            raise
        scorer = type(scorer)(scorer.options.model_copy(update={"top_k": max(1, top_k * images // whole)}))
        scorer.check(images)
    return scorer


def naming_half(
    recorded: Recorded,
    material: Material,
    scorer: Scorer,
    concepts: Sequence[Concept],
    wording: Wording,
    rows: Sequence[int],
    count: int = 1,
    calibration: Calibration = _NAMING,
) -> Labeller:
    """Return what names neurons by some of the images.

    Parameters
    ----------
    scorer
        Not yet bound to a probe set.
    rows
        Numbers of the images.
    count
        How many concepts a neuron keeps.
    calibration
        Significance of the names; by default they have none.

    Raises
    ------
    MCDError
        When these images are too few for the scorer, or lack what it needs.
    """
    patients, ids = ([every[row] for row in rows] for every in (recorded.patients, recorded.image_ids))
    part = material.part(rows)
    scorer.check(len(rows))
    return Labeller(bound(scorer, part, wording), part.similarity, concepts, calibration, patients, count, ids)
