"""Whether the parts of a run folder belong together: the manifest by itself, and the tables as it describes them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd

from mcd.api.concepts import Concept
from mcd.errors import StoreError
from mcd.files import MANIFEST
from mcd.runs.manifest import Manifest
from mcd.scoring.results import Results
from mcd.scoring.rungs import RUNGS
from mcd.scoring.verdicts import VERDICTS

__all__ = ["check_manifest", "check_tables", "check_terms", "most_rows", "table_problem"]

Kind = Literal["text", "whole", "number", "truth"]

_AGAIN = "restore it from a copy, or run again: mcd runs verify RUN lists every file that differs"
_FINGERPRINTS = ("target", "dissector", "probe set", "concepts")
_STATUSES = ("labelled", "tied", "dead", "constant", "unscored")
_COLUMNS: Mapping[str, Mapping[str, Kind]] = {
    "labels": {
        **dict.fromkeys(("target", "layer", "status", "verdict", "concept", "category", "broad_category"), "text"),
        "neuron": "whole",
        **dict.fromkeys(("rank", "score", "z", "p", "q"), "number"),
    },
    "neurons": {"layer": "text", "neuron": "whole", "stratum": "whole", "p_any": "number"},
    "null": {"layer": "text", "stratum": "whole", "level": "number", "z": "number"},
    "explanations": {
        **dict.fromkeys(("layer", "explanation", "concepts"), "text"),
        "neuron": "whole",
        **dict.fromkeys(("fit", "held_out", "p", "q"), "number"),
    },
    "learned": {
        **dict.fromkeys(("concept", "category", "broad_category", "rung"), "text"),
        **dict.fromkeys(("layers", "neurons"), "whole"),
        "q": "number",
    },
    "controls": {
        **dict.fromkeys(("control", "layer"), "text"),
        **dict.fromkeys(("neurons", "labelled", "significant", "mammographic", "concepts"), "whole"),
        "mean_z": "number",
    },
}
"""What every version wrote of each table; more columns do no harm."""
_EVALUATION: Mapping[str, Mapping[str, Kind]] = {
    "evaluation/summary": {
        **dict.fromkeys(("against", "layer", "measure", "labels"), "text"),
        **dict.fromkeys(("value", "low", "high"), "number"),
        **dict.fromkeys(("neurons", "units"), "whole"),
    },
    "evaluation/neurons": {
        **dict.fromkeys(("target", "layer", "against", "measure", "labels", "concept"), "text"),
        "neuron": "whole",
        "value": "number",
    },
    "evaluation/stability": {
        **dict.fromkeys(("layer", "concept", "set"), "text"),
        **dict.fromkeys(("neuron", "size"), "whole"),
        **dict.fromkeys(("share", "coverage"), "number"),
        "certain": "truth",
    },
    "evaluation/geometry": {
        "layer": "text",
        "neuron": "whole",
        **dict.fromkeys(("clarity", "polysemanticity", "redundancy", "nearest"), "number"),
    },
    "evaluation/faithfulness": {
        **dict.fromkeys(("layer", "concept", "measure", "output", "finding"), "text"),
        **dict.fromkeys(("neurons", "random_groups", "units"), "whole"),
        **dict.fromkeys(("value", "low", "high", "random", "random_least", "random_most", "p", "q"), "number"),
    },
}
"""The same of the tables of an evaluation, which lie in a folder of their own."""

MOST_ROWS = 20_000_000
_LEVELS = 200
"""Rows of a null, of which a neuron has one, and more."""

_SHARES = ("p", "q", "p_any", "level", "q_nuisance", "q_untrained", "q_right", "share", "coverage")
_COUNTS = ("stratum", "layers", "neurons", "labelled", "significant", "mammographic", "units", "size", "random_groups")
_KEYS: Mapping[str, tuple[str, ...]] = {
    "labels": ("layer", "neuron", "rank"),
    "neurons": ("layer", "neuron"),
    "null": ("layer", "stratum", "level"),
    "learned": ("concept",),
    "controls": ("control", "layer"),
    "evaluation/summary": ("against", "layer", "measure", "labels"),
    "evaluation/neurons": ("layer", "neuron", "against", "measure", "labels"),
    "evaluation/stability": ("layer", "neuron"),
    "evaluation/geometry": ("layer", "neuron"),
    "evaluation/faithfulness": ("layer", "concept", "measure", "output", "finding"),
}
"""The columns that identify a row of a table."""


def check_manifest(folder: Path, manifest: Manifest) -> None:
    """Make sure that a manifest does not contradict itself.

    Raises
    ------
    StoreError
        Saying where it does.
    """
    problem = _contradiction(manifest)
    if problem:
        raise StoreError(f"{folder / MANIFEST} is damaged: {problem}", _AGAIN)


def _contradiction(manifest: Manifest) -> str:
    names = [one.name for one in manifest.layers]
    summaries = [one.layer for one in manifest.summary]
    needed = _FINGERPRINTS if manifest.imported is None else ("concepts",)
    missing = [name for name in needed if name not in manifest.fingerprints]
    if missing:
        return f"it has no fingerprint of the {missing[0]}"
    if (manifest.imported is not None) != manifest.store.empty:
        return "it was imported and stores activations, or neither"
    if not names or len(set(names)) < len(names):
        return "a layer stands there twice" if names else "it has no layers"
    if len(set(summaries)) < len(summaries) or not set(summaries) <= set(names):
        return "its summary is of other layers than it has"
    if bool(manifest.store.embeddings) != bool(manifest.store.embedding_width):
        return "its embeddings have no width, or what is no embedding has one"
    misnamed = [one.name for one in manifest.layers if one.through and len(one.through.names) not in (0, one.neurons)]
    if misnamed:
        return f"it names other units of layer {_shown(misnamed[0])} than there are"
    return _of_summary(manifest)


def _of_summary(manifest: Manifest) -> str:
    neurons = {one.name: one.neurons for one in manifest.layers}
    for one in manifest.summary:
        counts = (
            one.labelled,
            one.significant or 0,
            one.above_mean_score or 0,
            *(count for rung in one.rungs.values() for count in (rung.significant, rung.testable)),
        )
        if one.neurons != neurons[one.layer] or max(counts) > one.neurons:
            return f"its summary of layer {_shown(one.layer)} counts other neurons than it has"
        if (one.significant is None) != (one.draws is None):
            return f"its summary of layer {_shown(one.layer)} is half of one"
        if (one.untrained_reached or 0) > (one.untrained or 0):
            return f"its summary of layer {_shown(one.layer)} counts other networks than there are"
    calibration = manifest.study.get("calibration")
    rate = calibration.get("q", 0.05) if isinstance(calibration, dict) else 0.05
    return "" if isinstance(rate, int | float) and 0 < rate < 1 else "q of its study is no share"


def most_rows(manifest: Manifest) -> int:
    """Return how many rows a table of a run may have: those of all its labels, or of its nulls, at most."""
    kept = manifest.study.get("labels_per_neuron")
    neurons = sum(one.neurons for one in manifest.layers)
    return min(MOST_ROWS, neurons * max(kept if isinstance(kept, int) else 0, _LEVELS))


def check_tables(folder: Path, manifest: Manifest, results: Results) -> None:
    """Make sure that the tables of a run match its manifest.

    Raises
    ------
    StoreError
        Naming the table and what is wrong with it.
    """
    neurons = {one.name: one.neurons for one in manifest.layers}
    for name in _COLUMNS:
        table: pd.DataFrame = getattr(results, name)
        if len(table) or name == "labels":
            problem = table_problem(name, table, neurons)
            if name == "labels":
                problem = problem or _of_labels(table, neurons, scored=manifest.imported is None)
            if problem:
                raise StoreError(f"{folder / name}.parquet is damaged: {problem}", _AGAIN)


def table_problem(name: str, table: pd.DataFrame, neurons: Mapping[str, int]) -> str:
    """Return what is wrong with a table, whichever it is; an empty text where nothing is.

    Parameters
    ----------
    name
        That of the table; with ``evaluation/`` before it where it is one of an evaluation.
    neurons
        How many each layer has.
    """
    problem = _of_columns(name, table)
    return problem or (_of_places(table, neurons) or _of_values(name, table) if len(table) else "")


def _of_columns(name: str, table: pd.DataFrame) -> str:
    for column, kind in {**_COLUMNS, **_EVALUATION}[name].items():
        if list(table.columns).count(column) != 1:
            return f"it has no column '{column}'" if column not in table else f"column '{column}' stands there twice"
        if not _is(table[column], kind):
            return f"column '{column}' holds something else than {_SAID[kind]}"
    return ""


def _of_places(table: pd.DataFrame, neurons: Mapping[str, int]) -> str:
    if "layer" not in table:
        return ""
    unknown = sorted(set(table["layer"]) - neurons.keys())
    if unknown:
        return f"it is about a layer that the run does not have, '{_shown(unknown[0])}'"
    if "neuron" in table and not table["neuron"].between(0, table["layer"].map(neurons) - 1).all():
        return "it is about a neuron that its layer does not have"
    return ""


def _of_values(name: str, table: pd.DataFrame) -> str:
    for column in _SHARES:
        if column in table and not _numbers(table[column].dropna()).between(0, 1).all():
            return f"column '{column}' holds something else than numbers from 0 to 1"
    for column in _COUNTS:
        if column in table and (table[column] < 0).any():
            return f"column '{column}' holds a negative number"
    if "rung" in table and not table["rung"].isin(("", *RUNGS)).all():
        return "column 'rung' holds something else than rungs"
    if name in _KEYS and table.duplicated(list(_KEYS[name])).any():
        return "a row stands there twice"
    return ""


_SAID: Mapping[Kind, str] = {"text": "texts", "whole": "whole numbers", "number": "numbers", "truth": "yes or no"}


def _is(column: pd.Series, kind: Kind) -> bool:
    if kind == "text":
        return pd.api.types.infer_dtype(column, skipna=False) in ("string", "empty") and not column.isna().any()
    if kind == "truth" or pd.api.types.is_bool_dtype(column):
        return kind == "truth" and pd.api.types.is_bool_dtype(column)
    if kind == "whole":
        return pd.api.types.is_integer_dtype(column) and not column.isna().any()
    return pd.api.types.is_numeric_dtype(column) and not pd.api.types.is_complex_dtype(column)


def _numbers(column: pd.Series) -> pd.Series[float]:
    return column.astype("float64")


def _of_labels(table: pd.DataFrame, neurons: Mapping[str, int], *, scored: bool) -> str:
    """Return what is wrong with a label table whose columns are in order; imported labels may have no score."""
    count = table.drop_duplicates(["layer", "neuron"])["layer"].value_counts()
    short = [layer for layer, expected in neurons.items() if count.get(layer, 0) != expected]
    if short:
        return f"it does not have all neurons of layer {_shown(short[0])}"
    for column, known in (("status", _STATUSES), ("verdict", ("", *VERDICTS))):
        other = sorted(set(table[column]) - set(known))
        if other:
            return f"column '{column}' holds '{_shown(other[0])}', which is none"
    labelled = table["rank"].notna()
    if not _ranks_follow(table, labelled):
        return "the ranks of a neuron do not follow each other"
    first = table[labelled]
    if (first["concept"] == "").any() or (scored and first["score"].isna().any()):
        return "a label has no concept, or no score"
    tested = first["q"].notna()
    halves = tested.groupby(first["layer"]).nunique() > 1
    if halves.any() or (first["p"].notna() != tested).any():
        return "some labels of a layer have p and q, and others have not"
    return ""


def _ranks_follow(table: pd.DataFrame, labelled: pd.Series[bool]) -> bool:
    """Say whether each neuron has ranks 1, 2, 3 and so on, or one row without a rank."""
    pairs = ["layer", "neuron"]
    ranks = _numbers(table.loc[labelled, "rank"])
    by_neuron = ranks.groupby([table.loc[labelled, name] for name in pairs], sort=False)
    follow = (by_neuron.min() == 1) & (by_neuron.max() == by_neuron.size())
    silent = table.loc[~labelled, pairs]
    both = pd.MultiIndex.from_frame(silent).isin(pd.MultiIndex.from_frame(table.loc[labelled, pairs]))
    whole = bool((ranks == np.floor(ranks)).all())
    return whole and bool(follow.all()) and not both.any() and not silent.duplicated().any()


def _shown(name: str) -> str:
    """Return a name of somebody else's table as messages show it: its beginning, without control characters."""
    return "".join(one if one.isprintable() else "�" for one in name[:60])


def check_terms(folder: Path, results: Results, concepts: Iterable[Concept]) -> None:
    """Make sure that a run's labels are concepts of its vocabulary.

    Raises
    ------
    StoreError
        Naming one that is not.
    """
    unknown = sorted(set(results.labels["concept"]) - {one.term for one in concepts} - {""})
    if unknown:
        raise StoreError(
            f"{folder / 'labels.parquet'} is damaged: the run's concepts have no '{_shown(unknown[0])}'", _AGAIN
        )
