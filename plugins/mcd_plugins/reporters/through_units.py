"""What layers are seen through that are not their neurons, and what that brings over random units, in words."""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass

import mcd
from mcd.errors import MCDError, amount
from mcd.plugins import BesideRandom, Manifest, beside_random, echo
from mcd_plugins.reporters.tables import Table
from mcd_plugins.reporters.words import listed, share

__all__ = [
    "BesideRow",
    "Seen",
    "around",
    "beside_of",
    "beside_said",
    "beside_table",
    "rests_on",
    "seen_conditions",
    "seen_of",
    "units_cautions",
]

_RANDOM = "random units"
_LAYERS = 3
"""Layers that an answer says something of."""


@dataclass(frozen=True)
class Seen:
    """A layer that is seen through units: how many, what is known of them, and what they were fitted on."""

    layer: str
    units: int
    facts: Sequence[tuple[str, str]]
    fitted: str

    @property
    def said(self) -> str:
        """All of it in one line."""
        return "; ".join([amount(self.units, "unit"), *(f"{name}: {value}" for name, value in self.facts), self.fitted])


def seen_of(manifest: Manifest) -> list[Seen]:
    """Return the layers that are seen through units."""
    found = []
    for one in manifest.layers:
        if (through := one.through) is None:
            continue
        if manifest.control == _RANDOM:
            fitted = "drawn at random"
        elif not through.fitted:
            fitted = "it is not recorded which images they were fitted on"
        else:
            kept = f"{through.kept:,} of the images here are" if through.kept else "no image here is"
            fitted = f"fitted on {amount(through.fitted, 'image')}: {kept} of their patients"
        found.append(Seen(one.name, one.neurons, list(through.facts.items()), fitted))
    return found


def seen_conditions(runs: Sequence[Sequence[Seen]]) -> list[tuple[str, list[str]]]:
    """Return what layers of runs are seen through as conditions: a row a layer with a value a run."""
    layers = dict.fromkeys(one.layer for each in runs for one in each)
    said = [{one.layer: one.said for one in each} for each in runs]
    return [(f"Units of {layer}", [one.get(layer, "") for one in said]) for layer in layers]


def units_cautions(manifest: Manifest) -> list[str]:
    """Return of which layers labels are no test on other patients than their units were fitted on, or may be none."""
    if manifest.control == _RANDOM:  # which nothing was fitted on
        return []
    seen = [(one.name, one.through) for one in manifest.layers if one.through is not None]
    unknown = [name for name, through in seen if not through.fitted]
    found = [
        f"The units of {name} were fitted on patients of {through.kept:,} of the {manifest.images:,} images: their "
        "labels are no test on other patients (column fitted_images)."
        for name, through in seen
        if through.kept
    ]
    if unknown:
        found.append(
            f"It is not recorded which images the units of {listed(unknown, 6)} were fitted on: some may be of "
            "patients that the labels were tested on."
        )
    return found


@dataclass(frozen=True)
class BesideRow:
    """Units of a layer beside random units.

    ``difference`` is that of the shares of significant units, in percentage points, ``gain`` the superposition gain;
    bounds are NaN where there are none. ``neurons`` counts the concepts of the layer's neurons, None where they are
    not kept.
    """

    layer: str
    units: int
    significant: int
    random: int
    difference: tuple[float, float, float]
    concepts: int
    neurons: int | None
    random_concepts: int
    gain: tuple[float, float, float]

    @property
    def verdict(self) -> str:
        """Whether they are more than random units; empty where there is no interval."""
        _, low, high = self.difference
        if math.isnan(low):
            return ""
        return "more than random units" if low > 0 else "fewer than random units" if high < 0 else "may be chance"


