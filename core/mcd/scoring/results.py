"""What scoring a run says, as tables, and the files they are kept in."""

from __future__ import annotations

import io
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd
import pyarrow.parquet as pq
import pydantic

from mcd.errors import StoreError, amount
from mcd.files import digest_of, write_atomically
from mcd.options import Record
from mcd.scoring.older import renamed_table
from mcd.scoring.rungs import RungCount
from mcd.study.calibration import MOST_DRAWS, Calibration
from mcd.study.csv_cells import csv_bytes
from mcd.study.digests import CheckedFiles

__all__ = ["LABELS", "LayerSummary", "Results", "draws_said", "more_draws", "read_table"]

LABELS = "labels.parquet"
"""The file that makes the folder of a run one with labels."""
_OPTIONAL = ("neurons", "null", "explanations", "learned", "controls", "annotations")
_FOR_PEOPLE = ("explanations", "learned", "controls", "annotations")
"""Of these, what is written as CSV too."""

_LARGEST = 2**31
"""Bytes of the largest table."""

_AGAIN = "restore it from a copy, or run again"


@dataclass(frozen=True)
class Results:
    """What is said of the layers of one run.

    Parameters
    ----------
    labels
        A row a label; see `mcd.scoring.tables.COLUMNS`.
    summary
        Of each layer.
    neurons, null, explanations, learned, controls, annotations
        See `mcd.scoring.tables.NEURON_COLUMNS`, ``NULL_COLUMNS``, ``EXPLANATION_COLUMNS``,
        `mcd.scoring.learned.COLUMNS`, `mcd.runs.controls.COLUMNS` and `mcd.runs.annotations.COLUMNS`; without rows
        where there is nothing to say.
    """

    labels: pd.DataFrame
    summary: Sequence[LayerSummary] = ()
    neurons: pd.DataFrame = field(default_factory=pd.DataFrame)
    null: pd.DataFrame = field(default_factory=pd.DataFrame)
    explanations: pd.DataFrame = field(default_factory=pd.DataFrame)
    learned: pd.DataFrame = field(default_factory=pd.DataFrame)
    controls: pd.DataFrame = field(default_factory=pd.DataFrame)
    annotations: pd.DataFrame = field(default_factory=pd.DataFrame)

    def write(self, folder: Path) -> dict[str, str]:
        """Write the tables into a run folder: labels as Parquet and CSV, others where they have rows.

        Returns
        -------
        dict
            SHA-256 of each file that was written.
        """
        files = {LABELS: self.labels.to_parquet(index=False), "labels.csv": csv_bytes(self.labels)}
        for name in _OPTIONAL:
            table: pd.DataFrame = getattr(self, name)
            if len(table):
                files[f"{name}.parquet"] = table.to_parquet(index=False)
                if name in _FOR_PEOPLE:
                    files[f"{name}.csv"] = csv_bytes(table)
        for name, data in files.items():
            write_atomically(folder / name, data)
        for name in (*(f"{one}.parquet" for one in _OPTIONAL), *(f"{one}.csv" for one in _FOR_PEOPLE)):
            if name not in files:
                (folder / name).unlink(missing_ok=True)  # of an earlier run with other settings
        return {name: digest_of(data) for name, data in files.items()}

    @classmethod
    def read(cls, files: CheckedFiles, most_rows: int) -> Results:
        """Read the tables of a run folder, none with more rows; those that do not exist have no rows.

        Raises
        ------
        StoreError
            When one cannot be read, or is not what the run wrote.
        """
        found = {}
        for name in ("labels", *_OPTIONAL):
            file = f"{name}.parquet"
            there = name == "labels" or file in files.digests or os.path.lexists(files.folder / file)
            found[name] = renamed_table(name, read_table(files, file, most_rows)) if there else pd.DataFrame()
        return cls(summary=(), **found)


