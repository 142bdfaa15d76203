"""An evaluation as reports show it: what was judged against what, beside what chance and other labels reach."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import pandas as pd

import mcd
from mcd.errors import StoreError, amount, printable
from mcd.plugins import AGAINST, BASELINES, FIRST_LABELS, MEASURES, Evaluation, echo

__all__ = ["Evaluated", "Judged", "LayerImages", "LayerStability", "MeasureRow", "Value", "evaluated", "known_first"]

_NONE = "No evaluation: how right these labels are was not judged. Type: mcd evaluate RUN"
_OF: Mapping[str, str] = {
    "annotations": "annotations of",
    "held-out": "the run's own similarities of",
    "other-dissector": "similarities by another dissector of",
    "truth": "the truth (the concept that separates images best) on",
}
"""How a sentence goes on after *held against*, before what was held out."""
_LEADING = ("auprc", "recovered")
"""The measures that a sentence is about, where they are known; otherwise the first that is."""
_STABLE = 0.95


@dataclass(frozen=True)
class Value:
    """A mean over neurons, or a mean difference, with its 95 % interval; NaN is unknown."""

    value: float = math.nan
    low: float = math.nan
    high: float = math.nan
    neurons: int = 0

    @property
    def known(self) -> bool:
        """Whether there is a value."""
        return math.isfinite(self.value)

    @property
    def bounded(self) -> bool:
        """Whether there is an interval."""
        return math.isfinite(self.low) and math.isfinite(self.high)

    def text(self, sign: str = "") -> str:
        """Return the value, a dash where it is unknown; ``sign`` as in a format."""
        return _number(self.value, sign)

    def interval(self, sign: str = "") -> str:
        """Return the interval; empty where there is none."""
        return f"{_number(self.low, sign)} to {_number(self.high, sign)}" if self.known and self.bounded else ""

    def whole(self, sign: str = "") -> str:
        """Return the value, and its interval in brackets."""
        interval = self.interval(sign)
        return self.text(sign) + (f" ({interval})" if interval else "")


@dataclass(frozen=True)
class MeasureRow:
    """A measure. ``values`` by what was labelled, ``differences`` of first labels from each baseline."""

    name: str
    values: Mapping[str, Value]
    differences: Mapping[str, Value]


@dataclass(frozen=True)
class Judged:
    """What labels were judged against.

    Parameters
    ----------
    against, meaning
        Its name, and what that is.
    kinds
        What was judged: first labels, then baselines, of those that occur.
    rows
        The whole run.
    layers
        The name of each, and its measures by name.
    finding
        What came out, in a sentence or two.
    verdict
        The same in one clause, without intervals: it goes on after *first labels*. Empty where no label could be
        judged.
    """

    against: str
    meaning: str
    kinds: Sequence[str]
    rows: Sequence[MeasureRow]
    layers: Sequence[tuple[str, Mapping[str, MeasureRow]]]
    finding: str
    verdict: str = ""

    @property
    def word(self) -> str:
        """Its name as files and references have it."""
        return re.sub(r"[^a-z0-9]+", "-", self.against.lower()).strip("-") or "other"

    @property
    def compared(self) -> Sequence[str]:
        """The baselines from which there are differences."""
        return [kind for kind in BASELINES if any(kind in row.differences for row in self.rows)]


@dataclass(frozen=True)
class LayerStability:
    """How many labels of a layer come back on resamples of patients; ``size`` is the median size of their sets."""

    layer: str
    labels: int
    stable: int
    size: float


@dataclass(frozen=True)
class LayerImages:
    """Of which kind the top images of a layer's neurons are, medians."""

    layer: str
    neurons: int
    clarity: float
    redundancy: float
    polysemanticity: float


