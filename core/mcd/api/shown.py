"""How results show themselves in a notebook: escaped HTML, styled in place, for light pages and dark ones."""

from __future__ import annotations

import html
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from mcd.errors import amount, printable

if TYPE_CHECKING:
    from mcd.api.concepts import ConceptSet

__all__ = ["bullets", "cautions", "code", "concept_set_html", "headline", "page", "say", "table", "text"]

_LINE = "rgba(128,128,128,.35)"
_ROWS = 12
"""Rows of a table that are shown."""


def text(value: object) -> str:
    """Return a value as text of a page: escaped, with nothing in it that steers a terminal or turns a line."""
    return html.escape(printable(str(value)))


def page(*parts: str) -> str:
    """Return parts below each other; empty ones are left out. Colours are those of the page that it lies in."""
    inside = "".join(part for part in parts if part)
    return (
        '<div class="mcd" style="font-size:.95em;line-height:1.45;max-width:60em;margin:.3em 0;color:inherit">'
        f"{inside}</div>\n"
    )


def headline(what: str, *facts: str) -> str:
    """Return what is shown, and below it in smaller letters what went in."""
    below = f'<div style="opacity:.75">{text(" · ".join(one for one in facts if one))}</div>' if any(facts) else ""
    return f'<div style="font-size:1.1em;font-weight:600">{text(what)}</div>{below}'


def say(sentence: str) -> str:
    """Return a sentence."""
    return f'<div style="margin:.5em 0">{text(sentence)}</div>' if sentence else ""


def cautions(sentences: Iterable[str]) -> str:
    """Return what a reader must know first."""
    each = "".join(f"<div>{text(one)}</div>" for one in sentences if one)
    bar = "border-left:3px solid #d98200;padding:.1em 0 .1em .7em;margin:.5em 0"
    return f'<div role="note" style="{bar}">{each}</div>' if each else ""


def table(
    columns: Sequence[str], rows: Sequence[Sequence[object]], *, most: int = _ROWS, left: int = 1, words: int = 0
) -> str:
    """Return a table; the first ``left`` columns and the last ``words`` ones stand left.

    No more than ``most`` rows are shown; how many there are beyond them is said.
    """
    stand_left = {*range(left), *range(len(columns) - words, len(columns))}

    def cell(tag: str, at: int, value: object) -> str:
        side = "left" if at in stand_left else "right"
        style = f"text-align:{side};padding:.15em .9em .15em 0;border:0;border-bottom:1px solid {_LINE}"
        scope = ' scope="col"' if tag == "th" else ""
        return f'<{tag}{scope} style="{style};vertical-align:top">{text(value)}</{tag}>'

    head = "".join(cell("th", at, one) for at, one in enumerate(columns))
    body = "".join(
        f'<tr style="background:transparent">{"".join(cell("td", at, one) for at, one in enumerate(row))}</tr>'
        for row in rows[:most]
    )
    more = f'<div style="opacity:.75">… and {len(rows) - most} more</div>' if len(rows) > most else ""
    style = "border-collapse:collapse;margin:.4em 0;border:0;color:inherit;font-size:inherit"
    return f'<table style="{style}"><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>{more}'


def bullets(sentences: Iterable[str]) -> str:
    """Return sentences as a list."""
    each = "".join(f"<li>{text(one)}</li>" for one in sentences)
    return f'<ul style="margin:.3em 0;padding-left:1.3em">{each}</ul>' if each else ""


def code(said: str, *lines: str) -> str:
    """Return lines that can be typed next, after a word on what they are for."""
    each = " &nbsp; ".join(f'<code style="background:transparent;color:inherit">{text(one)}</code>' for one in lines)
    return f'<div style="margin:.5em 0 0;opacity:.85">{text(said)} {each}</div>'


_TERMS = 4


def concept_set_html(found: ConceptSet) -> str:
    """Return what a concept set is, a row for each category with some of its terms, and how it is used."""
    rows = []
    for broad, categories in found.broad_categories.items():
        for at, (category, entries) in enumerate(categories.items()):
            some = ", ".join(one.term for one in entries[:_TERMS]) + (" …" if len(entries) > _TERMS else "")
            rows.append(("" if at else broad, category, len(entries), some))
    count = len(found.concepts)
    return page(
        headline(
            f"{found.name}: {amount(count, 'concept')}",
            f"version {found.version}" if found.version else "",
            found.licence,
            found.description.partition("\n")[0],
        ),
        table(["broad category", "category", "concepts", "such as"], rows, left=2, words=1),
        code("Go on:", ".concepts", "mcd.dissect(…, concepts=…)"),
    )
