"""The names that version 0.1 gave to columns, verdicts and the summary of a run folder, turned into those of today."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd

__all__ = ["renamed_summary", "renamed_table"]

_SUMMARY = {
    "above_chance": "significant",
    "responding": "non_null",
    "settled": "decided",
    "exchangeable": "permutation_unit",
    "published_rule": "above_mean_score",
}
_COLUMNS: Mapping[str, Mapping[str, str]] = {
    "neurons": {"kind": "stratum"},
    "null": {"kind": "stratum"},
    "controls": {"above_chance": "significant"},
}
_VERDICTS = {"above chance": "significant", "polysemantic": "multiple categories", "chance": "not significant"}


def renamed_summary(manifest: Mapping[str, object]) -> Mapping[str, object]:
    """Return the content of an ``mcd.manifest/1`` as that of an ``mcd.manifest/2``."""
    layers = manifest.get("summary", [])
    if not isinstance(layers, list):
        return manifest
    renamed = [
        {_SUMMARY.get(name, name): value for name, value in one.items()} if isinstance(one, dict) else one
        for one in layers
    ]
    return {**manifest, "summary": renamed}


def renamed_table(name: str, table: pd.DataFrame) -> pd.DataFrame:
    """Return a table of a run folder with the present names of columns and verdicts; one that has them as it is."""
    table = table.rename(columns=dict(_COLUMNS.get(name, {})))
    if name == "labels" and table["verdict"].isin(list(_VERDICTS)).any():
        table = table.assign(verdict=table["verdict"].replace(_VERDICTS))
    return table
