"""From activations and similarity to scores: which neurons can have any, and what they are."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from functools import partial

import torch

from mcd.api.kept import lasting, made_of
from mcd.api.ranking import random_rankings, rows_in
from mcd.api.scorer import Scorer, TopKScorer
from mcd.errors import DataError, PluginLoadError
from mcd.networks.foreign import calling_scorer, enough_memory
from mcd.scoring.activations import Activations, as_activations
from mcd.scoring.similarity import FLOATS, Similarity

__all__ = [
    "LayerScores",
    "Live",
    "all_scores",
    "best",
    "evidence",
    "layer_scores",
    "live_neurons",
    "neuron_states",
    "null_evidence",
    "score_layer",
    "whole_layer",
]


@dataclass(frozen=True)
class Live:
    """Which neurons of a layer can be measured apart by their responses.

    Parameters
    ----------
    status
        One word a neuron: dead (always 0), constant, unscored, tied or labelled.
    live
        Numbers of those that respond differently to different images.
    ranked
        ``(top_k, len(live))``: their top images, where the scorer looks at no others.
    reason
        Why the layer as a whole has no labels, or an empty text.
    """

    status: tuple[str, ...]
    live: tuple[int, ...]
    ranked: torch.Tensor | None = None
    reason: str = ""


@dataclass(frozen=True)
class LayerScores:
    """The scores of one layer.

    Parameters
    ----------
    scores
        ``(neurons, concepts)`` float32; NaN where a neuron has none.
    status
        One word a neuron, as in `Live`.
    reason
        Why the layer as a whole has no labels, or an empty string.
    """

    scores: torch.Tensor
    status: tuple[str, ...]
    reason: str = ""


def neuron_states(activations: torch.Tensor) -> list[str]:
    """Return for each neuron ``dead`` (always 0), ``constant`` (always the same) or ``live``.

    A spread below four units in the last place is rounding, not response.

    Raises
    ------
    DataError
        When A is not finite.
    """
    low, high = activations.amin(dim=0), activations.amax(dim=0)
    if not torch.isfinite(torch.stack([low, high])).all():  # both are NaN where one value is
        raise DataError(
            "activations hold NaN or infinity", "use --precision fp32, or look for the layer that overflows"
        )
    size = torch.maximum(low.abs(), high.abs())
    flat = (high - low) <= 4 * torch.finfo(torch.float32).eps * size
    return [
        "dead" if s == 0 else "constant" if f else "live" for s, f in zip(size.tolist(), flat.tolist(), strict=True)
    ]


def live_neurons(scorer: Scorer, activations: Activations) -> Live:
    """Tell the neurons of a layer apart, given A.

    Dead and constant neurons are left out before the scorer sees the layer: they have no top images, and
    must not take part in a prior over the layer's neurons. A neuron seen through its top k is *tied* when
    the k-th and the next activation are equal: which images count was then decided by chance.

    Raises
    ------
    DataError
        When A is not finite.
    """
    states: list[str] = []
    ranked, tied = [], []
    for own, top, edge in activations.each(partial(_told_apart, scorer)):
        tied += [len(states) + at for at in edge]
        states += own
        ranked += [] if top is None else [top]
    numbers = tuple(index for index, state in enumerate(states) if state == "live")
    reason = "no neuron responds differently to different images"
    if numbers:
        with calling_scorer(scorer):
            reason = scorer.layer_problem(len(numbers))
    words = dict.fromkeys(numbers, "unscored" if reason else "labelled")
    words |= {} if reason else dict.fromkeys(tied, "tied")
    status = tuple(words.get(index, state) for index, state in enumerate(states))
    return Live(status, numbers, torch.cat(ranked, dim=1) if ranked and not reason else None, reason)


def _told_apart(scorer: Scorer, group: torch.Tensor) -> tuple[list[str], torch.Tensor | None, list[int]]:
    """Return of some neurons the states, the top images ``(top_k, live neurons)``, and the numbers of those tied."""
    states = neuron_states(group)
    live = [at for at, state in enumerate(states) if state == "live"]
    if not isinstance(scorer, TopKScorer) or not live:
        return states, None, []
    responding = group if len(live) == len(states) else group[:, live]
    top = scorer.top_images(responding, scorer.top_k + 1)
    if len(top) <= scorer.top_k:
        return states, top, []
    edge = responding.gather(0, top[-2:])
    return states, top[: scorer.top_k], [live[at] for at in (edge[0] == edge[1]).nonzero().flatten().tolist()]


def evidence(scorer: TopKScorer, ranked: torch.Tensor, similarity: Similarity) -> torch.Tensor:
    """Return what rankings ``(top_k, neurons)`` tell, ``(neurons, concepts)`` float32.

    Only the images that some neuron has on top are compared with the concepts, a group of neurons at a time, so that
    neither the number of images nor of concepts is bounded by memory.
    """
    step = max(1, FLOATS // max(1, len(ranked) * similarity.concepts))
    parts = []
    for group in torch.split(ranked, step, dim=1):
        with _memory(similarity):
            places, seen = (_there(one, similarity.device) for one in _shown(scorer, group, similarity))
            with _lent(scorer, seen):
                found = scorer.evidence(places, seen)
        parts.append(_checked(scorer, found, group.shape[1], similarity.concepts))
    return torch.cat(parts) if parts else torch.empty(0, similarity.concepts)


def _shown(scorer: TopKScorer, ranked: torch.Tensor, similarity: Similarity) -> tuple[torch.Tensor, torch.Tensor]:
    """Return rankings with what they are rows of: what the scorer reads of their images, or P where it is kept."""
    images, places = rows_in(ranked, similarity.images)
    if scorer.needs == "embeddings":
        return places, similarity.embeddings(images)
    if similarity.kept is not None and 2 * len(images) > similarity.images:
        return ranked, similarity.whole()  # to leave out the few others would cost a copy of the rest
    return places, similarity.of(images)


def all_scores(scorer: Scorer, activations: torch.Tensor, similarity: Similarity) -> torch.Tensor:
    """Return the scores ``(neurons, concepts)`` of a scorer that looks at all activations ``(images, neurons)``.

    Concepts are taken in groups where the scorer says that they do not depend on each other.
    """
    neurons, device = activations.shape[1], similarity.device
    with _memory(similarity):
        activations = activations.to(device)
        if scorer.depends_on != "pair":
            with _lent(scorer, _there(similarity.whole(), device)) as whole:
                scores = scorer.score(activations, whole)
            return _checked(scorer, scores, neurons, similarity.concepts)
        return _by_pieces(scorer, activations, similarity)


def _by_pieces(scorer: Scorer, activations: torch.Tensor, similarity: Similarity) -> torch.Tensor:
    neurons = activations.shape[1]
    found = torch.empty(neurons, similarity.concepts)
    for where, held in similarity.pieces():
        part = _there(held, similarity.device)
        with _lent(scorer, part):
            scores = scorer.score(activations, part)
        found[:, where] = _checked(scorer, scores, neurons, part.shape[1])
        del part, held  # before the next piece is made
    return found


def _there(similarity: torch.Tensor, device: torch.device) -> torch.Tensor:
    """Return P on a device: the copy of one that is held is held too, and what scorers make of it."""
    if similarity.device == device:
        return similarity
    return made_of(similarity, ("on", str(device)), lambda: lasting(similarity.to(device)))


def _memory(similarity: Similarity) -> AbstractContextManager[None]:
    if similarity.device.type == "cpu":
        return nullcontext()
    return enough_memory(similarity.device, "score on the CPU: --scoring-device cpu", "the scores")


def layer_scores(scorer: Scorer, activations: Activations, similarity: Similarity) -> torch.Tensor:
    """Return what `all_scores` returns of a layer; a group of neurons at a time, unless they depend on each other."""
    if scorer.depends_on == "layer":
        return all_scores(scorer, activations.held().values, similarity)
    return torch.cat(activations.each(lambda group: all_scores(scorer, group, similarity)))


@contextmanager
def _lent(scorer: Scorer, similarity: torch.Tensor) -> Iterator[torch.Tensor]:
    """Lend a scorer P, which others are given too: it must come back as it was. What the scorer raises is one line."""
    before = _state(similarity)
    with calling_scorer(scorer):
        yield similarity
    if _state(similarity) != before:
        raise PluginLoadError(
            f"scorer {scorer.name} writes to the similarity that it is given", "let it work on a copy"
        )


def _state(similarity: torch.Tensor) -> tuple[int, bytes]:
    """Return by what a write to P shows: torch's count, and of some values the bytes, since numpy counts nothing."""
    counted = 0 if similarity.is_inference() else similarity._version
    rows, columns = (max(1, size // some) for size, some in zip(similarity.shape, (64, 8), strict=True))
    return counted, similarity[::rows, ::columns].contiguous().cpu().numpy().tobytes()


def _checked(scorer: Scorer, found: object, neurons: int, concepts: int) -> torch.Tensor:
    if not isinstance(found, torch.Tensor):
        raise PluginLoadError(
            f"scorer {scorer.name} returned {type(found).__name__}, not a tensor",
            "it returns scores, neurons × concepts, as a torch.Tensor",
        )
    if found.shape != (neurons, concepts):
        raise PluginLoadError(
            f"scorer {scorer.name} returned shape {tuple(found.shape)} instead of {(neurons, concepts)}",
            "it returns one score for every neuron and concept",
        )
    return found.float().cpu()


def whole_layer(scores: torch.Tensor, found: Live) -> LayerScores:
    """Return scores ``(live neurons, concepts)`` as those of the whole layer, NaN for the neurons that have none."""
    whole = torch.full((len(found.status), scores.shape[1]), float("nan"))
    whole[list(found.live)] = scores
    status = list(found.status)
    for at, index in enumerate(found.live):
        if bool(torch.isnan(scores[at]).all()):
            status[index] = "unscored"
    return LayerScores(whole, tuple(status), found.reason)


def score_layer(scorer: Scorer, activations: torch.Tensor | Activations, similarity: Similarity) -> LayerScores:
    """Score one layer: A ``(images, neurons)`` against P.

    Raises
    ------
    DataError
        When A and P do not have the same images, or A is not finite.
    PluginLoadError
        When the scorer breaks its contract.
    """
    layer = as_activations(activations)
    if layer.images != similarity.images:
        raise DataError(
            f"activations hold {layer.images} images, similarity {similarity.images}: not the same set",
            "give both for the same images, in the same order",
        )
    found = live_neurons(scorer, layer)
    if found.reason:
        return whole_layer(torch.full((len(found.live), similarity.concepts), float("nan")), found)
    if isinstance(scorer, TopKScorer) and found.ranked is not None:
        measured = evidence(scorer, found.ranked, similarity)
        with calling_scorer(scorer):
            scores = scorer.scores(measured, scorer.context(measured, lambda: null_evidence(scorer, similarity)))
        return whole_layer(_checked(scorer, scores, len(found.live), similarity.concepts), found)
    return whole_layer(layer_scores(scorer, layer.of(found.live), similarity), found)


def null_evidence(scorer: TopKScorer, similarity: Similarity) -> torch.Tensor:
    """Return the evidence of random ordered k-subsets of the images, ``(draws, concepts)``."""
    order = None if scorer.ties is None else scorer.ties.order
    return evidence(scorer, random_rankings(similarity.images, scorer.top_k, order=order), similarity)


def best(scores: torch.Tensor, count: int, *, higher_is_better: bool) -> torch.Tensor:
    """Return the numbers of the ``count`` best concepts of each neuron, best first, ``(neurons, count)`` int64.

    Equal scores keep the order of the concepts; undefined ones come last.
    """
    keys = scores if higher_is_better else -scores
    keys = torch.nan_to_num(keys, nan=float("-inf"), posinf=float("inf"), neginf=float("-inf"))
    count = min(count, keys.shape[1])
    values, order = keys.topk(min(count + 1, keys.shape[1]), dim=1)
    for row in (values[:, 1:] == values[:, :-1]).any(dim=1).nonzero().flatten().tolist():
        order[row] = keys[row].sort(descending=True, stable=True).indices[: order.shape[1]]
    return order[:, :count]
