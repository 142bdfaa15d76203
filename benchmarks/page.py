"""README.md, rendered from the stored results."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from importlib import import_module
from pathlib import Path

from benchmarks import CHAPTERS, LONG, report
from benchmarks.report import Cell, Line, Stored, Table

README = Path(__file__).parent / "README.md"

HEAD = """# Benchmarks

Rendered by `python -m benchmarks --render` from `results/`: every number comes from a results file, which says by which
command it was measured, when, and on which machine.

- `python -m benchmarks` measures what is below, but for
  {long};
  it stores the results and renders this page. Run it from a clone with the package installed.
- `python -m benchmarks NAME… [options]` measures some. Of one benchmark `--help` lists the options. `--dry` stores
  nothing.
- `--toy` measures at a size that takes seconds and stores nothing: continuous integration does this with every
  benchmark.

What is compared is measured side by side, in alternating rounds, so that load on the machine affects both. *Unmeasured*
is what this machine cannot measure, or nobody has.
"""

SUMMARY = """
## Beside peers and limits

| what | mcd | beside | there | ratio | goal | |
|---|---|---|---|---|---|---|
"""

OTHERS = """
## Elsewhere

- [Labelling methods on planted units](bench.md), by `mcd bench`: published methods and mcd's labels.
- [Hostile files](fuzz.md), by `python tools/fuzz.py`.
"""


def text(cell: Cell) -> str:
    """Return a cell as it is shown."""
    if cell is None:
        return "unmeasured"
    if isinstance(cell, str):
        return cell.replace("|", "\\|")
    if isinstance(cell, int) or abs(cell) >= 1000:
        return f"{round(cell):,}"
    return f"{cell:.3g}"


def rendered(table: Table) -> str:
    """Return a table in Markdown."""
    lines = [table.columns, ["---"] * len(table.columns), *([text(cell) for cell in row] for row in table.rows)]
    return "\n".join([f"{table.title}:\n"] * bool(table.title) + [f"| {' | '.join(line)} |" for line in lines])


def line(found: Line) -> str:
    """Return a line of the summary."""
    held = {True: "holds", False: "missed", None: ""}[found.holds]
    cells = [found.what, found.ours, found.beside, found.theirs, found.ratio, found.goal, held]
    return f"| {' | '.join(map(text, cells))} |\n"


def origin(found: Stored) -> str:
    """Return by what, when and where something was measured."""
    torch = f", torch {found.versions['torch']}" if "torch" in found.versions else ""
    beside = f"; load {found.load}" if found.load else ""
    return f"`{found.command}`, {found.date}: {found.machine}{torch}{beside}."


def paragraphs(found: Stored) -> Sequence[str]:
    """Return the tables, the sentences with numbers, and where they come from."""
    return [*map(rendered, found.report.tables), *found.report.notes, origin(found)]


def section(name: str) -> Iterator[str]:
    """Yield the paragraphs of a benchmark; where a document of its own has the tables, none."""
    module = import_module(f"benchmarks.{name}")
    title, _, prose = (module.__doc__ or "").partition("\n")
    yield f"### {title.rstrip('.')}"
    if prose.strip():
        yield prose.strip()
    found = report.read(name)
    if hasattr(module, "DOCUMENT"):
        yield f"`python -m benchmarks {name}`"
    else:
        yield from paragraphs(found) if found else [f"Unmeasured: `python -m benchmarks {name}`."]


def page() -> str:
    """Return README.md."""
    results = [report.read(name) for names in CHAPTERS.values() for name in names]
    summary = [line(one) for found in results if found for one in found.report.lines]
    body = [
        part
        for chapter, names in CHAPTERS.items()
        for part in (f"## {chapter}", *(p for n in names for p in section(n)))
    ]
    long = ", ".join(f"`{name}`" for name in LONG)
    return HEAD.format(long=long) + SUMMARY + "".join(summary) + "\n" + "\n\n".join(body) + "\n" + OTHERS
