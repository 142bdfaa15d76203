"""One run in tables of text: what markdown and latex write, each in its own way."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import islice

import pandas as pd

import mcd
from mcd.errors import amount
from mcd.plugins import by_evidence
from mcd_plugins.reporters.answers import Answer
from mcd_plugins.reporters.controls import Controls
from mcd_plugins.reporters.evaluation_tables import evaluation_tables
from mcd_plugins.reporters.facts import Facts, counted, facts_of, first_labels, said_of
from mcd_plugins.reporters.first_screen import first_screen
from mcd_plugins.reporters.tables import Table
from mcd_plugins.reporters.through_units import beside_table, seen_conditions
from mcd_plugins.reporters.vocabulary import vocabulary_of
from mcd_plugins.reporters.words import share

__all__ = [
    "Summary",
    "SummarySettings",
    "broad_sizes",
    "clearest_table",
    "controls_table",
    "evaluation_cautions",
    "frequent",
    "lettered",
    "summarised",
    "versions_of",
]


@dataclass(frozen=True)
class SummarySettings:
    """How much is shown: concepts of a layer, most frequent first, and neurons of a layer, clearest first."""

    concepts: int = 3
    neurons: int = 3


@dataclass(frozen=True)
class Summary:
    """The summary of one run, or of several side by side.

    Parameters
    ----------
    title
        What it is about.
    runs
        What the runs are called: one empty text where there is one.
    answers
        What came out, as the page answers it.
    findings
        How right labels are, a sentence each; empty without an evaluation.
    conditions
        What it rests on: a name, and the value of each run.
    tables
        In the order in which they are read.
    cautions
        What a reader must know first, and what may not be concluded: the page's, and those of the evaluation.
    versions
        Of software, and digests of what went in.
    """

    title: str
    runs: Sequence[str]
    answers: Sequence[Answer]
    findings: Sequence[str]
    conditions: Sequence[tuple[str, Sequence[str]]]
    tables: Sequence[Table]
    cautions: Sequence[str]
    versions: Sequence[str]


def frequent(concepts: pd.Series[str], count: int) -> str:
    """Return the most frequent concepts with their counts, ties by name; a dash where there is none."""
    return ", ".join(f"{name} ({number})" for name, number in islice(counted(concepts).items(), count)) or "–"


def broad_sizes(concepts: Sequence[mcd.Concept]) -> dict[str, int]:
    """Return how many concepts each broad category of a vocabulary has, in its order."""
    sizes: dict[str, int] = {}
    for one in concepts:
        sizes[one.broad_category] = sizes.get(one.broad_category, 0) + 1
    return sizes


def summarised(dissection: mcd.Dissection, settings: SummarySettings) -> Summary:
    """Return the summary of one run."""
    facts = facts_of(dissection)
    first = first_labels(dissection, facts.judged)
    tables = [_layers(facts, first, settings), _categories(facts, first, broad_sizes(vocabulary_of(dissection)))]
    tables += [_rungs(facts)] if facts.rungs else []
    beside, controls = beside_table({"": facts.beside}), controls_table({"": facts.controls})
    tables += [one for one in (beside, controls) if one]
    tables += evaluation_tables({"": facts.evaluation})
    if settings.neurons:
        tables.append(clearest_table({"": (facts, first)}, settings.neurons))
    start = first_screen([dissection], [facts], resamples=0)
    return Summary(
        title=f"{facts.target} dissected by {facts.dissector}",
        runs=[""],
        answers=start.answers,
        findings=facts.evaluation.known,
        conditions=[*((name, [value]) for name, value in facts.conditions if value), *seen_conditions([facts.seen])],
        tables=tables,
        cautions=lettered([*start.cautions, *evaluation_cautions([facts])]),
        versions=versions_of([dissection], [facts]),
    )


def evaluation_cautions(facts: Sequence[Facts]) -> list[tuple[str, str]]:
    """Return what a reader must know of evaluations, with the letters of the runs where those are not all."""
    return said_of(facts, [[*one.evaluation.notes, *one.evaluation.warnings] for one in facts])


def lettered(said: Sequence[tuple[str, str]]) -> list[str]:
    """Return sentences, each after the letters of the runs that it is about."""
    return [f"{letters}: {sentence}" if letters else sentence for letters, sentence in said]


def _layers(facts: Facts, first: pd.DataFrame, settings: SummarySettings) -> Table:
    named = "significant" if facts.judged else "labelled"
    wanted = [
        (one.name, one.neurons, one.named, one.foreign, first[first["layer"] == one.name]) for one in facts.layers
    ]
    if len(facts.layers) > 1:
        foreign = sum(one.foreign for one in facts.layers)
        wanted.append(("all layers", facts.neurons, facts.named, foreign, first))
    rows = [
        [
            name,
            str(neurons),
            str(some),
            share(some, neurons),
            *([share(some - foreign, some)] if facts.judged else []),
            frequent(labels["concept"], settings.concepts),
        ]
        for name, neurons, some, foreign, labels in wanted
    ]
    return Table(
        "layers",
        "Layers",
        ("layer", "neurons", named, "share", *(("mammographic",) if facts.judged else ()), "most frequent concepts"),
        rows,
        words=("layer", "most frequent concepts"),
        note="Share: of all neurons of the layer. In brackets: neurons whose first label it is."
        + (" Mammographic: share of the significant labels." if facts.judged else ""),
    )


def _rungs(facts: Facts) -> Table:
    rows = [
        [rung, "–", "–", f"not available: {said}"]
        if count is None
        else [rung, str(count), share(count, facts.neurons), said]
        for rung, count, said in facts.rungs
    ]
    return Table(
        "rungs",
        "How far labels get",
        ("rung", "neurons", "share", "meaning"),
        rows,
        words=("rung", "meaning"),
        note="All layers together. Each rung includes those below it and has a false discovery rate of its own.",
    )


def _categories(facts: Facts, first: pd.DataFrame, sizes: Mapping[str, int]) -> Table:
    counts = first["broad_category"].value_counts()
    names = [*sizes, *sorted(set(counts.index) - set(sizes))]
    known = bool(sizes)
    rows = [
        [
            name,
            str(counts.get(name, 0)),
            share(int(counts.get(name, 0)), len(first)),
            *((str(sizes.get(name, 0)), share(sizes.get(name, 0), sum(sizes.values()))) if known else ()),
        ]
        for name in names
    ]
    labels = "significant labels" if facts.judged else "first labels"
    return Table(
        "categories",
        "Broad categories",
        ("broad category", "neurons", f"of {labels}", *(("concepts", "of the vocabulary") if known else ())),
        rows,
        words=("broad category",),
        note="All layers together. A category with half of the concepts is expected to have many neurons: compare both "
        "shares."
        if known
        else "All layers together. The vocabulary could not be loaded: its shares are not known.",
    )


def controls_table(runs: Mapping[str, Controls | None]) -> Table | None:
    """Return runs beside their negative controls, over all layers; None where none were run.

    Parameters
    ----------
    runs
        What each run is called, and its controls; one run is called nothing.
    """
    rows = [
        [
            *([name] if len(runs) > 1 else []),
            one.name,
            str(one.neurons),
            str(one.significant),
            share(one.significant, one.neurons),
            share(one.mammographic, one.significant),
            "–" if math.isnan(one.mean_z) else f"{one.mean_z:.2f}",
        ]
        for name, controls in runs.items()
        if controls
        for one in controls.total
    ]
    run = ("run",) if len(runs) > 1 else ()
    return (
        Table(
            "controls",
            "Negative controls",
            (*run, "control", "neurons", "significant", "share", "mammographic", "mean z"),
            rows,
            words=(*run, "control"),
            note="All layers together. Labels as frequent in a control as in the run are not evidence about the model; "
            "as frequent in a random rotation, not about single neurons.",
        )
        if rows
        else None
    )


def clearest_table(runs: Mapping[str, tuple[Facts, pd.DataFrame]], count: int) -> Table:
    """Return the neurons of each layer with the strongest evidence for their first label, for each run.

    Parameters
    ----------
    runs
        What each run is called, its facts and its first labels; one run is called nothing.
    count
        How many of a layer.
    """
    judged = any(facts.judged for facts, _ in runs.values())
    rows = []
    for name, (facts, first) in runs.items():
        for layer in facts.layers:
            own = by_evidence(first[first["layer"] == layer.name], higher_is_better=facts.higher_is_better)
            for one in own.head(count).to_dict("records"):
                chance = [f"{one['z']:.1f}", f"{one['q']:.2g}"] if facts.judged else ["", ""] if judged else []
                rows.append(
                    [
                        *([name] if len(runs) > 1 else []),
                        layer.name,
                        facts.called(layer.name, int(one["neuron"])),
                        str(one["concept"]),
                        str(one["category"]),
                        f"{one['score']:.3g}",
                        *chance,
                    ]
                )
    run = ("run",) if len(runs) > 1 else ()
    return Table(
        "neurons",
        "Clearest neurons",
        (*run, "layer", "neuron", "concept", "category", "score", *(("z", "q") if judged else ())),
        rows,
        words=(*run, "layer", "concept", "category"),
        note=f"At most {count} of each layer, {'lowest q, then highest z' if judged else 'highest score'} first. They "
        "are the clearest, not typical ones. Scores may be compared within a layer only.",
    )


def versions_of(dissections: Sequence[mcd.Dissection], facts: Sequence[Facts]) -> list[str]:
    """Return which software made runs, and short digests of what went in, each said once."""
    found: dict[str, None] = {}
    for one, said in zip(dissections, facts, strict=True):
        for name, value in one.manifest.versions.items():
            if value != "not installed":
                found[f"{name} {value}"] = None
        lead = f"{said.letter}: " if said.letter else ""
        if one.manifest.imported is not None:
            for file in one.manifest.imported.files:
                source = f"sha256:{file.sha256[:12]} ({file.format}, {amount(file.rows, 'row')})"
                found[f"{lead}labels imported from {source}"] = None
        for name, value in one.manifest.fingerprints.items():
            found[f"{lead if name == 'target' else ''}{name} sha256:{value[:12]}"] = None
    return list(found)
