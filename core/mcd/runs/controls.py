"""Negative controls: the labels of the same run where no label can be right.

A label that a control gets as readily as the target under study is no evidence about it; what a random rotation gets as
readily, none about single neurons. Sources of random weights and of the rotation as controls: Adebayo et al., "Sanity
Checks for Saliency Maps", NeurIPS 2018 (arXiv 1810.03292); Bau et al., "Network Dissection", CVPR 2017, section 3.2.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from functools import partial

import numpy as np
import pandas as pd
import torch

from mcd.api.concepts import Concept
from mcd.api.ranking import Ties
from mcd.events import Clock
from mcd.networks.controls import RANDOM_DISSECTOR, RANDOM_UNITS, RANDOM_WEIGHTS
from mcd.runs.recorded import Recorded
from mcd.scoring.activations import Activations, Held, Read
from mcd.scoring.calibration.permutation import Rows
from mcd.scoring.labelling import Labeller
from mcd.scoring.scores import neuron_states
from mcd.scoring.similarity import FLOATS
from mcd.scoring.verdicts import SIGNIFICANT

__all__ = ["COLUMNS", "CONTROLS", "ROTATED", "SHUFFLED_NAMES", "SHUFFLED_ROWS", "controlled", "rotated", "tautology"]

SHUFFLED_ROWS = "shuffled rows"
ROTATED = "random rotation"
SHUFFLED_NAMES = "shuffled names"
CONTROLS: Mapping[str, str] = {
    RANDOM_WEIGHTS: "the values of the target's weights are permuted",
    RANDOM_UNITS: "layers are seen through as many random units of the same kind and sparsity",
    SHUFFLED_ROWS: "each neuron's images are permuted",
    ROTATED: "neurons are replaced by random directions of their layer",
    RANDOM_DISSECTOR: "images are random projections, words random directions",
    SHUFFLED_NAMES: "the names of the concepts are permuted; no score depends on a name, so that only what is "
    "mammographic can differ",
}
"""Every control in the order of tables, and how it differs from the run."""

COLUMNS = ("control", "layer", "neurons", "labelled", "significant", "mammographic", "concepts", "mean_z")
"""Columns of the table of controls: how many neurons of the layer have a label, how many a significant one; how many of
these are mammographic, and how many concepts they share; the mean z of first labels. The run itself is the control
``none``."""


def tautology(concepts: Sequence[Concept]) -> str:
    """Return why names cannot matter in a vocabulary, or an empty text where they can."""
    kinds = {one.mammographic for one in concepts}
    if len(kinds) > 1:
        return ""
    what = "every concept" if kinds == {True} else "no concept"
    return (
        f"the control {SHUFFLED_NAMES} is a tautology here: {what} of the vocabulary is mammographic, so that it "
        "equals the run whatever the names are"
    )


def _renamed(labels: pd.DataFrame, concepts: Sequence[Concept], seed: int) -> pd.DataFrame:
    """Return a label table in which every concept goes by the name of another, drawn at random.

    What is mammographic by it is what the vocabulary is.
    """
    order = np.random.default_rng(seed).permutation(len(concepts))
    other = {one.term: concepts[at].term for one, at in zip(concepts, order, strict=True)}
    return labels.assign(concept=[other.get(term, term) for term in labels["concept"]])


_WIDEST = 4096
"""Neurons that are rotated together: a matrix of so many rows and columns is 64 MiB."""


def rotated(activations: Activations, ties: Ties, seed: int) -> Activations:
    """Return A of a layer with random directions in the places of its live neurons.

    These are multiplied by a random orthogonal matrix, all alike likely; of a wide layer `_WIDEST` of them at a time,
    drawn at random. Which neuron stands where does not matter.
    """
    responding = activations.each(lambda group: np.array(neuron_states(group)) == "live")
    live = np.flatnonzero(np.concatenate(responding))
    order = live[np.argsort(np.concatenate(activations.of(live).each(ties.digests)), kind="stable")]
    rng = np.random.default_rng([seed, len(order)])
    order = rng.permutation(order)
    directions = [
        (live[at : at + _WIDEST], order[at : at + _WIDEST], _rotation(len(order[at : at + _WIDEST]), rng))
        for at in range(0, len(order), _WIDEST)
    ]
    if isinstance(activations, Held):
        found = activations.values.clone()
        for places, some, rotation in directions:
            found[:, places] = activations.columns(some) @ rotation
        return Held(found)
    return Read(activations.images, activations.neurons, partial(_turned, activations, directions))


def _turned(
    activations: Activations,
    directions: Sequence[tuple[Rows, Rows, torch.Tensor]],
    rows: torch.Tensor | None,
    columns: torch.Tensor,
) -> torch.Tensor:
    """Return some images and neurons of a rotated layer that is not held; all its neurons are read, of a few images."""
    images = torch.arange(activations.images) if rows is None else rows
    found = torch.empty(len(images), len(columns))
    for at in torch.split(torch.arange(len(images)), max(1, FLOATS // 4 // activations.neurons)):
        own = activations.at(images[at]).held().values
        turned = own[:, columns]
        for places, some, rotation in directions:
            here = np.flatnonzero(np.isin(columns.numpy(), places))
            which = np.searchsorted(places, columns.numpy()[here])
            turned[:, here] = own[:, some] @ rotation[:, which]
        found[at] = turned
    return found


def _rotation(size: int, rng: np.random.Generator) -> torch.Tensor:
    """Return an orthogonal matrix drawn from the Haar measure. Source: Mezzadri 2007, Notices of the AMS 54, 592."""
    q, r = torch.linalg.qr(torch.from_numpy(rng.standard_normal((size, size), dtype=np.float32)))
    found: torch.Tensor = q * r.diagonal().sign()
    return found


def _summarised(control: str, labels: pd.DataFrame, mammographic: Mapping[str, bool]) -> pd.DataFrame:
    """Return the summary of a label table for each layer; see `COLUMNS`.

    Parameters
    ----------
    mammographic
        For each term whether it is about the breast. The verdict of a label table knows only real names.
    """
    rows = []
    for layer, table in labels.groupby("layer", sort=False):
        first = table[table["rank"] == 1]
        significant = first[first["verdict"].isin(SIGNIFICANT)]
        rows.append(
            {
                "control": control,
                "layer": layer,
                "neurons": table["neuron"].nunique(),
                "labelled": len(first),
                "significant": len(significant),
                "mammographic": sum(mammographic.get(term, False) for term in significant["concept"]),
                "concepts": significant["concept"].nunique(),
                "mean_z": float(first["z"].mean()) if len(first) else float("nan"),
            }
        )
    return pd.DataFrame(rows, columns=list(COLUMNS))


def controlled(
    labels: pd.DataFrame,
    labeller: Labeller,
    recorded: Recorded,
    runs: Mapping[str, pd.DataFrame],
    units: Collection[str] = (),
) -> pd.DataFrame:
    """Return what a run and its controls say of each layer; see `COLUMNS`.

    Parameters
    ----------
    labels
        Of the run itself.
    labeller
        That made them; it labels the run once more with the images of all neurons permuted, and once more in random
        directions.
    runs
        Labels of the controls that are runs of their own.
    units
        Layers that are seen through units: in all others random units change nothing, and have no row.
    """
    concepts, seed = labeller.concepts, labeller.calibration.null_seed
    mammographic = {one.term: one.mammographic for one in concepts}
    rng = np.random.default_rng([seed, len(recorded.image_ids)])
    order = torch.from_numpy(labeller.units.permutations(1, rng)[0])

    def shuffled_rows(layer: str) -> Activations:
        return recorded.by_neurons(layer).at(order)

    def rotated_layer(layer: str) -> Activations:
        return rotated(recorded.by_neurons(layer), labeller.ties, seed)

    if RANDOM_UNITS in runs:
        runs = {**runs, RANDOM_UNITS: runs[RANDOM_UNITS][runs[RANDOM_UNITS]["layer"].isin(units)]}
    said = {**runs, "none": labels, SHUFFLED_NAMES: _renamed(labels, concepts, seed)}
    for name, changed in ((SHUFFLED_ROWS, shuffled_rows), (ROTATED, rotated_layer)):
        sources = {layer: partial(changed, layer) for layer in recorded.layers}
        said[name] = labeller.label("", sources, Clock(lambda event: None)).labels
    ordered = [name for name in ("none", *CONTROLS) if name in said]
    return pd.concat([_summarised(name, said[name], mammographic) for name in ordered], ignore_index=True)
