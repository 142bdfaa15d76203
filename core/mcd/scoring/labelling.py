"""From stored activations to the label table: scores, significance, one row a label."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import islice

import numpy as np
import torch
from numpy.typing import NDArray

from mcd.api.concepts import Concept
from mcd.api.ranking import Ties
from mcd.api.scorer import Explanation, Scorer, TopKScorer
from mcd.errors import UsageError
from mcd.events import Clock, LayerScored
from mcd.networks.foreign import calling_scorer
from mcd.scoring.activations import Activations, as_activations, fits, split
from mcd.scoring.calibration.conditional import partialled_out
from mcd.scoring.calibration.dependence import DependenceTest, drawn
from mcd.scoring.calibration.judging import judge
from mcd.scoring.calibration.null import NullDistribution, StratumNull
from mcd.scoring.calibration.permutation import PermutationUnits, Rows
from mcd.scoring.kept_nulls import KeptNulls
from mcd.scoring.ladder import Ladder, RungData
from mcd.scoring.nulls import Nulls
from mcd.scoring.results import Results
from mcd.scoring.scored import Scored, Tables
from mcd.scoring.scores import Live, all_scores, best, evidence, layer_scores, live_neurons, whole_layer
from mcd.scoring.similarity import Similarity
from mcd.study.calibration import Calibration

__all__ = ["Labeller", "Source", "no_patients"]

Source = Callable[[], torch.Tensor | Activations]
"""Returns A of a layer, ``(images, neurons)`` float32."""

_COPIES = 2
"""How many copies of columns there are at once, for a statistic of them."""

_AT_ONCE = 2**24
"""Values of units of which a concept is partialled out at once: 64 MiB."""

_CLUSTERED = 0.05
"""Share of the images that decides the null stratum of neurons, for scorers that use all activations."""


def no_patients() -> UsageError:
    """Return the error about patients that are to be permuted and are not known."""
    return UsageError(
        "patients are to be permuted, and the patient of no image is known",
        "say --exchangeable image, which makes q too small where a patient has several images, or use a data set that "
        "names patients",
    )


class Labeller:
    """Labels the neurons of a stored run.

    Parameters
    ----------
    scorer, concepts
        How, and with which words.
    similarity
        P.
    calibration
        Settings of significance.
    patients
        Patient of each image; empty where not known.
    count
        How many concepts a neuron keeps.
    rungs
        What the rungs above the first are tested with; by default nothing.
    ids
        Of the images: with the seed of the null, they decide how ties are broken, and which draw is which. By
        default the row numbers.
    nulls
        What other labellers of the run have drawn; None for none.
    """

    def __init__(
        self,
        scorer: Scorer,
        similarity: Similarity,
        concepts: Sequence[Concept],
        calibration: Calibration,
        patients: Sequence[str],
        count: int,
        ids: Sequence[str] | None = None,
        rungs: RungData | None = None,
        nulls: KeptNulls | None = None,
    ) -> None:
        self.ties = Ties.of(ids or [str(row) for row in range(similarity.images)], calibration.null_seed)
        self.scorer = scorer.breaking_ties(self.ties)
        self.similarity, self.concepts, self.count = similarity, concepts, count
        self.calibration = calibration
        known = any(patients)
        auto = "patient" if known else "image"
        self.unit = auto if calibration.exchangeable == "auto" else calibration.exchangeable
        if self.unit == "patient" and not known:
            raise no_patients()
        self.units = PermutationUnits.of(patients, "patient" if self.unit == "patient" else "image", self.ties.order)
        self._nulls = Nulls(self.scorer, similarity, self.units, self.ties, calibration, nulls)
        data = rungs or RungData()
        self.ladder = Ladder(self.scorer, similarity, self.units, calibration, data, self._all_z)

    @property
    def caution(self) -> str:
        """What is to be said of the significance of all labels; mostly nothing: an empty text."""
        said = [self.units.caution if self.calibration.draws else "", self.ladder.caution]
        return "; ".join(filter(None, said))

    def first(self, activations: torch.Tensor | Activations) -> torch.Tensor:
        """Return the first concept of each neuron of a layer ``(images, neurons)``, ``(neurons,)``; -1 for none."""
        layer = as_activations(activations)
        (scored,) = self.scored({"": lambda: layer})
        found = torch.full((layer.neurons,), -1, dtype=torch.int64)
        live = torch.tensor(scored.live, dtype=torch.int64)
        named = torch.from_numpy(np.isin(scored.scores.status, ("labelled", "tied")))[live]
        found[live[named]] = scored.order[named, 0]
        return found

    def label(self, target: str, sources: Mapping[str, Source], clock: Clock) -> Results:
        """Return the tables of all layers.

        Parameters
        ----------
        target
            Its name, for the tables.
        sources
            For each layer what returns its activations; only one is held at a time, or a group of its neurons.
        """
        made = Tables(target, self.concepts, self.unit, self.calibration, self.scorer.higher_is_better)
        if self.caution:
            clock.warn(self.caution)
        with clock.stage("score", len(sources), "layers") as advanced:
            for found in self.scored(sources, clock.warn):
                if found.scores.reason:
                    clock.warn(f"layer {found.layer} has no labels: {found.scores.reason}")
                summary = made.add(found)
                clock.emit(LayerScored(target, found.layer, summary.neurons, summary.labelled))
                advanced(1)
        return made.results()

    def scored(self, sources: Mapping[str, Source], warn: Callable[[str], None] | None = None) -> Iterator[Scored]:
        """Yield every layer, scored and judged.

        Parameters
        ----------
        sources
            For each layer what returns its activations; only one is held at a time, or a group of its neurons.
        warn
            Is given the layers that must be held although they are large, before they are read.
        """
        for name, source in sources.items():
            layer = as_activations(source())
            if warn is not None and self._whole_layers and not fits(layer.images, layer.neurons):
                size = layer.images * layer.neurons * 4 / 1e9
                warn(
                    f"layer {name}: {self.scorer.name} compares the neurons of a layer, so that {layer.neurons} × "
                    f"{layer.images} activations are held, {size:.1f} GB, and as much again for each draw of the null"
                )
            yield self._labelled(name, layer)

    @property
    def _whole_layers(self) -> bool:
        """Whether the scorer is given all neurons of a layer at once."""
        return self.scorer.depends_on == "layer" and not isinstance(self.scorer, TopKScorer)

    def _labelled(self, layer: str, activations: Activations) -> Scored:
        found = live_neurons(self.scorer, activations)
        if found.reason:
            return self._silent(layer, found)
        live = self._live(found, activations)
        del activations
        scores, test = self._measured(found, live)
        explained = self._explained(found, live)
        return replace(self._judged(layer, found, scores, test, live), explanations=explained)

    def _explained(self, found: Live, live: Activations) -> list[Explanation]:
        if type(self.scorer).explain is Scorer.explain:
            return []
        numbers = iter(found.live)
        explained = []
        with calling_scorer(self.scorer):
            each = live.each(lambda some: (self.scorer.explain(some, self.similarity.whole), some.shape[1]))
            for said, count in each:
                group = list(islice(numbers, count))
                explained += [replace(one, neuron=group[one.neuron]) for one in said]
        return explained

    def _live(self, found: Live, activations: Activations) -> Activations:
        """Return A of the live units of a layer; held where the scorer compares them."""
        live = activations.of(found.live)
        return live.held() if self._whole_layers else live

    def _all_z(self, activations: torch.Tensor | Activations) -> tuple[NDArray[np.float64], Rows]:
        """Return z of all concepts and the first of each live unit; the null is drawn for its moments alone."""
        layer = as_activations(activations)
        found = live_neurons(self.scorer, layer)
        if found.reason:
            return np.zeros((0, self.similarity.concepts)), np.zeros(0, dtype=np.int64)
        scores, test = self._measured(found, self._live(found, layer))
        first = best(scores, 1, higher_is_better=self.scorer.higher_is_better)[:, 0]
        every = torch.arange(self.similarity.concepts)[None]
        z = test.null(0).z(test.observed, every, torch.from_numpy(test.stratum))
        return z.double().numpy(), first.numpy()

    def _measured(self, found: Live, live: Activations) -> tuple[torch.Tensor, DependenceTest]:
        """Return the scores of the live units of a layer, and what is tested of them."""
        return self._whole(live) if found.ranked is None else self._ranked(found.ranked, live)

    def _ranked(self, top: torch.Tensor, live: Activations) -> tuple[torch.Tensor, DependenceTest]:
        scorer = self.scorer
        assert isinstance(scorer, TopKScorer)
        measured = evidence(scorer, top, self.similarity)
        with calling_scorer(scorer):
            scores = scorer.scores(measured, scorer.context(measured, lambda: self._nulls.unconditional))
        ranked = top.numpy()
        stratum = self.units.null_stratum(ranked)
        strata = self._nulls.of_rankings(ranked, stratum) if self.calibration.draws else {}

        def statistic(columns: torch.Tensor) -> torch.Tensor:
            return evidence(scorer, scorer.top_images(columns, scorer.top_k), self.similarity)

        return scores, self._test(measured, stratum, strata, live, statistic)

    def _whole(self, live: Activations) -> tuple[torch.Tensor, DependenceTest]:
        scores = layer_scores(self.scorer, live, self.similarity)
        stratum = np.zeros(live.neurons, dtype=np.int64)
        permuted = live.made(self._permuted)
        if self.units.blocks:
            top = max(2, round(_CLUSTERED * live.images))

            def clustered(some: torch.Tensor) -> Rows:
                return self.units.null_stratum(self.scorer.top_images(some, top).numpy())

            stratum = np.concatenate(permuted.each(clustered))
        strata = self._nulls.of_columns(permuted, stratum) if self.calibration.draws else {}

        def statistic(columns: torch.Tensor) -> torch.Tensor:
            return all_scores(self.scorer, columns, self.similarity)

        return scores, self._test(scores, stratum, strata, live, statistic)

    def _permuted(self, activations: torch.Tensor) -> torch.Tensor:
        with calling_scorer(self.scorer):
            return self.scorer.permuted(activations)

    def _test(
        self,
        measured: torch.Tensor,
        stratum: Rows,
        strata: Mapping[int, StratumNull],
        live: Activations,
        statistic: Callable[[torch.Tensor], torch.Tensor],
    ) -> DependenceTest:
        """Return what is tested of a layer, given its statistic, nulls, and what computes that of other activations."""
        sign = 1 if self.scorer.higher_is_better else -1

        def null(draws: int) -> NullDistribution:
            return drawn(strata, draws, self.similarity.concepts, self.units.rarest)

        def given(units: torch.Tensor, concepts: torch.Tensor) -> torch.Tensor:
            parts = []
            for at in split(live.images, len(units), _COPIES):
                left = live.columns(units[at])
                self._partial_out(left, concepts[at])
                parts.append(statistic(left))
            return sign * torch.cat(parts)

        return DependenceTest(measured if sign == 1 else -measured, stratum, null, given)

    def _partial_out(self, columns: torch.Tensor, concepts: torch.Tensor) -> None:
        """Replace columns ``(images, units)`` by what of each its concept does not explain, a few at a time."""
        step = max(1, _AT_ONCE // len(columns))
        for own, some in zip(torch.split(columns, step, dim=1), torch.split(concepts, step), strict=True):
            own.copy_(partialled_out(own, self.similarity.columns(some.tolist()), self.ties))

    def _judged(self, layer: str, found: Live, scores: torch.Tensor, test: DependenceTest, live: Activations) -> Scored:
        order = best(scores, self.count, higher_is_better=self.scorer.higher_is_better)
        judged = None
        if self.calibration.draws:
            settings = self.calibration
            if found.ranked is None:  # every draw is a column of all images here
                most = max(settings.draws, settings.most_draws // 4)
                settings = settings.model_copy(update={"most_draws": most})
            judged = judge(test, order, self.concepts, settings)
        beside = self.ladder.beside(layer, judged, order) if judged else None
        rungs = self.ladder.climb(judged, live, order, beside) if judged else None
        return Scored(layer, whole_layer(scores, found), found.live, order, test.stratum, judged, rungs, beside)

    def _silent(self, layer: str, found: Live) -> Scored:
        nothing = torch.full((len(found.live), self.similarity.concepts), float("nan"))
        order = torch.zeros(len(found.live), min(self.count, self.similarity.concepts), dtype=torch.int64)
        return Scored(layer, whole_layer(nothing, found), found.live, order, np.zeros(len(found.live), np.int64), None)
