"""Negative controls: what the same run says where there is nothing to be said.

A label that a control gets as readily as the target under study tells nothing of it. Source of random weights as a
control: Adebayo et al., "Sanity Checks for Saliency Maps", NeurIPS 2018 (arXiv 1810.03292).
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import pandas as pd
import torch
import torch.nn.functional as functional
from torch import nn

from mcd.api.base import digest
from mcd.api.concepts import Concept
from mcd.api.dissector import Dissector
from mcd.api.image import Preprocessing
from mcd.api.model import Target
from mcd.clock import Clock
from mcd.errors import UsageError
from mcd.runs.dissection import Dissection
from mcd.scoring.labelling import Labeller

__all__ = [
    "COLUMNS",
    "CONTROLS",
    "RANDOM_DISSECTOR",
    "RANDOM_WEIGHTS",
    "SHUFFLED_NAMES",
    "SHUFFLED_ROWS",
    "RandomDissector",
    "controlled",
    "with_random_weights",
]

RANDOM_WEIGHTS = "random weights"
SHUFFLED_ROWS = "shuffled rows"
RANDOM_DISSECTOR = "random dissector"
SHUFFLED_NAMES = "shuffled names"
CONTROLS = (RANDOM_WEIGHTS, SHUFFLED_ROWS, RANDOM_DISSECTOR, SHUFFLED_NAMES)

COLUMNS = ("control", "layer", "neurons", "labelled", "above_chance", "mammographic", "concepts", "mean_z")
"""Columns of the table of controls: how many neurons of the layer have a label, how many above chance; how many of
these are mammographic, and how many concepts they share; the mean z of first labels. The run itself is the control
``none``."""

_SIDE = 24
_WIDTH = 256


def with_random_weights(target: Target, seed: int) -> Target:
    """Return a copy of a target whose weights say nothing: the values of every parameter change places at random.

    So each keeps its scale, and the network works as before but for what it has learned. Buffers (running means) stay.

    Raises
    ------
    UsageError
        When the module cannot be copied.
    """
    try:
        module = copy.deepcopy(target.module)
    except Exception as error:  # foreign modules refuse in their own ways
        raise UsageError(
            f"the control '{RANDOM_WEIGHTS}' needs a copy of {target.name}, which cannot be made: {error}",
            "leave out --controls",
        ) from error
    with torch.no_grad():
        for name, parameter in module.named_parameters():
            generator = torch.Generator().manual_seed(_seed(seed, name))
            order = torch.randperm(parameter.numel(), generator=generator).to(parameter.device)
            parameter.copy_(parameter.flatten()[order].view_as(parameter))
    return replace(target, name=f"{target.name} ({RANDOM_WEIGHTS})", module=module)


class _Projection(nn.Module):
    """Images as random projections of their pixels, ``(B, _WIDTH)``."""

    def __init__(self, seed: int) -> None:
        super().__init__()
        self.weight: torch.Tensor
        generator = torch.Generator().manual_seed(seed)
        self.register_buffer("weight", torch.randn(_SIDE * _SIDE, _WIDTH, generator=generator))

    def forward(self, batch: torch.Tensor) -> torch.Tensor:
        """Return the projections of a batch ``(B, C, H, W)``: of what differs from its mean grey."""
        small = functional.adaptive_avg_pool2d(batch.float().mean(dim=1, keepdim=True), _SIDE).flatten(1)
        found: torch.Tensor = (small - small.mean(dim=1, keepdim=True)) @ self.weight
        return found


class RandomDissector(Dissector):
    """A dissector that has learned nothing: images are random projections of their pixels, texts random directions.

    What a neuron sees in images can still show in it, and stand above chance; the word for it is drawn from a hat.

    Parameters
    ----------
    name
        Of the dissector in whose place it stands.
    preprocessing
        Of that dissector.
    seed
        Decides both.
    """

    def __init__(self, name: str, preprocessing: Preprocessing, seed: int) -> None:
        super().__init__()
        self.name, self.preprocessing, self._seed = f"{name} ({RANDOM_DISSECTOR})", preprocessing, seed
        self.module = _Projection(seed)

    def encode_images(self, batch: torch.Tensor) -> torch.Tensor:
        """Return the projections of a batch."""
        found: torch.Tensor = self.module(batch)
        return found

    def encode_texts(self, texts: Sequence[str]) -> torch.Tensor:
        """Return a direction for each text that only its letters decide."""
        return torch.stack(
            [torch.randn(_WIDTH, generator=torch.Generator().manual_seed(_seed(self._seed, text))) for text in texts]
        )

    def fingerprint(self) -> str:
        """Return a digest of the seed; the weights follow from it."""
        return digest("random dissector", str(self._seed))


def _seed(seed: int, name: str) -> int:
    return int(digest(str(seed), name)[:15], 16)


def _renamed(labels: pd.DataFrame, concepts: Sequence[Concept], seed: int) -> pd.DataFrame:
    """Return a label table in which every concept goes by the name of another, drawn at random.

    What is mammographic by it is what the vocabulary is.
    """
    order = np.random.default_rng(seed).permutation(len(concepts))
    other = {one.term: concepts[at].term for one, at in zip(concepts, order, strict=True)}
    return labels.assign(concept=[other.get(term, term) for term in labels["concept"]])


def _summarised(control: str, labels: pd.DataFrame, mammographic: Mapping[str, bool]) -> pd.DataFrame:
    """Return what a label table says of each layer; see `COLUMNS`.

    Parameters
    ----------
    mammographic
        For each term whether it is about the breast. The verdict of a label table knows only real names.
    """
    rows = []
    for layer, table in labels.groupby("layer", sort=False):
        first = table[table["rank"] == 1]
        above = first[~first["verdict"].isin(["", "chance"])]
        rows.append(
            {
                "control": control,
                "layer": layer,
                "neurons": table["neuron"].nunique(),
                "labelled": len(first),
                "above_chance": len(above),
                "mammographic": sum(mammographic.get(term, False) for term in above["concept"]),
                "concepts": above["concept"].nunique(),
                "mean_z": float(first["z"].mean()) if len(first) else float("nan"),
            }
        )
    return pd.DataFrame(rows, columns=list(COLUMNS))


def controlled(
    labels: pd.DataFrame, labeller: Labeller, dissection: Dissection, runs: Mapping[str, pd.DataFrame]
) -> pd.DataFrame:
    """Return what a run and its controls say of each layer; see `COLUMNS`.

    Parameters
    ----------
    labels
        Of the run itself.
    labeller
        That made them; it labels the run once more with the images of all neurons exchanged.
    runs
        Labels of the controls that are runs of their own.
    """
    concepts, seed = labeller.concepts, labeller.calibration.null_seed
    mammographic = {one.term: one.mammographic for one in concepts}
    rng = np.random.default_rng([seed, len(dissection.image_ids)])
    order = torch.from_numpy(labeller.exchange.permutations(1, rng)[0])
    shuffled = labeller.label(dissection, Clock(lambda event: None), lambda layer: dissection.activations(layer)[order])
    said = {**runs, "none": labels, SHUFFLED_ROWS: shuffled.labels, SHUFFLED_NAMES: _renamed(labels, concepts, seed)}
    ordered = [name for name in ("none", *CONTROLS) if name in said]
    return pd.concat([_summarised(name, said[name], mammographic) for name in ordered], ignore_index=True)
