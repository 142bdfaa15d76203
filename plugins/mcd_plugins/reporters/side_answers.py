"""Several runs: how they differ, what training changed, what is missing and whether to trust it, in sentences."""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping, Sequence

import pandas as pd

import mcd
from mcd.errors import amount
from mcd.plugins import CHANGES, MAY_BE_CHANCE, Manifest
from mcd_plugins.reporters.answers import MISSING, TRUST, Answer, Check, reaching, unchecked
from mcd_plugins.reporters.facts import Facts
from mcd_plugins.reporters.represented import CARRIED, HIDDEN, UNDER, Represented
from mcd_plugins.reporters.words import listed, share, verb

__all__ = ["CHANGED", "DIFFER", "side_answers_of"]

DIFFER, CHANGED = "How do they differ?", "What did training change?"
_ALL = "(all)"
_SHOWN = 2
"""Runs that sentences compare with the first; more are in the view of comparisons."""

Row = Mapping[Hashable, object]


def side_answers_of(
    facts: Sequence[Facts],
    manifests: Sequence[Manifest],
    represented: Sequence[Represented],
    found: mcd.Comparison | None,
) -> list[Answer]:
    """Return the answers about several runs, of which the first is the reference.

    Parameters
    ----------
    represented
        For each run which concepts its neurons carry.
    found
        Their comparison; None where they cannot be compared.
    """
    return [
        Answer(DIFFER, _differ(facts, found)),
        Answer(CHANGED, _changed(facts, found)),
        Answer(MISSING, _missing(facts, represented)),
        Answer(TRUST, _trust(facts), _open(facts, manifests)),
    ]


def _letters(facts: Sequence[Facts], found: mcd.Comparison) -> dict[str, str]:
    return dict(zip(found.heading.runs["run"].astype(str), (one.letter for one in facts), strict=True))


def _differ(facts: Sequence[Facts], found: mcd.Comparison | None) -> list[str]:
    if not any(one.named for one in facts):
        return [f"{_counts(facts)}: there is nothing to compare."]
    untested = [one.letter for one in facts if not one.judged]
    if untested:
        return [f"Not known: no label of {listed(untested, len(untested))} was tested against chance."]
    if found is None:
        return [
            f"{_counts(facts)}.",
            "Differences are not known: these runs cannot be compared, and mcd compare says why.",
        ]
    if found.agreements:
        return [f"{_counts(facts)}.", *_agreed(facts, found)]
    said = [_difference(facts[0], one, found) for one in facts[1 : 1 + _SHOWN]]
    if len(facts) > 1 + _SHOWN:
        said.append(f"{amount(len(facts) - 1 - _SHOWN, 'more run')}: see Compare.")
    return said


def _counts(facts: Sequence[Facts]) -> str:
    said = [f"{one.letter} {one.named:,} of {one.neurons:,}" for one in facts]
    return f"Neurons with a concept above chance: {', '.join(said)}"


def _agreed(facts: Sequence[Facts], found: mcd.Comparison) -> list[str]:
    letters, said = _letters(facts, found), []
    for one in found.agreements[:1]:
        neurons = one.agreement.neurons
        same = int(neurons["same"].sum()) if len(neurons) else 0
        said.append(
            f"{letters[one.a]} and {letters[one.b]} give the same first concept to {same:,} of "
            f"{amount(len(neurons), 'neuron')} that both label ({share(same, len(neurons))})."
        )
    return said


def _difference(reference: Facts, other: Facts, found: mcd.Comparison) -> str:
    """Return how a run differs from the first: neurons above chance, and the broad category that differs most."""
    name = _name(other, found)
    table = found.differences
    whole = table[(table["run"] == name) & (table["place"] == _ALL)]
    rows = whole[(whole["level"] == "layer") & (whole["name"] == "significant")].to_dict("records")
    if not rows:
        return f"{other.letter} has no layer in common with {reference.letter}."
    row = rows[0]
    said = (
        f"{other.letter} has {_per_cent(row, 'other')} of its neurons above chance, {reference.letter} "
        f"{_per_cent(row, 'reference')}: {_points(row)}"
    )
    broad = whole[whole["level"] == "broad_category"]
    broad = broad.loc[broad["difference"].abs().sort_values(ascending=False, kind="stable").index[:1]]
    most = [f"; most in {one['name']}: {_points(one)}" for one in broad.to_dict("records") if one["difference"]]
    return f"{said}{''.join(most)}."


def _name(run: Facts, found: mcd.Comparison) -> str:
    names = found.heading.runs["run"].astype(str).tolist()
    return str(names[ord(run.letter) - ord("A")])


def _per_cent(row: Row, side: str) -> str:
    return f"{float(str(row[side])):.0%}"


def _points(row: Row) -> str:
    """Return a difference in points of per cent, with its interval, and whether it may be chance."""
    value, low, high = (100 * float(str(row[f"difference{end}"])) for end in ("", "_low", "_high"))
    chance = "" if low > 0 or high < 0 else MAY_BE_CHANCE
    around = [f"{_signed(low)} to {_signed(high)}"] if not math.isnan(low) else []
    brackets = ", ".join([*around, *([chance] if chance else [])])
    return f"{_signed(value)} {verb(round(abs(value)), 'points', 'point')}{f' ({brackets})' if brackets else ''}"


