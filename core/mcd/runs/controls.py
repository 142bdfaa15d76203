"""Negative controls: the labels of the same run where no label can be right.

A label that a control gets as readily as the target under study is no evidence about it. Source of random weights as a
control: Adebayo et al., "Sanity Checks for Saliency Maps", NeurIPS 2018 (arXiv 1810.03292).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial

import numpy as np
import pandas as pd
import torch

from mcd.api.concepts import Concept
from mcd.events import Clock
from mcd.networks.controls import RANDOM_DISSECTOR, RANDOM_WEIGHTS
from mcd.runs.recorded import Recorded
from mcd.scoring.labelling import Labeller
from mcd.scoring.verdicts import SIGNIFICANT

__all__ = ["COLUMNS", "CONTROLS", "SHUFFLED_NAMES", "SHUFFLED_ROWS", "controlled", "tautology"]

SHUFFLED_ROWS = "shuffled rows"
SHUFFLED_NAMES = "shuffled names"
CONTROLS: Mapping[str, str] = {
    RANDOM_WEIGHTS: "the values of the target's weights are permuted",
    SHUFFLED_ROWS: "each neuron's images are permuted",
    RANDOM_DISSECTOR: "images are random projections, words random directions",
    SHUFFLED_NAMES: "the names of the concepts are permuted; no score depends on a name, so that only what is "
    "mammographic can differ",
}
"""Every negative control in the order of tables, and how it differs from the run."""

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
    labels: pd.DataFrame, labeller: Labeller, recorded: Recorded, runs: Mapping[str, pd.DataFrame]
) -> pd.DataFrame:
    """Return what a run and its controls say of each layer; see `COLUMNS`.

    Parameters
    ----------
    labels
        Of the run itself.
    labeller
        That made them; it labels the run once more with the images of all neurons permuted.
    runs
        Labels of the controls that are runs of their own.
    """
    concepts, seed = labeller.concepts, labeller.calibration.null_seed
    mammographic = {one.term: one.mammographic for one in concepts}
    rng = np.random.default_rng([seed, len(recorded.image_ids)])
    order = torch.from_numpy(labeller.units.permutations(1, rng)[0])

    def shuffled_rows(layer: str) -> torch.Tensor:
        return recorded.activations(layer)[order]

    sources = {layer: partial(shuffled_rows, layer) for layer in recorded.layers}
    shuffled = labeller.label("", sources, Clock(lambda event: None))
    said = {**runs, "none": labels, SHUFFLED_ROWS: shuffled.labels, SHUFFLED_NAMES: _renamed(labels, concepts, seed)}
    ordered = [name for name in ("none", *CONTROLS) if name in said]
    return pd.concat([_summarised(name, said[name], mammographic) for name in ordered], ignore_index=True)
