"""The report: what was run, each claim beside our answer, the three questions in numbers, the figures."""

from __future__ import annotations

import csv
import io
import json
import math
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence

import pandas as pd

import mcd
from mcd.plugins import ANSWERS, CHANGES, MAY_BE_CHANCE, RUNG_COLUMNS, RUNGS
from mcd_plugins.paper.answering import Drawing, Studied
from mcd_plugins.paper.claims import FAILS, HOLDS, UNKNOWN, Answer, reached
from mcd_plugins.paper.inventory import Found

__all__ = ["as_csv", "as_json", "page"]

_ALL = "(all)"
_DENSITY = ("breast density", "breast composition")
"""Categories of density, in the paper's concepts and in ours; those of calcifications say so in their names."""
_MOST, _MOST_CATEGORIES = 12, 6
"""Concepts that are named, and categories that are shown of each classifier; the tables have all."""


def as_json(studies: Sequence[Studied]) -> bytes:
    """Return all answers as a list of records."""
    records = [one.record() for study in studies for one in study.answers]
    return (json.dumps(records, indent=2, ensure_ascii=False) + "\n").encode()


def as_csv(studies: Sequence[Studied]) -> bytes:
    """Return all answers, a row each."""
    records = [one.record() for study in studies for one in study.answers]
    text = io.StringIO()
    table = csv.DictWriter(text, list(records[0]), lineterminator="\n")
    table.writeheader()
    table.writerows({name: "" if value is None else value for name, value in record.items()} for record in records)
    return text.getvalue().encode()


def page(
    found: Mapping[str, Found], studies: Sequence[Studied], drawn: Mapping[str, Sequence[Drawing]], note: str
) -> bytes:
    """Return the report in Markdown.

    Parameters
    ----------
    drawn
        Probe set → its figures, which lie in ``PROBE_SET/figures``.
    note
        What stands above everything; empty for nothing.
    """
    return ("\n".join(_lines(found, studies, drawn, note)) + "\n").encode()


def _lines(
    found: Mapping[str, Found], studies: Sequence[Studied], drawn: Mapping[str, Sequence[Drawing]], note: str
) -> Iterator[str]:
    yield from ("# Mammo-CLIP Dissect, run again", "")
    if note:
        yield from (f"> {note}", "")
    counts = Counter(one.answer for study in studies for one in study.answers)
    total = sum(counts.values())
    yield (
        f"The claims of the paper (arXiv 2509.21102) gave {total} questions to these runs: {counts[HOLDS]} hold, "
        f"{counts[FAILS]} do not hold, {counts[UNKNOWN]} cannot be told."
    )
    yield from ("", "Every target is labelled by Mammo-CLIP, so that labels differ by target and nothing else.")
    yield from _inventory(found)
    for study in studies:
        yield from _probe_set(study, drawn[study.probe_set])
    yield from ("", "## How to read the answers", "", *_explained())


def _explained() -> Iterator[str]:
    yield "- *holds*, *does not hold*: the 95 % interval of the difference over patients is on one side of 0."
    yield "  *cannot be told*: it includes 0, or what is needed is missing."
    yield "- *rung*: the highest rung of significance up to which the counts of labels go the same way. The interval is"
    yield "  of the first rung; of those above there are counts alone. A rung that was not tested (–) is not reached;"
    yield "  the third needs `study: {untrained: 19}` in the settings. The rungs:"
    yield from (f"    {at}. {name}: {meaning}." for at, (name, meaning) in enumerate(RUNGS.items(), 1))
    yield "- *mean score*: what the paper's own criterion answers: a first label counts where its score reaches the"
    yield "  higher of the two models' mean scores of that layer. It has no null: of neurons that respond to nothing it"
    yield "  keeps almost half (44 to 46 %: `mcd reproduce --only mammo-clip-dissect/noise`)."