def _signed(value: float) -> str:
    return format(round(value) + 0.0, "+.0f").replace("-", "−")


def _changed(facts: Sequence[Facts], found: mcd.Comparison | None) -> list[str]:
    if found is None:
        return ["Not known: these runs are not compared neuron by neuron."]
    if found.agreements:
        return ["Nothing: the runs are of the same neurons, and differ in what names them."]
    if not any(one.named and one.judged for one in facts):
        return ["Nothing that can be shown: no neuron has a significant concept before or after."]
    letters = _letters(facts, found)
    known = {letters[one.run]: one for one in found.changes}
    said = []
    for one in facts[1 : 1 + _SHOWN]:
        change = known.get(one.letter)
        said.append(
            f"Neurons of {facts[0].letter} and {one.letter} are not paired: layers are not equally wide."
            if change is None
            else _kinds(facts[0].letter, one.letter, change.layers, change.correlation)
        )
    return said


def _kinds(before: str, after: str, table: pd.DataFrame, correlation: float) -> str:
    rows = table[table["place"] == _ALL].set_index("change")
    count = {str(kind): int(number) for kind, number in rows["neurons"].items()}
    kept, category, moved, gained, lost, _ = (count[kind] for kind in CHANGES)
    alike = "" if math.isnan(correlation) else f" (median correlation {correlation:.2f})".replace("-", "−")
    pairs = amount(int(rows["pairs"].iloc[0]), "paired neuron")
    return (
        f"From {before} to {after}, of {pairs}{alike}, {kept + category:,} kept the concept or its category, "
        f"{gained:,} gained a concept, {lost:,} lost one and {moved:,} {verb(moved, 'were', 'was')} re-purposed."
    )


def _missing(facts: Sequence[Facts], represented: Sequence[Represented]) -> list[str]:
    pairs = list(zip(facts, represented, strict=True))
    known = [(one, found) for one, found in pairs if not found.missing]
    unknown = [one.letter for one, found in pairs if found.missing]
    if not known:
        return [f"Not known: {represented[0].missing}."]
    under = [_lacking(one.letter, found) for one, found in known if found.count(UNDER)]
    said = []
    if under:
        said.append(f"Images show concepts that no neuron carries: {'; '.join(under)}.")
    elif any(found.count(CARRIED) for _, found in known):
        carried = [f"{one.letter} {found.count(CARRIED):,} of {len(found.table):,}" for one, found in known]
        said.append(f"Nothing that could be detected; concepts that neurons carry: {', '.join(carried)}.")
    else:
        said.append("Not known: no concept could be detected.")
    hidden = [f"{one.letter} {found.count(HIDDEN):,}" for one, found in known if found.count(HIDDEN)]
    said += [f"Could not be shown: {', '.join(hidden)}."] if hidden else []
    said += [f"Not known for {listed(unknown, len(unknown))}."] if unknown else []
    return said


def _lacking(letter: str, found: Represented) -> str:
    names = [str(one) for one in found.of(UNDER)["concept"]]
    return f"{letter} {len(names):,} of {len(found.table):,} ({listed(names, 1)})"


def _trust(facts: Sequence[Facts]) -> list[str]:
    judged = [one.letter for one in facts if any(found.verdict for found in one.evaluation.judged)]
    evaluated = f"; {listed(judged, len(judged))} {verb(len(judged), 'were', 'was')} evaluated" if judged else ""
    first = facts[0]
    people = "patients not known" if first.patients is None else amount(first.patients, "patient")
    same = len({(one.images, one.patients) for one in facts}) == 1
    unknown = [one.letter for one in facts if one.images is None]
    images = "different images"
    if unknown:
        images = f"images that are not known of {listed(unknown, len(unknown))}, whose labels were imported"
    elif same and first.images is not None:
        images = f"{amount(first.images, 'image')}, {people}"
    return [_climbed(facts), f"They rest on {images}{evaluated}."]


def _climbed(facts: Sequence[Facts]) -> str:
    """Return how many labels of each run reach the rung above the first."""
    if not any(one.named for one in facts):
        return "There is no label to trust."
    if not any(one.named and one.judged for one in facts):
        return "No: no label was tested against chance."
    rungs = list(dict.fromkeys(rung for one in facts for rung, count, _ in one.rungs[1:] if count is not None))
    if not rungs:
        return "Labels are significant, at the lowest rung: no higher one was tested or is available."
    counts = [(one, {rung: count for rung, count, _ in one.rungs}.get(rungs[0])) for one in facts]
    each = [f"{one.letter} {count:,} of {one.named:,}" for one, count in counts if count is not None]
    return f"Significant labels that {reaching(rungs[0])[0]}: {', '.join(each)}."


def _open(facts: Sequence[Facts], manifests: Sequence[Manifest]) -> list[Check]:
    """Return what was not checked of some run, each once."""
    each = [check for one, manifest in zip(facts, manifests, strict=True) for check in unchecked(one, manifest)]
    return list(dict.fromkeys(each))
