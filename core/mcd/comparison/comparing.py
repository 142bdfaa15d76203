"""Runs side by side: what they may be asked together, and the answers as tables."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import pandas as pd

from mcd.comparison.agreement import agreement, check_same_neurons
from mcd.comparison.alignment import align, check_comparable
from mcd.comparison.changes import Changes, Matching, Pairing, changes, pair_neurons
from mcd.comparison.compared import AgreementOf, Comparison, ComparisonSettings
from mcd.comparison.heading import heading_of, names_of, notes_of
from mcd.comparison.layers import (
    AlignedLayer,
    category_table,
    difference_table,
    joined,
    layer_table,
    threshold_table,
)
from mcd.comparison.loaded import LoadedRun, load_runs
from mcd.comparison.of_tables import compare_tables, describe_tables, imported
from mcd.comparison.validity import shared_concepts, validity
from mcd.errors import UsageError
from mcd.networks.process import process_state_kept
from mcd.runs.dissection import Dissection
from mcd.runs.limits import has_probe_map
from mcd.runs.revived import StoredScores
from mcd.scoring.calibration.thresholds import MeanScoreThreshold

__all__ = ["ALIKE", "compare", "describe"]


@process_state_kept()  # the nulls that it draws are kept for other runs
def compare(runs: Sequence[Dissection], settings: ComparisonSettings | None = None) -> Comparison:
    """Lay runs side by side.

    Runs of the same neurons (by other dissectors or scorers) are asked how far they agree; runs of other models what
    each has more of, the change of each neuron where layers are equally wide, and which concepts no neuron represents.
    Where one was imported, how far labels agree, as far as tables say: see `compare_tables`.

    Raises
    ------
    UsageError
        When there are fewer than two runs, or they differ in what must be the same, saying in what.
    DataError
        When a run's labels are not what its settings give now.
    """
    settings = settings or ComparisonSettings()
    if len(runs) < 2:
        raise UsageError("at least two runs are needed to compare", "mcd compare RUN RUN")
    _refuse_twice(runs)
    if imported(runs):
        found = compare_tables(runs, settings)
    else:
        found = _agreements(runs, settings) if _same_neurons(runs) else _Models(runs, settings).comparison()
    return replace(found, runs=tuple(runs), settings=settings)


@process_state_kept()
def describe(runs: Sequence[Dissection], settings: ComparisonSettings | None = None) -> Comparison:
    """Return the tables of one run, or of several side by side.

    Of other models they are those of `compare`. Of a single run, and of runs of the same neurons, they are those that
    need no other model; each layer is then compared with its namesakes.

    Raises
    ------
    UsageError
        When there is no run, or they differ in what must be the same, saying in what.
    DataError
        When a run's labels are not what its settings give now.
    """
    settings = settings or ComparisonSettings()
    if not runs:
        raise UsageError("no run given", "give run folders: mcd compare RUN RUN")
    _refuse_twice(runs)
    if imported(runs):
        return describe_tables(runs, settings)
    return _described(runs, settings) if _same_neurons(runs) else _Models(runs, settings).comparison()


def _refuse_twice(runs: Sequence[Dissection]) -> None:
    folders = [one.folder.resolve() for one in runs]
    twice = next((one.folder for at, one in enumerate(runs) if folders[at] in folders[:at]), None)
    if twice is not None:
        raise UsageError(f"{twice} is given twice", "give each run once")


def _same_neurons(runs: Sequence[Dissection]) -> bool:
    """Say whether runs are of the same neurons, having made sure that they may be laid side by side.

    A target that is seen through other units is compared as another model is.
    """
    same = len({(_target(one), one.manifest.fingerprints.get("units")) for one in runs}) == 1
    for other in runs[1:]:
        (check_same_neurons if same else check_comparable)(runs[0], other)
    return same


def _target(run: Dissection) -> str:
    return run.manifest.fingerprints["target"]


def _agreements(runs: Sequence[Dissection], settings: ComparisonSettings) -> Comparison:
    names = names_of(runs)
    stored = [StoredScores(one) for one in runs]
    scores = [list(one.layers()) for one in stored]  # each is compared with all others
    found = []
    for b in range(1, len(runs)):
        for a in range(b):
            judged, (mine, theirs) = _judged(stored[a], stored[b], settings)
            concepts = [stored[a].concepts.concepts[number] for number in mine]
            each = (
                (layer, one[:, mine], other[:, theirs])
                for (layer, one), (_, other) in zip(scores[a], scores[b], strict=True)
            )
            outcome = agreement(each, concepts, settings.top)
            found.append(AgreementOf(names[a], names[b], outcome, judged))
    notes: tuple[str, ...] = ()
    if settings.threshold is not None:
        notes = ("the mean-score threshold is not applied: it compares models, and these are runs of the same neurons",)
    heading = heading_of(runs, names, [one.reading for one in stored])
    return Comparison(heading, tuple(notes_of(runs, names)), notes, tuple(found))


def _judged(
    a: StoredScores, b: StoredScores, settings: ComparisonSettings
) -> tuple[pd.DataFrame, tuple[list[int], list[int]]]:
    """Return how far an image–text model can be trusted, where the other run is of annotations.

    And the concepts that both have, by their numbers in both: all of them where not.
    """
    if a.dissection.manifest.store.annotations == b.dissection.manifest.store.annotations:
        every = list(range(len(a.concepts.concepts)))
        return pd.DataFrame(), (every, every)
    text, annotations = (b, a) if a.dissection.manifest.store.annotations else (a, b)
    shared = shared_concepts(text.concepts.concepts, annotations.concepts.concepts)
    table = validity(text, annotations, shared, settings.resamples, settings.seed)
    both = set(table["concept"])
    numbers = {one: other for one, other in shared.items() if text.concepts.concepts[one].term in both}
    columns = list(numbers), list(numbers.values())
    return table, columns if text is a else columns[::-1]


def _described(dissections: Sequence[Dissection], settings: ComparisonSettings) -> Comparison:
    if settings.threshold == "global" and len({one.manifest.fingerprints["scorer"] for one in dissections}) > 1:
        raise UsageError("a global threshold over scores of different scorers is not defined", "--threshold local")
    stored = [StoredScores(one, scored=False) for one in dissections]
    runs, notes = load_runs(stored, names_of(dissections), settings.resamples, settings.seed)
    each = [[run.aligned(layer, layer) for layer in run.outcomes] for run in runs]
    thresholds = _thresholds_of_each(runs, each, settings.threshold)
    return replace(
        _of_each(runs, [one for aligned in each for one in [*aligned, joined(aligned)]], notes), thresholds=thresholds
    )


def _thresholds_of_each(
    runs: Sequence[LoadedRun], each: Sequence[Sequence[AlignedLayer]], threshold: MeanScoreThreshold | None
) -> pd.DataFrame:
    """Return the mean-score threshold for runs of the same neurons, which may have other scorers."""
    if threshold is None:
        return pd.DataFrame()
    if threshold == "global":
        places = [list(group) for group in zip(*each, strict=True)]
        return threshold_table(places, runs[0].vocabulary, threshold, higher_is_better=runs[0].reading.higher_is_better)
    tables = [
        threshold_table(
            [[one] for one in aligned], run.vocabulary, threshold, higher_is_better=run.reading.higher_is_better
        )
        for run, aligned in zip(runs, each, strict=True)
    ]
    return pd.concat(tables, ignore_index=True)


def _of_each(runs: Sequence[LoadedRun], aligned: Sequence[AlignedLayer], notes: Sequence[str]) -> Comparison:
    """Return the tables that each run has by itself."""
    dissections, names = [run.dissection for run in runs], [run.name for run in runs]
    vocabulary, readings = runs[0].vocabulary, [run.reading for run in runs]
    comparable = all(one.comparable for one in readings)
    return Comparison(
        heading=heading_of(dissections, names, readings),
        run_notes=tuple(notes_of(dissections, names)),
        own_notes=tuple(notes),
        layers=layer_table(aligned, vocabulary, scores_comparable=comparable),
        categories=category_table(aligned, vocabulary),
        concepts=pd.concat([run.concepts() for run in runs], ignore_index=True),
        carriers=pd.concat([run.carriers() for run in runs], ignore_index=True),
    )


class _Models:
    """A comparison of several models."""

    def __init__(self, dissections: Sequence[Dissection], settings: ComparisonSettings) -> None:
        self.settings = settings
        stored = [StoredScores(one, scored=False) for one in dissections]
        first, *others = dissections
        self.pairs = [align(first.layers, other.layers, settings.align) for other in others]
        self.runs, self.notes = load_runs(stored, names_of(dissections), settings.resamples, settings.seed)
        self.vocabulary = self.runs[0].vocabulary
        for run, pairs in zip(self.runs[1:], self.pairs, strict=True):
            if settings.align == "auto" and any(one.reference != one.other for one in pairs):
                self.notes.append(f"layers of {run.name} have other names: they are aligned by depth")

    def comparison(self) -> Comparison:
        """Return the tables."""
        reference = self.runs[0]
        everything = [aligned for number, run in enumerate(self.runs) for aligned in self._all(number, run)]
        differences, found = [], []
        for run, pairs in zip(self.runs[1:], self.pairs, strict=True):
            mine = [reference.aligned(one.reference, one.reference) for one in pairs]
            theirs = [run.aligned(one.other, one.reference) for one in pairs]
            differences.append(difference_table([*mine, joined(mine)], [*theirs, joined(theirs)], self.vocabulary))
            found += self._changes(run, mine, theirs)
        return replace(
            _of_each(self.runs, everything, self.notes),
            differences=pd.concat(differences, ignore_index=True),
            thresholds=self._thresholds(),
            changes=tuple(found),
        )

    def _all(self, number: int, run: LoadedRun) -> Iterator[AlignedLayer]:
        pairs = self.pairs[number - 1] if number else [one for pairs in self.pairs for one in pairs]
        place = {(one.other if number else one.reference): one.reference for one in pairs}
        aligned = [run.aligned(layer, place.get(layer, "")) for layer in run.outcomes]
        yield from aligned
        yield joined([one for one in aligned if one.place])

    def _thresholds(self) -> pd.DataFrame:
        if self.settings.threshold is None:
            return pd.DataFrame()
        places: dict[str, list[AlignedLayer]] = {}
        for run, pairs in zip(self.runs[1:], self.pairs, strict=True):
            for one in pairs:
                group = places.setdefault(one.reference, [self.runs[0].aligned(one.reference, one.reference)])
                group.append(run.aligned(one.other, one.reference))
        ordered = [places[layer] for layer in self.runs[0].outcomes if layer in places]
        higher = self.runs[0].reading.higher_is_better
        return threshold_table(ordered, self.vocabulary, self.settings.threshold, higher_is_better=higher)

    def _changes(self, run: LoadedRun, mine: Sequence[AlignedLayer], theirs: Sequence[AlignedLayer]) -> list[Changes]:
        same = [(a, b) for a, b in zip(mine, theirs, strict=True) if a.outcome.neurons == b.outcome.neurons]
        if not same or len(same) < len(mine) - 1:  # a new head is what fine-tuning brings along
            self.notes.append(f"neurons of {run.name} are not compared one by one: its layers are not equally wide")
            return []
        if self.settings.match == "identity" and _target(run.dissection) == _target(self.runs[0].dissection):
            self.notes.append(
                f"units of {run.name} are not compared one by one: they are others of the same target; --match "
                "hungarian pairs them by what they respond to"
            )
            return []
        if not self._whole(run) and self.settings.match != "identity":
            raise UsageError(
                "neurons are matched by their activations, which a run shared without its folder private cannot give "
                "image by image",
                "use --match identity, or the whole run folder",
            )
        pairings = [self._pairing(run, a, b) for a, b in same]
        found = changes([a for a, _ in same], [b for _, b in same], pairings, self.vocabulary)
        self.notes += _strangers(run.name, found, self.settings.match)
        return [found]

    def _pairing(self, run: LoadedRun, mine: AlignedLayer, theirs: AlignedLayer) -> Pairing:
        if not self._whole(run):
            return Pairing.unseen(mine.outcome.neurons)
        one = self.runs[0].dissection.activations(mine.outcome.layer)
        return pair_neurons(one, run.dissection.activations(theirs.outcome.layer), self.settings.match)

    def _whole(self, run: LoadedRun) -> bool:
        return has_probe_map(self.runs[0].dissection) and has_probe_map(run.dissection)


ALIKE = 0.3
"""Median correlation of paired neurons below which two models are hardly one grown out of the other."""


def _strangers(name: str, found: Changes, match: Matching) -> Iterator[str]:
    if found.correlation < ALIKE:
        advice = "; without it, --match hungarian pairs them by what they respond to" if match == "identity" else ""
        yield (
            f"neurons paired with those of {name} correlate by {found.correlation:.2f} (median): what became of each "
            f"neuron means something only where one model was trained on from the other{advice}"
        )
