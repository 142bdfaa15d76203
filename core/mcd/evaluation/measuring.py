"""All measures of one layer's labels, on held-out patients and under resamples of these."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mcd.evaluation.agreement import Ranked, cosine, overlap, pearson, predicted, top_thresholds
from mcd.evaluation.naming import Alphas
from mcd.evaluation.positives import mad, responsiveness
from mcd.evaluation.references import Reference
from mcd.evaluation.simulation import scale_of, simulation

__all__ = ["Judge", "Judged"]

Values = NDArray[np.float64]
Codes = NDArray[np.int64]
Flags = NDArray[np.bool_]

_POSITIVES = " (annotated positives)"
_HELD = 2**22
"""Activations that are judged at once."""


@dataclass(frozen=True)
class Judged:
    """Labels of one layer, judged.

    Parameters
    ----------
    labels
        For each kind of label the concept of each neuron, ``(neurons,)``; -1 where it has none to be judged.
    values
        For each kind and measure ``(1 + resamples, neurons)``: on all held-out patients, then on each resample. NaN
        where it is not defined.
    """

    labels: Mapping[str, Codes]
    values: Mapping[str, Mapping[str, NDArray[np.float32]]]


@dataclass(frozen=True)
class Judge:
    """Judges labels by one reference.

    Parameters
    ----------
    reference
        What they are judged against.
    held_out
        ``(images,)``: which images judge; the others fit what has to be fitted.
    weights
        ``(1 + resamples, held-out images)``: 1 for all, then those of each resample.
    alphas
        For each kind of label the shares of images that count as active.
    """

    reference: Reference
    held_out: Flags
    weights: Values
    alphas: Mapping[str, Alphas]

    def judge(self, activations: NDArray[np.floating], labels: Mapping[str, Codes], untuned: Flags) -> Judged:
        """Return how well labels of one layer hold.

        Parameters
        ----------
        activations
            ``(images, neurons)`` of all images.
        labels
            For each kind of label the concept of each neuron, -1 for none.
        untuned
            ``(neurons,)``: those that no threshold was tuned on; only these have F1 and IoU.
        """
        found: dict[str, dict[str, NDArray[np.float32]]] = {kind: {} for kind in labels}
        shape = (len(self.weights), activations.shape[1])
        every = np.unique(np.concatenate([one[one >= 0] for one in labels.values()])).tolist()
        for concept in every:
            values = self.reference.column(concept)
            for kind, one in labels.items():
                for neurons in _groups(np.flatnonzero(one == concept), len(activations)):
                    chosen = activations[:, neurons].astype(np.float64)
                    for name, measured in self._of_concept(chosen, values, self.alphas[kind]).items():
                        into = found[kind].setdefault(name, np.full(shape, np.nan, dtype=np.float32))
                        into[:, neurons] = measured
        for measures in found.values():
            for name in ("f1", "iou"):
                if name in measures:
                    measures[name][:, ~untuned] = np.nan
        return Judged(labels, found)

    def _of_concept(self, activations: Values, values: Values, alphas: Alphas) -> dict[str, Values]:
        held, naming = activations[self.held_out], activations[~self.held_out]
        known = ~np.isnan(values[self.held_out])
        concept, weights = values[self.held_out][known], self.weights[:, known]
        there, seen = self.reference.shown(concept), held[known]
        active = [predicted(held, one) for one in top_thresholds(held, np.array(alphas))]
        area, precision, balanced = Ranked.of(seen).measured(there, weights)
        found = {
            "pearson": pearson(seen, concept, weights),
            "cosine": cosine(seen, concept, weights),
            "auprc": precision,
            "f1": overlap(active[0][known], there, weights)[0],
            "iou": overlap(active[1][known], there, weights)[1],
            "simulation": simulation(scale_of(naming, values[~self.held_out]), seen, concept, weights),
        }
        if self.reference.annotated:
            found |= {
                f"auc{_POSITIVES}": area,
                f"mad{_POSITIVES}": mad(seen, there, weights),
                f"responsiveness{_POSITIVES}": responsiveness(area),
                f"purity{_POSITIVES}": balanced,
            }
        return found


def _groups(neurons: Codes, images: int) -> list[Codes]:
    """Return some neurons in groups whose activations are few enough to be sorted at once."""
    step = max(1, _HELD // max(1, images))
    return [neurons[at : at + step] for at in range(0, len(neurons), step)]
