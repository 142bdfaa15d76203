"""Labels by the naming half of the patients, and the few units that thresholds are tuned on."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from mcd.evaluation.agreement import overlap, predicted, top_thresholds
from mcd.evaluation.baselines import NONE
from mcd.evaluation.references import Reference
from mcd.scoring.activations import Activations
from mcd.scoring.labelling import Labeller

__all__ = ["ALPHAS", "Alphas", "Named", "named", "tuned", "tuning_units"]

Codes = NDArray[np.int64]
Flags = NDArray[np.bool_]
Values = NDArray[np.float64]

ALPHAS = (0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5)
"""Shares of the images that may count as active."""
TUNING_SHARE = 0.05
"""Share of the labelled units that thresholds are tuned on."""
DEFAULT_ALPHA = 0.05
"""Where there is nothing to tune on."""

Alphas = tuple[float, float]
"""For F1 and for IoU."""


@dataclass(frozen=True)
class Named:
    """The labels of one layer by the naming half.

    Parameters
    ----------
    first, second
        ``(neurons,)``: numbers of concepts, `NONE` where there is none.
    """

    first: Codes
    second: Codes

    @property
    def labelled(self) -> int:
        """How many neurons have a label."""
        return int((self.first >= 0).sum())


def named(labeller: Labeller, activations: Activations, naming: Flags) -> Named:
    """Return the labels of a layer.

    Parameters
    ----------
    labeller
        Of the naming half.
    activations
        Of all images.
    naming
        ``(images,)``: which are of the naming half.
    """
    own = activations.at(np.flatnonzero(naming))
    (scored,) = labeller.scored({"": lambda: own})
    live = np.array(scored.live, dtype=np.int64)
    order, neurons = scored.order.numpy(), activations.neurons
    with_label = np.isin(np.array(scored.scores.status, dtype=object)[live].astype(str), ("labelled", "tied"))
    places = live[with_label]
    found = np.full((2, neurons), NONE, dtype=np.int64)
    for rank in range(min(2, order.shape[1])):
        concepts = order[with_label, rank]
        known = ~torch.isnan(scored.scores.scores[torch.from_numpy(places), torch.from_numpy(concepts)]).numpy()
        found[rank, places] = np.where(known, concepts, NONE)
    return Named(found[0], found[1])


def tuning_units(labelled: Mapping[str, Codes], seed: int) -> dict[str, Flags]:
    """Draw what thresholds are tuned on, of each layer ``(neurons,)``: 5 % of those with a label, at least one.

    None where a single unit has a label: it is judged, at the default threshold.

    Parameters
    ----------
    labelled
        For each layer the first concepts of its neurons.
    """
    places = [(layer, at) for layer, first in labelled.items() for at in np.flatnonzero(first >= 0).tolist()]
    rng = np.random.default_rng(np.random.SeedSequence([seed, len(places)]))
    count = max(1, round(TUNING_SHARE * len(places))) if len(places) > 1 else 0
    found = {layer: np.zeros(len(first), dtype=bool) for layer, first in labelled.items()}
    for number in rng.choice(len(places), count, replace=False).tolist() if count else ():
        layer, at = places[number]
        found[layer][at] = True
    return found


def tuned(units: Iterable[tuple[Values, int]], reference: Reference, held_out: Flags) -> Alphas:
    """Return the shares of images with which units have the largest mean F1, and the largest mean IoU.

    Parameters
    ----------
    units
        Activation on held-out images, ``(images,)``, and concept of each.
    held_out
        ``(images,)``.
    """
    shares, found = np.array(ALPHAS), []
    shown: dict[int, tuple[Flags, Flags]] = {}
    for activation, concept in units:
        if concept < 0:
            continue
        if concept not in shown:
            values = reference.column(concept)[held_out]
            known = ~np.isnan(values)
            shown[concept] = known, reference.shown(values[known])
        known, there = shown[concept]
        thresholds = top_thresholds(activation[:, None], shares)[:, 0]
        active = predicted(np.repeat(activation[:, None], len(shares), axis=1), thresholds)[known]
        found.append([one[0] for one in overlap(active, there, np.ones((1, int(known.sum()))))])
    if not found:
        return DEFAULT_ALPHA, DEFAULT_ALPHA
    f1, iou = np.nanmean(np.nan_to_num(np.array(found)), axis=0)
    return ALPHAS[int(f1.argmax())], ALPHAS[int(iou.argmax())]
