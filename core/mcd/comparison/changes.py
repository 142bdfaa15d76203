"""What fine-tuning changes, neuron by neuron: kept, gained, lost, re-purposed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from mcd.comparison.layers import ALL, AlignedLayer
from mcd.comparison.outcomes import NOTHING, Codes, Vocabulary
from mcd.comparison.resampling import Replicated
from mcd.scoring.calibration.resamples import interval

__all__ = [
    "KINDS",
    "MAY_BE_CHANCE",
    "Changes",
    "Matching",
    "Pairing",
    "chance_rule",
    "changes",
    "correlations",
    "may_be_chance",
    "pair_neurons",
]

Values = NDArray[np.float64]
Matching = Literal["identity", "hungarian"]

KINDS = ("kept concept", "kept category", "re-purposed", "gained", "lost", "neither")
"""What becomes of a neuron: significant in both with the same concept; with another concept of the same category; with
one of another category; significant only after; only before; in neither."""


MAY_BE_CHANCE = "may be chance"


def may_be_chance(table: pd.DataFrame) -> pd.Series[bool]:
    """Say of which changes it is not excluded that they are none: the interval includes 0, or there is none.

    Parameters
    ----------
    table
        With ``low`` and ``high``.
    """
    return ~((table["low"] > 0) | (table["high"] < 0))


def chance_rule(*, intervals: bool) -> str:
    """Return what `may_be_chance` goes by, for whoever reads differences with or without intervals."""
    if intervals:
        return f"A difference whose 95 % interval includes 0 {MAY_BE_CHANCE}"
    return f"No intervals: every difference {MAY_BE_CHANCE}"


@dataclass(frozen=True)
class Pairing:
    """Which neuron of the other run each neuron of the reference is compared with, at one place.

    Parameters
    ----------
    reference, other
        ``(pairs,)``: numbers of the neurons.
    correlation
        ``(pairs,)``: Pearson's of their activations over the probe set; NaN where one of them is constant, or where
        activations are not at hand.
    """

    reference: Codes
    other: Codes
    correlation: Values

    @classmethod
    def unseen(cls, neurons: int) -> Pairing:
        """Return the pairing by number, where activations are not at hand."""
        numbers = np.arange(neurons, dtype=np.int64)
        return cls(numbers, numbers, np.full(neurons, np.nan))


@dataclass(frozen=True)
class Changes:
    """What changes from the reference to another run.

    Parameters
    ----------
    run
        The other run.
    neurons
        A row for each pair: ``place``, ``layer``, ``neuron`` and ``other_neuron``, ``correlation``, ``change`` (one of
        `KINDS`), ``concept_before``, ``category_before``, ``concept_after``, ``category_after`` (empty where not
        significant), ``z_before``, ``z_after``.
    layers
        A row for each place and kind, and for all places: ``place``, ``pairs``, ``change``, ``neurons``, ``low``,
        ``high``, ``share``.
    categories, concepts
        A row for each category or concept that is significant for any neuron: ``before`` and ``after`` neurons,
        ``kept`` (in both of it), ``gained`` (not significant before), ``lost`` (not significant after), ``came`` from
        others, ``left`` to others, ``change`` with ``low`` and ``high``. What specialises comes first, what fades last.
    """

    run: str
    neurons: pd.DataFrame
    layers: pd.DataFrame
    categories: pd.DataFrame
    concepts: pd.DataFrame

    @property
    def correlation(self) -> float:
        """Median correlation of the pairs; NaN where it is known of none."""
        known = self.neurons["correlation"].dropna()
        return float(known.median()) if len(known) else float("nan")  # older numpy warns of a mean of nothing


def correlations(one: torch.Tensor, other: torch.Tensor) -> torch.Tensor:
    """Return Pearson's correlation of every neuron with every other, ``(neurons, other neurons)`` float64.

    NaN where one is constant.

    Parameters
    ----------
    one, other
        Activations ``(images, neurons)`` over the same images.
    """
    return _scaled(one).T @ _scaled(other)


def _scaled(activations: torch.Tensor) -> torch.Tensor:
    """Return activations with mean 0 and length 1 for each neuron; their products are correlations."""
    values = activations.double()
    centred = values - values.mean(dim=0)
    found: torch.Tensor = centred / centred.norm(dim=0)
    return found


def pair_neurons(one: torch.Tensor, other: torch.Tensor, how: Matching) -> Pairing:
    """Return which neurons of two layers are compared.

    Parameters
    ----------
    one, other
        Activations ``(images, neurons)`` over the same images.
    how
        ``"identity"``: by number. ``"hungarian"``: so that the sum of the correlations of the pairs is largest.
        Correlations count by their sign: a neuron that responds where another is silent has other top images.
    """
    if how == "identity":
        count = min(one.shape[1], other.shape[1])
        numbers = np.arange(count, dtype=np.int64)
        alike = (_scaled(one[:, :count]) * _scaled(other[:, :count])).sum(dim=0)
        return Pairing(numbers, numbers, alike.numpy())
    from scipy.optimize import linear_sum_assignment

    found = correlations(one, other).numpy()
    # A constant neuron resembles none: it takes what is left over.
    mine, theirs = linear_sum_assignment(np.nan_to_num(found, nan=-2.0), maximize=True)
    return Pairing(mine.astype(np.int64), theirs.astype(np.int64), found[mine, theirs])


def kinds_of(before: Codes, after: Codes, category: Codes) -> Codes:
    """Return for each pair the number of its kind in `KINDS`, shaped as the codes.

    Parameters
    ----------
    before, after
        Numbers of the significant concepts, `NOTHING` where there is none.
    category
        ``(concepts,)``: of what category each is.
    """
    had, has = before != NOTHING, after != NOTHING
    same = category[before] == category[after]  # where both are there
    choices = [had & has & (before == after), had & has & same, had & has, has, had]
    return np.select(choices, list(range(5)), 5).astype(np.int64)


def changes(
    reference: Sequence[AlignedLayer],
    other: Sequence[AlignedLayer],
    pairings: Sequence[Pairing],
    vocabulary: Vocabulary,
) -> Changes:
    """Return what changes from the reference to another run, place by place.

    With resamples, both runs were resampled alike; the pairing stays as it is.
    """
    category = vocabulary.membership("category")
    tables, befores, afters, layers = [], [], [], []
    for mine, theirs, pairing in zip(reference, other, pairings, strict=True):
        before, after = _codes(mine, pairing.reference), _codes(theirs, pairing.other)
        tables.append(_neurons(mine, theirs, pairing, vocabulary))
        layers.append(_kinds(mine.place, before, after, category))
        befores.append(before)
        afters.append(after)
    both = _Codes.joined(befores), _Codes.joined(afters)
    layers.append(_kinds(ALL, *both, category))
    return Changes(
        run=other[0].run,
        neurons=pd.concat(tables, ignore_index=True),
        layers=pd.concat(layers, ignore_index=True),
        categories=_flows(*both, vocabulary, "category"),
        concepts=_flows(*both, vocabulary, "concept"),
    )


@dataclass(frozen=True)
class _Codes:
    """Significant concepts of paired neurons: as they are ``(1, pairs)``, and under resamples."""

    as_is: Codes
    replicated: Codes | None
    factor: float

    @classmethod
    def joined(cls, parts: Sequence[_Codes]) -> _Codes:
        again = [one.replicated for one in parts if one.replicated is not None]
        return cls(
            np.concatenate([one.as_is for one in parts], axis=1),
            np.concatenate(again, axis=1) if len(again) == len(parts) else None,
            parts[0].factor,
        )


def _codes(aligned: AlignedLayer, neurons: Codes) -> _Codes:
    again: Replicated | None = aligned.replicated
    as_is = aligned.outcome.concept[:, neurons]
    return _Codes(as_is, None, 1.0) if again is None else _Codes(as_is, again.concept[:, neurons], again.factor)


def _neurons(mine: AlignedLayer, theirs: AlignedLayer, pairing: Pairing, vocabulary: Vocabulary) -> pd.DataFrame:
    sides = ((mine, pairing.reference, "before"), (theirs, pairing.other, "after"))
    codes = [aligned.outcome.concept[0, neurons] for aligned, neurons, _ in sides]
    table: dict[str, object] = {
        "place": mine.place,
        "layer": theirs.outcome.layer,
        "neuron": pairing.reference,
        "other_neuron": pairing.other,
        "correlation": pairing.correlation,
        "change": [KINDS[at] for at in kinds_of(codes[0], codes[1], vocabulary.membership("category"))],
    }
    for (aligned, neurons, when), code in zip(sides, codes, strict=True):
        named = [None if at == NOTHING else vocabulary.concepts[at] for at in code.tolist()]
        table[f"concept_{when}"] = ["" if one is None else one.term for one in named]
        table[f"category_{when}"] = ["" if one is None else one.category for one in named]
        table[f"z_{when}"] = aligned.outcome.z[neurons]
    return pd.DataFrame(table)


def _kinds(place: str, before: _Codes, after: _Codes, category: Codes) -> pd.DataFrame:
    def counted(first: Codes, second: Codes) -> Values:
        kinds = kinds_of(first, second, category)
        return np.stack([(kinds == at).sum(axis=1) for at in range(len(KINDS))], axis=1).astype(np.float64)

    pairs = before.as_is.shape[1]
    count = counted(before.as_is, after.as_is)[0]
    low, high = _around(count, before, after, counted, (0.0, float(pairs)))
    return pd.DataFrame(
        {
            "place": place,
            "pairs": pairs,
            "change": list(KINDS),
            "neurons": count.astype(np.int64),
            "low": low,
            "high": high,
            "share": count / max(1, pairs),
        }
    )


def _around(
    estimate: Values,
    before: _Codes,
    after: _Codes,
    measure: Callable[[Codes, Codes], Values],
    bounds: tuple[float, float],
) -> tuple[Values, Values]:
    if before.replicated is None or after.replicated is None:
        return np.full_like(estimate, np.nan), np.full_like(estimate, np.nan)
    found = interval(estimate, measure(before.replicated, after.replicated), before.factor, bounds)
    return found.low, found.high


def _flows(before: _Codes, after: _Codes, vocabulary: Vocabulary, level: str) -> pd.DataFrame:
    """Return the table of categories or of concepts; see `Changes`."""
    names = vocabulary.names(level)
    # One more place, at the end, where the number of nothing points.
    member = np.append(vocabulary.membership(level), len(names))
    first, second = member[before.as_is[0]], member[after.as_is[0]]
    flow = np.zeros((len(names) + 1, len(names) + 1), dtype=np.int64)
    np.add.at(flow, (first, second), 1)
    kept, gained, lost = np.diagonal(flow)[:-1], flow[-1, :-1], flow[:-1, -1]
    had, has = flow[:-1].sum(axis=1), flow[:, :-1].sum(axis=0)

    def moved(one: Codes, other: Codes) -> Values:
        difference = vocabulary.counts(other) - vocabulary.counts(one)
        return vocabulary.summed(difference, level).astype(np.float64)

    low, high = _around((has - had).astype(np.float64), before, after, moved, (-np.inf, np.inf))
    table = pd.DataFrame(
        {
            "name": names,
            "before": had,
            "after": has,
            "kept": kept,
            "gained": gained,
            "lost": lost,
            "came": has - kept - gained,
            "left": had - kept - lost,
            "change": has - had,
            "low": low,
            "high": high,
        }
    )
    if level == "concept":
        table.insert(1, "category", [one.category for one in vocabulary.concepts])
    carried = table[(table["before"] > 0) | (table["after"] > 0)]
    return carried.sort_values("change", ascending=False, kind="stable").reset_index(drop=True)
