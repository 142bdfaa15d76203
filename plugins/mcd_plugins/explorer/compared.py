"""What the page knows of runs side by side: the tables of ``mcd compare``, with the intervals that it gives."""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping, Sequence

import pandas as pd

import mcd
from mcd_plugins.explorer.packing import Json

__all__ = ["compared_of"]

_ALL = "(all)"
_LEVELS = ("broad_category", "category", "concept")
_Row = Mapping[Hashable, object]


def compared_of(found: mcd.Comparison | None) -> Json:
    """Return differences of runs from the first, with their intervals; only why there are none where there are none.

    Parameters
    ----------
    found
        The comparison; None where the runs do not allow one.

    Returns
    -------
    Json
        ``missing``, empty where runs are comparable; ``notes``; ``unit``: what was resampled for intervals, empty where
        nothing was; ``rows``: run, level, place, name; share in the first run, in the other and their difference, each
        with its lowest and highest; neurons of both that the shares are of; ``changes``: run, kind, neurons, lowest,
        highest, of how many. Shares are 0…1, mean z is in standard deviations.
    """
    if found is None:
        return {"missing": "Differences were not computed: the runs are not comparable, or not complete."}
    if not len(found.differences):
        return {
            "missing": "These runs are of the same neurons: shares are given without differences, and mcd compare says "
            "how far the runs agree."
        }
    names = [str(one) for one in found.heading.runs["run"]]
    bounded = bool(found.differences["difference_low"].notna().any())
    known = bool((found.heading.runs["patients"] > 0).all())
    shares = _shares(found)
    rows: list[Json] = []
    for one in found.differences.to_dict("records"):
        row = _row(one, names, shares)
        rows += [row] if row else []
    return {
        "missing": "",
        "notes": [f"{note[:1].upper()}{note[1:]}." for note in found.own_notes],
        "unit": ("patients" if known else "images") if bounded else "",
        "rows": rows,
        "changes": _changes(found, names),
    }


_Shares = Mapping[tuple[str, str, str, str], Sequence[Json]]
"""By run, place, level and name: a share with its interval."""

_COLUMNS = {
    "mean z": "mean_z",
    "significant": "share",
    "mammographic": "mammographic_share",
    "not mammographic": "other_share",
}


def _shares(found: mcd.Comparison) -> _Shares:
    shares: dict[tuple[str, str, str, str], Sequence[Json]] = {}
    for one in found.layers.to_dict("records"):
        for name, column in _COLUMNS.items():
            shares[str(one["run"]), str(one["place"]), "layer", name] = _three(one, column)
    whole = found.categories[found.categories["layer"] == _ALL]
    for one in whole.to_dict("records"):
        shares[str(one["run"]), _ALL, str(one["level"]), str(one["name"])] = _three(one, "share")
    return shares


def _row(one: _Row, names: Sequence[str], shares: _Shares) -> Json:
    """Return what a difference is of; None where neither run has any, or for categories of single layers."""
    place, level, name = (str(one[key]) for key in ("place", "level", "name"))
    if level in _LEVELS and (place != _ALL or not (one["reference"] or one["other"])):
        return None
    number = names.index(str(one["run"]))
    return [
        number,
        level,
        place,
        name,
        *shares[names[0], place, level, name],
        *shares[names[number], place, level, name],
        *_three(one, "difference"),
        int(str(one["reference_neurons"])),
        int(str(one["other_neurons"])),
    ]


def _changes(found: mcd.Comparison, names: Sequence[str]) -> list[Json]:
    return [
        [
            names.index(one.run),
            str(row["change"]),
            int(str(row["neurons"])),
            _number(row["low"]),
            _number(row["high"]),
            int(str(row["pairs"])),
        ]
        for one in found.changes
        for row in one.layers[one.layers["place"] == _ALL].to_dict("records")
    ]


def _three(row: _Row, name: str) -> list[Json]:
    return [_number(row[key]) for key in (name, f"{name}_low", f"{name}_high")]


def _number(value: object) -> float | None:
    found = float("nan") if pd.isna(value) else float(str(value))  # type: ignore[call-overload]  # a cell, never a table
    return round(found, 6) if math.isfinite(found) else None
