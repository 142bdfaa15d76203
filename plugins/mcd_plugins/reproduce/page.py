"""What reproduces and what does not, as a page in Markdown."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from mcd_plugins.reproduce.deriving import Derived
from mcd_plugins.reproduce.ledger import Ledger, Row

__all__ = ["page", "shown"]


def page(book: Ledger, derived: Sequence[Derived], left: Sequence[Row]) -> bytes:
    """Return the page; rows in the ledger's order below their papers."""
    return ("\n".join(_lines(book, derived, left)) + "\n").encode()


def shown(number: float | None) -> str:
    """Return a number to four decimals, and to six digits where it is large."""
    return "–" if number is None else f"{round(number, 4) + 0.0:.6g}"  # adding 0 leaves no minus before a zero


def _lines(book: Ledger, derived: Sequence[Derived], left: Sequence[Row]) -> Iterator[str]:
    counts = Counter(one.verdict for one in derived)
    yield "# What reproduces and what does not"
    yield ""
    yield (
        f"{len(derived)} numbers of this field, each derived anew by `mcd reproduce`: {counts['matches']} match, "
        f"{counts['artefact']} are artefacts of the published procedure, {counts['wrong']} are wrong."
    )
    yield ""
    yield (
        "*published*: a paper or its released files print the number. *ours*: it follows from what they publish, or "
        "was simulated by us. *artefact*: computed as it should be, the number is another one; the published procedure "
        "with the fault that is named gives it."
    )
    for key, paper in book.papers.items():
        rows = [one for one in derived if one.row.paper == key]
        if rows:
            yield from ("", f"## {paper.title}", "", f"{paper.authors}. {paper.where}.", "")
            yield from _table(rows)
            yield from _faults(rows)
    if left:
        yield from ("", f"{len(left)} rows need files that were not given: `mcd reproduce --list`.")
    yield from _files(book, derived)


def _table(rows: Sequence[Derived]) -> Iterator[str]:
    yield "| where | what | source | number | ours | verdict |"
    yield "|---|---|---|---:|---:|---|"
    for one in rows:
        row = one.row
        number = f"{row.value:g}" + (f" ± {row.tolerance:g}" if row.tolerance else "")
        cells = [row.place, row.quantity, row.source, number, shown(one.ours), f"**{one.verdict}**"]
        inside = " | ".join(cell.replace("|", r"\|") for cell in cells)
        yield f"| {inside} |"


def _faults(rows: Sequence[Derived]) -> Iterator[str]:
    reasons = dict.fromkeys(_why(one) for one in rows if one.verdict != "matches")
    if reasons:
        yield ""
        yield from (f"- {reason[0].upper()}{reason[1:]}." for reason in reasons)


def _why(one: Derived) -> str:
    return one.row.cause if one.row.cause and one.verdict == one.row.verdict else f"{one.row.id}: {one.reason}"


def _files(book: Ledger, derived: Sequence[Derived]) -> Iterator[str]:
    names = sorted({name for one in derived for name in one.row.data})
    if not names:
        return
    yield from ("", "## Files of other people", "", "They are not part of mcd: `--data DIR` names where they are.", "")
    yield "| file | from | licence | sha256 |"
    yield "|---|---|---|---|"
    for name in names:
        file = book.files[name]
        yield f"| `{name}` | {file.source} | {file.licence} | `{file.sha256[:16]}…` |"