def read_table(files: CheckedFiles, name: str, most_rows: int) -> pd.DataFrame:
    """Return a table of a run folder, which may have so many rows.

    Raises
    ------
    StoreError
        When it cannot be read, or is not what the run wrote.
    """
    try:
        data = files.read(name, _LARGEST)
    except OSError as error:
        raise StoreError(f"cannot read {files.folder / name}: {error.strerror}", _AGAIN) from None
    try:
        rows = pq.read_metadata(io.BytesIO(data)).num_rows
        table = None
        if rows <= most_rows:
            pq.read_table(io.BytesIO(data)).validate(full=True)  # texts that are no UTF-8 are read without a word
            table = pd.read_parquet(io.BytesIO(data)).reset_index(drop=True)
    except Exception:  # whatever the parser says of bytes that are no table: its words hold some of them
        raise StoreError(f"{files.folder / name} is damaged: it is no table", _AGAIN) from None
    if table is None:
        raise StoreError(
            f"{files.folder / name} is damaged: it has {amount(rows, 'row')}, more than the run can have", _AGAIN
        )
    return table


_ENOUGH_NETWORKS = 19
"""The p of a layer beside so many networks can be 0.05."""


class LayerSummary(Record):
    """Counts of a layer: neurons, those with a label, those with a significant label.

    ``non_null`` is the estimated non-null fraction: the share of neurons that respond to some concept, significant or
    not. ``draws`` is the number of permutations: the smallest p that is counted is ``1 / (draws + 1)``. ``decided``
    says whether more draws could not change which neurons are significant. ``permutation_unit`` is ``patient`` or
    ``image``.
    ``rungs`` counts those that are significant at each rung above the first that was tested (`mcd.scoring.rungs`).
    ``untrained`` is the number of networks that have not been trained, ``untrained_reached`` how many of them have
    first labels that on average lie no less above what untrained neurons have for the same concepts than those of the
    layer (`mcd.scoring.untrained`), and ``p_untrained`` the p of the layer:
    ``(1 + untrained_reached) / (1 + untrained)``.
    ``above_mean_score`` counts the neurons that pass the mean-score threshold of the paper: a first score no worse than
    the layer's mean. It is not a test of significance.
    """

    layer: str
    neurons: int
    labelled: pydantic.NonNegativeInt
    above_mean_score: pydantic.NonNegativeInt | None = None
    significant: pydantic.NonNegativeInt | None = None
    non_null: float | None = pydantic.Field(default=None, ge=0, le=1)
    draws: pydantic.NonNegativeInt | None = None
    decided: bool | None = None
    permutation_unit: str | None = None
    rungs: dict[str, RungCount] = pydantic.Field(default_factory=dict)
    untrained: pydantic.NonNegativeInt | None = pydantic.Field(default=None, le=100)
    untrained_reached: pydantic.NonNegativeInt | None = None
    p_untrained: float | None = pydantic.Field(default=None, gt=0, le=1)

    @property
    def beside_untrained(self) -> str:
        """How first labels on average compare with those of untrained networks: a p, or a rank where these are few.

        Empty where there are none.
        """
        if not self.untrained or self.p_untrained is None:
            return ""
        if self.untrained >= _ENOUGH_NETWORKS:
            return f"p = {self.p_untrained:.2g}"
        return f"larger than in {self.untrained - (self.untrained_reached or 0)} of {self.untrained}"


_NAMED = 6


def _named(layers: Sequence[str]) -> str:
    rest = len(layers) - _NAMED
    return ", ".join(layers[:_NAMED]) + (f" and {rest} more" if rest > 0 else "")


def draws_said(summary: Sequence[LayerSummary]) -> str:
    """Return how many draws the nulls of layers have, and below which p none is counted; empty where there are none.

    Layers are named where they differ: a layer is drawn for until its neurons are decided.
    """
    layers: dict[int, list[str]] = {}
    for one in summary:
        if one.draws:
            layers.setdefault(one.draws, []).append(one.layer)
    return ", ".join(
        f"{amount(draws, 'draw')}{f' in {_named(names)}' if len(layers) > 1 else ''} "
        f"(no p is counted below 1/{draws + 1:,})"
        for draws, names in sorted(layers.items())
    )


def more_draws(summary: Sequence[LayerSummary], most_draws: int, run: str) -> tuple[str, str]:
    """Return in which layers more draws could change which neurons are significant, and the command that draws them.

    Both are empty where there are none, the command where no more are allowed.

    Parameters
    ----------
    most_draws
        How many the run was allowed.
    run
        Its folder, as it is typed.
    """
    layers = [one.layer for one in summary if one.decided is False]
    most = min(max(4 * most_draws, Calibration().most_draws), MOST_DRAWS)
    return (
        f"more draws could change which neurons are significant in {_named(layers)}" if layers else "",
        f"mcd score {run} --most-draws {most}" if layers and most > most_draws else "",
    )
