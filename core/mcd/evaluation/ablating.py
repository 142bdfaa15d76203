"""The faithfulness of a stored run: half of its patients names groups of neurons, images of the other half judge."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import pandas as pd
from torch import nn

from mcd.api.model import Target
from mcd.api.ranking import Ties
from mcd.errors import MCDError, UnknownNameError, UsageError
from mcd.evaluation.faithfulness import Ablation, HeldOutImages, faithfulness
from mcd.evaluation.references import by_annotations
from mcd.evaluation.splitting import Split
from mcd.evaluation.tallying import FEWEST_UNITS
from mcd.events import Clock
from mcd.networks.layers import Layer
from mcd.runs.halves import naming_half
from mcd.runs.runnable import How, Runnable, of_run
from mcd.scoring.activations import Activations
from mcd.study.preparer import DatasetLike
from mcd.study.study import ModelChoice

__all__ = ["Ablating", "Faithful", "ablated"]


@dataclass(frozen=True)
class Ablating:
    """What is ablated, and how the target of a run is run again.

    Parameters
    ----------
    settings
        What is ablated.
    how
        Where and how it runs.
    model, dataset
        Those of the run, where it was given Python objects.
    """

    settings: Ablation
    how: How
    model: ModelChoice | Target | nn.Module | None = None
    dataset: DatasetLike | None = None


@dataclass(frozen=True)
class Faithful:
    """A table as `mcd.evaluation.faithfulness.faithfulness` returns it, and what is to be said of it."""

    table: pd.DataFrame
    problems: Sequence[str] = ()
    notes: Sequence[str] = ()


def ablated(split: Split, ablating: Ablating, clock: Clock) -> Faithful:
    """Return what ablating the groups of a run does to the outputs of its target.

    What keeps the target from being run again, or its outputs from being read, is a problem in one sentence.

    Raises
    ------
    UnknownNameError
        When an outcome names no output of the network, or no concept.
    """
    try:
        runnable = of_run(split.run, ablating.how, model=ablating.model, dataset=ablating.dataset)
    except MCDError as error:
        return Faithful(pd.DataFrame(), [_sentence(error)])
    try:
        return _faithful(split, ablating.settings, runnable, clock)
    except UnknownNameError:
        raise
    except MCDError as error:
        return Faithful(pd.DataFrame(), [_sentence(error)])


def _sentence(error: MCDError) -> str:
    hint = " ".join(error.hint.split())
    return f"faithfulness is not tested: {error.summary}" + (f" ({hint})" if hint else "")


def _neurons(layers: Sequence[Layer]) -> tuple[list[str], list[str]]:
    """Return the names of layers whose neurons are seen, which can be ablated, and of those seen through units.

    Raises
    ------
    UsageError
        When neurons are seen of none.
    """
    own = [one.name for one in layers if one.units is None]
    seen = [one.name for one in layers if one.units is not None]
    if seen and not own:
        raise UsageError(
            f"all layers are seen through units, on which nothing in the network depends: {', '.join(seen)}",
            "keep the neurons too: mcd dissect … --neurons",
        )
    return own, seen


def _faithful(split: Split, settings: Ablation, runnable: Runnable, clock: Clock) -> Faithful:
    own, seen = _neurons(runnable.dissected)
    run, study, naming = split.run, split.scores.study, ~split.held_out
    significant = bool(study.calibration.draws)
    labeller = naming_half(
        run,
        split.material,
        split.naming_scorer,
        split.concepts,
        study.prompts,
        np.flatnonzero(naming).tolist(),
        calibration=study.calibration,
    )

    def named_by(layer: str) -> Activations:
        return run.by_neurons(layer).at(np.flatnonzero(naming))

    sources = {layer: partial(named_by, layer) for layer in own}
    labels = labeller.label(run.manifest.target, sources, Clock(lambda event: None)).labels
    weights, factor = np.ones((1, int(split.held_out.sum()))), 1.0
    if split.draws and split.own_units.patients >= FEWEST_UNITS:
        resamples = split.resampled(split.own_units)
        weights, factor = np.concatenate([weights, resamples.weights]), resamples.factor("permutation")
    images = HeldOutImages(
        split.held_out,
        split.own_units.patients,
        weights,
        factor,
        [one.term for one in split.concepts],
        split.annotated,
        by_annotations(split.annotated, split.held_out, split.units).assessable,
    )
    ties = Ties.of(run.image_ids, study.calibration.null_seed)
    table, problems = faithfulness(
        runnable, labels, run.activations, images, settings, ties, split.seed, clock, significant=significant
    )
    notes = []
    if seen:
        left = "a layer that is" if len(seen) == 1 else "layers that are"
        notes.append(
            f"faithfulness leaves out {left} seen through units: nothing in the network depends on these "
            f"({', '.join(seen)})"
        )
    if not significant and len(table):
        notes.append("the run has no significance: neurons are ablated by their first labels, significant or not")
    return Faithful(table, problems, notes)