def beside_of(dissection: mcd.Dissection) -> tuple[BesideRandom | None, list[BesideRow]]:
    """Return units of a run beside random units, with intervals where these can be computed."""
    try:
        found = beside_random(dissection)
    except MCDError as error:  # its message may name folders: it goes to the terminal
        echo(f"note: no intervals of what units have more than random units: {error.message}", err=True)
        found = beside_random(dissection, 0)
    if found is None:
        return None, []
    rows = [
        BesideRow(
            layer=str(one["layer"]),
            units=int(one["units"]),
            significant=int(one["significant"]),
            random=int(one["random_significant"]),
            difference=_scaled(one, "difference", 100),
            concepts=int(one["concepts"]),
            neurons=int(one["neuron_concepts"]) if one["neuron_concepts"] >= 0 else None,
            random_concepts=int(one["random_concepts"]),
            gain=_scaled(one, "gain", 1),
        )
        for one in found.table.to_dict("records")
    ]
    return found, rows


def _scaled(row: Mapping[Hashable, float], name: str, factor: int) -> tuple[float, float, float]:
    value, low, high = (factor * float(row[f"{name}{end}"]) for end in ("", "_low", "_high"))
    return value, low, high


def _signed(value: float) -> str:
    return f"{value:+.0f}".replace("-", "−") if round(value) else "0"


def around(values: tuple[float, float, float]) -> str:
    """Return a difference with its interval: ``+28 [12, 41]``."""
    value, low, high = values
    return _signed(value) + ("" if math.isnan(low) else f" [{_signed(low)}, {_signed(high)}]".replace("+", ""))


def beside_said(rows: Sequence[BesideRow]) -> list[str]:
    """Return what units have more than random units, a sentence a layer."""
    said = []
    for one in rows[:_LAYERS]:
        lead = (
            f"Of {amount(one.units, 'unit')} of {one.layer}, {one.significant:,} ({share(one.significant, one.units)})"
        )
        beside = f"of as many random units {one.random:,} ({share(one.random, one.units)})"
        points = f"{around(one.difference)} percentage points"
        verdict = {
            "": points,
            "may be chance": f"{points}, which may be chance",
        }.get(one.verdict, f"{points}, {one.verdict}")
        said.append(f"{lead} are significant, {beside}: {verdict}.")
    return said


def rests_on(found: BesideRandom) -> str:
    """Return on what a comparison with random units rests, in a few sentences."""
    people = "patients not known" if found.patients is None else amount(found.patients, "patient")
    random = f"random units of the same kind, number and sparsity, seed {found.seed}"
    lead = f"{amount(found.images, 'image')}, {people}, {random}"
    null = f" Significant: {found.null}." if found.null else ""
    if not found.resamples:
        return f"{lead}; no intervals: {found.reason or 'none were asked for'}.{null}"
    unit = "images" if found.patients is None else "patients"
    over = f"{unit} ({found.resamples} resamples) and draws of random units"
    within = f"in brackets 95 % intervals over {over}: what holds 0 may be chance."
    return f"{lead}; {within}{null}"


def beside_table(runs: Mapping[str, tuple[BesideRandom | None, Sequence[BesideRow]]]) -> Table | None:
    """Return units beside random units; None where no run has them.

    Parameters
    ----------
    runs
        What each run is called; one run is called nothing.
    """
    known = {name: (found, rows) for name, (found, rows) in runs.items() if found is not None}
    if not known:
        return None
    rows = [
        [
            *([name] if len(runs) > 1 else []),
            one.layer,
            f"{one.significant}/{one.units} ({share(one.significant, one.units)})",
            f"{one.random} ({share(one.random, one.units)})",
            around(one.difference),
            f"{one.concepts}, {one.random_concepts}" + ("" if one.neurons is None else f", {one.neurons}"),
            around(one.gain),
        ]
        for name, (_, each) in known.items()
        for one in each
    ]
    run = ("run",) if len(runs) > 1 else ()
    notes = dict.fromkeys(rests_on(found) for found, _ in known.values() if found is not None)
    return Table(
        "units",
        "Units beside random units",
        (*run, "layer", "significant", "random", "difference", "concepts", "gain"),
        rows,
        words=(*run, "layer"),
        note=f"{' '.join(notes)} Difference: of the shares, in percentage points. Concepts: distinct ones above chance "
        "of units, of random units and, where they are kept, of the layer's neurons. Gain: the superposition gain, "
        "concepts of units less those of random units.",
    )
