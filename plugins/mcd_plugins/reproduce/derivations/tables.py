"""Tables of other people, from the bytes of a file."""

from __future__ import annotations

import io

import pandas as pd

__all__ = ["column", "layer_of", "table"]


def table(content: bytes) -> pd.DataFrame:
    """Return a CSV file as a table; texts stay texts, also ``None`` and ``nan``.

    Raises
    ------
    ValueError
        When it is no CSV file in UTF-8.
    """
    return pd.read_csv(io.BytesIO(content), keep_default_na=False, low_memory=False)


def column(found: pd.DataFrame, name: str) -> pd.Series:
    """Return a column of numbers.

    Raises
    ------
    KeyError
        When there is none of the name.
    ValueError
        When one of its cells is no number.
    """
    numbers = pd.to_numeric(found[name])
    if not len(numbers):
        raise ValueError("the table has no rows")
    return numbers


def layer_of(found: pd.DataFrame, layer: str) -> pd.DataFrame:
    """Return the rows of one layer.

    Raises
    ------
    ValueError
        When there are none.
    """
    rows = found[found["layer"] == layer]
    if rows.empty:
        raise ValueError(f"no row is of the layer {layer}")
    return rows
