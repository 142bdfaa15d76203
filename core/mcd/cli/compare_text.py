"""A comparison on the terminal."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from string import ascii_lowercase

import pandas as pd

from mcd.cli.tables import print_table, say
from mcd.cli.terminal import echo
from mcd.comparison.changes import KINDS, MAY_BE_CHANCE, Changes, chance_rule, may_be_chance
from mcd.comparison.compared import AgreementOf, Comparison
from mcd.comparison.layers import ALL
from mcd.comparison.represented import ANSWERS
from mcd.scoring.rungs import RUNGS

__all__ = ["print_comparison"]

_LISTED = 10
Row = Mapping[Hashable, object]


def print_comparison(found: Comparison) -> None:
    """Print a comparison in 80 columns: conditions and limits, then the answers."""
    letters = dict(zip(found.heading.runs["run"], _letters(), strict=False))
    for number, (name, letter) in enumerate(letters.items()):
        reference = " (the reference)" if not number and not found.agreements else ""
        echo(f"{letter}: {name}{reference}")
    for line in found.heading.lines():
        say(line)
    for note in found.run_notes if found.nothing else found.notes:
        say(f"note: {note}")
    for one in found.agreements:
        _validity(one, letters)
        _agreement(one, letters)
    if found.nothing:
        echo()
        say(found.nothing)
        _rule(found, letters)
    elif len(found.layers):
        _layers(found, letters)
        _differences(found, letters)
        _rule(found, letters)
        for change in found.changes:
            _changes(change, letters)
        _concepts(found, letters)


def _letters() -> list[str]:
    return [*ascii_lowercase, *(a + b for a in ascii_lowercase for b in ascii_lowercase)]


def _title(text: str) -> None:
    echo(f"\n{text}\n")


def _share(row: Row, name: str) -> str:
    """Return a share with its interval, in per cent."""
    value, low, high = (float(str(row[key])) for key in (name, f"{name}_low", f"{name}_high"))
    if pd.isna(value):
        return "–"
    return f"{value:.0%}" + ("" if pd.isna(low) else f" ({100 * low:.0f}–{100 * high:.0f})")


def _number(row: Row, name: str, low: str, high: str, form: str) -> str:
    digits = int(form[-2])
    # a number that rounds to nothing has no sign
    value, lowest, highest = (round(float(str(row[key])), digits) + 0.0 for key in (name, low, high))
    to = " to " if "+" in form else "–"
    if pd.isna(value):
        return "–"
    return format(value, form) + ("" if pd.isna(lowest) else f" ({lowest:{form}}{to}{highest:{form}})")


def _records(table: pd.DataFrame) -> Sequence[Row]:
    return table.to_dict("records")


def _layers(found: Comparison, letters: Mapping[str, str]) -> None:
    _title("1. Composition of the layers: neurons with a significant first concept")
    table = found.layers
    order = {place: at for at, place in enumerate(dict.fromkeys(table.loc[table["place"] != "", "place"]))}
    order[ALL] = len(order)
    compared = table[table["place"] != ""].assign(at=lambda rows: rows["place"].map(order))
    rows = [
        [
            str(row["layer"]),
            letters[str(row["run"])],
            str(row["neurons"]),
            str(row["significant"]),
            _share(row, "share"),
            f"{row['mammographic']}/{row['other']}",
            str(row["concepts"]),
            _number(row, "mean_z", "mean_z_low", "mean_z_high", ".1f"),
        ]
        for row in _records(compared.sort_values("at", kind="stable"))
    ]
    header = ("layer", "", "neurons", "sig.", "share", "m/other", "terms", "mean z")
    print_table(header, rows, right=header[2:])
    breast = float(table["vocabulary_mammographic"].iloc[0])
    say(
        f"sig.: significant neurons; m/other: mammographic or not ({breast:.0%} of the vocabulary is); terms: "
        f"different concepts; mean z: of all first concepts{_brackets(found)}"
    )


def _brackets(found: Comparison) -> str:
    """Return what brackets are, where there are any: patients are said only where they are known."""
    if not found.layers["mean_z_low"].notna().any():
        return ""
    unit = "patients" if (found.heading.runs["patients"] > 0).all() else "images, since patients are not known"
    return f"; in brackets: 95 % intervals over {unit}"


def _differences(found: Comparison, letters: Mapping[str, str]) -> None:
    sizes = found.categories[["level", "name", "concepts", "share_of_vocabulary"]].drop_duplicates(["level", "name"])
    reference = str(found.heading.runs["run"].iloc[0])
    for run in dict.fromkeys(found.differences["run"]):
        _title(f"By category, all compared layers together: {letters[reference]} and {letters[run]}")
        mine = found.differences[(found.differences["run"] == run) & (found.differences["place"] == ALL)]
        joined = mine.merge(sizes, on=["level", "name"])
        rows = []
        for level in ("broad_category", "category"):
            part = joined[joined["level"] == level]
            if level == "category":
                largest = part["difference"].abs().sort_values(ascending=False, kind="stable").index
                part = part.loc[largest[:_LISTED]]
            rows += [
                [
                    ("" if level == "broad_category" else "· ") + str(row["name"]),
                    f"{row['concepts']} ({row['share_of_vocabulary']:.0%})",
                    *(_count(row, side) for side in ("reference", "other")),
                    _number(_per_cent(row), "difference", "difference_low", "difference_high", "+.0f"),
                ]
                for row in _records(part)
            ]
        header = ("category", "concepts", letters[reference], letters[run], "difference, %")
        print_table(header, rows, right=header[1:])
        say(f"{chance_rule(intervals=bool(joined['difference_low'].notna().any()))}.")


def _count(row: Row, side: str) -> str:
    """Return how many neurons a share is, and the share."""
    share, neurons = (float(str(row[key])) for key in (side, f"{side}_neurons"))
    return f"{share * neurons:.0f} ({share:.0%})"


def _per_cent(row: Row) -> Row:
    return {key: 100 * float(str(row[key])) for key in ("difference", "difference_low", "difference_high")}


def _rule(found: Comparison, letters: Mapping[str, str]) -> None:
    if not len(found.thresholds):
        return
    kind = found.thresholds["kind"].iloc[0]
    _title(f"The mean-score threshold of the paper ({kind})")
    rows = [
        [
            str(row["layer"]),
            letters[str(row["run"])],
            str(row["neurons"]),
            f"{row['mean_score']:.2f}",
            f"{row['threshold']:.2f}",
            f"{row['kept']} ({row['kept_share']:.0%})",
            f"{row['kept_mammographic']}/{row['kept_other']}",
        ]
        for row in _records(found.thresholds)
    ]
    header = ("layer", "", "neurons", "mean score", "threshold", "kept", "m/other")
    print_table(header, rows, right=header[2:])
    say("It is not a test of significance: it keeps almost half of the neurons that respond to nothing.")


def _changes(found: Changes, letters: Mapping[str, str]) -> None:
    _title(f"2. Change of each neuron in {letters[found.run]}")
    places = list(dict.fromkeys(found.layers["place"]))
    counts = found.layers.pivot(index="place", columns="change", values="neurons")
    rows = [[place, *(str(counts.loc[place, kind]) for kind in KINDS)] for place in places]
    short = ("layer", "same concept", "same category", "re-purposed", "gained", "lost", "neither")
    print_table(short, rows, right=short[1:])
    total = found.layers[found.layers["place"] == ALL].set_index("change")
    if total["low"].notna().any():
        for kind in KINDS[:-1]:
            row = total.loc[kind]
            say(f"{kind}: {row['neurons']} of {row['pairs']} neurons ({row['low']:.0f} to {row['high']:.0f})")
    bounded = bool(found.categories["low"].notna().any())
    left = []
    for table, level, one in ((found.categories, "categories", "category"), (found.concepts, "concepts", "concept")):
        doubtful = may_be_chance(table) & bounded  # without intervals all are alike: they are listed
        sure = table[~doubtful]
        for title, part in (
            ("specialise", sure[sure["change"] > 0].head(_LISTED // 2)),
            ("fade", sure[sure["change"] < 0].tail(_LISTED // 2).iloc[::-1]),
        ):
            if len(part):
                echo(f"\n{level} that {title}\n")
                _flow(part, level)
        count = int((doubtful & (table["change"] != 0)).sum())
        left += [f"{count} {one if count == 1 else level}"] if count else []
    echo()
    if left:
        say(f"Changes of {' and '.join(left)} are not listed: they {MAY_BE_CHANCE}.")
    say(f"{chance_rule(intervals=bounded)}.")


def _flow(table: pd.DataFrame, level: str) -> None:
    counts = ("before", "after", "gained", "lost") if level == "categories" else ("before", "after")
    rows = [
        [str(row["name"]), *(str(row[key]) for key in counts), _number(row, "change", "low", "high", "+.0f")]
        for row in _records(table)
    ]
    header = (level, *counts, "change")
    print_table(header, rows, right=header[1:])


def _concepts(found: Comparison, letters: Mapping[str, str]) -> None:
    _title("3. Mammographic concepts that are significant for some neuron")
    table = found.concepts
    counts = [
        [letters[run], *(str((own["answer"] == answer).sum()) for answer in ANSWERS)]
        for run in letters
        for own in [table[table["run"] == run]]
    ]
    print_table(("", *ANSWERS), counts, right=ANSWERS)
    _by_rung(table, letters)
    for run, letter in letters.items():
        own = table[(table["run"] == run) & (table["answer"] == ANSWERS[1])]
        if len(own):
            echo(f"\nunder-represented in {letter}\n")
            rows = [
                [
                    str(row["concept"]),
                    str(row["positives"]),
                    str(row["patients"]).replace("-1", "–"),
                    f"{row['detectable_auroc']:g}",
                ]
                for row in _records(own.head(_LISTED))
            ]
            header = ("concept", "images", "patients", "AUROC")
            print_table(header, rows, right=header[1:])
            if len(own) > _LISTED:
                echo(f"and {len(own) - _LISTED} more")
    echo()
    say(
        "under-represented: a neuron that separates its images with this AUROC would have been significant in four "
        "of five cases. could not be shown: no image of it, or the dissector does not separate its images. not "
        "known: the data set does not annotate it."
    )


def _by_rung(table: pd.DataFrame, letters: Mapping[str, str]) -> None:
    """Print by which rung concepts are carried, and how many of them the data set annotates."""
    if not (table["rung"] != "").any():
        return
    rows = []
    for run, letter in letters.items():
        own = table[(table["run"] == run) & (table["answer"] == ANSWERS[0])]
        reached = ((own["rung"] == rung).sum() for rung in ("", *RUNGS))
        rows.append([letter, *map(str, [*reached, (own["learned"] != "").sum(), (own["positives"] > 0).sum()])])
    short = ("", "none", "image", "nuisances", "untrained", "right", "all layers", "annotated")
    echo("\ncarried concepts, by the highest rung that first concepts of neurons reach\n")
    print_table(short, rows, right=short[1:])
    say(
        f"none: never significant as first concept; then: {', '.join(RUNGS)}. all layers: significant for the model as "
        "a whole. annotated: some image is labelled so."
    )


def _validity(one: AgreementOf, letters: Mapping[str, str]) -> None:
    if not len(one.validity):
        return
    _title(f"{letters[one.a]} and {letters[one.b]}: how far the image–text model can be trusted")
    rows = [
        [
            str(row["concept"]),
            f"{row['present']}/{row['absent']}",
            _number(row, "auroc", "low", "high", ".2f"),
            f"{row['named']}/{row['named_by_annotations']}/{row['named_by_both']}",
        ]
        for row in _records(one.validity.head(2 * _LISTED))
    ]
    header = ("concept", "images", "AUROC", "neurons")
    print_table(header, rows, right=header[1:])
    if len(one.validity) > 2 * _LISTED:
        echo(f"and {len(one.validity) - 2 * _LISTED} more, which are separated better")
    unit = "patients" if (one.validity["patients"] >= 0).any() else "images, since patients are not known"
    echo()
    say(
        "images: annotated as present/absent; AUROC: of the similarity of image and concept for these, 0.5 by chance, "
        f"in brackets: 95 % intervals over {unit}; neurons: named by the image–text model/annotations/both"
    )
    say(f"Below: agreement over the {len(one.validity)} concepts that both have and that can be assessed.")


def _correlation(row: Row) -> str:
    """Return a mean correlation; a dash where there is none, as of a single concept."""
    value = float(str(row["correlation"]))
    return "–" if pd.isna(value) else f"{value:.2f}"


def _agreement(one: AgreementOf, letters: Mapping[str, str]) -> None:
    found = one.agreement
    first, second = letters[one.a], letters[one.b]
    _title(f"{first} and {second}")
    if not len(found.neurons):
        labelled = f": {found.only_a} only by {first}, {found.only_b} only by {second}"
        say(
            f"There is nothing to compare: no neuron is labelled by both"
            f"{labelled if found.only_a or found.only_b else ''}."
        )
        return
    header = ("neurons", "same", f"first {found.top}", "ranks")
    say(f"same: same first concept; first {found.top}: overlap of the first concepts; ranks: correlation")
    echo()
    categories = [("category_a", f"category by {first}")] if found.neurons["category_a"].any() else []
    for column, title in (("layer", "layer"), *categories):
        rows = [
            [
                str(row[column]),
                str(row["neurons"]),
                f"{row['same']:.1%}",
                f"{row['overlap']:.1%}",
                _correlation(row),
            ]
            for row in _records(found.by(column))
        ]
        print_table((title, *header), rows, right=header)
    moves: Sequence[Sequence[str]] = [
        [str(row["category_a"]), str(row["category_b"]), str(row["neurons"])]
        for row in _records(found.moves().head(_LISTED))
    ]
    if moves:
        echo("where the first concepts are of different categories:")
        print_table((f"category by {first}", f"category by {second}", "neurons"), moves, right=("neurons",))
    if found.only_a or found.only_b:
        echo(f"labelled by one only: {found.only_a} by {first}, {found.only_b} by {second}")
