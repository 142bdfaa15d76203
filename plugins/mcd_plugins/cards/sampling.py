"""Which neurons become cards, and what a reader may choose from."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch

import mcd
from mcd.errors import UsageError
from mcd.plugins import NOT_SIGNIFICANT, SIGNIFICANT, match_layers, ordered_top_k
from mcd_plugins.cards.choices import offered
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

    @property
    def most_alike(self) -> int:
        """Cards of one label, so that to choose it on all is no better than to guess."""
        return max(1, self.count // self.choices)


def drawn(
    dissection: mcd.Dissection,
    design: Design,
    vocabulary: Sequence[str],
    rate: float,
    *,
    without: frozenset[str] = frozenset(),
) -> list[Card]:
    """Return the cards of a run in the order in which readers see them, which is drawn at random.

    A card offers the neuron's first concept, labels of other cards, and other concepts of the vocabulary; see
    `offered`. Other concepts that are significant for the neuron are not offered: they would be right too.

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
    first = first.iloc[neurons.permutation(len(first))]
    significant, others = first[first["verdict"].isin(SIGNIFICANT)], first[first["verdict"].isin(NOT_SIGNIFICANT)]
    seen: Counter[str] = Counter()
    chosen = pd.concat(
        [
            _some(others, design.controls, CONTROL, design.most_alike, seen),  # first: there are fewer of them
            _some(significant, design.count - design.controls, "significant", design.most_alike, seen),
        ]
    )
    chosen = chosen.iloc[neurons.permutation(len(chosen))]
    strong = labels[labels["q"] <= rate]
    true = {place: set(rows["concept"]) for place, rows in strong.groupby(["layer", "neuron"], sort=False)}
    rows = chosen.to_dict("records")
    places = [(str(row["layer"]), int(row["neuron"])) for row in rows]
    named = [str(row["concept"]) for row in rows]
    choices = offered(named, [true.get(place, set()) for place in places], vocabulary, design.choices, words)
    shown = _Images(dissection, design, without)
    cards = []
    for number, (row, place, options) in enumerate(zip(rows, places, choices, strict=True), start=1):
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


def _some(table: pd.DataFrame, count: int, group: Group, most_alike: int, seen: Counter[str]) -> pd.DataFrame:
    """Return the first neurons of a shuffled table, of one label no more than may be alike as long as there are others.

    ``seen`` counts the labels of the cards so far.
    """
    if count > len(table):
        whose, setting = ("not significant", "controls") if group == CONTROL else ("significant", "count")
        raise UsageError(
            f"{count} neurons whose label is {whose} are wanted, and the run has {len(table)}",
            f"give a smaller --reporter-arg {setting}=N, or other layers",
        )
    before = np.array([seen[str(concept)] for concept in table["concept"]], dtype=np.int64)
    nth = before + table.groupby("concept").cumcount().to_numpy()
    found = table.iloc[np.argsort(nth >= most_alike, kind="stable")[:count]]
    seen.update(str(concept) for concept in found["concept"])
    return found.assign(group=group)


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
