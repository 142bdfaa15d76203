"""What the tables of imported runs allow: their labels beside those of others, and what their layers are made of."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from mcd.comparison.agreement import COLUMNS, Agreement
from mcd.comparison.alignment import LayerPair, align, depths
from mcd.comparison.compared import AgreementOf, Comparison, ComparisonSettings
from mcd.comparison.heading import heading_of, names_of, notes_of
from mcd.comparison.layers import AlignedLayer, category_table, joined, layer_table, threshold_table
from mcd.comparison.outcomes import NOTHING, Outcome, Vocabulary
from mcd.errors import UsageError
from mcd.runs.dissection import Dissection
from mcd.runs.manifest import ScoreRecord
from mcd.runs.revived import concepts_of
from mcd.study.vocabularies.folding import folded

__all__ = ["compare_tables", "describe_tables", "imported"]


def imported(runs: Sequence[Dissection]) -> list[Dissection]:
    """Return the runs whose labels were imported."""
    return [one for one in runs if one.manifest.imported is not None]


def compare_tables(runs: Sequence[Dissection], settings: ComparisonSettings) -> Comparison:
    """Lay runs side by side of which some were imported: by their labels alone.

    Layers are aligned as for other models, and neurons paired by number where layers are equally wide, or the narrower
    one was imported from a file that leaves neurons out. Two labels are the same where they are the same concept by
    term, spelling or synonym.

    Raises
    ------
    UsageError
        When neurons are to be matched by their activations, or no layer can be aligned.
    """
    names = names_of(runs)
    some = " and ".join(name for name, run in zip(names, runs, strict=True) if run.manifest.imported is not None)
    if settings.match != "identity":
        raise UsageError(
            f"neurons are matched by their activations, and the labels of {some} were imported without any",
            "use --match identity",
        )
    notes = [
        f"the labels of {some} were imported: labels are compared by their words, and neurons by their number, which "
        "means something only where both are of one network",
        "not known without activations and scores of all concepts: correlation of ranks, intervals, what became of "
        "each neuron, which concepts no neuron represents",
    ]
    if settings.threshold is not None:
        notes.append("the mean-score threshold is not applied: scores of two tools are on scales of their own")
    found = []
    for b in range(1, len(runs)):
        for a in range(b):
            pair = _Pair(runs[a], runs[b], names[a], names[b])
            how = settings.align if a == 0 or not isinstance(settings.align, Mapping) else "auto"  # it is of the first
            made, said = pair.agreement(align(runs[a].layers, runs[b].layers, how), settings.top)
            found.append(AgreementOf(names[a], names[b], made))
            notes += said
    return Comparison(
        heading=heading_of(runs, names, [_reading(one) for one in runs]),
        run_notes=tuple(notes_of(runs, names)),
        own_notes=tuple(dict.fromkeys(notes)),
        agreements=tuple(found),
    )


def _reading(run: Dissection) -> ScoreRecord:
    return run.manifest.scores or ScoreRecord()


@dataclass(frozen=True)
class _Pair:
    """Two runs of which one was imported at least."""

    one: Dissection
    other: Dissection
    first: str
    second: str

    def agreement(self, pairs: Sequence[LayerPair], top: int) -> tuple[Agreement, list[str]]:
        """Return how far their labels agree, and what is to be said of their layers."""
        said = list(self._unpaired(pairs))
        kept = [self._kept(pair) for pair in pairs]
        paired = [pair for pair, apart in zip(pairs, kept, strict=True) if not apart]
        said += [apart for apart in kept if apart]
        top = min([top, *(int(run.labels["rank"].fillna(0).max()) for run in (self.one, self.other))])
        same = self._same_concepts()
        tables, only = [], np.zeros(2, dtype=np.int64)
        for pair in paired:
            table, alone = self._layer(pair, max(1, top), same)
            tables.append(table)
            only += alone
        found = pd.concat(tables, ignore_index=True) if tables else pd.DataFrame(columns=list(COLUMNS))
        if not paired:
            said.append(f"no neuron of {self.first} can be paired with one of {self.second}")
        return Agreement(found, int(only[0]), int(only[1]), max(1, top)), said

    def _unpaired(self, pairs: Sequence[LayerPair]) -> Iterator[str]:
        if any(pair.reference != pair.other for pair in pairs):
            each = ", ".join(f"{pair.reference} and {pair.other}" for pair in pairs)
            yield f"layers of {self.first} and {self.second} have other names: compared are {each} (--map names others)"
        for name, run, used in (
            (self.first, self.one, {pair.reference for pair in pairs}),
            (self.second, self.other, {pair.other for pair in pairs}),
        ):
            left = [layer for layer in run.layers if layer not in used]
            if left:
                yield f"layers of {name} that are compared with none: {', '.join(left)}"

    def _kept(self, pair: LayerPair) -> str:
        """Return why the neurons of two layers cannot be paired by number; empty where they can."""
        mine, theirs = _record(self.one, pair.reference), _record(self.other, pair.other)
        run = self.one if mine < theirs else self.other
        layer = pair.reference if run is self.one else pair.other
        if mine == theirs or _with_gaps(run, layer):
            return ""
        return (
            f"neurons of {pair.reference} are not paired: it has {mine} in {self.first}, and {pair.other} has {theirs} "
            f"in {self.second}"
        )

    def _same_concepts(self) -> pd.DataFrame:
        """Return which terms of the first run, ``mine``, and of the second, ``theirs``, mean the same.

        One may mean the same as several: tools name one neuron dog, another dogs.
        """
        forms: dict[str, list[str]] = {}
        for other in concepts_of(self.other).concepts:
            for word in {folded(one) for one in (other.term, *other.synonyms)}:
                forms.setdefault(word, []).append(other.term)
        pairs = [
            (one.term, term)
            for one in concepts_of(self.one).concepts
            for word in (one.term, *one.synonyms)
            for term in forms.get(folded(word), ())
        ]
        return pd.DataFrame(list(dict.fromkeys(pairs)), columns=["mine", "theirs"], dtype=object)

    def _layer(self, pair: LayerPair, top: int, same: pd.DataFrame) -> tuple[pd.DataFrame, tuple[int, int]]:
        mine, theirs = _ranked(self.one, pair.reference, top), _ranked(self.other, pair.other, top)
        firsts = [one[one["rank"] == 1].set_index("neuron") for one in (mine, theirs)]
        both = firsts[0].index.intersection(firsts[1].index).sort_values()
        a, b = firsts[0].loc[both], firsts[1].loc[both]
        meant = mine.merge(same, left_on="concept", right_on="mine")
        shared = meant.merge(theirs, left_on=["neuron", "theirs"], right_on=["neuron", "concept"])
        counts = shared.groupby("neuron")[["mine", "theirs"]].nunique().min(axis=1).reindex(both, fill_value=0)
        first = shared.loc[(shared["rank_x"] == 1) & (shared["rank_y"] == 1), "neuron"]
        categorised = _categorised(self.one) and _categorised(self.other)
        table: dict[str, object] = {"layer": pair.reference, "neuron": both.to_numpy(dtype=np.int64)}
        for column in ("concept", "category", "broad_category"):
            for name, rows in (("a", a), ("b", b)):
                table[f"{column}_{name}"] = rows[column].to_numpy() if categorised or column == "concept" else ""
        table["same"] = both.isin(first)
        table["overlap"] = counts.to_numpy(dtype=np.float64) / top
        table["correlation"] = np.nan
        return pd.DataFrame(table)[list(COLUMNS)], (len(firsts[0]) - len(both), len(firsts[1]) - len(both))


def _categorised(run: Dissection) -> bool:
    """Say whether the concepts of a run have categories: a set that was made of labels has none."""
    return run.manifest.imported is None or bool(run.manifest.imported.concepts)


def _record(run: Dissection, layer: str) -> int:
    return next(one.neurons for one in run.manifest.layers if one.name == layer)


def _with_gaps(run: Dissection, layer: str) -> bool:
    """Say whether a layer was imported from a file that leaves neurons out: it may be wider than is known."""
    rows = run.labels[run.labels["layer"] == layer]
    return run.manifest.imported is not None and bool((rows["status"] == "unscored").any())


def _ranked(run: Dissection, layer: str, top: int) -> pd.DataFrame:
    labels = run.labels[(run.labels["layer"] == layer) & (run.labels["rank"] <= top)]
    return labels[["neuron", "rank", "concept", "category", "broad_category"]].astype({"rank": "int64"})


def describe_tables(runs: Sequence[Dissection], settings: ComparisonSettings) -> Comparison:
    """Return the tables of an imported run that figures are drawn from.

    Which labels are significant is not known: all first labels stand in their place, and figures say so.

    Raises
    ------
    UsageError
        When there are several runs: their vocabularies differ.
    """
    if len(runs) > 1:
        first = imported(runs)[0].folder
        raise UsageError(
            f"figures of several runs rest on scores of all concepts, and the labels of {first} were imported",
            f"draw it by itself, mcd figures {first} -o DIR; mcd compare lays its labels beside others",
        )
    (run,) = runs
    (name,) = names_of(runs)
    vocabulary = Vocabulary(concepts_of(run).concepts)
    depth = depths(run.layers)
    aligned = [AlignedLayer(name, one.layer, depth[one.layer], one) for one in _outcomes(run, vocabulary)]
    scored = bool(run.labels["score"].notna().any())
    mammographic = [one for one in vocabulary.concepts if one.mammographic]
    return Comparison(
        heading=heading_of(runs, [name], [_reading(run)]),
        run_notes=tuple(notes_of(runs, [name])),
        layers=layer_table([*aligned, joined(aligned)], vocabulary, scores_comparable=False),
        categories=category_table([*aligned, joined(aligned)], vocabulary),
        thresholds=threshold_table([[one] for one in aligned], vocabulary, settings.threshold)
        if scored and settings.threshold is not None
        else pd.DataFrame(),
        concepts=pd.DataFrame(
            {
                "run": name,
                "concept": [one.term for one in mammographic],
                "category": [one.category for one in mammographic],
                "broad_category": [one.broad_category for one in mammographic],
            }
        ),
    )


def _outcomes(run: Dissection, vocabulary: Vocabulary) -> Iterator[Outcome]:
    number = {one.term: at for at, one in enumerate(vocabulary.concepts)}
    table = run.labels[run.labels["rank"].isna() | (run.labels["rank"] == 1)]
    for layer, rows in table.groupby("layer", sort=False):
        first = np.array([number.get(term, NOTHING) for term in rows["concept"]], dtype=np.int64)
        score = rows["score"].to_numpy(dtype=np.float64)
        yield Outcome(str(layer), first, first != NOTHING, np.full(len(first), np.nan), score)
