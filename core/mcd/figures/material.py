"""What figures are drawn from: stored runs, and the tables that a comparison makes of them."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import pandas as pd

from mcd.comparison.agreement import check_same_neurons
from mcd.comparison.alignment import depths
from mcd.comparison.comparing import Comparison, Settings, compare
from mcd.comparison.examine import Examined, Examiner
from mcd.comparison.heading import has_probe_map, heading_of, names_of, notes_of
from mcd.comparison.layers import Seen, category_table, joined, layer_table, rule_table
from mcd.comparison.outcomes import Outcome, Vocabulary, read_outcomes, significance
from mcd.comparison.represented import represented
from mcd.comparison.resampling import Resamples
from mcd.comparison.scores import StoredScores
from mcd.dissection import Dissection
from mcd.errors import UnknownNameError, UsageError, nearest
from mcd.host import PluginHost

__all__ = ["Material", "prepare"]


@dataclass(frozen=True)
class Material:
    """What figures are drawn from.

    Parameters
    ----------
    runs
        Stored runs by what they are called, the reference first.
    comparison
        Their tables. Of a single run, and of runs of the same neurons, it has those that need no other model.
    carriers
        How many neurons respond to a concept above chance, as first label or not: ``run``, ``layer``, ``concept``,
        ``carriers``; without the concepts that no neuron of a layer responds to.
    counterparts
        Broad category → the one of the published set that it stands for, where the concept set says so.
    """

    runs: Mapping[str, Dissection]
    comparison: Comparison
    carriers: pd.DataFrame = field(default_factory=pd.DataFrame)
    counterparts: Mapping[str, str] = field(default_factory=dict)

    def name(self, run: str | None = None) -> str:
        """Return the name of a run; of the first one when none is asked for.

        Raises
        ------
        UnknownNameError
            When there is no such run.
        """
        names = list(self.comparison.heading.runs["run"])
        if run is not None and run not in names:
            raise UnknownNameError(f"no run is called '{run}'", nearest(run, names))
        return str(names[0] if run is None else run)


def prepare(
    dissections: Sequence[Dissection], settings: Settings | None = None, host: PluginHost | None = None
) -> Material:
    """Return what figures of stored runs are drawn from.

    Parameters
    ----------
    dissections
        One run, or several on the same images; the first is the reference.
    settings
        How they are compared, whether there are intervals, and whether the published rule is reckoned.
    host
        The plugins; those that are installed by default.

    Raises
    ------
    UsageError
        When there is no run, nothing is said of chance in one, or they cannot be compared.
    DataError
        When a run's labels are not what its settings give now.
    """
    host = host or PluginHost.discover([], os.environ)
    settings = settings or Settings()
    if not dissections:
        raise UsageError("no run given")
    targets = {one.manifest.fingerprints["target"] for one in dissections}
    if len(targets) == 1:
        for other in dissections[1:]:
            check_same_neurons(dissections[0], other)
    names = names_of(dissections) if len(dissections) > 1 else (dissections[0].manifest.target,)
    stored = [StoredScores(host, one) for one in dissections]
    vocabulary = Vocabulary(stored[0].concepts.concepts)
    several = len(targets) > 1
    looked = [
        _Looked(name, one, scores, vocabulary, None if several else settings)
        for name, one, scores in zip(names, dissections, stored, strict=True)
    ]
    return Material(
        runs=dict(zip(names, dissections, strict=True)),
        comparison=compare(host, dissections, settings) if several else _described(looked, stored, settings),
        carriers=pd.concat([one.carriers() for one in looked], ignore_index=True),
        counterparts=stored[0].concepts.counterparts,
    )


class _Looked:
    """One run looked at by itself, with other patients where settings ask for that."""

    def __init__(self, name: str, dissection: Dissection, stored: StoredScores, vocabulary: Vocabulary,
                 settings: Settings | None) -> None:  # fmt: skip
        self.name, self.dissection, self.vocabulary = name, dissection, vocabulary
        self.outcomes: dict[str, Outcome] = read_outcomes(dissection, vocabulary.concepts)
        self.note = ""
        self.examiner: Examiner | None = None
        self.examined: dict[str, Examined] = {}
        if has_probe_map(dissection):
            self.examiner = Examiner(stored)
            again = self._resamples(settings) if settings else None
            self.examined = {one.layer: one for one in self.examiner.layers(self.outcomes, again)}
        else:
            self.note = f"no intervals: {name} was shared without its folder private"

    def _resamples(self, settings: Settings) -> Resamples | None:
        assert self.examiner is not None
        if not settings.resamples:
            self.note = "no intervals were asked for"
            return None
        drawn = Resamples.draw(self.dissection.patients, settings.resamples, settings.seed)
        reason = self.examiner.unresampled(drawn)
        if reason:
            self.note = f"no intervals: {self.dissection.manifest.scorer} cannot be resampled, {reason}"
        return None if reason else drawn

    def seen(self) -> list[Seen]:
        """Return the layers; each is compared with its namesakes."""
        depth = depths(self.dissection.layers)
        found = self.examined
        return [
            Seen(self.name, layer, depth[layer], outcome, found[layer].replicated if layer in found else None)
            for layer, outcome in self.outcomes.items()
        ]

    def above(self) -> pd.DataFrame:
        """Return the kept labels that stand above chance."""
        labels = self.dissection.labels
        return labels[labels["q"] <= significance(self.dissection)]

    def concepts(self) -> pd.DataFrame:
        """Return what is said of every mammographic concept."""
        outcomes, examined = list(self.outcomes.values()), list(self.examined.values())
        return represented(self.name, self.vocabulary, outcomes, examined, self.examiner, self.above())

    def carriers(self) -> pd.DataFrame:
        """Return how many neurons of each layer respond to each concept; see `Material`."""
        if self.examiner is None:
            counted = self.above().groupby(["layer", "concept"], sort=False).size()
            return counted.rename("carriers").reset_index().assign(run=self.name)
        return pd.DataFrame(list(self._counted()), columns=["run", "layer", "concept", "carriers"])

    def _counted(self) -> Iterator[tuple[str, str, str, int]]:
        for layer, found in self.examined.items():
            for concept, count in zip(self.vocabulary.concepts, found.carriers.tolist(), strict=True):
                if count:
                    yield self.name, layer, concept.term, count


def _described(looked: Sequence[_Looked], stored: Sequence[StoredScores], settings: Settings) -> Comparison:
    """Return the tables of runs that are not of several models."""
    each = [one.seen() for one in looked]
    vocabulary, scorers = looked[0].vocabulary, [one.scorer for one in stored]
    seen = [one for layers in each for one in [*layers, joined(layers)]]
    runs, names = [one.dissection for one in looked], [one.name for one in looked]
    rule = pd.DataFrame()
    if settings.rule:
        places = [list(group) for group in zip(*each, strict=True)]
        rule = rule_table(places, vocabulary, settings.rule, higher_is_better=scorers[0].higher_is_better)
    comparable = all(one.comparable_across_layers for one in scorers)
    return Comparison(
        heading=heading_of(runs, names, scorers),
        notes=tuple(dict.fromkeys([*notes_of(runs, names, scorers), *(one.note for one in looked if one.note)])),
        layers=layer_table(seen, vocabulary, scores_comparable=comparable),
        categories=category_table(seen, vocabulary),
        rule=rule,
        concepts=pd.concat([one.concepts() for one in looked], ignore_index=True),
    )
