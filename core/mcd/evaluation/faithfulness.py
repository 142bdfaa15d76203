"""Faithfulness: whether outputs of the network depend on the neurons that a concept names, more than on others.

A named group is ablated in a forward pass of held-out images, and so are random groups of the same size from the same
layer (`mcd.evaluation.ablation`): what a group does to the outputs says nothing without what any other group does.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from pydantic import Field

from mcd.api.ranking import Ties
from mcd.errors import UnknownNameError, nearest
from mcd.evaluation.ablation import Group, groups_of, possible, random_groups, strata_of
from mcd.evaluation.agreement import Ranked
from mcd.events import Clock
from mcd.networks.editing import LayerEdit
from mcd.options import Settings
from mcd.runs.runnable import Runnable
from mcd.scoring.calibration.fdr import QValues
from mcd.scoring.calibration.resamples import interval

__all__ = ["COLUMNS", "FAITHFUL", "Ablation", "HeldOutImages", "faithfulness"]

Values = NDArray[np.float64]
Flags = NDArray[np.bool_]

FAITHFUL: Mapping[str, str] = {
    "moved, all outputs": "mean |Δ| of all outputs, in their standard deviations",
    "auroc lost": "AUROC of the output for the finding, before - after",
    "moved": "mean |Δ| of the output",
    "change": "mean Δ of the output",
}
"""What is measured, in the order of tables. Δ is the output with the group ablated less the output as it is, image by
image. ``change`` has no p: with units at their means it is 0 in whatever follows linearly."""

COLUMNS = (
    "layer",
    "concept",
    "neurons",
    "measure",
    "output",
    "finding",
    "value",
    "low",
    "high",
    "random",
    "random_least",
    "random_most",
    "random_groups",
    "p",
    "q",
    "units",
)
"""Of the table: ``neurons`` is the size of the group; ``output`` and ``finding`` are empty where a measure is of none;
``low`` and ``high`` bound the 95 % interval of ``value`` over held-out patients, ``units`` counts these; ``random`` is
the mean over the random groups, the two after it the least and the largest of them; p is (1 + random groups with a
value no smaller) / (random groups + 1), q over all rows of the measure (Benjamini & Hochberg)."""


class Ablation(Settings):
    """How groups are ablated."""

    to: Literal["mean", "zero"] = Field(
        default="mean",
        description="what the units of a group become: each its mean over held-out images and positions, or 0",
    )
    groups: int = Field(default=10, ge=1, le=1000, description="ablate at most so many groups, the largest first")
    least: int = Field(default=3, ge=1, le=1000, description="neurons that a group has at least")
    random: int = Field(default=20, ge=1, le=10_000, description="random groups that each is held against")
    outcomes: dict[str, str] = Field(
        default_factory=dict,
        description="which output is to be which annotated concept: its number or name, and the concept. Outputs that "
        "have the name of one need none",
    )


@dataclass(frozen=True)
class HeldOutImages:
    """The images that judge, of patients that named nothing.

    Parameters
    ----------
    held_out
        ``(images,)`` of the run.
    units
        How many patients they are of.
    weights
        ``(weightings, held-out images)``: the first is 1 throughout, the others are resamples of the patients.
    factor
        See `mcd.scoring.calibration.resamples.Resamples.factor`.
    terms
        Of the concepts.
    annotated
        ``(images, concepts)``: 1, 0, NaN where not known.
    assessable
        ``(concepts,)``: which have enough held-out patients with and without them.
    """

    held_out: Flags
    units: int
    weights: Values
    factor: float
    terms: Sequence[str]
    annotated: torch.Tensor
    assessable: Flags


def faithfulness(
    runnable: Runnable,
    labels: pd.DataFrame,
    activations: Callable[[str], torch.Tensor],
    judging: HeldOutImages,
    settings: Ablation,
    ties: Ties,
    seed: int,
    clock: Clock,
    *,
    significant: bool = True,
) -> tuple[pd.DataFrame, list[str]]:
    """Return what ablating each group does, and what could not be tested and why.

    Parameters
    ----------
    runnable
        The target and the images of a run.
    labels
        That name the groups: of the patients that are not held out.
    activations
        A of a layer, ``(images, neurons)``, by its name.
    ties
        Of the images.
    seed
        Decides the random groups.
    significant
        Whether only significant labels name.

    Returns
    -------
    tuple
        A table with `COLUMNS`, without rows or columns where nothing could be ablated; and sentences.

    Raises
    ------
    UsageError
        When the network has no such output, the vocabulary no such concept, or the network no outputs at all.
    """
    found = groups_of(labels, settings.least, seed, significant=significant)
    strata = {layer: strata_of(activations(layer), ties) for layer in dict.fromkeys(one.layer for one in found)}
    fit = [one for one in found if possible(one, strata[one.layer]) > settings.random]
    problems = []
    if not found:
        what = "significant neurons" if significant else "neurons"
        problems.append(
            f"nothing is ablated: no concept names {settings.least} {what} of a layer by half of the patients"
        )
    elif len(fit) < len(found):
        problems.append(
            f"{len(found) - len(fit)} groups are not ablated: they are so much of their layer that there are no "
            f"{settings.random} others like them"
        )
    if len(fit) > settings.groups:
        problems.append(f"of {len(fit)} groups the {settings.groups} largest are ablated")
    fit = fit[: settings.groups]
    if not fit:
        return pd.DataFrame(), problems
    tried = [one for group in fit for one in (group, *random_groups(group, strata[group.layer], settings.random, seed))]
    outcome = _Outcome(judging, settings.outcomes, list(runnable.through.target.outputs))
    outcome.check()
    passed = _Passed(len(tried), settings.random + 1, outcome)
    layers = {layer.name: layer for layer in runnable.dissected}
    rows = [row for row, held_out in zip(runnable.rows, judging.held_out, strict=True) if held_out]
    through, used = runnable.through, [layers[name] for name in dict.fromkeys(one.layer for one in fit)]
    groups = through.groups(rows)
    means = through.means(used, groups) if settings.to == "mean" else {}
    edits = [[LayerEdit(layers[one.layer], one.neurons, settings.to)] for one in tried]
    place = {row: at for at, row in enumerate(rows)}
    with clock.stage("ablate", len(rows), "images") as advanced:

        def each(some: tuple[int, ...], number: int, outputs: torch.Tensor) -> None:
            passed.add([place[row] for row in some], number, outputs.double().numpy(), len(rows))
            advanced(len(some) if number == len(tried) else 0)

        through.outputs(edits, each, groups=groups, means=means)
    problems += outcome.problems
    tables = [passed.table(number, group, judging) for number, group in enumerate(fit)]
    return _tested(pd.concat(tables, ignore_index=True)), problems


class _Outcome:
    """Which output is to be which finding."""

    def __init__(self, judging: HeldOutImages, asked: Mapping[str, str], names: Sequence[str]) -> None:
        self._judging, self._asked, self._names = judging, asked, names
        self.problems: list[str] = []
        self.pairs: list[tuple[int, int]] = []
        self.outputs: list[str] = []

    def check(self) -> None:
        """Refuse a concept that there is not, before anything is computed."""
        terms = self._judging.terms
        unknown = [one for one in self._asked.values() if one not in terms]
        if unknown:
            raise UnknownNameError(f"the vocabulary has no concept '{unknown[0]}'", nearest(unknown[0], terms))

    def found(self, outputs: int) -> None:
        """Take in how many outputs the network has: pair them with findings."""
        names = self._names if len(self._names) == outputs else []
        self.outputs = list(names) or [str(number) for number in range(outputs)]
        terms, assessable = list(self._judging.terms), self._judging.assessable
        pairs = {number: terms.index(name) for number, name in enumerate(names) if name in terms}
        pairs = {number: concept for number, concept in pairs.items() if assessable[concept]}
        for written, term in self._asked.items():
            pairs[self._number(written, outputs)] = terms.index(term)
            if not assessable[terms.index(term)]:
                self.problems.append(
                    f"no AUROC for '{term}': too few held-out patients are annotated with or without it"
                )
        self.pairs = [(number, concept) for number, concept in sorted(pairs.items()) if assessable[concept]]

    def _number(self, written: str, outputs: int) -> int:
        if written in self.outputs:
            return self.outputs.index(written)
        if written.isdecimal() and int(written) < outputs:
            return int(written)
        raise UnknownNameError(f"the network has no output '{written}'", nearest(written, self.outputs))


class _Passed:
    """Outputs of held-out images, as they are and with groups ablated; each named group before its random ones."""

    def __init__(self, tried: int, each: int, outcome: _Outcome) -> None:
        self._tried, self._each, self._outcome = tried, each, outcome
        self._before = np.zeros((0, 0))

    def add(self, places: Sequence[int], number: int, outputs: Values, images: int) -> None:
        """Add the outputs ``(B, K)`` of images at these places, for one group from 1; 0 for none ablated."""
        if not self._before.size:
            self._start(images, outputs.shape[1])
        if number == 0:
            self._before[places] = outputs
            return
        apart = outputs - self._before[places]
        self._moved[number - 1] += np.abs(apart).sum(axis=0) / images
        self._changed[number - 1] += apart.sum(axis=0) / images
        if (number - 1) % self._each == 0:
            self._named[(number - 1) // self._each, places] = apart
        self._after[np.ix_([number - 1], places)] = outputs[None][:, :, [at for at, _ in self._outcome.pairs]]

    def _start(self, images: int, outputs: int) -> None:
        self._outcome.found(outputs)
        self._before = np.zeros((images, outputs))
        self._moved, self._changed = np.zeros((2, self._tried, outputs))
        self._named = np.zeros((self._tried // self._each, images, outputs))
        self._after = np.zeros((self._tried, images, len(self._outcome.pairs)))

    def table(self, number: int, group: Group, judging: HeldOutImages) -> pd.DataFrame:
        """Return the rows of one named group, without p and q."""
        some = slice(number * self._each, (number + 1) * self._each)
        spread = self._before.std(axis=0)
        varied = spread > 0
        apart, outputs = self._named[number], self._outcome.outputs
        total = judging.weights.sum(axis=1, keepdims=True)
        moved, change = judging.weights @ np.abs(apart) / total, judging.weights @ apart / total
        scaled = self._moved[some][:, varied] / spread[varied]
        rows = []
        if varied.any():
            overall = (moved[:, varied] / spread[varied]).mean(axis=1)
            rows.append(_row("moved, all outputs", "", "", overall, scaled.mean(axis=1), judging))
        for at, name in enumerate(outputs):
            rows.append(_row("moved", name, "", moved[:, at], self._moved[some, at], judging))
        for at, name in enumerate(outputs):
            rows.append(_row("change", name, "", change[:, at], self._changed[some, at], judging))
        for column, (at, concept) in enumerate(self._outcome.pairs):
            lost, tried = self._lost(self._before[:, at], self._after[some, :, column], concept, judging)
            rows.append(_row("auroc lost", outputs[at], judging.terms[concept], lost, tried, judging))
        table = pd.DataFrame(rows)
        return table.assign(layer=group.layer, concept=group.concept, neurons=len(group.neurons), units=judging.units)

    @staticmethod
    def _lost(before: Values, after: Values, concept: int, judging: HeldOutImages) -> tuple[Values, Values]:
        """Return what AUROC the named group loses in every weighting, and all groups on all images."""
        column = judging.annotated[torch.from_numpy(judging.held_out), concept].double().numpy()
        known = ~np.isnan(column)
        shows, weights = column[known] == 1, judging.weights[:, known]
        every = Ranked.of(np.column_stack([before, *after])[known]).measured(shows, weights[:1])[0][0]
        own = Ranked.of(np.column_stack([before, after[0]])[known]).measured(shows, weights)[0]
        return own[:, 0] - own[:, 1], every[0] - every[1:]


def _row(
    measure: str, output: str, finding: str, named: Values, tried: Values, judging: HeldOutImages
) -> dict[str, str | float]:
    """Return a row: ``named`` under every weighting, ``tried`` of the named group and its random ones on all images."""
    own, random = float(tried[0]), tried[1:]
    bounds = interval(np.array(own), named[1:], judging.factor) if len(named) > 2 else None
    return {
        "measure": measure,
        "output": output,
        "finding": finding,
        "value": own,
        "low": float(bounds.low) if bounds else np.nan,
        "high": float(bounds.high) if bounds else np.nan,
        "random": float(random.mean()),
        "random_least": float(random.min()),
        "random_most": float(random.max()),
        "random_groups": len(random),
        "p": np.nan if measure == "change" else (1 + int((random >= own).sum())) / (len(random) + 1),
    }


def _tested(table: pd.DataFrame) -> pd.DataFrame:
    """Return a table with q, measure by measure."""
    table = table.assign(q=np.nan)
    for measure in FAITHFUL:
        rows = (table["measure"] == measure) & table["p"].notna()
        own = table.loc[rows, "p"].to_numpy()
        table.loc[rows, "q"] = QValues.of(own)(own)
    place = table["measure"].map({measure: at for at, measure in enumerate(FAITHFUL)})
    return table.loc[place.sort_values(kind="stable").index, list(COLUMNS)].reset_index(drop=True)
