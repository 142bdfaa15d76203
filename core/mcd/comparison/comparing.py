"""Runs side by side: what they may be asked together, and the answers as tables."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pandas as pd

from mcd.calibration.thresholds import PublishedRule
from mcd.comparison.agreement import Agreement, agreement, check_same_neurons
from mcd.comparison.alignment import Alignment, LayerPair, align, check_comparable, check_same_rows, depths
from mcd.comparison.changes import Changes, Matching, Pairing, changes, pair_neurons
from mcd.comparison.examine import Examined, Examiner
from mcd.comparison.heading import Heading, has_probe_map, heading_of, names_of, notes_of
from mcd.comparison.layers import Seen, category_table, difference_table, emergence, joined, layer_table, rule_table
from mcd.comparison.outcomes import Outcome, Vocabulary, read_outcomes, significance
from mcd.comparison.represented import represented
from mcd.comparison.resampling import Resamples
from mcd.comparison.scores import StoredScores
from mcd.dissection import Dissection
from mcd.errors import UsageError

if TYPE_CHECKING:
    from mcd.host import PluginHost

__all__ = ["AgreementOf", "Comparison", "Settings", "compare"]


@dataclass(frozen=True)
class Settings:
    """How runs are compared.

    Parameters
    ----------
    align
        How layers are aligned; see `align`.
    match
        How neurons of layers of the same width are paired; see `pair_neurons`.
    rule
        Whether the published rule is reckoned as well, and which; see `mcd.calibration.thresholds`.
    resamples, seed
        How many probe sets are drawn for intervals, 0 for no intervals; and what decides them.
    top
        How many concepts of a neuron an agreement looks at.
    """

    align: Alignment | Mapping[str, str] = "auto"
    match: Matching = "identity"
    rule: PublishedRule | None = None
    resamples: int = 200
    seed: int = 0
    top: int = 10


@dataclass(frozen=True)
class AgreementOf:
    """How far two runs of the same neurons agree.

    Parameters
    ----------
    a, b
        Names of the runs.
    agreement
        See `Agreement`.
    """

    a: str
    b: str
    agreement: Agreement

    def table(self, part: str) -> pd.DataFrame:
        """Return one of its tables, ``neurons`` (those that differ most first), ``layers`` or ``moves``."""
        found = self.agreement
        if part == "neurons":
            table = found.neurons.sort_values(["same", "overlap", "correlation"], kind="stable")
        else:
            table = found.by("layer") if part == "layers" else found.moves()
        return table.assign(a=self.a, b=self.b)


@dataclass(frozen=True)
class Comparison:
    """What runs say side by side. The first run is the reference.

    Parameters
    ----------
    heading
        What went in, the same for all runs, and a row for each run.
    notes
        What may not be compared, and what the runs do not allow.
    agreements
        For runs of the same neurons, each pair of them. The tables below are then empty.
    layers, categories
        See `layer_table` and `category_table`: of all dissected layers, and of all compared ones together, ``(all)``.
        ``place`` is empty for a layer that is compared with none.
    differences
        See `difference_table`: every other run against the reference.
    rule
        See `rule_table`; without rows where it was not asked for.
    changes
        For each other run whose layers are as wide as those of the reference.
    concepts
        See `represented`.
    """

    heading: Heading
    notes: tuple[str, ...]
    agreements: tuple[AgreementOf, ...] = ()
    layers: pd.DataFrame = field(default_factory=pd.DataFrame)
    categories: pd.DataFrame = field(default_factory=pd.DataFrame)
    differences: pd.DataFrame = field(default_factory=pd.DataFrame)
    rule: pd.DataFrame = field(default_factory=pd.DataFrame)
    changes: tuple[Changes, ...] = ()
    concepts: pd.DataFrame = field(default_factory=pd.DataFrame)

    def tables(self) -> dict[str, pd.DataFrame]:
        """Return every table that has rows, by name; those of several pairs of runs under each other."""
        found = {"runs": self.heading.runs, "layers": self.layers, "categories": self.categories,
                 "differences": self.differences, "rule": self.rule, "concepts": self.concepts}  # fmt: skip
        for part in ("neurons", "layers", "categories", "concepts"):
            parts = [getattr(one, part).assign(run=one.run) for one in self.changes]
            found[f"changes_{part}"] = pd.concat(parts, ignore_index=True) if parts else pd.DataFrame()
        if len(self.layers):
            found["emergence"] = emergence(self.layers, self.categories)
        for part in ("neurons", "layers", "moves"):
            parts = [one.table(part) for one in self.agreements]
            found[f"agreement_{part}"] = pd.concat(parts, ignore_index=True) if parts else pd.DataFrame()
        return {name: table for name, table in found.items() if len(table)}


def compare(host: PluginHost, runs: Sequence[Dissection], settings: Settings | None = None) -> Comparison:
    """Lay runs side by side.

    Runs of the same neurons (by other dissectors or scorers) are asked how far they agree; runs of other models what
    each has more of, what became of each neuron where layers are equally wide, and which concepts nobody carries.

    Raises
    ------
    UsageError
        When there are fewer than two runs, or they differ in what must be the same, saying in what.
    DataError
        When a run's labels are not what its settings give now.
    """
    settings = settings or Settings()
    if len(runs) < 2:
        raise UsageError("at least two runs are needed to compare", "mcd compare RUN RUN")
    same = len({one.manifest.fingerprints["target"] for one in runs}) == 1
    if same:
        for other in runs[1:]:
            check_same_neurons(runs[0], other)
        return _agreements(host, runs, settings)
    for other in runs[1:]:
        check_comparable(runs[0], other)
    return _Models(host, runs, settings).comparison()


def _agreements(host: PluginHost, runs: Sequence[Dissection], settings: Settings) -> Comparison:
    names = names_of(runs)
    stored = [StoredScores(host, one) for one in runs]
    found = []
    for b in range(1, len(runs)):
        for a in range(b):
            scored = zip(stored[a].layers(), stored[b].layers(), strict=True)
            each = ((layer, mine, theirs) for (layer, mine), (_, theirs) in scored)
            outcome = agreement(each, stored[a].concepts.concepts, settings.top)
            found.append(AgreementOf(names[a], names[b], outcome))
    scorers = [one.scorer for one in stored]
    return Comparison(heading_of(runs, names, scorers), tuple(notes_of(runs, names, scorers)), tuple(found))


@dataclass
class _Run:
    """A run of a comparison of models."""

    name: str
    dissection: Dissection
    outcomes: dict[str, Outcome]
    examiner: Examiner | None = None
    examined: dict[str, Examined] = field(default_factory=dict)

    def seen(self, layer: str, place: str) -> Seen:
        found = self.examined.get(layer)
        depth = depths(self.dissection.layers)[layer]
        return Seen(self.name, place, depth, self.outcomes[layer], found.replicated if found else None)


class _Models:
    """A comparison of several models."""

    def __init__(self, host: PluginHost, dissections: Sequence[Dissection], settings: Settings) -> None:
        self.settings = settings
        self.names = names_of(dissections)
        stored = [StoredScores(host, one) for one in dissections]
        self.scorers = [one.scorer for one in stored]
        self.notes = list(notes_of(dissections, self.names, self.scorers))
        self.vocabulary = Vocabulary(stored[0].concepts.concepts)
        self.scorer = stored[0].scorer
        self.runs = [
            _Run(name, one, read_outcomes(one, self.vocabulary.concepts))
            for name, one in zip(self.names, dissections, strict=True)
        ]
        self.pairs = [self._aligned(other) for other in self.runs[1:]]
        self.whole = all(has_probe_map(one) for one in dissections)
        if self.whole:
            self._examine(stored)
        else:
            self.notes.append(
                "no intervals, no matching by activation, nothing of what the probe set shows: a run was shared "
                "without its folder private"
            )

    def _aligned(self, other: _Run) -> tuple[LayerPair, ...]:
        found = align(self.runs[0].dissection.layers, other.dissection.layers, self.settings.align)
        if self.settings.align == "auto" and any(one.reference != one.other for one in found):
            self.notes.append(f"layers of {other.name} have other names: they are aligned by depth")
        return found

    def _examine(self, stored: Sequence[StoredScores]) -> None:
        check_same_rows([one.dissection for one in self.runs])
        for run, scores in zip(self.runs, stored, strict=True):
            run.examiner = Examiner(scores)
        resamples = self._resamples()
        for run in self.runs:
            assert run.examiner is not None
            run.examined = {one.layer: one for one in run.examiner.layers(run.outcomes, resamples)}

    def _resamples(self) -> Resamples | None:
        """Return the probe sets that all runs are resampled with: the same ones, so that differences are of pairs."""
        first = self.runs[0].examiner
        assert first is not None
        if not self.settings.resamples:
            self.notes.append("no intervals were asked for")
            return None
        drawn = Resamples.draw(self.runs[0].dissection.patients, self.settings.resamples, self.settings.seed)
        reason = first.unresampled(drawn)
        if reason:
            self.notes.append(f"no intervals: {self.scorer.name} cannot be resampled, {reason}")
            return None
        if drawn.unit == "image":
            self.notes.append("intervals are over images: patients are not known, and with them they would be wider")
        return drawn

    def comparison(self) -> Comparison:
        """Return the tables."""
        reference = self.runs[0]
        everything = [seen for number, run in enumerate(self.runs) for seen in self._all(number, run)]
        differences, found = [], []
        for run, pairs in zip(self.runs[1:], self.pairs, strict=True):
            mine = [reference.seen(one.reference, one.reference) for one in pairs]
            theirs = [run.seen(one.other, one.reference) for one in pairs]
            differences.append(difference_table([*mine, joined(mine)], [*theirs, joined(theirs)], self.vocabulary))
            found += self._changes(run, mine, theirs)
        comparable = self.scorer.comparable_across_layers
        return Comparison(
            heading=heading_of([one.dissection for one in self.runs], self.names, self.scorers),
            layers=layer_table(everything, self.vocabulary, scores_comparable=comparable),
            categories=category_table(everything, self.vocabulary),
            differences=pd.concat(differences, ignore_index=True),
            rule=self._rule(),
            changes=tuple(found),
            concepts=pd.concat([self._concepts(run) for run in self.runs], ignore_index=True),
            notes=tuple(self.notes),
        )

    def _all(self, number: int, run: _Run) -> Iterator[Seen]:
        pairs = self.pairs[number - 1] if number else [one for pairs in self.pairs for one in pairs]
        place = {(one.other if number else one.reference): one.reference for one in pairs}
        seen = [run.seen(layer, place.get(layer, "")) for layer in run.outcomes]
        yield from seen
        yield joined([one for one in seen if one.place])

    def _rule(self) -> pd.DataFrame:
        if self.settings.rule is None:
            return pd.DataFrame()
        places: dict[str, list[Seen]] = {}
        for run, pairs in zip(self.runs[1:], self.pairs, strict=True):
            for one in pairs:
                group = places.setdefault(one.reference, [self.runs[0].seen(one.reference, one.reference)])
                group.append(run.seen(one.other, one.reference))
        ordered = [places[layer] for layer in self.runs[0].outcomes if layer in places]
        higher = self.scorer.higher_is_better
        return rule_table(ordered, self.vocabulary, self.settings.rule, higher_is_better=higher)

    def _changes(self, run: _Run, mine: Sequence[Seen], theirs: Sequence[Seen]) -> list[Changes]:
        same = [(a, b) for a, b in zip(mine, theirs, strict=True) if a.outcome.neurons == b.outcome.neurons]
        if not same or len(same) < len(mine) - 1:  # a new head is what fine-tuning brings along
            self.notes.append(f"neurons of {run.name} are not compared one by one: its layers are not equally wide")
            return []
        if not self.whole and self.settings.match != "identity":
            raise UsageError(
                "neurons are matched by their activations, which a run shared without its folder private cannot give "
                "image by image",
                "use --match identity, or the whole run folder",
            )
        pairings = [self._pairing(run, a, b) for a, b in same]
        found = changes([a for a, _ in same], [b for _, b in same], pairings, self.vocabulary)
        self.notes += _strangers(run.name, found, self.settings.match)
        return [found]

    def _pairing(self, run: _Run, mine: Seen, theirs: Seen) -> Pairing:
        if not self.whole:
            return Pairing.unseen(mine.outcome.neurons)
        one = self.runs[0].dissection.activations(mine.outcome.layer)
        return pair_neurons(one, run.dissection.activations(theirs.outcome.layer), self.settings.match)

    def _concepts(self, run: _Run) -> pd.DataFrame:
        labels = run.dissection.labels
        above = labels[labels["q"] <= significance(run.dissection)]
        return represented(
            run.name, self.vocabulary, list(run.outcomes.values()), list(run.examined.values()), run.examiner, above
        )


ALIKE = 0.3
"""Median correlation of paired neurons below which two models are hardly one grown out of the other."""


def _strangers(name: str, found: Changes, match: Matching) -> Iterator[str]:
    correlation = found.neurons["correlation"].median()
    if correlation < ALIKE:
        advice = "; without it, --match hungarian pairs them by what they respond to" if match == "identity" else ""
        yield (
            f"neurons paired with those of {name} correlate by {correlation:.2f} (median): what became of each neuron "
            f"means something only where one model was trained on from the other{advice}"
        )
