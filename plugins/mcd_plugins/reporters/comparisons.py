"""Several runs side by side in tables of text, with differences and their intervals where runs allow them."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass

import pandas as pd

import mcd
from mcd.plugins import chance_rule
from mcd_plugins.reporters.evaluation_tables import evaluation_tables
from mcd_plugins.reporters.facts import (
    Facts,
    LayerRow,
    facts_of,
    first_labels,
    letters_of,
    said_of,
    side_by_side,
)
from mcd_plugins.reporters.first_screen import first_screen
from mcd_plugins.reporters.summaries import (
    Summary,
    SummarySettings,
    broad_sizes,
    clearest_table,
    controls_table,
    evaluation_cautions,
    frequent,
    lettered,
    versions_of,
)
from mcd_plugins.reporters.tables import Table
from mcd_plugins.reporters.through_units import beside_table, seen_conditions
from mcd_plugins.reporters.vocabulary import vocabulary_of
from mcd_plugins.reporters.words import share

__all__ = ["compared"]


@dataclass(frozen=True)
class _Run:
    """A run of a summary; ``name`` is what its comparison calls it, empty where there is none."""

    facts: Facts
    first: pd.DataFrame
    name: str = ""


def compared(dissections: Sequence[mcd.Dissection], settings: SummarySettings, resamples: int) -> Summary:
    """Return the summary of several runs.

    Parameters
    ----------
    resamples
        How many probe sets are drawn for intervals; 0 for none.

    Raises
    ------
    UsageError
        When there are more runs than letters to call them by.
    """
    letters = letters_of(dissections)
    facts = [facts_of(one, letter) for one, letter in zip(dissections, letters, strict=True)]
    start = first_screen(dissections, facts, resamples)
    found = start.comparison
    names = list(found.heading.runs["run"]) if found else [""] * len(dissections)
    runs = [
        _Run(said, first_labels(one, said.judged), name)
        for one, said, name in zip(dissections, facts, names, strict=True)
    ]
    tables = [_layers(runs, found, settings), _categories(runs, broad_sizes(vocabulary_of(dissections[0])))]
    if found is not None:
        tables += _differences(runs, found) + _validity(runs, found) + _agreements(runs, found)
    beside = beside_table({run.facts.letter: run.facts.beside for run in runs})
    controls = controls_table({run.facts.letter: run.facts.controls for run in runs})
    tables += [one for one in (beside, controls) if one]
    tables += evaluation_tables({run.facts.letter: run.facts.evaluation for run in runs})
    if settings.neurons:
        each = {run.facts.letter: (run.facts, run.first) for run in runs}
        tables.append(clearest_table(each, settings.neurons))
    return Summary(
        title=f"{len(runs)} runs side by side",
        runs=[run.facts.letter for run in runs],
        answers=start.answers,
        findings=lettered(said_of(facts, [one.evaluation.known for one in facts])),
        conditions=[*side_by_side(facts), *seen_conditions([one.seen for one in facts])],
        tables=tables,
        cautions=lettered([*start.cautions, *evaluation_cautions(facts)]),
        versions=versions_of(dissections, facts),
    )


def _layers(runs: Sequence[_Run], found: mcd.Comparison | None, settings: SummarySettings) -> Table:
    judged = all(run.facts.judged for run in runs)
    table = found.layers if found is not None and len(found.layers) else None
    known = _by_layer(table)
    rows = []
    for run, layer in _ordered(runs, known):
        concepts = frequent(run.first.loc[run.first["layer"] == layer.name, "concept"], settings.concepts)
        about = [share(layer.named - layer.foreign, layer.named)] if judged else []
        one = known.get((run.name, layer.name))
        part = share(layer.named, layer.neurons) + ("" if one is None else _around(one, "share"))
        rows.append([layer.name, run.facts.letter, str(layer.neurons), str(layer.named), part, *about, concepts])
    intervals = table is not None and table["share_low"].notna().any()
    return Table(
        "layers",
        "Layers",
        (
            "layer",
            "run",
            "neurons",
            "significant" if judged else "labelled",
            "share",
            *(("mammographic",) if judged else ()),
            "most frequent concepts",
        ),
        rows,
        words=("layer", "run", "most frequent concepts"),
        note="Share: of all neurons of the layer"
        + (", with its 95 % interval." if intervals else ".")
        + (" Mammographic: share of the significant labels." if judged else ""),
    )


_Row = Mapping[Hashable, object]
_Known = Mapping[tuple[str, str], _Row]


def _by_layer(table: pd.DataFrame | None) -> _Known:
    """Return the rows of a table of layers by run and layer."""
    if table is None:
        return {}
    return {(str(one["run"]), str(one["layer"])): one for one in table.to_dict("records")}


def _signed(value: float, form: str) -> str:
    """Return a number with its sign; one that rounds to nothing is +0."""
    digits = int(form[-2])
    return format(round(value, digits) + 0.0, f"+{form}").replace("-", "−")


def _around(row: _Row, name: str, form: str = ".0f") -> str:
    """Return an interval in per cent, in brackets; nothing where there is none."""
    low, high = (100 * float(str(row[f"{name}_{side}"])) for side in ("low", "high"))
    return "" if pd.isna(low) else f" ({low:{form}} to {high:{form}})"


def _ordered(runs: Sequence[_Run], known: _Known) -> list[tuple[_Run, LayerRow]]:
    """Return layers that are compared with each other next to each other, in the order of the first run."""
    places: dict[str, list[tuple[_Run, LayerRow]]] = {}
    for run in runs:
        for layer in run.facts.layers:
            one = known.get((run.name, layer.name))
            place = layer.name if one is None else str(one["place"]) or f"{run.name} {layer.name}"
            places.setdefault(place, []).append((run, layer))
    return [pair for group in places.values() for pair in group]


def _categories(runs: Sequence[_Run], sizes: Mapping[str, int]) -> Table:
    counts = [run.first["broad_category"].value_counts() for run in runs]
    names = [*sizes, *sorted({name for one in counts for name in one.index} - set(sizes))]
    rows = [
        [
            name,
            *([share(sizes.get(name, 0), sum(sizes.values()))] if sizes else []),
            *(f"{one.get(name, 0)} ({share(int(one.get(name, 0)), int(one.sum()))})" for one in counts),
        ]
        for name in names
    ]
    return Table(
        "categories",
        "Broad categories",
        ("broad category", *(("of the vocabulary",) if sizes else ()), *(run.facts.letter for run in runs)),
        rows,
        words=("broad category",),
        note="Neurons, all layers together; in brackets their share of all first labels of the run (significant where "
        "that was computed). The vocabulary is that of the first run.",
    )


def _differences(runs: Sequence[_Run], found: mcd.Comparison) -> list[Table]:
    table = found.differences
    if not len(table):
        return []
    whole = table[(table["place"] == "(all)") & table["level"].isin(["layer", "broad_category"])]
    rows, bounded = [], bool(whole["difference_low"].notna().any())
    for run in runs[1:]:
        for one in whole[whole["run"] == run.name].to_dict("records"):
            scaled = one["name"] != "mean z"  # all others are shares
            times, form = (100, ".0f") if scaled else (1, ".2f")
            values = [times * float(one[side]) for side in ("reference", "other")]
            low, high = (times * float(one[f"difference_{side}"]) for side in ("low", "high"))
            around = "" if pd.isna(low) else f" ({_signed(low, form)} to {_signed(high, form)})"
            more = values[1] - values[0]  # not a number where no neuron has a label
            rows.append(
                [
                    str(one["name"]),
                    run.facts.letter,
                    *("–" if pd.isna(value) else f"{value:{form}}" for value in values),
                    "–" if pd.isna(more) else f"{_signed(more, form)}{around}",
                ]
            )
    return [
        Table(
            "differences",
            f"Differences from {runs[0].facts.letter}",
            ("measure", "run", runs[0].facts.letter, "other", "difference"),
            rows,
            words=("measure", "run"),
            note="Compared layers together. All but mean z: per cent of all neurons. "
            + ("In brackets: 95 % interval. " if bounded else "")
            + f"{chance_rule(intervals=bounded)}.",
        )
    ]


def _validity(runs: Sequence[_Run], found: mcd.Comparison) -> list[Table]:
    letters = {run.name: run.facts.letter for run in runs}
    rows = [
        [
            f"{letters[one.a]} and {letters[one.b]}",
            str(row["concept"]),
            f"{row['present']}/{row['absent']}",
            f"{row['auroc']:.2f}" + ("" if pd.isna(row["low"]) else f" ({row['low']:.2f}–{row['high']:.2f})"),
            f"{row['named']}/{row['named_by_annotations']}/{row['named_by_both']}",
        ]
        for one in found.agreements
        for row in one.validity.to_dict("records")
    ]
    if not rows:
        return []
    return [
        Table(
            "validity",
            "How far the image–text model can be trusted",
            ("runs", "concept", "images", "AUROC", "neurons"),
            rows,
            words=("runs", "concept"),
            note="Images: annotated as present/absent. AUROC: of the similarity of image and concept for these; 0.5 by "
            "chance, in brackets 95 % intervals. Neurons: named by the image–text model/annotations/both.",
        )
    ]


def _agreements(runs: Sequence[_Run], found: mcd.Comparison) -> list[Table]:
    letters = {run.name: run.facts.letter for run in runs}
    rows = [
        [
            f"{letters[one.a]} and {letters[one.b]}",
            str(row["layer"]),
            str(row["neurons"]),
            f"{row['same']:.0%}",
            f"{row['overlap']:.0%}",
            "–" if pd.isna(row["correlation"]) else f"{row['correlation']:.2f}",
        ]
        for one in found.agreements
        for row in one.agreement.by("layer").to_dict("records")
    ]
    if not rows:
        return []
    top = found.agreements[0].agreement.top
    return [
        Table(
            "agreement",
            "Agreement about the same neurons",
            ("runs", "layer", "neurons", "same concept", f"first {top}", "ranks"),
            rows,
            words=("runs", "layer"),
            note=f"Same concept: the first of both. First {top}: share that both name. Ranks: mean correlation over "
            "all concepts.",
        )
    ]
