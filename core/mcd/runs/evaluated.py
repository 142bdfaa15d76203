"""What a run folder keeps of an evaluation of its labels: how right they are, and what was judged against what."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import pandas as pd
import pydantic

from mcd.api.schema import Schema, read_record
from mcd.errors import DamagedError, StoreError, amount
from mcd.files import digest_of, read_regular, write_atomically
from mcd.options import Record
from mcd.runs.checking import table_problem
from mcd.runs.manifest import Digests, Manifest
from mcd.runs.shown import evaluation_html
from mcd.scoring.results import LABELS, read_table
from mcd.study.csv_cells import csv_bytes
from mcd.study.digests import CheckedFiles
from mcd.study.outputs import check_writable, outputs
from mcd.version import __version__

__all__ = [
    "AGAINST",
    "BASELINES",
    "EVALUATION",
    "FIRST",
    "MEASURES",
    "Evaluation",
    "EvaluationRecord",
    "digests_of",
    "labels_digest",
]

EVALUATION = "evaluation"
"""The folder of a run in which its evaluation lies."""
RECORD = "evaluation.json"

FIRST = "first"
"""The labels that are judged: first concepts, as half of the patients names them."""
BASELINES: Mapping[str, str] = {
    "runner-up": "the second concept of the same ranking",
    "random": "a random other concept of the same category",
    "constant": "one concept for all neurons: the most frequent first concept of the layer",
    "untrained": "a network that has not been trained, with first concepts of its own",
}
"""What stands beside them, in the order of tables."""
AGAINST: Mapping[str, str] = {
    "annotations": "what the data set annotates of held-out images",
    "held-out": "the run's own similarities of held-out images",
    "other-dissector": "similarities of another run, by another dissector, of held-out images",
    "truth": "the concept that separates images best, where every image is annotated with every one",
}
"""What labels are judged against, in the order of tables."""
MEASURES: Mapping[str, str] = {
    "pearson": "Pearson correlation",
    "cosine": "cosine",
    "auprc": "AUPRC",
    "f1": "F1",
    "iou": "IoU",
    "simulation": "simulation (held-out correlation)",
    "auc (annotated positives)": "AUC (annotated positives)",
    "mad (annotated positives)": "MAD (annotated positives)",
    "responsiveness (annotated positives)": "responsiveness (annotated positives)",
    "purity (annotated positives)": "purity (annotated positives)",
    "recovered": "truth recovered",
}
"""How tables call each measure, and what it is called where there is room, in the order of tables."""

_TABLES = ("summary", "neurons", "stability", "geometry", "faithfulness")
_FOR_PEOPLE = ("summary", "stability", "geometry", "faithfulness")
"""Of these, what is written as CSV too; that of neurons has millions of rows."""
_MOST_ROWS = 50_000_000
_ROWS = 10_000
"""Rows of a table, a layer; and a neuron's are a fiftieth of that."""

_SCHEMA = Schema(EVALUATION, 1, remedy="evaluate the run again: mcd evaluate RUN")


class EvaluationRecord(Record):
    """How labels were judged, ``evaluation.json``.

    ``labels`` is the SHA-256 of the label table that was judged. ``against`` are names of `AGAINST`.
    ``labelled`` counts the neurons that have a label by half of the patients, whether or not it could be judged.
    ``held_out_patients`` and ``held_out_images`` count what judged; the first is None where no patient is known, and
    images were drawn. ``problems`` says what could not be evaluated and why, a sentence each; ``notes`` what a reader
    of the numbers must know. ``digests`` are the SHA-256 of the tables.
    """

    schema_: Literal["mcd.evaluation/1"] = pydantic.Field(default="mcd.evaluation/1", alias="schema")
    mcd: str = __version__
    labels: str = ""
    scorer: str = ""
    against: list[str] = pydantic.Field(default_factory=list)
    other: str = ""
    seed: int = 0
    draws: pydantic.NonNegativeInt = 0
    labelled: pydantic.NonNegativeInt = 0
    held_out_patients: pydantic.NonNegativeInt | None = None
    held_out_images: pydantic.NonNegativeInt = 0
    settings: dict[str, pydantic.JsonValue] = pydantic.Field(default_factory=dict)
    problems: list[str] = pydantic.Field(default_factory=list)
    notes: list[str] = pydantic.Field(default_factory=list)
    digests: Digests = pydantic.Field(default_factory=dict)


def _empty() -> pd.DataFrame:
    return pd.DataFrame()