@dataclass(frozen=True)
class Evaluated:
    """The evaluation of a run in words and numbers.

    Parameters
    ----------
    missing
        Why there is none, a sentence; empty where there is one.
    source
        Its tables.
    judged, stability, images
        What is shown of them, the whole run last.
    faithfulness
        As the evaluation has it.
    problems, notes
        What could not be evaluated, and what a reader must know.
    """

    missing: str = _NONE
    source: Evaluation | None = None
    judged: Sequence[Judged] = ()
    stability: Sequence[LayerStability] = ()
    images: Sequence[LayerImages] = ()
    faithfulness: pd.DataFrame = field(default_factory=pd.DataFrame)
    problems: Sequence[str] = ()
    notes: Sequence[str] = ()

    @property
    def findings(self) -> list[str]:
        """What came out, or that there is no evaluation."""
        if self.missing:
            return [self.missing]
        whole = self.stability[-1] if self.stability else None
        come_back = (
            f"{whole.stable} of {whole.labels} labels ({whole.stable / whole.labels:.0%}) come first in at least "
            f"{_STABLE:.0%} of resamples of the patients; a median of {whole.size:g} concepts do so together."
            if whole and whole.labels
            else ""
        )
        return [*(one.finding for one in self.judged), *filter(None, [come_back])]

    @property
    def known(self) -> list[str]:
        """What came out; nothing where nobody evaluated, which answers say with the command."""
        return [] if self.missing == _NONE else self.findings

    @property
    def warnings(self) -> list[str]:
        """What could not be evaluated, as warnings of the whole report say it."""
        return [f"Evaluation: {one}" for one in self.problems]


def evaluated(dissection: mcd.Dissection) -> Evaluated:
    """Return what reports show of a run's evaluation.

    One that is damaged, or of other labels, is none: the report says so and goes on, as the rest of the run is whole.
    """
    try:
        found = dissection.evaluation
    except StoreError as error:
        echo(f"note: left out: the evaluation: {error.message}", err=True)
        hint = error.hint[:1].upper() + error.hint[1:]
        return Evaluated(missing=f"No evaluation can be shown: {_without(error.message, dissection)}. {hint}")
    if found is None and dissection.manifest.imported is not None:
        return Evaluated(missing="No evaluation: the labels were imported, without what they were made of.")
    if found is None:
        return Evaluated()
    layers = dissection.layers
    return Evaluated(
        missing="",
        source=found,
        judged=[_judged(found, against, layers) for against in _against(found)],
        stability=_stability(found.stability, layers),
        images=_images(found.geometry, layers),
        faithfulness=found.faithfulness,
        problems=[_sentence(one) for one in found.problems],
        notes=[_sentence(one) for one in found.record.notes],
    )


def known_first(found: Sequence[str], order: Sequence[str]) -> list[str]:
    """Return names each once: those that are known in their order, then others as they come."""
    each = list(dict.fromkeys(found))
    return [one for one in order if one in each] + [one for one in each if one not in order]


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:] + ("" if text.endswith((".", "!", "?")) else ".")


def _without(message: str, dissection: mcd.Dissection) -> str:
    """Return a message without the folder of the run, which no report names."""
    for folder in (dissection.folder, dissection.folder.absolute(), dissection.folder.resolve()):
        message = message.replace(printable(str(folder)), "RUN")
    return message.partition("\n")[0].rstrip(".")


def _number(value: float, sign: str = "") -> str:
    if not math.isfinite(value):
        return "–"
    return format(round(value, 2) + 0.0, f"{sign}.2f").replace("-", "−")


def _against(found: Evaluation) -> list[str]:
    """Return what labels were judged against; also what was asked for and gave nothing."""
    rows = found.summary["against"].astype(str).tolist() if len(found.summary) else []
    return known_first([*found.record.against, *rows], list(AGAINST))


def _judged(found: Evaluation, against: str, layers: Sequence[str]) -> Judged:
    table = found.summary[found.summary["against"] == against] if len(found.summary) else found.summary
    each = {str(layer): rows for layer, rows in table.groupby("layer", sort=False)} if len(table) else {}
    rows = _rows(each[""]) if "" in each else []
    kinds = [kind for kind in (FIRST_LABELS, *BASELINES) if any(kind in row.values for row in rows)]
    record = found.record
    patients = record.held_out_patients
    count, unit = (record.held_out_images, "image") if patients is None else (patients, "patient")
    held_out = f"{_OF.get(against, f'{against} of')} {amount(count, f'held-out {unit}')}"
    return Judged(
        against=against,
        meaning=AGAINST.get(against, ""),
        kinds=kinds,
        rows=rows,
        layers=[(layer, {row.name: row for row in _rows(each[layer])}) for layer in layers if layer in each],
        finding=_finding(f"Held against {held_out}", rows, record.labelled),
        verdict=_verdict(held_out, rows),
    )