def _inventory(found: Mapping[str, Found]) -> Iterator[str]:
    yield from ("", "## What was there", "", "| what | for | state | licence |", "|---|---|---|---|")
    for one in found.values():
        yield _row([one.item.title, one.item.role, one.state, one.item.licence])
    missing = [one for one in found.values() if one.path is None]
    if missing:
        yield from ("", "Missing, and where its authors publish it:", "")
        yield from (f"- {one.item.title}: {one.item.source} ({one.item.access})." for one in missing)


def _row(cells: Sequence[object]) -> str:
    return "| " + " | ".join(str(one).replace("|", r"\|") for one in cells) + " |"


def _probe_set(study: Studied, drawn: Sequence[Drawing]) -> Iterator[str]:
    first = next(iter(study.runs.values()))
    yield from ("", f"## {study.probe_set}", "")
    yield f"{first.manifest.images} images. First labels of each set-up that reach a rung of significance:"
    yield from ("", *_rungs(study.runs))
    yield from _claims(study.answers)
    yield from ("", "### Question 1: general or mammographic training", "")
    yield from _layers(study)
    yield from _figures(study, drawn, lambda name: name.startswith("figure"))
    yield from ("", "### Question 2: what fine-tuning changes", "")
    yield from _tuned(study)
    yield from _figures(study, drawn, lambda name: name.startswith("specialisation"))
    yield from ("", "### Question 3: under-represented, or not to be shown", "")
    yield from _represented(study)
    yield from ("", "### The other figures", "")
    yield from _figures(study, drawn, lambda name: not name.startswith(("figure", "specialisation")))
    notes = list(dict.fromkeys(note for _, data in study.comparisons() for note in data.comparison.notes))
    if notes:
        yield from ("", "### To be known", "")
        yield from (f"- {note}." for note in notes)


def _rungs(runs: Mapping[str, mcd.Dissection]) -> Iterator[str]:
    """Yield how many first labels of each run reach each rung; a dash where it was not tested."""
    yield _row(["set-up", "neurons", *RUNGS])
    yield "|---|---:|" + "---:|" * len(RUNGS)
    for name, run in runs.items():
        table = run.labels[run.labels["rank"] == 1]
        counts = [
            str(int(reached(table, rung).sum())) if table[RUNG_COLUMNS[rung]].notna().any() else "–" for rung in RUNGS
        ]
        yield _row([name, sum(layer.neurons for layer in run.manifest.layers), *counts])


def _claims(answers: Sequence[Answer]) -> Iterator[str]:
    yield from ("", "### The claims", "")
    yield "| claim | from | of | reference | here | difference | answer | rung | mean score |"
    yield "|---|---|---|---:|---:|---:|---|---|---|"
    for one in answers:
        of = f"{one.run} against {one.reference}" if one.reference else one.run or "–"
        numbers = [_number(one.before), _number(one.after), _interval(one)]
        yield _row(
            [one.claim.statement, one.claim.place, of, *numbers, f"**{one.answer}**", one.rung or "–", one.by_threshold]
        )
    yield from ("", "Why:", "")
    for one in answers:
        of = f" ({one.run})" if one.run else ""
        what = f"{one.quantity}: " if one.quantity else ""
        yield f"- {one.claim.id}{of}: {what}{one.reason}."


def _number(number: float) -> str:
    return "–" if math.isnan(number) else f"{number:.4g}"


def _interval(one: Answer) -> str:
    if math.isnan(one.low):
        return "–"
    return f"{one.after - one.before:+.3g} ({one.low:+.3g} to {one.high:+.3g})"


def _layers(study: Studied) -> Iterator[str]:
    table = study.general.comparison.layers
    yield "| set-up | neurons | significant | mammographic | other | concepts | mean z |"
    yield "|---|---:|---:|---:|---:|---:|---:|"
    for row in table[table["layer"] == _ALL].to_dict("records"):
        names = ("run", "neurons", "significant", "mammographic", "other", "concepts")
        yield _row([*(row[name] for name in names), _number(float(row["mean_z"]))])


