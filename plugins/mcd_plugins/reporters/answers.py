"""What a run has learned, what is missing, and whether to trust it: three answers in sentences with numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

import pandas as pd

from mcd.errors import amount
from mcd.plugins import RUNGS, Manifest, above_chance_said
from mcd_plugins.reporters.controls import Controls
from mcd_plugins.reporters.facts import Facts, counted
from mcd_plugins.reporters.represented import CARRIED, HIDDEN, UNDER, UNKNOWN, Represented
from mcd_plugins.reporters.through_units import beside_said
from mcd_plugins.reporters.words import listed, share, verb

__all__ = ["LEARNED", "MISSING", "TRUST", "Answer", "Check", "answers_of", "reaching", "unchecked"]

LEARNED, MISSING, TRUST = "What has it learned?", "What is missing?", "Can I trust it?"
_SIGNIFICANCE = "mcd score RUN --draws 1000"
_FREQUENT = 3


@dataclass(frozen=True)
class Check:
    """What was not checked, or cannot be said yet, and the command that changes it."""

    what: str
    command: str


@dataclass(frozen=True)
class Answer:
    """One to three sentences that answer a question, and what has not been checked.

    Parameters
    ----------
    question
        The heading.
    sentences
        The most important one first.
    checks
        What is open, each with its command.
    """

    question: str
    sentences: Sequence[str]
    checks: Sequence[Check] = ()

    @property
    def text(self) -> str:
        """All of it as plain text."""
        open_ = "; ".join(f"{one.what} ({one.command})" for one in self.checks)
        return " ".join([*self.sentences, *([f"Not checked: {open_}."] if open_ else [])])


def answers_of(facts: Facts, manifest: Manifest, first: pd.DataFrame, found: Represented) -> list[Answer]:
    """Return the three answers about one run.

    Parameters
    ----------
    first
        Its first labels: the significant ones, or all where significance was not computed.
    found
        Which concepts its neurons carry.
    """
    return [
        Answer(LEARNED, _learned(facts, manifest, first)),
        Answer(MISSING, _missing(found)),
        Answer(TRUST, _trust(facts, manifest), unchecked(facts, manifest)),
    ]


def _learned(facts: Facts, manifest: Manifest, first: pd.DataFrame) -> list[str]:
    labelled = any(one.labelled for one in manifest.summary)
    said = above_chance_said(
        named=facts.named, neurons=facts.neurons, labelled=labelled, judged=facts.judged, q=facts.q
    )
    if not (labelled and facts.judged):
        return said
    if not facts.named:
        return [*said, *_perhaps(manifest)]
    return [*said, _frequent(facts, first), *_where(facts)]


def _perhaps(manifest: Manifest) -> list[str]:
    """Return what is estimated of neurons that cannot be named one by one."""
    known = [(one.non_null, one.neurons) for one in manifest.summary if one.non_null is not None]
    if not known:
        return []
    part = sum(non_null * neurons for non_null, neurons in known) / max(1, sum(neurons for _, neurons in known))
    return [
        f"An estimated {part:.0%} respond to some concept, but more images or more draws are needed to tell which."
        if round(part, 2)
        else "The estimate of neurons that respond to any concept is 0%, too."
    ]


def _frequent(facts: Facts, first: pd.DataFrame) -> str:
    """Return the most frequent concepts, the largest broad category, and what is not about the breast."""
    concepts = list(counted(first["concept"]).items())
    named = [f"{name} ({count:,})" for name, count in concepts]
    named[0] = f"{concepts[0][0]} ({amount(concepts[0][1], 'neuron')})"
    lead = f"Most frequent of {amount(len(concepts), 'concept')}" if len(concepts) > _FREQUENT else "By concept"
    broad, count = next(iter(counted(first["broad_category"]).items()))
    about = f"; {share(count, facts.named)} name {broad}" if broad and count < facts.named else ""
    foreign = sum(one.foreign for one in facts.layers)
    strange = f"; {foreign:,} {verb(foreign, 'do', 'does')} not describe the breast" if foreign else ""
    return f"{lead}: {listed(named[:_FREQUENT], _FREQUENT)}{about}{strange}."


def _where(facts: Facts) -> list[str]:
    """Return in which layers the share of named neurons is highest and lowest; nothing for a single layer."""
    if len(facts.layers) < 2:
        return []
    rates = [one.named / max(1, one.neurons) for one in facts.layers]
    most, least = (facts.layers[rates.index(one)] for one in (max(rates), min(rates)))
    if most is least:
        return [f"The share is the same in all {len(facts.layers)} layers."]
    return [
        f"Most in {most.name} ({most.named:,} of {most.neurons:,}), fewest in {least.name} "
        f"({least.named:,} of {least.neurons:,})."
    ]


def _lacking(found: Represented, most: int = 2) -> str:
    """Return the concepts that no neuron carries although images show them, those of most images first, with counts."""
    rows = found.of(UNDER).to_dict("records")
    named = [f"{row['concept']} ({_images(int(row['positives']), int(row['patients']))})" for row in rows[:most]]
    return listed([*named, *("" for _ in rows[most:])], most)


def _images(images: int, patients: int) -> str:
    return amount(images, "image") + (f" of {amount(patients, 'patient')}" if patients >= 0 else "")


def _missing(found: Represented) -> list[str]:
    if found.missing:
        return [f"Not known: {found.missing}."]
    total = len(found.table)
    if not total:
        return ["Not known: the vocabulary has no mammographic concept."]
    concepts = amount(total, "mammographic concept")
    carried, under = found.count(CARRIED), found.count(UNDER)
    if under:
        shown = f"although images show {verb(under, 'them', 'it')}: {_lacking(found)}"
        return [f"No neuron carries {under:,} of {concepts}, {shown}.", *_not_shown(found)]
    if carried:
        return [f"Nothing that could be detected: neurons carry {carried:,} of {concepts}.", *_not_shown(found)]
    if found.count(UNKNOWN) == total:
        return [
            f"Not known: no neuron carries any of {concepts}, and the data set annotates none.",
            "Without annotations, what no neuron carries cannot be distinguished from what no image shows.",
        ]
    return [f"Not known: no neuron carries any of {concepts}.", *_not_shown(found, "Of these")]


def _not_shown(found: Represented, lead: str = "Besides") -> list[str]:
    """Return how many concepts could not be shown, and of how many nothing is known, as one sentence or none."""
    hidden = found.of(HIDDEN)
    absent = int((hidden["positives"] <= 0).sum()) if len(hidden) else 0
    faint, unknown = len(hidden) - absent, found.count(UNKNOWN)
    parts = [
        f"{faint:,} could not be detected with these images and this dissector" if faint else "",
        f"{absent:,} {verb(absent, 'are', 'is')} in no image" if absent else "",
        f"nothing is known of {unknown:,} that {verb(unknown, 'are', 'is')} not annotated" if unknown else "",
    ]
    said = [one for one in parts if one]
    return [f"{lead}, {listed(said, len(said))}."] if said else []


_HELD: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        "beyond nuisances": ("hold beyond nuisances", "holds beyond nuisances"),
        "beyond untrained": ("exceed untrained networks", "exceeds untrained networks"),
        "right": ("agree with annotations of other patients", "agrees with annotations of other patients"),
    }
)
"""For rungs whose name is not said of a label by *is*."""


def reaching(rung: str) -> tuple[str, str]:
    """Return what labels that reach a rung do, as the verb of a sentence: of several labels, and of one."""
    return _HELD.get(rung, (f"are {rung}", f"is {rung}"))


def _trust(facts: Facts, manifest: Manifest) -> list[str]:
    if not facts.judged:
        said = "No: no label was tested against chance." if facts.named else "There is no label to trust."
    elif not facts.named:
        said = "There is no significant label to trust."
    else:
        said = _climbed(facts, manifest)
    verdicts = [one.verdict for one in facts.evaluation.judged if one.verdict]
    judged = [f"Evaluated: first labels {verdicts[0]}."] if verdicts else []
    return [said, *beside_said(facts.beside[1]), *judged, _evidence(facts, manifest)]


def _climbed(facts: Facts, manifest: Manifest) -> str:
    """Return how many labels reach each rung that was tested, of how many that could be tested there."""
    named = amount(facts.named, "significant label")
    held = []
    for rung, reached, _ in facts.rungs[1:]:
        if reached is None:
            continue
        several, one = reaching(rung)
        testable = sum(layer.rungs[rung].testable for layer in manifest.summary if rung in layer.rungs)
        of = f" of {testable:,} testable" if testable < facts.named else ""
        reach = f"{reached or 'none'}{of} {verb(reached or 1, several, one)}"
        held.append(reach if testable else f"for none it can be tested whether it {one}")
    if not held:
        more = "is available" if facts.rungs else "was tested"
        return f"{named}, at the lowest of {len(RUNGS)} rungs: no higher one {more}."
    return f"Of {named}, {listed(held, len(held))}."


def _evidence(facts: Facts, manifest: Manifest) -> str:
    """Return what it rests on: images, patients, draws, controls."""
    if facts.images is None:
        return "On which images it rests is not known: the labels were imported."
    images = amount(facts.images, "image")
    people = "patients not known" if facts.patients is None else amount(facts.patients, "patient")
    return f"It rests on {images}, {people}{_draws(manifest)}{_beside(facts.controls)}."


def _draws(manifest: Manifest) -> str:
    drawn = [one for one in manifest.summary if one.draws]
    if not drawn:
        return ""
    most = max(one.draws or 0 for one in drawn)
    least = min(one.draws or 0 for one in drawn)
    times = f"{least:,}" if least == most else f"{least:,} to {most:,}"
    return f"; {drawn[0].permutation_unit}s permuted {times} times (smallest p 1/{most + 1:,})"


def _beside(controls: Controls | None) -> str:
    """Return how many neurons of the negative controls are significant, most first."""
    rows = [one for one in (controls.total if controls else ()) if one.name not in ("this run", "shuffled names")]
    if not rows:
        return ""
    said = [f"{one.name} {one.significant:,}" for one in sorted(rows, key=lambda one: -one.significant)]
    return f"; significant in controls: {', '.join(said)}"


_CLIMB: Mapping[str, tuple[str, str, str]] = MappingProxyType(
    {
        "beyond nuisances": ("nuisances", "mcd score RUN", "--nuisances"),
        "right": ("annotations", "mcd score RUN", "--right"),
        "beyond untrained": ("untrained networks", "mcd dissect …", "--untrained 10"),
    }
)
"""For each rung what it holds labels against, and the command and flag that do."""


def unchecked(facts: Facts, manifest: Manifest) -> list[Check]:
    """Return what was not checked of a run, one entry a command."""
    if not any(one.labelled for one in manifest.summary):
        return []
    if manifest.imported is not None:  # nothing of them can be checked
        return []
    if not facts.judged:
        return [Check("significance", _SIGNIFICANCE)]
    flags: dict[str, list[tuple[str, str]]] = {}
    for rung, (what, command, flag) in _CLIMB.items():
        if rung not in manifest.rungs:
            flags.setdefault(command, []).append((what, flag))
    if facts.controls is None:
        flags.setdefault("mcd dissect …", []).append(("controls", "--controls"))
    found = [] if not facts.evaluation.missing else [Check("held-out patients", "mcd evaluate RUN")]
    for command, each in flags.items():
        found.append(Check(", ".join(what for what, _ in each), " ".join([command, *(flag for _, flag in each)])))
    return found
