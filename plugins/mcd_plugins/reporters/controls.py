"""Negative controls beside the run: over all layers, and layer by layer."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from mcd.plugins import CONTROLS

__all__ = ["ControlRow", "Controls", "controls_of"]


@dataclass(frozen=True)
class ControlRow:
    """What was labelled, and how many of its neurons are significant; ``changes`` says how it differs from the run.

    ``mean_z`` is that of first labels; NaN where there are none.
    """

    name: str
    changes: str
    neurons: int
    significant: int
    mammographic: int
    mean_z: float


@dataclass(frozen=True)
class Controls:
    """The run and its controls over all layers, and the same of each layer by name."""

    total: Sequence[ControlRow]
    layers: Sequence[tuple[str, Sequence[ControlRow]]]


def controls_of(table: pd.DataFrame) -> Controls | None:
    """Return what is shown of a table of controls (`mcd.runs.controls.COLUMNS`), or None where it has no rows."""
    if not len(table):
        return None
    return Controls(_rows(table), [(str(layer), _rows(rows)) for layer, rows in table.groupby("layer", sort=False)])


def _rows(table: pd.DataFrame) -> list[ControlRow]:
    return [_row(str(control), rows) for control, rows in table.groupby("control", sort=False)]


def _row(control: str, rows: pd.DataFrame) -> ControlRow:
    known = rows[rows["mean_z"].notna()]
    labels = int(known["labelled"].sum())
    return ControlRow(
        name="this run" if control == "none" else control,
        changes=CONTROLS.get(control, ""),
        neurons=int(rows["neurons"].sum()),
        significant=int(rows["significant"].sum()),
        mammographic=int(rows["mammographic"].sum()),
        mean_z=float((known["mean_z"] * known["labelled"]).sum()) / labels if labels else math.nan,
    )
