r"""Tables for a paper: LaTeX with booktabs, to be read by ``\input``. Nothing a file says is taken for a command."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

from mcd.plugins import one_line
from mcd_plugins.reporters.base import SummaryReporter
from mcd_plugins.reporters.latex_tables import floats
from mcd_plugins.reporters.summaries import Summary

__all__ = ["LatexReporter", "basis"]


class LatexReporter(SummaryReporter):
    r"""Write ``tables.tex``: layers, broad categories, controls and clearest neurons as tables with booktabs.

    Several runs stand side by side, with their differences. The preamble needs ``\usepackage{booktabs}``; each table
    is a float with a caption that says what it rests on, and a label ``tab:mcd-…``. It fits a page of ``article``, in
    one column or two; a long table is split.
    """

    file = "tables.tex"

    def lines(self, summary: Summary) -> Iterator[str]:
        """Yield the lines of the tables."""
        yield f"% {one_line(summary.title)}. Needs \\usepackage{{booktabs}}."
        answers = [f"{one.question} {one.text}" for one in summary.answers]
        for one in (*summary.cautions, *answers, *summary.findings, "; ".join(summary.versions)):
            yield f"% {one_line(one)}"
        said = basis(summary)
        for table in summary.tables:
            if table.rows:
                yield from ["", *floats(table, f"{table.title}. {said} {table.note}".strip())]


def basis(summary: Summary) -> str:
    """Return what a caption must have: what went in, so that a table read alone is not misread; whole sentences."""
    values = dict(summary.conditions)
    sentences = (
        (
            _said(summary, values, "Target", "target {}"),
            _said(summary, values, "Dissector", "dissector {}"),
            _said(summary, values, "Scorer", "scorer {}", lambda one: one.partition(" (")[0]),  # settings are long
            _said(summary, values, "Top images (k)", "k = {}", lambda one: one if one.isdecimal() else ""),
        ),
        (
            _said(summary, values, "Probe set", "probe set {}"),
            _said(summary, values, "Images (n)", "n = {}", _images),
            _said(summary, values, "Patients", "{}", _patients),
        ),
        (_said(summary, values, "Null", "null: {}"),),
        (_said(summary, values, "False discovery rate (q)", "{}", _rate),),
    )
    said = [", ".join(filter(None, parts)) for parts in sentences]
    return " ".join(f"{one[:1].upper()}{one[1:]}." for one in said if one)


def _said(
    summary: Summary,
    values: Mapping[str, Sequence[str]],
    name: str,
    sentence: str,
    worded: Callable[[str], str] = str,
) -> str:
    """Return a condition in words; that of each run where runs differ."""
    each = [worded(one) for one in values.get(name, ())]
    if not any(each):
        return ""
    if len(set(each)) == 1:
        return sentence.format(each[0])
    return sentence.format(", ".join(f"{one} ({run})" for run, one in zip(summary.runs, each, strict=True) if one))


def _images(value: str) -> str:
    """Return how many images there are; others, which were left out, follow a comma."""
    count, _, out = value.partition(", ")
    return f"{count} {'image' if count == '1' else 'images'}" + (f" ({out})" if out else "")


def _patients(value: str) -> str:
    if not value[:1].isdecimal():
        return f"patients {value}"
    return f"{value} {'patient' if value == '1' else 'patients'}"


def _rate(value: str) -> str:
    return f"significant at q ≤ {value}" if value[:1].isdecimal() else "significance was not computed"
