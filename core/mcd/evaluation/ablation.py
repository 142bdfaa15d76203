"""Which groups of neurons are ablated: those that a concept names, and random ones to hold them against.

A random group is drawn from the live neurons of the same layer, the named ones included, so many from each stratum as
the named group has there. Strata are of similar mean activation and similar spread, for what an ablation takes away
grows with both. If the names say nothing about what a neuron does, the named group is one more such draw, and its p is
uniform. Drawn without the named neurons it would not be: of a layer of four, the one group beside a named pair is all
that could be drawn, and p would be its least value half of the time.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import comb, prod

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from mcd.api.base import digest
from mcd.api.ranking import Ties
from mcd.scoring.scores import neuron_states
from mcd.scoring.verdicts import SIGNIFICANT

__all__ = ["Group", "groups_of", "possible", "random_groups", "strata_of"]

Rows = NDArray[np.int64]

_FEWEST = 16
"""Neurons of a stratum, where a layer has so many."""
_MOST_STRATA = 5
"""Of mean activation; each is parted in two by spread."""


@dataclass(frozen=True)
class Group:
    """Neurons of a layer that share their first concept."""

    layer: str
    concept: str
    neurons: tuple[int, ...]


def groups_of(labels: pd.DataFrame, least: int, seed: int, *, significant: bool = True) -> list[Group]:
    """Return the groups of a label table, the largest first; equal ones in an order of seeded chance.

    Parameters
    ----------
    labels
        With the columns layer, neuron, rank, concept and verdict.
    least
        How many neurons a group has at least.
    significant
        Whether only neurons whose label is significant belong to one.
    """
    first = labels[labels["rank"] == 1]
    if significant:
        first = first[first["verdict"].isin(SIGNIFICANT)]
    found = [
        Group(str(layer), str(concept), tuple(sorted(neurons)))
        for (layer, concept), neurons in first.groupby(["layer", "concept"], sort=False)["neuron"]
        if len(neurons) >= least
    ]
    return sorted(found, key=lambda one: (-len(one.neurons), digest(str(seed), one.layer, one.concept)))


def strata_of(activations: torch.Tensor, ties: Ties) -> Rows:
    """Return the stratum of each neuron of a layer, ``(neurons,)``, -1 for those that do not respond.

    Parameters
    ----------
    activations
        ``(images, neurons)``.
    ties
        Of the images.
    """
    found = np.full(activations.shape[1], -1, dtype=np.int64)
    live = np.flatnonzero(np.array(neuron_states(activations)) == "live")
    values = activations[:, live].double()
    mean, spread, chance = values.mean(dim=0).numpy(), values.std(dim=0).numpy(), ties.digests(activations[:, live])
    number = 0
    for part in np.array_split(np.lexsort((chance, mean)), max(1, min(len(live) // (2 * _FEWEST), _MOST_STRATA))):
        halves = 2 if len(part) >= 2 * _FEWEST else 1
        for some in np.array_split(part[np.lexsort((chance[part], spread[part]))], halves):
            found[live[some]] = number
            number += 1
    return found


def possible(group: Group, strata: Rows) -> int:
    """Return how many groups can be drawn for a named one, itself included."""
    own = strata[list(group.neurons)]
    return prod(comb(int((strata == one).sum()), int((own == one).sum())) for one in np.unique(own))


def random_groups(group: Group, strata: Rows, count: int, seed: int) -> list[Group]:
    """Draw groups with as many neurons from each stratum as a named one; strata as `strata_of` returns them."""
    own, members = np.unique(strata[list(group.neurons)], return_counts=True)
    key = int(digest(str(seed), group.layer, group.concept)[:15], 16)
    rng = np.random.default_rng(key)
    pools: Sequence[Rows] = [np.flatnonzero(strata == one) for one in own]
    drawn = [
        np.concatenate([rng.choice(pool, size, replace=False) for pool, size in zip(pools, members, strict=True)])
        for _ in range(count)
    ]
    return [Group(group.layer, group.concept, tuple(sorted(one.tolist()))) for one in drawn]
