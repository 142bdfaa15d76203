"""The runs of a comparison, loaded and resampled with the same patients."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import pandas as pd
import torch

from mcd.comparison.alignment import check_same_rows, depths
from mcd.comparison.examine import Examined, Examiner
from mcd.comparison.layers import AlignedLayer
from mcd.comparison.outcomes import Outcome, Vocabulary, read_outcomes, significant_labels
from mcd.comparison.represented import represented
from mcd.events import Warned
from mcd.extraction.shared_store import OFF
from mcd.extraction.sharing import shared_store
from mcd.runs.dissection import Dissection
from mcd.runs.limits import has_probe_map
from mcd.runs.manifest import ScoreRecord
from mcd.runs.revived import StoredScores
from mcd.runs.stored_nulls import kept_nulls
from mcd.scoring.calibration.resamples import Resamples
from mcd.scoring.kept_nulls import KeptNulls

__all__ = ["LoadedRun", "load_runs"]


@dataclass(frozen=True)
class LoadedRun:
    """A run of a comparison.

    Parameters
    ----------
    name
        Its name in the comparison.
    dissection, reading, vocabulary
        The run, how its scores are to be read, and its concepts.
    outcomes
        First labels by layer, as stored.
    examiner, examined
        The run resampled, layer by layer; None and empty where it was shared without its folder private, or its
        scorer was given in Python and is not at hand.
    """

    name: str
    dissection: Dissection
    reading: ScoreRecord
    vocabulary: Vocabulary
    outcomes: Mapping[str, Outcome]
    examiner: Examiner | None = None
    examined: Mapping[str, Examined] = field(default_factory=dict)

    def aligned(self, layer: str, place: str) -> AlignedLayer:
        """Return a layer, aligned with a layer of the reference."""
        found = self.examined.get(layer)
        depth = depths(self.dissection.layers)[layer]
        return AlignedLayer(self.name, place, depth, self.outcomes[layer], found.replicated if found else None)

    def concepts(self) -> pd.DataFrame:
        """Return the answer for every mammographic concept; see `represented`."""
        outcomes, examined = list(self.outcomes.values()), list(self.examined.values())
        return represented(
            self.name,
            self.vocabulary,
            outcomes,
            examined,
            self.examiner,
            significant_labels(self.dissection),
            self.dissection.labels[self.dissection.labels["rank"] == 1],
            self.dissection.results.learned,
        )

    def carriers(self) -> pd.DataFrame:
        """Return how many neurons of each layer have each concept as a significant one, first label or not.

        Columns: ``run``, ``layer``, ``concept``, ``carriers``; without concepts that are significant for no neuron
        of a layer. Where the run cannot be scored again only kept labels are counted.
        """
        if self.examiner is None:
            counted = (
                significant_labels(self.dissection)
                .groupby(["layer", "concept"], sort=False)
                .size()
                .rename("carriers")
                .reset_index()
            )
            counted.insert(0, "run", self.name)
            return counted
        rows = [
            (self.name, layer, concept.term, count)
            for layer, found in self.examined.items()
            for concept, count in zip(self.vocabulary.concepts, found.carriers.tolist(), strict=True)
            if count
        ]
        return pd.DataFrame(rows, columns=["run", "layer", "concept", "carriers"])


def load_runs(
    stored: Sequence[StoredScores], names: Sequence[str], resamples: int, seed: int
) -> tuple[list[LoadedRun], list[str]]:
    """Load runs, and resample all of them with the same patients, so that differences are paired.

    Parameters
    ----------
    names
        Their names in the comparison.
    resamples, seed
        Number of resamples, 0 for none, and their seed.

    Returns
    -------
    list of LoadedRun, list of str
        The runs, and notes on them.

    Raises
    ------
    UsageError
        When significance was not computed for a run, or the runs have different images.
    DataError
        When a run's labels are not reproduced by its settings.
    """
    vocabulary = Vocabulary(stored[0].concepts.concepts)
    outcomes = [read_outcomes(one.dissection, vocabulary.concepts) for one in stored]
    whole = [one.dissection for one in stored if has_probe_map(one.dissection)]
    drawn, notes = None, []
    if whole:
        check_same_rows(whole)
        drawn = Resamples.draw(whole[0].patients, resamples, seed) if resamples else None
        notes += [] if resamples else ["no intervals were asked for"]
    found, nulls = [], _nulls(stored)
    for one, name, labels in zip(stored, names, outcomes, strict=True):
        run = LoadedRun(name, one.dissection, one.reading, vocabulary, labels)
        if one.without:
            reason = (
                f"the scorer of {name} was given in Python and is not at hand; with it: mcd.load(RUN, scorer=…). "
                "Carriers are counted among kept labels"
            )
        elif has_probe_map(one.dissection):
            run, reason = _examined(run, Examiner(one, nulls), drawn)
        else:
            reason = f"{name} was shared without its folder private, which also holds the findings of the probe set"
        notes += [f"no intervals: {reason}"] if reason else []
        found.append(run)
    if drawn is not None and drawn.unit == "image" and _has_intervals(found):
        notes.append("intervals are over images, since patients are not known: over patients they would be wider")
    return found, list(dict.fromkeys(notes))


def _nulls(stored: Sequence[StoredScores]) -> KeptNulls:
    """Return the nulls that runs share, with those of this user's store unless a run was made without one."""
    off = any(str(one.study.store) == OFF for one in stored)
    shared, emit = shared_store(Path(OFF) if off else None, torch.device("cpu")), stored[0].dissection.host.emit
    return kept_nulls(shared, lambda said: emit(Warned(said)))


def _examined(run: LoadedRun, examiner: Examiner, drawn: Resamples | None) -> tuple[LoadedRun, str]:
    """Return a run resampled, and the reason where it was not."""
    unable = examiner.unresampled(drawn) if drawn is not None else ""
    again = {one.layer: one for one in examiner.layers(run.outcomes, None if unable else drawn)}
    reason = f"{examiner.scorer.name} cannot be resampled, {unable}" if unable else ""
    return replace(run, examiner=examiner, examined=again), reason


def _has_intervals(found: Sequence[LoadedRun]) -> bool:
    return any(one.replicated is not None for run in found for one in run.examined.values())
