r"""Tables for a paper: LaTeX with booktabs, to be read by ``\input``. Nothing a file says is taken for a command."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from mcd_plugins.reporters.base import SummaryReporter, one_line
from mcd_plugins.reporters.summaries import Summary
from mcd_plugins.reporters.tables import Table

__all__ = ["LatexReporter", "escaped"]

_WIDE = "p{0.34\\linewidth}"


class LatexReporter(SummaryReporter):
    r"""Write ``tables.tex``: layers, broad categories, controls and clearest neurons as tables with booktabs.

    Several runs stand side by side, with their differences. The preamble needs ``\usepackage{booktabs}``; each table
    is a float with a caption that says what it rests on, and a label ``tab:mcd-…``.
    """

    file = "tables.tex"

    def lines(self, summary: Summary) -> Iterator[str]:
        """Yield the lines of the tables."""
        yield f"% {one_line(summary.title)}. Needs \\usepackage{{booktabs}}."
        for said in (*summary.findings, *summary.cautions, *summary.warnings, "; ".join(summary.versions)):
            yield f"% {one_line(said)}"
        basis = _basis(summary)
        for table in summary.tables:
            if table.rows:
                yield from ["", *_float(table, f"{table.title}. {basis} {table.note}")]


_ESCAPES = {
    "\\": "\\textbackslash{}",
    "{": "\\{",
    "}": "\\}",
    "$": "\\$",
    "&": "\\&",
    "#": "\\#",
    "_": "\\_",
    "%": "\\%",
    "~": "\\textasciitilde{}",
    "^": "\\textasciicircum{}",
    "<": "\\textless{}",
    ">": "\\textgreater{}",
    "|": "\\textbar{}",
    '"': "\\textquotedbl{}",
    "`": "\\textasciigrave{}",
    "'": "\\textquotesingle{}",
    "[": "{[}",
    "]": "{]}",
    "*": "{*}",  # after the end of a row these would be its options
    "–": "--",
    "…": "\\ldots{}",
    "·": "\\textperiodcentered{}",
    "×": "$\\times$",
    "≤": "$\\leq$",
    "≥": "$\\geq$",
    "−": "$-$",
}
_PAIRS = ("-", ",", "!", "?")
"""Characters that change when a second, or another one, follows: they are kept apart."""


def escaped(text: str) -> str:
    """Return LaTeX that sets a text as it is, on one line: no command, no comment, no ligature that changes it."""
    plain = one_line(text)
    apart = [
        one + "{}" if one in _PAIRS and after in ("-", ",", "`") else _ESCAPES.get(one, one)
        for one, after in zip(plain, [*plain[1:], ""], strict=False)
    ]
    return "".join(apart)


def _basis(summary: Summary) -> str:
    """Return what a caption must have: what went in, so that a table read alone is not misread."""
    wanted = (
        "Target",
        "Dissector",
        "Probe set",
        "Images (n)",
        "Patients",
        "Scorer",
        "Top images (k)",
        "Null",
        "False discovery rate (q)",
    )
    conditions = [
        (name, [value.partition(" (")[0] if name == "Scorer" else value for value in values])  # settings are long
        for name, values in summary.conditions
        if name in wanted
    ]
    same = [f"{name}: {values[0]}" for name, values in conditions if len(set(values)) == 1]
    apart = [
        f"{name}: " + ", ".join(f"{run} {value}" for run, value in zip(summary.runs, values, strict=True))
        for name, values in conditions
        if len(set(values)) > 1
    ]
    return "; ".join([*same, *apart]) + "."


def _float(table: Table, caption: str) -> Iterator[str]:
    columns = "".join(_WIDE if name == table.wide else "l" if name in table.words else "r" for name in table.header)
    yield "\\begin{table}"
    yield "\\centering"
    if table.dense:
        yield "\\footnotesize\\setlength{\\tabcolsep}{3pt}"
    yield f"\\caption{{{escaped(caption)}}}"
    yield f"\\label{{tab:mcd-{table.name}}}"
    yield f"\\begin{{tabular}}{{{columns}}}"
    yield "\\toprule"
    yield _row(table.header)
    yield "\\midrule"
    for row in table.rows:
        yield _row(row)
    yield "\\bottomrule"
    yield "\\end{tabular}"
    yield "\\end{table}"


def _row(cells: Sequence[str]) -> str:
    return " & ".join(escaped(one) for one in cells) + " \\\\"
