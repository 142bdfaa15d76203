"""The page: one file without scripts, which fetches nothing."""

from __future__ import annotations

import base64
import hashlib
from importlib.resources import files

import jinja2
import pandas as pd

import mcd
from mcd_plugins.cav.measuring import Found
from mcd_plugins.cav.tables import COLUMNS, SHOWN, best_first, intervals, said, shown_rows

__all__ = ["page"]

_MOST = 500
"""Rows on the page; all are in cav.csv."""


def page(found: Found, table: pd.DataFrame) -> bytes:
    """Return the page, HTML in UTF-8."""
    own = files("mcd_plugins.cav")
    style = files("mcd_plugins.bench").joinpath("style.css").read_text(encoding="utf-8")
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    rows = best_first(table).head(_MOST)
    text = environment.from_string(own.joinpath("cav.html.j2").read_text(encoding="utf-8")).render(
        version=mcd.__version__,
        target=found.asked.tested.target.name,
        sentences=said(found, table),
        heads=SHOWN,
        rows=list(zip(shown_rows(rows), intervals(rows), rows["verdict"], strict=True)),
        more=len(table) - len(rows),
        columns=COLUMNS.items(),
        left_out=found.asked.labels.left_out.items(),
        style=style,
        policy=f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'",
    )
    return text.encode()
