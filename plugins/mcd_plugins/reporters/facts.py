"""The text of reports about a run: its conditions, its limits, and its layers in numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from string import ascii_uppercase

import pandas as pd
import pydantic

import mcd
from mcd.errors import StoreError, UsageError, amount
from mcd.plugins import FEW_IMAGES, RUNGS, SIGNIFICANT, BesideRandom, Manifest
from mcd_plugins.reporters.absent import left_out
from mcd_plugins.reporters.conditions import conditions_of, files_of, settings_at
from mcd_plugins.reporters.controls import Controls, controls_of
from mcd_plugins.reporters.evaluations import Evaluated, evaluated
from mcd_plugins.reporters.through_units import BesideRow, Seen, beside_of, seen_of, units_cautions

__all__ = [
    "LIMITS",
    "Facts",
    "LayerRow",
    "between",
    "counted",
    "facts_of",
    "first_labels",
    "letters_of",
    "said_of",
    "side_by_side",
    "told_apart",
]

Json = pydantic.JsonValue


@dataclass(frozen=True)
class LayerRow:
    """A layer in numbers.

    ``named`` counts neurons with a significant label, or with any label where significance was not computed; ``parts``
    splits those by broad category; ``published`` counts what the mean-score threshold of the paper keeps; None is
    unknown.
    """

    name: str
    neurons: int
    named: int
    non_null: float | None
    multiple: int
    foreign: int
    silent: int
    parts: Mapping[str, int]
    published: int | None = None


@dataclass(frozen=True)
class Facts:
    """A run in words. ``letter`` names it among the runs of a page, ``apart`` is how it differs; empty for one run.

    ``rungs``: of each rung that was asked for, how many labels are significant there, and what that means; or None,
    and why it is not available. Empty where only the first was. ``evaluation``: how right the labels are, or why
    that is not known. ``seen``: layers that are seen through units, ``names`` what their units are called, ``beside``
    these beside random units.
    """

    letter: str
    target: str
    dissector: str
    scorer: str
    judged: bool
    q: float
    images: int | None
    patients: int | None
    neurons: int
    named: int
    conditions: Sequence[tuple[str, str]]
    cautions: Sequence[str]
    notes: Sequence[str]
    layers: Sequence[LayerRow]
    provenance: Sequence[tuple[str, str]]
    apart: str = ""
    higher_is_better: bool = True
    controls: Controls | None = None
    rungs: Sequence[tuple[str, int | None, str]] = ()
    evaluation: Evaluated = field(default_factory=Evaluated)
    seen: Sequence[Seen] = ()
    names: Mapping[str, Sequence[str]] = field(default_factory=dict)
    beside: tuple[BesideRandom | None, Sequence[BesideRow]] = (None, ())

    @property
    def published(self) -> int | None:
        """How many neurons of all layers pass the mean-score threshold of the paper; None where unknown."""
        known = [one.published for one in self.layers if one.published is not None]
        return sum(known) if len(known) == len(self.layers) else None

    def called(self, layer: str, neuron: int) -> str:
        """Return the number of a neuron, with the name of the unit that it is where there is one."""
        return f"{neuron} ({self.names[layer][neuron]})" if layer in self.names else str(neuron)

    @property
    def title(self) -> str:
        """What the run is called."""
        return f"{self.letter}: {self.target}" if self.letter else self.target


def facts_of(dissection: mcd.Dissection, letter: str = "") -> Facts:
    """Return the facts of a run."""
    manifest = dissection.manifest
    judged = any(one.significant is not None for one in manifest.summary)
    rows = _layers(dissection, judged)
    patients = _patients(dissection)
    return Facts(
        letter=letter,
        target=manifest.target,
        dissector=manifest.dissector,
        scorer=manifest.scorer,
        judged=judged,
        q=manifest.q,
        images=None if manifest.imported is not None else manifest.images,
        patients=patients,
        neurons=sum(one.neurons for one in rows),
        named=sum(one.named for one in rows),
        conditions=conditions_of(dissection, judged, patients),
        cautions=list(_cautions(dissection, judged, patients)),
        notes=manifest.warnings,
        layers=rows,
        provenance=files_of(manifest)
        + [(name, value[:16]) for name, value in manifest.fingerprints.items()]
        + [(name, manifest.versions[name]) for name in ("mcd", "torch") if name in manifest.versions],
        higher_is_better=manifest.higher_is_better,
        controls=controls_of(dissection.results.controls) if judged else None,
        rungs=_rungs(manifest, rows),
        evaluation=evaluated(dissection),
        seen=seen_of(manifest),
        names={one.name: one.through.names for one in manifest.layers if one.through and one.through.names},
        beside=beside_of(dissection) if judged else (None, []),
    )


def _rungs(manifest: Manifest, layers: Sequence[LayerRow]) -> list[tuple[str, int | None, str]]:
    if not manifest.rungs:
        return []
    first = next(iter(RUNGS))
    found: list[tuple[str, int | None, str]] = [(first, sum(one.named for one in layers), RUNGS[first])]
    named = found[0][1]
    for rung, problem in manifest.rungs.items():
        counts = [one.rungs[rung] for one in manifest.summary if rung in one.rungs]
        testable = sum(one.testable for one in counts)
        said = RUNGS[rung] + ("" if testable == named else f"; {testable} of {named} labels can be tested")
        found.append((rung, None, problem) if problem else (rung, sum(one.significant for one in counts), said))
    return found


def letters_of(dissections: Sequence[mcd.Dissection]) -> str:
    """Return the names of the runs of one report, a letter each.

    Raises
    ------
    UsageError
        When there are more runs than letters.
    """
    if len(dissections) > len(ascii_uppercase):
        raise UsageError(f"{len(dissections)} runs are too many for one report", f"give at most {len(ascii_uppercase)}")
    return ascii_uppercase[: len(dissections)]


def side_by_side(facts: Sequence[Facts]) -> list[tuple[str, list[str]]]:
    """Return the conditions of runs: a row each with a value a run, those with none left out."""
    rows = [(name, [dict(one.conditions)[name] for one in facts]) for name, _ in facts[0].conditions]
    return [(name, values) for name, values in rows if any(values)]


def said_of(facts: Sequence[Facts], said: Sequence[Sequence[str]]) -> list[tuple[str, str]]:
    """Return each sentence once, with the letters of the runs that it is about where those are not all."""
    letters: dict[str, list[str]] = {}
    for one, sentences in zip(facts, said, strict=True):
        for sentence in dict.fromkeys(sentences):
            letters.setdefault(sentence, []).append(one.letter)
    return [("" if len(of) == len(facts) else ", ".join(of), sentence) for sentence, of in letters.items()]


def told_apart(facts: Sequence[Facts]) -> list[Facts]:
    """Return runs that say in what they differ from each other, besides their targets."""
    varying = [
        name
        for name, _ in facts[0].conditions
        if name not in _SHOWN and len({dict(one.conditions)[name] for one in facts}) > 1
    ]
    plain = len({one.scorer for one in facts}) == len(
        {dict(one.conditions)["Scorer"] for one in facts}
    )  # settings are long
    return [
        replace(
            one,
            apart=", ".join(
                one.scorer if name == "Scorer" and plain else _short(name, dict(one.conditions)[name])
                for name in varying
            ),
        )
        for one in facts
    ]


_SHOWN = ("Target", "Top images (k)", "Null", "First labels beside untrained networks")
"""Settings that the summary gives anyway, or that follow from others."""


def _short(name: str, value: str) -> str:
    return value if name in ("Dissector", "Scorer", "Probe set") else f"{name[0].lower()}{name[1:]} {value}"


def _patients(dissection: mcd.Dissection) -> int | None:
    if dissection.manifest.imported is not None:
        return None
    try:
        known = {one for one in dissection.patients if one}
    except StoreError as error:
        left_out("the number of patients", error)
        return None
    return len(known) or None


def _cautions(dissection: mcd.Dissection, judged: bool, patients: int | None) -> list[str]:
    manifest = dissection.manifest
    found = []
    if manifest.imported is not None:
        return [IMPORTED.format(manifest.dissector), *(one for one in LIMITS if one != _OF_Q)]
    if manifest.images < FEW_IMAGES:
        found.append(
            f"Only {amount(manifest.images, 'image')}: the smallest detectable effect is large, and a concept that is "
            "significant for no neuron may have had too few images."
        )
    units = {one.permutation_unit for one in manifest.summary if one.permutation_unit}
    if units == {"image"} or (patients is None and "patient" not in units):
        found.append(
            "Patients are not known, or were not used: images of one woman count as independent, "
            "so z is too high and q too low where there are several."
        )
    if not any(one.labelled for one in manifest.summary):
        found.append("No neuron has a label: none responds differently to different images.")
    elif not judged:
        found.append(
            "Significance was not computed for this run: some concept always fits a neuron best, and its "
            "labels were not tested."
        )
    said, command = manifest.more_draws()
    if said:
        found.append(f"{said[:1].upper()}{said[1:]}{f': {command}' if command else ''}.")
    return [*found, *units_cautions(manifest), *LIMITS]


IMPORTED = (
    "The labels were imported, as {} made them: images, activations, p and q are not known, and some concept always "
    "fits a neuron best."
)
_OF_Q = "q is computed within each layer. A claim about the model needs the q of learned.csv, over all layers."
LIMITS = (
    "The scale of scores depends on scorer, dissector and layer. Between layers, models or scorers compare z or "
    "shares of neurons, never scores.",
    _OF_Q,
    "Layers differ in width: read shares together with counts.",
    "A label describes what the dissector recognises in the top images of a neuron, not that the neuron needs "
    "it, or that the dissector is right.",
)
"""The last of the cautions: what no run allows."""


def first_labels(dissection: mcd.Dissection, judged: bool) -> pd.DataFrame:
    """Return the first label of each neuron: the significant ones, or all where significance was not computed."""
    table = dissection.labels
    first = table[table["rank"] == 1]
    return first[first["verdict"].isin(SIGNIFICANT)] if judged else first


def counted(names: pd.Series[str]) -> dict[str, int]:
    """Return how often each name stands there, the most frequent first, ties by name."""
    counts = names.value_counts().sort_index().sort_values(ascending=False, kind="stable")
    return {str(name): int(count) for name, count in counts.items()}


def _layers(dissection: mcd.Dissection, judged: bool) -> list[LayerRow]:
    neurons = dissection.labels.drop_duplicates(["layer", "neuron"])
    named = first_labels(dissection, judged)
    summaries = {one.layer: one for one in dissection.manifest.summary}
    rows = []
    for record in dissection.manifest.layers:
        status = neurons.loc[neurons["layer"] == record.name, "status"]
        own = named[named["layer"] == record.name]
        summary = summaries.get(record.name)
        rows.append(
            LayerRow(
                name=record.name,
                neurons=record.neurons,
                named=len(own),
                non_null=summary.non_null if summary else None,
                multiple=int((own["verdict"] == "multiple categories").sum()),
                foreign=int((own["verdict"] == "not mammographic").sum()),
                silent=int(status.isin(["dead", "constant", "unscored"]).sum()),
                parts=counted(own["broad_category"]),
                published=summary.above_mean_score if summary else None,
            )
        )
    return rows


_COMPARED = (
    (
        "probe set",
        "Their probe sets differ: shares may differ for this reason alone, and neither neurons nor z can be "
        "compared one by one.",
    ),
    ("concepts", "Their concept sets differ: a concept that is only in one of them cannot be a label of the other."),
    ("prompts", "Their prompts for the same concepts differ: differences may be due to the wording."),
    ("dissector", "Their dissectors differ: labels depend on the dissector, and differences may be due to it."),
    ("scorer", "Their scorers or scorer settings differ: scores are on different scales; compare z, q and shares."),
)


def between(a: mcd.Dissection, b: mcd.Dissection) -> list[str]:
    """Return why two runs may not be compared, a sentence each."""
    if a.manifest.imported is not None or b.manifest.imported is not None:
        return ["Labels were imported: they are compared by their words, and neurons by their number."]
    mine, theirs = a.manifest.fingerprints, b.manifest.fingerprints
    differing = [name for name, _ in _COMPARED if mine.get(name) != theirs.get(name)]
    if "concepts" in differing and "prompts" in differing:
        differing.remove("prompts")  # other concepts are other words
    found = [said for name, said in _COMPARED if name in differing]
    calibrations = [settings_at(one.manifest.study, "calibration") for one in (a, b)]
    if calibrations[0] != calibrations[1]:
        found.append("Their calibrations differ: significant does not mean the same in both.")
    return found
