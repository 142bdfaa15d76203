"""Which neurons become cards, and what a reader may choose from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch

import mcd
from mcd.errors import UsageError
from mcd.plugins import NOT_SIGNIFICANT, SIGNIFICANT, match_layers, ordered_top_k
from mcd_plugins.cards.key import CONTROL, Card, Group, letters

__all__ = ["Design", "drawn"]


@dataclass(frozen=True)
class Design:
    """How many cards of which layers, and what is on each.

    Parameters
    ----------
    count, controls
        Cards, and how many of them show neurons whose label is not significant.
    layers
        Patterns of names; none for all.
    images, low
        Most activating images of a card, and weak ones.
    choices
        Concepts to choose from.
    seed
        Decides which neurons, choices and orders are drawn.
    """

    count: int
    controls: int
    layers: Sequence[str]
    images: int
    low: int
    choices: int
    seed: int


def drawn(
    dissection: mcd.Dissection,
    design: Design,
    vocabulary: Sequence[str],
    rate: float,
    *,
    without: frozenset[str] = frozenset(),
) -> list[Card]:
    """Return the cards of a run in the order in which readers see them, which is drawn at random.

    A card offers the neuron's first concept, labels of other neurons, and other concepts of the vocabulary; see
    `_pools`. Other concepts that are significant for the neuron are not offered: they would be right
    too.

    Parameters
    ----------
    vocabulary
        Its terms.
    rate
        The false discovery rate that the run's labels are held to.
    without
        Ids of images that are not shown; the next ones stand in.

    Raises
    ------
    UsageError
        When the run has too few neurons, images or concepts.
    """
    # independent streams: what is shown of neurons does not depend on their labels
    neurons, words, weak = np.random.default_rng(design.seed).spawn(3)
    there = dissection.manifest.images - len(without)
    if design.images + design.low > there:
        raise UsageError(
            f"{design.images + design.low} images a card are more than the {there} of the run that may be shown",
            "give --reporter-arg images=N",
        )
    labels = _of_layers(dissection, design.layers)
    first = labels[labels["rank"] == 1].reset_index(drop=True)
    if len(first) and not first["verdict"].ne("").any():
        raise UsageError(
            "significance was not computed for this run, so there are no controls to draw",
            "compute it first: mcd score RUN --draws 1000",
        )
    significant, others = first[first["verdict"].isin(SIGNIFICANT)], first[first["verdict"].isin(NOT_SIGNIFICANT)]
    chosen = pd.concat(
        [
            _some(significant, design.count - design.controls, "significant", neurons),
            _some(others, design.controls, CONTROL, neurons),
        ]
    )
    chosen = chosen.iloc[neurons.permutation(len(chosen))]
    strong = labels[labels["q"] <= rate]
    true = {place: set(rows["concept"]) for place, rows in strong.groupby(["layer", "neuron"], sort=False)}
    pools = _pools(sorted(set(first["concept"])), sorted(set(vocabulary)), design.choices, words)
    shown = _Images(dissection, design, without)
    cards = []
    for number, row in enumerate(chosen.to_dict("records"), start=1):
        place = (str(row["layer"]), int(row["neuron"]))
        options = _options(str(row["concept"]), true.get(place, set()), pools, design.choices, words)
        top, low = shown.of(*place, weak)
        cards.append(
            Card(
                number=number,
                layer=place[0],
                neuron=place[1],
                group=row["group"],
                verdict=row["verdict"],
                label=row["concept"],
                category=row["category"],
                broad_category=row["broad_category"],
                z=round(float(row["z"]), 4),
                q=round(float(row["q"]), 6),
                options=options,
                answer=letters(design.choices)[options.index(str(row["concept"]))],
                images=top,
                low=low,
            )
        )
    return cards


def _of_layers(dissection: mcd.Dissection, patterns: Sequence[str]) -> pd.DataFrame:
    wanted = match_layers(patterns, dissection.layers) if patterns else dissection.layers
    return dissection.labels[dissection.labels["layer"].isin(wanted)]


def _some(table: pd.DataFrame, count: int, group: Group, rng: np.random.Generator) -> pd.DataFrame:
    if count > len(table):
        whose, setting = ("not significant", "controls") if group == CONTROL else ("significant", "count")
        raise UsageError(
            f"{count} neurons whose label is {whose} are wanted, and the run has {len(table)}",
            f"give a smaller --reporter-arg {setting}=N, or other layers",
        )
    return table.iloc[rng.choice(len(table), count, replace=False)].assign(group=group)


_Pools = Sequence[tuple[Sequence[str], int]]
"""Concepts that choices are drawn from, and up to how many choices each may fill."""


def _pools(labels: Sequence[str], vocabulary: Sequence[str], choices: int, rng: np.random.Generator) -> _Pools:
    """Return labels, of which a card offers its own and half of the others, and concepts for the rest.

    Who looks for what stands on many cards, or on few, is not to find the labels that way. So labels are drawn without
    regard to how many neurons have them, and the others from so few concepts that these recur as often as labels do,
    labels among them where the vocabulary has no more. Only where none of those is left does all of it stand in.
    """
    upto = 1 + choices // 2
    free = [term for term in vocabulary if term not in set(labels)]
    some = max(choices - upto, round(len(labels) * (choices - upto) / upto))
    others = [pool[at] for pool in (free, labels) for at in rng.permutation(len(pool))][:some]
    return ((labels, upto), (others, choices), (vocabulary, choices))


def _options(own: str, true: set[str], pools: _Pools, choices: int, rng: np.random.Generator) -> tuple[str, ...]:
    """Return the concepts that a card offers, in random order."""
    offered = [own]
    for pool, upto in pools:
        left = [term for term in pool if term not in true and term not in offered]
        some = rng.permutation(len(left))[: max(0, upto - len(offered))]
        offered += [left[at] for at in some]
    if len(offered) < choices:
        raise UsageError(
            f"the vocabulary has too few concepts for {choices} choices a card", "give --reporter-arg choices=N"
        )
    return tuple(offered[at] for at in rng.permutation(choices))


class _Images:
    """Which images a neuron responds to most, and some of those it hardly responds to."""

    def __init__(self, dissection: mcd.Dissection, design: Design, without: frozenset[str]) -> None:
        self._dissection, self._design, self._without = dissection, design, without
        self._activations: dict[str, torch.Tensor] = {}

    def of(self, layer: str, neuron: int, rng: np.random.Generator) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """Return ids of the top images, strongest first, and of weak ones from the lower half, in random order."""
        if layer not in self._activations:
            self._activations[layer] = self._dissection.activations(layer)
        column = self._activations[layer][:, neuron : neuron + 1]
        order = ordered_top_k(column, len(column))[:, 0].numpy()
        design, ids = self._design, self._dissection.image_ids
        if self._without:
            order = order[[ids[at] not in self._without for at in order.tolist()]]
        lower = order[max(design.images, len(order) // 2) :]
        if len(lower) < design.low:
            raise UsageError(
                f"{design.low} weak images a card are more than half of the run's", "give --reporter-arg low=N"
            )
        weak = lower[rng.choice(len(lower), design.low, replace=False)]
        return tuple(ids[at] for at in order[: design.images].tolist()), tuple(ids[at] for at in weak.tolist())
