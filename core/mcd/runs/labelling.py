"""From what a run recorded to its labeller: P, and what each rung of significance is tested with."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import cache

import numpy as np
import torch

from mcd.api.concepts import Concept
from mcd.api.scorer import Scorer
from mcd.extraction.image_statistics import NAMES
from mcd.runs.material import Material, bound
from mcd.runs.recorded import Recorded
from mcd.scoring.calibration.nuisances import Nuisances, nuisances_of
from mcd.scoring.calibration.permutation import PermutationUnits
from mcd.scoring.held_out import HeldOut, Naming, halved
from mcd.scoring.labelling import Labeller
from mcd.scoring.ladder import RungData
from mcd.study.calibration import Calibration
from mcd.study.vocabularies.coverage import ABSENT, PRESENT, presence
from mcd.study.wording import Wording

__all__ = ["labeller_of"]

_CELL = ("view", "laterality", "vendor")
"""Facts that are held fixed with all their interactions: how an image was taken."""

_BY_IMAGE = (
    "right: no patient is known, so that half of the images is held out, equal images together; images of one patient "
    "on both sides make labels look better than they are"
)

_NAMING = Calibration(draws=0)
"""Half of the patients gives names, and no significance."""


def labeller_of(
    recorded: Recorded,
    material: Material,
    scorer: Scorer,
    concepts: Sequence[Concept],
    wording: Wording,
    calibration: Calibration,
    count: int,
    untrained: Callable[[str], Iterable[torch.Tensor]] | str | None = None,
) -> Labeller:
    """Return what labels the neurons of a run.

    Parameters
    ----------
    material
        Of the run; see `mcd.runs.material.gather`.
    scorer
        Not yet bound to the probe set.
    count
        How many concepts a neuron keeps.
    untrained
        See `mcd.scoring.ladder.RungData`.

    Raises
    ------
    UsageError, DataError
        See `mcd.runs.material.bound`.
    """
    statistics = cache(recorded.image_statistics)
    return Labeller(
        bound(scorer, material, wording),
        material.similarity,
        concepts,
        calibration,
        recorded.patients,
        count,
        recorded.image_ids,
        RungData(
            lambda: _nuisances(material, statistics()),
            untrained,
            lambda: _held_out(recorded, material, scorer, concepts, wording, calibration.null_seed, statistics()),
        ),
    )


def _nuisances(material: Material, statistics: torch.Tensor | None) -> Nuisances | str:
    """Return what of a run's images can be held fixed, or why nothing can."""
    facts = material.probe.facts
    return nuisances_of(
        {name: [str(one) for one in facts[name]] for name in _CELL},
        None if statistics is None else statistics.numpy(),
        NAMES,
    )


def _held_out(
    recorded: Recorded,
    material: Material,
    scorer: Scorer,
    concepts: Sequence[Concept],
    wording: Wording,
    seed: int,
    statistics: torch.Tensor | None,
) -> HeldOut | str:
    """Return the half of a run's patients that names nothing, or why labels cannot be held against annotations."""
    if len(material.annotations):
        annotated = material.similarity.whole()  # they name the neurons of the other half
    else:
        known = torch.from_numpy(presence(recorded.samples, concepts))
        annotated = torch.full(known.shape, float("nan"))
        annotated[known == PRESENT], annotated[known == ABSENT] = 1, 0
    units = _grouped(recorded, statistics)

    def named_by(rows: Sequence[int]) -> Naming:
        patients, ids = ([every[row] for row in rows] for every in (recorded.patients, recorded.image_ids))
        part = material.part(rows)
        scorer.check(len(rows))
        return Labeller(bound(scorer, part, wording), part.similarity, concepts, _NAMING, patients, 1, ids).first

    return halved(units, annotated, seed, named_by, "" if any(recorded.patients) else _BY_IMAGE)


def _grouped(recorded: Recorded, statistics: torch.Tensor | None) -> PermutationUnits:
    """Return patients; of images whose patient is not known, those with equal statistics are one picture."""
    keys = list(recorded.patients)
    if statistics is not None:
        keys = [
            key or f"\0{row.numpy().tobytes().hex()}" for key, row in zip(keys, statistics, strict=True)
        ]  # no patient has such a key
    ids = np.argsort(np.array(recorded.image_ids), kind="stable")
    return PermutationUnits.of(keys, "patient", ids)