@dataclass(frozen=True)
class Evaluation:
    """How right the labels of a run are.

    Made by `mcd.evaluate`, read by `mcd.Dissection.evaluation`. A table without rows has no columns either.

    Parameters
    ----------
    record
        What was judged, against what and how.
    summary
        Means over neurons: against (see `AGAINST`), layer (empty: the whole run), measure (see `MEASURES`), labels,
        value, low, high, neurons, units. ``labels`` is `FIRST`, one of `BASELINES`, or ``first - BASELINE``, the mean
        difference of neurons that have both; for ``untrained`` it is the difference of the two means. ``low`` and
        ``high`` bound the 95 % interval over held-out patients, NaN where these are too few; ``units`` counts these.
    neurons
        The same of each neuron: target, layer, neuron, against, measure, labels, concept, value. Without `untrained`,
        whose neurons are others.
    stability
        How often labels come back on resamples of the patients: layer, neuron, concept (of the label table), share (of
        resamples in which it comes first), set (the smallest set of concepts that comes first in 95 % of them, joined
        by ``; ``), size (of it), coverage (its share), certain (whether the set is the label alone).
    geometry
        Of the images a neuron responds to most: layer, neuron, clarity, polysemanticity, redundancy, nearest (the
        neuron of the layer whose images are most similar). See `mcd.evaluation.geometry`.
    faithfulness
        What happens to outputs of the network when the neurons that share a name are ablated, beside random groups of
        them: layer, concept, neurons, measure, output, finding, value, low, high, random, random_least, random_most,
        random_groups, p, q, units; see `mcd.evaluation.faithfulness`. Empty where it was not asked for.
    """

    record: EvaluationRecord
    summary: pd.DataFrame = field(default_factory=_empty)
    neurons: pd.DataFrame = field(default_factory=_empty)
    stability: pd.DataFrame = field(default_factory=_empty)
    geometry: pd.DataFrame = field(default_factory=_empty)
    faithfulness: pd.DataFrame = field(default_factory=_empty)

    def __repr__(self) -> str:
        judged = ", ".join(self.record.against) or "nothing"
        return f"<Evaluation against {judged}: {amount(self.record.held_out_images, 'held-out image')}>"

    def _repr_html_(self) -> str:
        return evaluation_html(self)

    @property
    def problems(self) -> list[str]:
        """What could not be evaluated and why, a sentence each."""
        return list(self.record.problems)

    def tables(self) -> dict[str, pd.DataFrame]:
        """Return the tables that have rows, by name."""
        found: dict[str, pd.DataFrame] = {name: getattr(self, name) for name in _TABLES}
        return {name: table for name, table in found.items() if len(table)}

    @staticmethod
    def check(folder: Path) -> None:
        """Make sure that an evaluation can be written into a folder, before anything is computed for it.

        Raises
        ------
        UsageError
            When something is in the way that mcd did not write.
        StoreError
            When the disk is full or may not be written.
        """
        tables = [*(f"{name}.parquet" for name in _TABLES), *(f"{name}.csv" for name in _FOR_PEOPLE)]
        for name in (RECORD, *tables):
            check_writable(folder / name)

    def write(self, folder: Path) -> None:
        """Write tables and record into a folder, ``RUN/evaluation``; an earlier evaluation there is replaced.

        Raises
        ------
        UsageError
            When something is in the way that mcd did not write.
        StoreError
            When the disk is full or may not be written.
        """
        files = {}
        for name, table in self.tables().items():
            files[f"{name}.parquet"] = table.to_parquet(index=False)
            if name in _FOR_PEOPLE:
                files[f"{name}.csv"] = csv_bytes(table)
        record = self.record.model_copy(update={"digests": {name: digest_of(data) for name, data in files.items()}})
        text = json.dumps(record.model_dump(mode="json", by_alias=True), indent=2, ensure_ascii=False) + "\n"
        before = digests_of(folder)
        with outputs(folder) as fresh:
            for name, data in {**files, RECORD: text.encode()}.items():
                write_atomically(fresh / name, data)
        for name, digest in before.items():
            if name not in files and _digest_of(folder / name) == digest:  # of an evaluation with other settings
                (folder / name).unlink(missing_ok=True)

    @classmethod
    def read(cls, run: Path, labels: str, manifest: Manifest) -> Evaluation | None:
        """Read the evaluation of a run folder; None where there is none.

        Parameters
        ----------
        labels
            SHA-256 of the run's label table: an evaluation of other labels is none of these.

        Raises
        ------
        StoreError
            When it is damaged, of a version that is not read, or of other labels.
        """
        folder = run / EVALUATION
        path = folder / RECORD
        if not os.path.lexists(path):
            return None
        try:
            data = read_regular(path)
        except OSError as error:
            raise StoreError(f"cannot read {path}: {error.strerror}", _SCHEMA.remedy) from None
        record = read_record(data, _SCHEMA, EvaluationRecord, str(path))
        if record.labels != labels:
            raise StoreError(f"{folder} is about labels that the run no longer has", _SCHEMA.remedy)
        files, found = CheckedFiles(folder, record.digests), {}
        for name in _TABLES:
            if f"{name}.parquet" in record.digests:
                found[name] = _table(files, name, manifest)
        return cls(record, **found)


def _table(files: CheckedFiles, name: str, manifest: Manifest) -> pd.DataFrame:
    path = files.folder / f"{name}.parquet"
    neurons = {one.name: one.neurons for one in manifest.layers}
    most = min(_MOST_ROWS, _ROWS * (1 + len(neurons)) + _ROWS // 50 * sum(neurons.values()))
    try:
        table = read_table(files, path.name, most)
    except DamagedError as error:
        raise DamagedError(error.message, _SCHEMA.remedy) from None
    except StoreError as error:
        raise StoreError(error.message, _SCHEMA.remedy) from None
    problem = table_problem(f"{EVALUATION}/{name}", table, neurons if "neuron" in table else {**neurons, "": 0})
    if problem:
        raise StoreError(f"{path} is damaged: {problem}", _SCHEMA.remedy)
    return table


def labels_digest(folder: Path, manifest: Manifest) -> str:
    """Return the SHA-256 of the label table of a run; older manifests do not have it.

    Raises
    ------
    StoreError
        When the table cannot be read.
    """
    known = (manifest.digests or {}).get(LABELS)
    if known:
        return known
    found = _digest_of(folder / LABELS)
    if not found:
        raise StoreError(f"cannot read {folder / LABELS}", "restore it from a copy, or run again")
    return found


def digests_of(folder: Path) -> Mapping[str, str]:
    """Return the digests of the tables of the evaluation in a folder; none where its record is none."""
    try:
        path = folder / RECORD
        return read_record(read_regular(path), _SCHEMA, EvaluationRecord, str(path)).digests
    except (OSError, StoreError):
        return {}


def _digest_of(path: Path) -> str:
    try:
        return digest_of(read_regular(path, 2**31))
    except OSError:
        return ""
