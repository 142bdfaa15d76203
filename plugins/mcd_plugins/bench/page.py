"""The page of a bench: one file without scripts, which fetches nothing."""

from __future__ import annotations

import base64
import hashlib
from importlib.resources import files

import jinja2

from mcd_plugins.bench.contract import FOLLOWING
from mcd_plugins.bench.ranking import Outcome
from mcd_plugins.bench.report import BENCH_VERSION, MEASURES, PLANT_HEADS, Report, shown

__all__ = ["page"]

_HEADS = {
    "precision": "Precision",
    "recall": "Recall",
    "fdr": "FDR",
    "p_below": "p ≤ 0.05 on noise",
    "ks": "KS distance of p from uniform",
    "name": "Right name",
    "cluster": "Right name or near-synonym",
}


def page(report: Report) -> bytes:
    """Return the page, HTML in UTF-8."""
    style = files("mcd_plugins.bench").joinpath("style.css").read_text(encoding="utf-8")
    template = files("mcd_plugins.bench").joinpath("bench.html.j2").read_text(encoding="utf-8")
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    ranks = {measure: report.ranks(measure) for measure in (*MEASURES, "seconds")}
    text = environment.from_string(template).render(
        version=BENCH_VERSION,
        report=report,
        heads=list(_HEADS.values()),
        measures=[_measured(one, ranks) for one in report.tried],
        plants=list(PLANT_HEADS),
        found=[_found(one, cells) for one, (_, *cells) in zip(report.tried, report.plants(), strict=True)],
        settings=[(name, _words(value)) for name, value in report.settings.items()],
        style=style,
        policy=f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'",
    )
    return text.encode()


def _measured(one: Outcome, ranks: dict[str, dict[str, int]]) -> dict[str, object]:
    row, name = one.row(), one.method.name
    cells = [(shown(float(getattr(row, measure))), ranks[measure].get(name)) for measure in MEASURES]
    seconds = (f"{row.seconds:.2f}", ranks["seconds"].get(name))
    return {"method": one.method, "cells": [*cells, seconds]}


def _found(one: Outcome, cells: list[str]) -> dict[str, object]:
    made = [plant not in FOLLOWING or plant in one.method.made_for for plant in PLANT_HEADS]
    return {"name": one.method.name, "cells": list(zip(cells, made, strict=True))}


def _words(value: object) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{one}: {other}" for one, other in value.items())
    return str(value)
