"""Labels of all layers by the naming half, and of random networks, judged by the other half."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import chain

import numpy as np
import torch
from numpy.typing import NDArray

from mcd.evaluation.baselines import NONE, Codes, labels_of
from mcd.evaluation.choosing import Judges
from mcd.evaluation.measuring import Judge, Judged
from mcd.evaluation.naming import Alphas, Named, named, tuned, tuning_units
from mcd.evaluation.splitting import Split
from mcd.evaluation.tallying import UNTRAINED, Tally
from mcd.evaluation.truth import recovered
from mcd.events import Clock
from mcd.scoring.activations import Activations

__all__ = ["Judging"]

Flags = NDArray[np.bool_]
Values = NDArray[np.float64]
Labels = Mapping[str, Codes]
Thresholds = dict[tuple[str, str], Alphas]
"""By reference and kind of label."""


class Judging:
    """Judges a run.

    Parameters
    ----------
    split, judges
        Which images judge, and what they are judged by.
    clock
        Times what is done.

    Attributes
    ----------
    alphas
        The tuned thresholds, once it has judged.
    labelled
        How many neurons have a label by the naming half, once it has judged.
    """

    def __init__(self, split: Split, judges: Judges, clock: Clock) -> None:
        self._split, self._judges, self._clock = split, judges, clock
        self.alphas: Thresholds = {}
        self.labelled = 0
        count = int(split.held_out.sum())
        self._weights, self._factor = np.ones((1, count)), 1.0
        if split.draws:
            drawn = split.resampled(split.own_units)
            self._weights = np.concatenate([self._weights, drawn.weights.astype(np.float64)])
            self._factor = drawn.factor("permutation")

    def judge(self) -> Tally:
        """Return what was found; layers are read twice, and only one network's is held at a time."""
        split = self._split
        names: dict[str, list[Named]] = {}
        with self._clock.stage("name", len(split.run.layers), "layers") as advanced:
            for layer in split.run.layers:
                names[layer] = [named(split.labeller, one, ~split.held_out) for one in self._networks(layer)]
                advanced(1)
        self.labelled = sum(own.labelled for own, *_ in names.values())
        tuning = tuning_units({layer: own.first for layer, (own, *_) in names.items()}, split.seed)
        labels = self._labels(names)
        self.alphas = self._tuned(labels, tuning)
        terms = [one.term for one in split.concepts]
        tally = Tally(split.run.manifest.target, terms, split.own_units.patients, self._factor)
        with self._clock.stage("judge", len(split.run.layers), "layers") as advanced:
            for layer in split.run.layers:
                for number, activations in enumerate(self._networks(layer)):
                    own = {name: several[number] for (name, at), several in labels.items() if at == layer}
                    self._layer(tally, layer, activations.held().values.numpy(), own, ~tuning[layer])
                advanced(1)
        return tally

    def _networks(self, layer: str) -> Iterable[Activations]:
        """Return A of a layer of the run, then that of each network that has not been trained."""
        return chain([self._split.run.by_neurons(layer)], self._split.run.untrained_by_neurons(layer))

    def _layer(
        self, tally: Tally, layer: str, activations: NDArray[np.floating], labels: Mapping[str, Labels], untuned: Flags
    ) -> None:
        for reference in self._judges.references:
            own = labels[reference.name]
            if _any(own):
                alphas = {kind: self.alphas[reference.name, kind] for kind in own}
                judge = Judge(reference, self._split.held_out, self._weights, alphas)
                tally.add(reference.name, layer, judge.judge(activations, own, untuned))
        if self._judges.truths is not None and _any(labels["truth"]):
            tally.add("truth", layer, self._recovered(activations, labels["truth"], self._judges.truths))

    def _recovered(self, activations: NDArray[np.floating], labels: Labels, truths: Flags) -> Judged:
        split = self._split
        column = np.where(truths, np.cumsum(truths) - 1, NONE)
        shows = split.annotated[torch.from_numpy(split.held_out)][:, torch.from_numpy(truths)].numpy() == 1
        own = {kind: np.where(one >= 0, column[np.maximum(one, 0)], NONE) for kind, one in labels.items()}
        found = recovered(activations[split.held_out], shows, own, split.own_units, self._weights, split.seed)
        return Judged(labels, {kind: {"recovered": one} for kind, one in found.items()})

    def _labels(self, names: Mapping[str, Sequence[Named]]) -> dict[tuple[str, str], list[Labels]]:
        """Return for each judge and layer the labels of each network, the run's own first."""
        categories = [f"{one.broad_category}\0{one.category}" for one in self._split.concepts]
        allowed = {one.name: one.assessable for one in self._judges.references}
        if self._judges.truths is not None:
            allowed["truth"] = self._judges.truths
        found: dict[tuple[str, str], list[Labels]] = {}
        for name, ok in allowed.items():
            for number, (layer, (own, *others)) in enumerate(names.items()):
                trained = labels_of(own.first, own.second, ok, categories, [self._split.seed, number])
                random: list[Labels] = [
                    {UNTRAINED: np.where((one.first >= 0) & ok[np.maximum(one.first, 0)], one.first, NONE)}
                    for one in others
                ]
                found[name, layer] = [trained, *random]
        return found

    def _tuned(self, labels: Mapping[tuple[str, str], Sequence[Labels]], tuning: Mapping[str, Flags]) -> Thresholds:
        """Return the thresholds of each kind of label, tuned apart: each has its best."""
        seen: dict[tuple[str, str], list[tuple[Values, int]]] = {
            (name, kind): [] for (name, _), several in labels.items() for one in several for kind in one
        }
        held_out = torch.from_numpy(self._split.held_out)
        for layer, units in tuning.items():
            for number, activations in enumerate(self._networks(layer) if units.any() else ()):
                own = activations.columns(np.flatnonzero(units))[held_out].double().numpy().T
                for reference in self._judges.references:
                    for kind, concepts in labels[reference.name, layer][number].items():
                        seen[reference.name, kind] += zip(own, concepts[units].tolist(), strict=True)
        by_name = {one.name: one for one in self._judges.references}
        return {
            (name, kind): tuned(units, by_name[name], self._split.held_out)
            for (name, kind), units in seen.items()
            if name in by_name
        }


def _any(labels: Labels) -> bool:
    return any((one >= 0).any() for one in labels.values())
