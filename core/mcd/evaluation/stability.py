"""How often a label comes back with other patients, and the set of labels that nearly always holds the first.

Source of the set: bootstrap explanations in "Faithful & Stable Neuron Explanations", 2025 (arXiv 2512.18092); here the
smallest set of concepts that comes first in 95 % of the resamples.
Resamples share patients: with new ones, labels change more often (docs/explanation/evaluation.md).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from mcd.scoring.calibration.resamples import Resamples
from mcd.scoring.renaming import Renaming

__all__ = ["COLUMNS", "COVERAGE", "firsts", "stability_table"]

Codes = NDArray[np.int64]

COLUMNS = ("layer", "neuron", "concept", "share", "set", "size", "coverage", "certain")
COVERAGE = 0.95
"""Share of the resamples that a set must cover."""


def firsts(renaming: Renaming, activations: torch.Tensor, resamples: Resamples) -> Codes:
    """Return the first concept of each neuron in each resample, ``(resamples, neurons)``; -1 where it has none.

    Parameters
    ----------
    activations
        ``(images, neurons)``, neurons that respond.
    """
    measure = renaming.measure(activations)
    found = np.empty((len(resamples.weights), activations.shape[1]), dtype=np.int64)
    for number, weights in enumerate(resamples.weights):
        first, measured = measure(weights)
        undefined = torch.isnan(measured.gather(1, first))[:, 0].numpy()
        found[number] = np.where(undefined, -1, first[:, 0].numpy())
    return found


def stability_table(layer: str, neurons: Codes, labels: Codes, drawn: Codes, terms: Sequence[str]) -> pd.DataFrame:
    """Return a row for each labelled neuron of a layer; see `COLUMNS`.

    Parameters
    ----------
    neurons, labels
        ``(labelled,)``: numbers of neurons, and the first concept of each as the run has it.
    drawn
        ``(resamples, labelled)``, from `firsts`.
    terms
        Of the concepts.
    """
    count = len(drawn)
    rows = []
    for at, (neuron, label) in enumerate(zip(neurons.tolist(), labels.tolist(), strict=True)):
        concepts, times = np.unique(drawn[:, at], return_counts=True)
        order = np.lexsort((concepts, concepts != label, -times))  # of equal ones the run's own comes first
        order = order[concepts[order] >= 0]
        reached = np.cumsum(times[order])
        size = min(int(np.searchsorted(reached, COVERAGE * count - 1e-9)) + 1, len(order))
        chosen = concepts[order[:size]].tolist()
        rows.append(
            {
                "layer": layer,
                "neuron": neuron,
                "concept": terms[label],
                "share": float((drawn[:, at] == label).mean()),
                "set": "; ".join(terms[one] for one in chosen),
                "size": size,
                "coverage": float(reached[size - 1] / count) if size else 0.0,
                "certain": chosen == [label] and reached[0] >= COVERAGE * count - 1e-9,
            }
        )
    return pd.DataFrame(rows, columns=list(COLUMNS))
