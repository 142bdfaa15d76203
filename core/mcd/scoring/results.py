"""What scoring a run says, as tables, and the files they are kept in."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd

from mcd.errors import StoreError
from mcd.files import write_atomically
from mcd.options import Record
from mcd.scoring.older import renamed_table

__all__ = ["LayerSummary", "Results", "read_table"]

_OPTIONAL = ("neurons", "null", "explanations", "controls")


@dataclass(frozen=True)
class Results:
    """What is said of the layers of one run.

    Parameters
    ----------
    labels
        A row a label; see `mcd.scoring.tables.COLUMNS`.
    summary
        Of each layer.
    neurons, null, explanations, controls
        See `mcd.scoring.tables.NEURON_COLUMNS`, ``NULL_COLUMNS``, ``EXPLANATION_COLUMNS`` and
        `mcd.runs.controls.COLUMNS`; without rows where there is nothing to say.
    """

    labels: pd.DataFrame
    summary: Sequence[LayerSummary] = ()
    neurons: pd.DataFrame = field(default_factory=pd.DataFrame)
    null: pd.DataFrame = field(default_factory=pd.DataFrame)
    explanations: pd.DataFrame = field(default_factory=pd.DataFrame)
    controls: pd.DataFrame = field(default_factory=pd.DataFrame)

    def write(self, folder: Path) -> None:
        """Write the tables into a run folder: labels as Parquet and CSV, others where they have rows."""
        write_atomically(folder / "labels.parquet", self.labels.to_parquet(index=False))
        write_atomically(folder / "labels.csv", _csv(self.labels))
        for name in _OPTIONAL:
            table: pd.DataFrame = getattr(self, name)
            path = folder / f"{name}.parquet"
            if len(table):
                write_atomically(path, table.to_parquet(index=False))
            else:
                path.unlink(missing_ok=True)  # of an earlier run with other settings
        for name in ("explanations", "controls"):  # what people read
            table = getattr(self, name)
            if len(table):
                write_atomically(folder / f"{name}.csv", _csv(table))
            else:
                (folder / f"{name}.csv").unlink(missing_ok=True)

    @classmethod
    def read(cls, folder: Path) -> Results:
        """Read the tables of a run folder; those that do not exist have no rows."""
        found = {name: folder / f"{name}.parquet" for name in _OPTIONAL}
        tables = [
            renamed_table(name, read_table(path)) if path.exists() else pd.DataFrame() for name, path in found.items()
        ]
        return cls(renamed_table("labels", read_table(folder / "labels.parquet")), (), *tables)


def _csv(table: pd.DataFrame) -> bytes:
    return table.to_csv(index=False, lineterminator="\n").encode()


def read_table(path: Path) -> pd.DataFrame:
    """Return a table of a run folder.

    Raises
    ------
    StoreError
        When it cannot be read.
    """
    try:
        return pd.read_parquet(path)
    except (OSError, ValueError) as error:
        raise StoreError(f"cannot read {path}: {error}") from None


class LayerSummary(Record):
    """Counts of a layer: neurons, those with a label, those with a significant label.

    ``non_null`` is the estimated non-null fraction: the share of neurons that respond to some concept, significant or
    not. ``draws`` is the number of permutations: the smallest p is ``1 / (draws + 1)``. ``decided`` says whether more
    draws could not change which neurons are significant. ``permutation_unit`` is ``patient`` or ``image``.
    ``above_mean_score`` counts the neurons that pass the mean-score threshold of the paper: a first score no worse than
    the layer's mean. It is not a test of significance.
    """

    layer: str
    neurons: int
    labelled: int
    above_mean_score: int | None = None
    significant: int | None = None
    non_null: float | None = None
    draws: int | None = None
    decided: bool | None = None
    permutation_unit: str | None = None
