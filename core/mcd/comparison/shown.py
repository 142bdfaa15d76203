"""What a comparison shows of itself in a notebook."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from mcd.api.shown import cautions, code, headline, page, say, table
from mcd.comparison.layers import ALL

if TYPE_CHECKING:
    from mcd.comparison.compared import Comparison

__all__ = ["comparison_html"]


def comparison_html(found: Comparison) -> str:
    """Return what is compared, what to beware of, how the runs differ or agree, and how to go on."""
    names = found.heading.runs["run"].tolist()
    agree = bool(found.agreements)
    of_tables = (found.heading.runs["images"] == 0).any()  # figures rest on more than tables
    figure = '.figure("coverage")' if agree else '.figure("significant")'
    return page(
        headline(
            " and ".join(map(str, names)) + (": how far they agree" if agree else ": side by side"),
            *(one for one in found.heading.lines() if one.startswith(("probe set", "dissector", "labels by"))),
        ),
        cautions([found.nothing, *found.notes]),
        *(_agreement(found) if agree else _layers(found)),
        code("Go on:", ".tables()", *([] if of_tables else [figure])),
    )


def _layers(found: Comparison) -> list[str]:
    if not len(found.layers):
        return [say("Nothing was compared.")]
    whole = found.layers[found.layers["layer"] == ALL]
    columns = [
        (title, name)
        for title, name in (
            ("run", "run"),
            ("neurons", "neurons"),
            ("significant", "significant"),
            ("mammographic", "mammographic"),
            ("different concepts", "concepts"),
            ("mean z", "mean_z"),
        )
        if name in whole
    ]
    rows = [[_cell(row[name]) for _, name in columns] for row in whole.to_dict("records")]
    return [table([title for title, _ in columns], rows)]


def _agreement(found: Comparison) -> list[str]:
    parts: list[str] = []
    for one in found.agreements:
        layers = one.table("layers").drop(columns=["a", "b"])
        rows: list[Sequence[object]] = [[_cell(value) for value in row] for row in layers.itertuples(index=False)]
        parts += [say(f"{one.a} and {one.b}"), table([str(name).replace("_", " ") for name in layers], rows)]
    return parts


def _cell(value: object) -> object:
    return f"{value:.2f}" if isinstance(value, float) else value