def _tuned(study: Studied) -> Iterator[str]:
    if study.tuned is None:
        yield "There is no classifier."
        return
    changes = study.tuned.comparison.changes
    yield _row(["neurons of", *CHANGES, "correlation with M"])
    yield "|---|" + "---:|" * (len(CHANGES) + 1)
    for one in changes:
        table = one.layers[one.layers["place"] == _ALL].set_index("change")["neurons"]
        yield _row([one.run, *(int(table[kind]) for kind in CHANGES), f"{one.correlation:.2f}"])
    yield from ("", "The trade-off: shares of neurons with a label of calcifications, and of density.", "")
    yield "| classifier | category | M | classifier | difference | |"
    yield "|---|---|---:|---:|---:|---|"
    yield from _trade_off(study.tuned.comparison.differences)
    yield from ("", "By category, most changed first; came and left are re-purposed from and to other categories:", "")
    yield "| classifier | category | before | after | kept | gained | lost | came | left | change | |"
    yield "|---|---|---:|---:|---:|---:|---:|---:|---:|---:|---|"
    for one in changes:
        yield from _categories(one.run, one.categories)
    yield from ("", f"All categories and concepts: `{study.probe_set}/tuned/changes_categories.csv`.")


def _categories(run: str, table: pd.DataFrame) -> Iterator[str]:
    most = table["change"].abs().sort_values(ascending=False, kind="stable").index[:_MOST_CATEGORIES]
    for row in table.loc[most].to_dict("records"):
        low, high = float(row["low"]), float(row["high"])
        interval = "" if math.isnan(low) else f" ({low:+.0f} to {high:+.0f})"
        counts = [int(row[name]) for name in ("before", "after", "kept", "gained", "lost", "came", "left")]
        yield _row([run, row["name"], *counts, f"{row['change']:+d}{interval}", _chance(low, high)])


def _trade_off(differences: pd.DataFrame) -> Iterator[str]:
    whole = differences[(differences["place"] == _ALL) & (differences["level"] == "category")]
    traded = whole["name"].str.lower().map(lambda name: "calcification" in name or name in _DENSITY)
    for row in whole[traded].to_dict("records"):
        before, after, difference = (float(row[name]) for name in ("reference", "other", "difference"))
        low, high = float(row["difference_low"]), float(row["difference_high"])
        interval = "" if math.isnan(low) else f" ({low:+.2%} to {high:+.2%})"
        yield _row(
            [
                row["run"],
                row["name"],
                f"{before:.2%}",
                f"{after:.2%}",
                f"{difference:+.2%}{interval}",
                _chance(low, high),
            ]
        )


def _chance(low: float, high: float) -> str:
    return "" if low > 0 or high < 0 else MAY_BE_CHANCE


def _represented(study: Studied) -> Iterator[str]:
    yield _row(["mammographic concepts of", *ANSWERS])
    yield "|---|" + "---:|" * len(ANSWERS)
    named: dict[str, list[str]] = {}
    for run in study.runs:
        data = study.general if run in study.general.runs or study.tuned is None else study.tuned
        table = data.comparison.concepts[data.comparison.concepts["run"] == run]
        yield _row([run, *(int((table["answer"] == one).sum()) for one in ANSWERS)])
        for one in ANSWERS[1:3]:
            found = table.loc[table["answer"] == one, "concept"].tolist()
            rest = f" and {len(found) - _MOST} more" if len(found) > _MOST else ""
            named.setdefault(one, []).append(f"{run}: {', '.join(found[:_MOST]) or 'none'}{rest}")
    for name, lines in named.items():
        yield from ("", f"{name.capitalize()}:", "", *(f"- {line}" for line in lines))


def _figures(study: Studied, drawn: Sequence[Drawing], of: Callable[[str], bool]) -> Iterator[str]:
    refused: dict[str, list[str]] = {}
    for one in drawn:
        if not of(one.name):
            continue
        if one.refused:
            refused.setdefault(one.refused, []).append(one.name)
        else:
            yield from ("", f"![{one.name}: {one.summary}]({study.probe_set}/figures/{one.name}.png)", "")
            yield f"{one.name}: {one.summary}."
    for reason, names in refused.items():
        yield from ("", f"Not drawn: {', '.join(names)}: {reason}.")
