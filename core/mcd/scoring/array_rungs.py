"""The rungs above the first for plain arrays: what `mcd.label` is given of images, random networks and annotations."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
import torch

from mcd.api.probe import Probe
from mcd.api.scorer import Scorer
from mcd.errors import DataError, amount
from mcd.scoring.calibration.nuisances import Nuisances, nuisances_of
from mcd.scoring.calibration.permutation import PermutationUnits
from mcd.scoring.held_out import HeldOut, Naming, halved
from mcd.scoring.labelling import Labeller
from mcd.scoring.ladder import RungData
from mcd.scoring.rungs import COLUMNS, IMAGE, NUISANCE, RIGHT, UNTRAINED
from mcd.scoring.similarity import Matrix
from mcd.study.calibration import Calibration

__all__ = ["CELL", "check_rows", "columns_of", "rung_data"]

CELL = ("view", "laterality", "vendor")
"""Facts that are held fixed with all their interactions: how an image was taken."""

_NAMING = Calibration(draws=0)
_BY_IMAGE = "right: no patient is known, so that half of the images is held out"


def columns_of(
    nuisances: torch.Tensor | None, untrained: Sequence[torch.Tensor], annotations: torch.Tensor | None
) -> list[str]:
    """Return the columns of the label table for the rungs that were asked for: none where none was."""
    asked = {NUISANCE: nuisances is not None, UNTRAINED: bool(untrained), RIGHT: annotations is not None}
    columns = [column for rung, column in COLUMNS.items() if rung != IMAGE and asked[rung]]
    return [*columns, "rung"] if columns else []


def rung_data(
    similarity: torch.Tensor,
    scorer: Scorer,
    probe: Probe,
    ids: Sequence[str],
    seed: int,
    nuisances: torch.Tensor | None,
    untrained: Sequence[torch.Tensor],
    annotations: torch.Tensor | None,
) -> RungData:
    """Return what the rungs are tested with.

    Parameters
    ----------
    similarity
        P, ``(images, concepts)``.
    scorer
        Not yet bound to the probe set.
    probe, ids
        Facts and ids of the images.
    seed
        Of the halves of patients.
    nuisances, untrained, annotations
        See `mcd.label`; None or empty where a rung is not asked for.

    Raises
    ------
    DataError
        When they are not of these images or concepts.
    """
    concepts = similarity.shape[1]
    if annotations is not None and annotations.shape[1] != concepts:
        raise DataError(
            f"annotations have {amount(annotations.shape[1], 'column')} for {amount(concepts, 'concept')}",
            "give one a column",
        )
    if annotations is not None and not bool(((annotations == 0) | (annotations == 1) | annotations.isnan()).all()):
        raise DataError("annotations hold other values than 1, 0 and NaN", "1 is present, 0 absent, NaN not known")
    return RungData(
        (lambda: "not asked for") if nuisances is None else lambda: _fixed(nuisances, probe.facts),
        (lambda _layer: untrained) if untrained else None,
        (lambda: "not asked for")
        if annotations is None
        else lambda: _held_out(similarity, scorer, probe, ids, seed, annotations),
    )


def check_rows(name: str, values: torch.Tensor | None, images: int) -> None:
    """Refuse what is not of as many images as the activations."""
    if values is not None and len(values) != images:
        raise DataError(
            f"{name}: {amount(len(values), 'image')}, not the {images} of activations", "give all for the same images"
        )


def _fixed(nuisances: torch.Tensor, facts: pd.DataFrame) -> Nuisances | str:
    names = [f"nuisance {number}" for number in range(nuisances.shape[1])]
    cells: dict[str, Sequence[str]] = {name: [str(one) for one in facts[name]] for name in CELL}
    return nuisances_of(cells, nuisances.numpy() if names else None, names)


def _held_out(
    similarity: torch.Tensor, scorer: Scorer, probe: Probe, ids: Sequence[str], seed: int, annotations: torch.Tensor
) -> HeldOut | str:
    def named_by(rows: Sequence[int]) -> Naming:
        part = probe.part(rows)
        scorer.check(len(rows))
        own = Matrix(similarity[list(rows)])
        patients, names = [probe.patients[row] for row in rows], [ids[row] for row in rows]
        return Labeller(scorer.for_probe(part), own, probe.concepts, _NAMING, patients, 1, names).first

    order = np.argsort(np.array(ids), kind="stable")
    units = PermutationUnits.of(probe.patients, "patient", order)
    return halved(units, annotations, seed, named_by, "" if any(probe.patients) else _BY_IMAGE)
