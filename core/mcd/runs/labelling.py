"""From what a run recorded to its labeller: P, and what each rung of significance is tested with."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import cache

import pandas as pd
import torch

from mcd.api.concepts import Concept, ConceptSet
from mcd.api.scorer import Scorer
from mcd.events import Clock
from mcd.extraction.image_statistics import NAMES
from mcd.extraction.texts import TextEncoder
from mcd.networks.running import pick_device
from mcd.runs.annotations import AnnotationReader
from mcd.runs.controls import controlled, tautology
from mcd.runs.halves import columns_annotated, naming_half, units_of
from mcd.runs.manifest import Manifest
from mcd.runs.material import Material, bound, gather
from mcd.runs.recorded import Recorded
from mcd.scoring.activations import Activations
from mcd.scoring.calibration.nuisances import Nuisances, nuisances_of
from mcd.scoring.held_out import HeldOut, Naming, halved
from mcd.scoring.kept_nulls import KeptNulls
from mcd.scoring.labelling import Labeller
from mcd.scoring.ladder import RungData
from mcd.scoring.results import Results
from mcd.study.calibration import Calibration
from mcd.study.study import Study
from mcd.study.wording import Wording

__all__ = ["labelled", "labeller_of", "with_fitted_images"]

Untrained = Callable[[str], Iterable[Activations]] | str | None
"""See `mcd.scoring.ladder.RungData`."""

_CELL = ("view", "laterality", "vendor")
"""Facts that are held fixed with all their interactions: how an image was taken."""

_BY_IMAGE = (
    "right: no patient is known, so that half of the images is held out, equal images together; images of one patient "
    "on both sides make labels look better than they are"
)


def labeller_of(
    recorded: Recorded,
    material: Material,
    scorer: Scorer,
    concepts: Sequence[Concept],
    wording: Wording,
    calibration: Calibration,
    count: int,
    untrained: Untrained = None,
    nulls: KeptNulls | None = None,
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
    nulls
        What was drawn for other runs.

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
        nulls,
    )


def labelled(
    recorded: Recorded,
    manifest: Manifest,
    study: Study,
    concepts: ConceptSet,
    scorer: Scorer,
    encoder: TextEncoder | AnnotationReader,
    controls: Mapping[str, pd.DataFrame],
    clock: Clock,
    *,
    untrained: Untrained,
    nulls: KeptNulls,
) -> Results:
    """Return the labels of a run whose shards are stored, and note in its manifest what they were made of.

    Parameters
    ----------
    study
        Of the run.
    encoder
        Reads the concepts.
    controls
        The label table of each control that is a run of its own.
    untrained, nulls
        As in `labeller_of`.

    Raises
    ------
    UsageError, DataError
        See `mcd.runs.material.bound`.
    """
    material = gather(recorded, concepts, study.prompts, encoder)
    material.similarity.device = pick_device(study.scoring_device)
    labeller = labeller_of(
        recorded,
        material,
        scorer,
        concepts.concepts,
        study.prompts,
        study.calibration,
        study.labels_per_neuron,
        untrained,
        nulls,
    )
    if labeller.scorer.caution:
        clock.warn(labeller.scorer.caution)
    manifest.rungs = labeller.ladder.problems
    manifest.store.digests = encoder.used
    results = labeller.label(manifest.target, recorded.sources(), clock)
    labels = with_fitted_images(results.labels, manifest)
    results = replace(results, labels=labels, annotations=material.annotations)
    if not controls:
        return results
    if tautology(concepts.concepts):
        clock.warn(tautology(concepts.concepts))
    with clock.stage("score controls", 1, "controls") as advanced:
        seen = [one.name for one in manifest.layers if one.units]
        table = controlled(results.labels, labeller, recorded, controls, seen)
        advanced(1)
    return replace(results, controls=table)


def with_fitted_images(labels: pd.DataFrame, manifest: Manifest) -> pd.DataFrame:
    """Return a label table that says where labels are no test on other patients, if they are not somewhere.

    Its column ``fitted_images`` counts the images of the probe set of patients that the units of the layer were fitted
    on.
    """
    kept = {one.name: one.through.kept if one.through else 0 for one in manifest.layers}
    return labels.assign(fitted_images=labels["layer"].map(kept).astype("int64")) if any(kept.values()) else labels


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
    annotated, columns = columns_annotated(recorded, material, concepts)

    def named_by(rows: Sequence[int]) -> Naming:
        return naming_half(recorded, material, scorer, concepts, wording, rows).first

    caution = "" if any(recorded.patients) else _BY_IMAGE
    return halved(units_of(recorded, statistics), annotated, seed, named_by, caution, columns)
