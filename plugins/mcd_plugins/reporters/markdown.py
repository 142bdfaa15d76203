"""A summary to paste into a paper or an issue. Nothing that a file says is taken for markup."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from mcd.plugins import one_line
from mcd_plugins.reporters.answers import Answer
from mcd_plugins.reporters.base import SummaryReporter
from mcd_plugins.reporters.summaries import Summary
from mcd_plugins.reporters.tables import Table

__all__ = ["MarkdownReporter", "escaped"]


class MarkdownReporter(SummaryReporter):
    """Write ``summary.md``: what was run, layers, concepts, clearest neurons, and what may not be concluded.

    Several runs stand side by side, with differences and intervals where they can be compared.
    """

    file = "summary.md"

    def lines(self, summary: Summary) -> Iterator[str]:
        """Yield the lines of the summary."""
        yield f"# {escaped(summary.title)}"
        first, others = summary.cautions[:1], summary.cautions[1:]
        for one in first:
            yield from ["", f"**Caution:** {escaped(one)}"]
        for answer in summary.answers:
            yield from _answer(answer)
        for one in summary.findings:
            yield from ["", escaped(one)]
        if others:
            yield from ["", "## What may not be concluded", "", *(f"- {escaped(one)}" for one in others)]
        yield from ["", "## What it rests on"]
        yield from ["", *_basis(summary)]
        for table in summary.tables:
            yield from ["", f"## {escaped(table.title)}", "", *_table(table)]
            if table.note:
                yield from ["", escaped(table.note)]
        yield from ["", "## Made with", "", escaped("; ".join(summary.versions) + ".")]


_ENTITIES = {"<": "&lt;", ">": "&gt;", "&": "&amp;"}
_MARKUP = re.compile(r"[\\`*_\[\]|~$#!<>&]")
_LINKS = re.compile(r"(?<=\w):(?=//)|(?<=www)\.", re.IGNORECASE)
_PINGS = re.compile(r"@(?=\w)|#(?=\d)")
_LISTS = re.compile(r"^([-+=])(?=[-+=\s]|$)|^(\d+)(?=[.)](?:\s|$))")
_NO_WIDTH = "&#8203;"


def escaped(text: str) -> str:
    """Return Markdown that shows a text as it is, on one line: no markup, no link, no notification.

    A character without width keeps ``@name`` and ``#12`` from being taken for people and issues, which GitHub looks for
    when markup is dealt with already.
    """
    held = _PINGS.sub(lambda found: f"{found[0]}\0", one_line(text))
    held = _MARKUP.sub(lambda found: _ENTITIES.get(found[0], f"\\{found[0]}"), held)
    held = _LINKS.sub(lambda found: f"\\{found[0]}", held)
    held = _LISTS.sub(lambda found: f"\\{found[1]}" if found[1] else f"{found[2]}\\", held)
    return held.replace("\0", _NO_WIDTH)


def _answer(answer: Answer) -> Iterator[str]:
    yield from ["", f"## {escaped(answer.question)}", "", escaped(" ".join(answer.sentences))]
    if answer.checks:
        yield from ["", "Not checked:", "", *(f"- {escaped(one.what)}: `{one.command}`" for one in answer.checks)]


def _basis(summary: Summary) -> Iterator[str]:
    if len(summary.runs) > 1:
        rows = [[name, *values] for name, values in summary.conditions]
        yield from _table(Table("basis", "", ("", *summary.runs), rows, words=("", *summary.runs)))
    else:
        yield " · ".join(f"**{escaped(name)}:** {escaped(values[0])}" for name, values in summary.conditions)


def _table(table: Table) -> Iterator[str]:
    if not table.rows:
        yield "None."
        return
    yield _row(table.header)
    yield "|" + "|".join("---" if name in table.words else "---:" for name in table.header) + "|"
    for row in table.rows:
        yield _row(row)


def _row(cells: Sequence[str]) -> str:
    return "| " + " | ".join(escaped(one) for one in cells) + " |"
