"""From activations and similarity to labels: which neurons can have one, their scores, the label table."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch

from mcd.api.concepts import Concept
from mcd.api.scorer import Scorer, TopKScorer
from mcd.errors import DataError, PluginLoadError

__all__ = ["COLUMNS", "LayerScores", "label_table", "score_layer", "similarity"]

COLUMNS = (
    "target", "layer", "neuron", "status", "rank", "concept", "category", "broad_category", "score",
)  # fmt: skip
"""Columns of the label table. ``status`` is labelled, tied (see `score_layer`), dead, constant or unscored."""


@dataclass(frozen=True)
class LayerScores:
    """The scores of one layer.

    Parameters
    ----------
    scores
        ``(neurons, concepts)`` float32; NaN where a neuron has none.
    status
        One word a neuron, see `COLUMNS`.
    reason
        Why the layer as a whole has no labels, or an empty string.
    """

    scores: torch.Tensor
    status: tuple[str, ...]
    reason: str = ""


def similarity(images: torch.Tensor, texts: torch.Tensor, ids: Sequence[str], terms: Sequence[str]) -> torch.Tensor:
    """Return P, the cosine of every image and concept, ``(images, concepts)`` float32.

    Raises
    ------
    DataError
        When an embedding is zero or not finite, naming the image or the concept.
    """
    for embeddings, names, kind in ((images, ids, "image"), (texts, terms, "concept")):
        norms = embeddings.norm(dim=1)
        broken = (~torch.isfinite(norms) | (norms == 0)).nonzero().flatten().tolist()
        if broken:
            raise DataError(f"the dissector's embedding of {kind} '{names[broken[0]]}' is zero or not finite")
    normalised = torch.nn.functional.normalize
    return normalised(images, dim=1) @ normalised(texts, dim=1).T


def neuron_states(activations: torch.Tensor) -> list[str]:
    """Return for each neuron ``dead`` (always 0), ``constant`` (always the same) or ``live``.

    A spread below four units in the last place is rounding, not response.
    """
    low, high = activations.amin(dim=0), activations.amax(dim=0)
    size = torch.maximum(low.abs(), high.abs())
    flat = (high - low) <= 4 * torch.finfo(torch.float32).eps * size
    return [
        "dead" if s == 0 else "constant" if f else "live" for s, f in zip(size.tolist(), flat.tolist(), strict=True)
    ]


def score_layer(scorer: Scorer, activations: torch.Tensor, similarity: torch.Tensor) -> LayerScores:
    """Score one layer: A ``(images, neurons)`` against P ``(images, concepts)``.

    Dead and constant neurons are left out before the scorer sees the layer: they have no top images, and
    must not take part in a prior over the layer's neurons. A neuron seen through its top k is *tied* when
    the k-th and the next activation are equal: which images count was then decided by their order.

    Raises
    ------
    DataError
        When A and P do not have the same images, or A is not finite.
    PluginLoadError
        When the scorer breaks its contract.
    """
    if len(activations) != len(similarity):
        raise DataError(f"activations hold {len(activations)} images, similarity {len(similarity)}: not the same set")
    if not torch.isfinite(activations).all():
        raise DataError("activations hold NaN or infinity")
    neurons, concepts = activations.shape[1], similarity.shape[1]
    status = neuron_states(activations)
    live = [index for index, state in enumerate(status) if state == "live"]
    scores = torch.full((neurons, concepts), float("nan"))
    reason = scorer.unlabelled(len(live)) if live else "no neuron responds differently to different images"
    if reason:
        return LayerScores(scores, tuple("unscored" if state == "live" else state for state in status), reason)
    found = scorer.score(activations[:, live], similarity)
    if found.shape != (len(live), concepts):
        raise PluginLoadError(
            f"scorer {scorer.name} returned shape {tuple(found.shape)} instead of {(len(live), concepts)}"
        )
    scores[live] = found.float().cpu()
    for index in live:
        status[index] = "labelled"
    if isinstance(scorer, TopKScorer):
        for index in _tied(activations, live, scorer.top_k):
            status[index] = "tied"
    for index in live:
        if bool(torch.isnan(scores[index]).all()):
            status[index] = "unscored"
    return LayerScores(scores, tuple(status))


def _tied(activations: torch.Tensor, live: Sequence[int], k: int) -> list[int]:
    if k >= len(activations):
        return []
    edge = activations[:, live].topk(k + 1, dim=0).values[-2:]
    return [index for index, tied in zip(live, (edge[0] == edge[1]).tolist(), strict=True) if tied]


def label_table(
    target: str, layer: str, scored: LayerScores, concepts: Sequence[Concept], count: int, higher_is_better: bool
) -> pd.DataFrame:
    """Return the label table of one layer: ``count`` rows a labelled neuron, best first, one for any other.

    Equal scores keep the order of the concept set; undefined scores never appear.
    """
    keys = scored.scores if higher_is_better else -scored.scores
    keys = torch.nan_to_num(keys, nan=float("-inf"), posinf=float("inf"), neginf=float("-inf"))
    order = keys.sort(dim=1, descending=True, stable=True).indices[:, :count]
    best = scored.scores.gather(1, order)
    kept = ~torch.isnan(best)
    has_label = torch.tensor([state in ("labelled", "tied") for state in scored.status])
    kept &= has_label[:, None]
    kept[~has_label, 0] = True  # one row says why a neuron has no label
    neuron, rank = (axis.numpy() for axis in kept.nonzero(as_tuple=True))
    labelled = has_label.numpy()[neuron]
    chosen = order.numpy()[neuron, rank]
    terms = np.array([concept.term for concept in concepts], dtype=object)
    categories = np.array([concept.category for concept in concepts], dtype=object)
    broad = np.array([concept.broad_category for concept in concepts], dtype=object)
    return pd.DataFrame(
        {
            "target": target,
            "layer": layer,
            "neuron": neuron.astype(np.int64),
            "status": np.array(scored.status, dtype=object)[neuron],
            "rank": pd.Series(rank + 1, dtype="Int64").where(labelled).array,
            "concept": np.where(labelled, terms[chosen], ""),
            "category": np.where(labelled, categories[chosen], ""),
            "broad_category": np.where(labelled, broad[chosen], ""),
            "score": np.where(labelled, best.numpy()[neuron, rank], np.nan).astype(np.float32),
        },
        columns=list(COLUMNS),
    )
