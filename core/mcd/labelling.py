"""From a stored run to its label table: scores, what chance says of them, one row a label."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, partial

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from mcd.api.concepts import Concept
from mcd.api.scorer import Scorer, TopKScorer
from mcd.calibration.exchange import Exchange, Rows
from mcd.calibration.judging import Judged, judge
from mcd.calibration.null import Chance, PermutedColumns, Rankings
from mcd.calibration.settings import Calibration
from mcd.clock import Clock
from mcd.cosines import Similarity
from mcd.dissection import Dissection
from mcd.events import LayerScored
from mcd.manifest import LayerSummary
from mcd.scoring import LayerScores, Live, all_scores, best, evidence, evidence_by_chance, live_neurons, spread

__all__ = ["COLUMNS", "Labeller", "Scored", "label_table"]

COLUMNS = (
    "target", "layer", "neuron", "status", "verdict", "rank", "concept", "category", "broad_category", "score", "z",
    "p", "q",
)  # fmt: skip
"""Columns of the label table. ``status``: labelled, tied, dead, constant or unscored (see `mcd.scoring.Live`);
``verdict``: what chance says, see `mcd.calibration.judging.VERDICTS`."""

_CLUSTERED = 0.05
"""Share of the images by whose patients neurons are told apart that are seen through all activations."""


@dataclass(frozen=True)
class Scored:
    """One layer: scores of all its neurons, and what chance says of those that are live.

    Parameters
    ----------
    layer
        Its name.
    scores
        Of all its neurons.
    live
        Numbers of those that respond; ``order`` and ``judged`` are of these alone.
    order
        ``(live neurons, labels)``: their best concepts, best first.
    judged
        What chance says; None where it was not asked.
    """

    layer: str
    scores: LayerScores
    live: tuple[int, ...]
    order: torch.Tensor
    judged: Judged | None


class Labeller:
    """Labels the neurons of a stored run.

    Parameters
    ----------
    scorer, concepts
        How, and with which words.
    cosines
        P.
    calibration
        How significance is reckoned.
    patients
        Whose each image is; empty where that is not known.
    count
        How many concepts a neuron keeps.
    """

    def __init__(
        self, scorer: Scorer, cosines: Similarity, concepts: Sequence[Concept], calibration: Calibration,
        patients: Sequence[str], count: int,
    ) -> None:  # fmt: skip
        self.scorer, self.cosines, self.concepts, self.count = scorer, cosines, concepts, count
        self.calibration = calibration
        known = any(patients)
        auto = "patient" if known else "image"
        self.unit = auto if calibration.exchangeable == "auto" else calibration.exchangeable
        self.exchange = Exchange.of(patients, "patient" if self.unit == "patient" else "image")

    def labels(self, dissection: Dissection, clock: Clock) -> tuple[pd.DataFrame, list[LayerSummary]]:
        """Return the label table of all layers, and a summary of each."""
        tables, summaries = [], []
        target = dissection.manifest.target
        with clock.stage("score", len(dissection.layers), "layers") as advanced:
            sources = {layer: partial(dissection.activations, layer) for layer in dissection.layers}
            for found in self.scored(sources):
                if found.scores.reason:
                    clock.warn(f"layer {found.layer} has no labels: {found.scores.reason}")
                tables.append(
                    label_table(target, found.layer, found.scores, self.concepts, found.order, found.live, found.judged)
                )
                summaries.append(_summary(found, self.unit))
                clock.emit(LayerScored(target, found.layer, summaries[-1].neurons, summaries[-1].labelled))
                advanced(1)
        return pd.concat(tables, ignore_index=True), summaries

    def scored(self, sources: Mapping[str, Callable[[], torch.Tensor]]) -> Iterator[Scored]:
        """Yield every layer, scored and judged.

        Parameters
        ----------
        sources
            For each layer what returns its activations A, ``(images, neurons)`` float32; only one is held at a time.
        """
        if not isinstance(self.scorer, TopKScorer):
            for layer, activations in sources.items():
                yield self._whole(layer, activations())
            return
        ranked = {layer: live_neurons(self.scorer, activations()) for layer, activations in sources.items()}
        null = _TopKNull(self.scorer, self.cosines, self.exchange, list(ranked.values()), self.calibration)
        for layer, found in ranked.items():
            yield self._ranked(layer, found, null)

    def _ranked(self, layer: str, found: Live, null: _TopKNull) -> Scored:
        scorer = self.scorer
        assert isinstance(scorer, TopKScorer)
        if found.ranked is None:
            return self._silent(layer, found)
        told = evidence(scorer, found.ranked, self.cosines)
        scores = scorer.scores(told, scorer.context(told, null.unconditional))
        return self._judged(layer, found, scores, told, self.exchange.clustering(found.ranked.numpy()), null.of)

    def _whole(self, layer: str, activations: torch.Tensor) -> Scored:
        found = live_neurons(self.scorer, activations)
        if found.reason:
            return self._silent(layer, found)
        live = activations if len(found.live) == activations.shape[1] else activations[:, list(found.live)]
        scores = all_scores(self.scorer, live, self.cosines)
        kind = np.zeros(len(found.live), dtype=np.int64)
        if self.exchange.blocks:
            top = max(2, round(_CLUSTERED * len(live)))
            kind = self.exchange.clustering(live.topk(top, dim=0).indices.numpy())
        null = _PermutationNull(self.scorer, self.cosines, PermutedColumns(self.exchange, live, kind,
                                                                           self.calibration.null_seed),
                                kind, live.shape[1])  # fmt: skip
        return self._judged(layer, found, scores, scores, kind, null.of, dear=True)

    def _judged(
        self, layer: str, found: Live, scores: torch.Tensor, measured: torch.Tensor, kind: Rows,
        chance: Callable[[int], Chance], *, dear: bool = False,
    ) -> Scored:  # fmt: skip
        higher = self.scorer.higher_is_better
        order = best(scores, self.count, higher_is_better=higher)
        judged = None
        if self.calibration.draws:
            settings = self.calibration
            if dear:  # every draw is a column of all images here
                most = max(settings.draws, settings.most_draws // 4)
                settings = settings.model_copy(update={"most_draws": most})
            judged = judge(measured if higher else -measured, order, kind, chance, self.concepts, settings)
        return Scored(layer, spread(scores, found), found.live, order, judged)

    def _silent(self, layer: str, found: Live) -> Scored:
        nothing = torch.full((len(found.live), self.cosines.concepts), float("nan"))
        order = torch.zeros(len(found.live), min(self.count, self.cosines.concepts), dtype=torch.int64)
        return Scored(layer, spread(nothing, found), found.live, order, None)


class _TopKNull:
    """The null of a scorer that sees a neuron through its top k images: drawn once for all layers."""

    def __init__(
        self, scorer: TopKScorer, cosines: Similarity, exchange: Exchange, layers: Sequence[Live], settings: Calibration
    ) -> None:
        self._scorer, self._cosines = scorer, cosines
        templates = np.concatenate([one.ranked.numpy() for one in layers if one.ranked is not None] or
                                   [np.zeros((1, 0), dtype=np.int64)], axis=1)  # fmt: skip
        kind = exchange.clustering(templates)
        self._kinds = sorted(set(kind.tolist()))
        self._known: dict[int, Chance] = {}
        self._rankings = Rankings(
            exchange, lambda drawn: evidence(scorer, torch.from_numpy(drawn), cosines), templates, kind,
            settings.null_seed,
        )  # fmt: skip

    @cached_property
    def _unconditional(self) -> torch.Tensor:
        return evidence_by_chance(self._scorer, self._cosines)

    def unconditional(self) -> torch.Tensor:
        """Return the evidence of random ordered k-subsets, ``(draws, concepts)``, whatever patients there are."""
        return self._unconditional

    def of(self, draws: int) -> Chance:
        """Return the null of a number of draws, the same for every layer."""
        if draws not in self._known:
            found = []
            for kind in range(max(self._kinds, default=0) + 1):
                if kind in self._kinds:
                    told = self._rankings.of(kind, draws)
                    found.append(_moments(told if self._scorer.higher_is_better else -told))
                else:
                    found.append(_nothing(self._cosines.concepts))
            self._known[draws] = _chance(found)
        return self._known[draws]


class _PermutationNull:
    """The null of a scorer that looks at all activations: its own neurons, their images exchanged."""

    def __init__(self, scorer: Scorer, cosines: Similarity, columns: PermutedColumns, kind: Rows, neurons: int) -> None:
        self._scorer, self._cosines, self._columns, self._neurons = scorer, cosines, columns, neurons
        self._kinds = sorted(set(kind.tolist()))
        self._scores: dict[int, list[torch.Tensor]] = {one: [] for one in self._kinds}

    def of(self, draws: int) -> Chance:
        """Return the null of a number of draws; what was drawn before is kept."""
        found = []
        for kind in range(max(self._kinds, default=0) + 1):
            if kind not in self._kinds:
                found.append(_nothing(self._cosines.concepts))
                continue
            kept = self._scores[kind]
            have = sum(map(len, kept))
            # As many at once as the layer has neurons: a scorer that compares neurons then sees a layer like it.
            for start in range(have, draws, self._neurons):
                columns = self._columns.of(kind, start, min(draws, start + self._neurons))
                kept.append(all_scores(self._scorer, columns, self._cosines))
            scores = torch.cat(kept)
            found.append(_moments(scores if self._scorer.higher_is_better else -scores))
        return _chance(found)


_NO_SPREAD = 1e-12
"""Standard deviation of a concept that scores the same by chance every time."""

_Moments = tuple[NDArray[np.float64], torch.Tensor, torch.Tensor]


def _moments(scores: torch.Tensor) -> _Moments:
    """Return of values by chance ``(draws, concepts)`` the highest z of each draw, sorted; mean and sd by concept."""
    known = ~torch.isnan(scores)
    count = known.sum(dim=0).clamp_min(1)
    mean = torch.nan_to_num(scores).double().sum(dim=0) / count
    square = (torch.nan_to_num(scores).double() - mean).masked_fill(~known, 0).square().sum(dim=0)
    sd = (square / (count - 1).clamp_min(1)).sqrt().clamp_min(_NO_SPREAD)
    z = (scores - mean.float()) / sd.float()
    highest = torch.nan_to_num(z, nan=float("-inf")).amax(dim=1).double().numpy()
    return np.sort(highest), mean.float(), sd.float()


def _nothing(concepts: int) -> _Moments:
    return np.zeros(0), torch.zeros(concepts), torch.ones(concepts)


def _chance(found: Sequence[_Moments]) -> Chance:
    return Chance(
        [one[0] for one in found], torch.stack([one[1] for one in found]), torch.stack([one[2] for one in found])
    )


def _summary(found: Scored, unit: str) -> LayerSummary:
    status = found.scores.status
    labelled = sum(state in ("labelled", "tied") for state in status)
    judged = found.judged
    return LayerSummary(
        layer=found.layer,
        neurons=len(status),
        labelled=labelled,
        above_chance=judged.above if judged else None,
        responding=round(judged.responding, 4) if judged else None,
        draws=judged.draws if judged else None,
        settled=judged.settled if judged else None,
        exchangeable=unit if judged else None,
    )


def label_table(
    target: str, layer: str, scored: LayerScores, concepts: Sequence[Concept], order: torch.Tensor,
    live: Sequence[int], judged: Judged | None = None,
) -> pd.DataFrame:  # fmt: skip
    """Return the label table of one layer: a row for each kept concept of a labelled neuron, one for any other.

    Parameters
    ----------
    order
        ``(live neurons, labels)``: the best concepts of each, best first. Undefined scores never appear.
    live
        Numbers of the live neurons.
    """
    place = {neuron: at for at, neuron in enumerate(live)}
    neuron, rank, at = [], [], []
    shown = scored.scores[list(live)].gather(1, order) if len(live) else scored.scores[:0]
    kept = ~torch.isnan(shown)
    for number, state in enumerate(scored.status):
        ranks = kept[place[number]].nonzero().flatten().tolist() if state in ("labelled", "tied") else []
        for one in ranks or [-1]:
            neuron.append(number)
            rank.append(one)
            at.append(place.get(number, 0))
    rows, ranks_of = np.array(at, dtype=np.int64), np.array(rank, dtype=np.int64)
    labelled = ranks_of >= 0
    chosen = order.numpy()[rows, ranks_of] if len(live) else np.zeros(len(rows), dtype=np.int64)
    columns = {
        name: np.array([getattr(one, name) for one in concepts], dtype=object)
        for name in ("term", "category", "broad_category")
    }

    def number_of(values: NDArray[np.floating] | None) -> NDArray[np.floating]:
        if values is None or not len(live):
            return np.full(len(rows), np.nan)
        return np.where(labelled, values[rows, ranks_of], np.nan)

    verdict = np.array(judged.verdict, dtype=object)[rows] if judged else np.full(len(rows), "", dtype=object)
    return pd.DataFrame(
        {
            "target": target,
            "layer": layer,
            "neuron": np.array(neuron, dtype=np.int64),
            "status": np.array(scored.status, dtype=object)[neuron],
            "verdict": np.where(labelled, verdict, ""),
            "rank": pd.Series(ranks_of + 1, dtype="Int64").where(labelled).array,
            "concept": np.where(labelled, columns["term"][chosen], ""),
            "category": np.where(labelled, columns["category"][chosen], ""),
            "broad_category": np.where(labelled, columns["broad_category"][chosen], ""),
            "score": number_of(shown.numpy()).astype(np.float32),
            "z": number_of(judged.z if judged else None).astype(np.float32),
            "p": number_of(judged.p if judged else None),
            "q": number_of(judged.q if judged else None),
        },
        columns=list(COLUMNS),
    )