def _rows(table: pd.DataFrame) -> list[MeasureRow]:
    values: dict[str, dict[str, Value]] = {}
    numbers = zip(
        *(table[name].astype(str) for name in ("measure", "labels")),
        *(table[name].astype(float) for name in ("value", "low", "high")),
        table["neurons"],
        strict=True,
    )
    for measure, labels, value, low, high, neurons in numbers:
        values.setdefault(measure, {})[labels] = Value(value, low, high, int(neurons))
    before = f"{FIRST_LABELS} - "
    return [
        MeasureRow(
            MEASURES.get(measure, measure),
            {kind: values[measure][kind] for kind in (FIRST_LABELS, *BASELINES) if kind in values[measure]},
            {kind: values[measure][before + kind] for kind in BASELINES if before + kind in values[measure]},
        )
        for measure in known_first(list(values), list(MEASURES))
    ]


def _leading(rows: Sequence[MeasureRow]) -> MeasureRow | None:
    """Return the measure that sentences are about; None where none is known."""
    known = [row for row in rows if row.values.get(FIRST_LABELS, Value()).known]
    names = [MEASURES[one] for one in _LEADING]
    return next((one for name in names for one in known if one.name == name), known[0] if known else None)


def _beside_random(gain: Value) -> str:
    """Return how first labels do beside random ones, by the interval of their difference; empty where there is none."""
    if not (gain.known and gain.bounded):
        return ""
    return (
        "agree better than" if gain.low > 0 else "agree less than" if gain.high < 0 else "cannot be distinguished from"
    )


_RANDOM = "random labels of the same category"


def _verdict(held_out: str, rows: Sequence[MeasureRow]) -> str:
    """Return what one measure says, in one clause."""
    row = _leading(rows)
    if row is None:
        return ""
    first, random = row.values[FIRST_LABELS], row.values.get("random", Value())
    if not random.known:
        return f"have {row.name} {first.text()} against {held_out}"
    how = _beside_random(row.differences.get("random", Value())) or "stand beside"
    without = ", without an interval" if how == "stand beside" else ""
    return f"{how} {_RANDOM} against {held_out} ({row.name} {first.text()}, random {random.text()}{without})"


def _finding(held: str, rows: Sequence[MeasureRow], labelled: int) -> str:
    """Return what one measure says; ``labelled`` is how many neurons have a label, 0 where that was not kept."""
    row = _leading(rows)
    if row is None:
        return f"{held}: no label could be judged."
    first, random = row.values[FIRST_LABELS], row.values.get("random", Value())
    rest = f" {first.neurons} of {amount(labelled, 'label')} could be judged." if first.neurons < labelled else ""
    if not random.known:
        return f"{held}, first labels have {row.name} {first.whole()}.{rest}"
    gain = row.differences.get("random", Value())
    said = f"{row.name} {first.whole()} against {random.text()}"
    if gain.known:
        said += f", difference where both are known {gain.whole('+')}"
    how = _beside_random(gain)
    said = f"{held}, first labels {how or 'and'} {_RANDOM}: {said}{'' if how else '; there is no interval'}."
    level = [kind for kind, one in row.differences.items() if kind != "random" and one.bounded and one.low <= 0]
    return said + (f" Not shown to be better, by this measure, than: {', '.join(level)}." if level else "") + rest


def _layered(table: pd.DataFrame, layers: Sequence[str]) -> list[tuple[str, pd.DataFrame]]:
    """Return the rows of each layer in the order of the model, then all where there are several."""
    each = [(layer, table[table["layer"] == layer]) for layer in layers]
    found = [(layer, rows) for layer, rows in each if len(rows)]
    return [*found, ("all layers", table)] if len(found) > 1 else found


def _stability(table: pd.DataFrame, layers: Sequence[str]) -> list[LayerStability]:
    if not len(table):
        return []
    table = table[table["concept"].astype(str).ne("") & table["share"].notna()]
    return [
        LayerStability(layer, len(rows), int((rows["share"] >= _STABLE).sum()), float(rows["size"].median()))
        for layer, rows in _layered(table, layers)
    ]


def _images(table: pd.DataFrame, layers: Sequence[str]) -> list[LayerImages]:
    if not len(table):
        return []
    return [
        LayerImages(
            layer,
            int(rows["clarity"].notna().sum()),
            *(float(rows[name].median()) for name in ("clarity", "redundancy", "polysemanticity")),
        )
        for layer, rows in _layered(table, layers)
    ]
