"""The nulls of a layer: drawn for scorers that see top images, permuted for all others."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property

import numpy as np
import torch
from numpy.typing import NDArray

from mcd.api.scorer import Scorer, TopKScorer
from mcd.scoring.calibration.exchange import Exchange, Rows
from mcd.scoring.calibration.null import NullDistribution, PermutedColumns, Rankings
from mcd.scoring.scores import Live, all_scores, evidence, evidence_by_chance
from mcd.scoring.similarity import FLOATS, Similarity
from mcd.study.calibration import Calibration

__all__ = ["PermutationNull", "TopKNull"]


class TopKNull:
    """The null of a scorer that sees a neuron through its top k images: drawn once for all layers."""

    def __init__(
        self, scorer: TopKScorer, cosines: Similarity, exchange: Exchange, layers: Sequence[Live], settings: Calibration
    ) -> None:
        self._scorer, self._cosines = scorer, cosines
        templates = np.concatenate(
            [one.ranked.numpy() for one in layers if one.ranked is not None] or [np.zeros((1, 0), dtype=np.int64)],
            axis=1,
        )
        kind = exchange.clustering(templates)
        self._kinds = sorted(set(kind.tolist()))
        self._known: dict[int, NullDistribution] = {}
        self._rankings = Rankings(
            exchange,
            lambda drawn: evidence(scorer, torch.from_numpy(drawn), cosines),
            templates,
            kind,
            settings.null_seed,
        )

    @cached_property
    def _unconditional(self) -> torch.Tensor:
        return evidence_by_chance(self._scorer, self._cosines)

    def unconditional(self) -> torch.Tensor:
        """Return the evidence of random ordered k-subsets, ``(draws, concepts)``, whatever patients there are."""
        return self._unconditional

    def of(self, draws: int) -> NullDistribution:
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


class PermutationNull:
    """The null of a scorer that looks at all activations: its own neurons, their images exchanged."""

    def __init__(self, scorer: Scorer, cosines: Similarity, columns: PermutedColumns, kind: Rows, neurons: int) -> None:
        self._scorer, self._cosines, self._columns = scorer, cosines, columns
        # As many at once as the layer has neurons: a scorer that compares neurons then sees a layer like it.
        alone = scorer.depends_on != "layer"
        self._at_once = max(neurons, min(_GROUP, FLOATS // max(1, cosines.images))) if alone else neurons
        self._kinds = sorted(set(kind.tolist()))
        self._scores: dict[int, list[torch.Tensor]] = {one: [] for one in self._kinds}

    def of(self, draws: int) -> NullDistribution:
        """Return the null of a number of draws; what was drawn before is kept."""
        found = []
        for kind in range(max(self._kinds, default=0) + 1):
            if kind not in self._kinds:
                found.append(_nothing(self._cosines.concepts))
                continue
            kept = self._scores[kind]
            have = sum(map(len, kept))
            for start in range(have, draws, self._at_once):
                columns = self._columns.of(kind, start, min(draws, start + self._at_once))
                kept.append(all_scores(self._scorer, columns, self._cosines))
            scores = torch.cat(kept)
            found.append(_moments(scores if self._scorer.higher_is_better else -scores))
        return _chance(found)


_GROUP = 250
"""Draws scored together where neurons do not depend on each other."""

_NO_SPREAD = 1e-12
"""Standard deviation of a concept that scores the same by chance every time."""

_Moments = tuple[NDArray[np.float64], torch.Tensor, torch.Tensor]


def _moments(scores: torch.Tensor) -> _Moments:
    """Return of values by chance ``(draws, concepts)`` the highest z of each draw, sorted; mean and sd by concept."""
    if torch.isnan(scores).any():
        known = ~torch.isnan(scores)
        count = known.sum(dim=0).clamp_min(1)
        mean = torch.nan_to_num(scores).sum(dim=0, dtype=torch.float64) / count
        square = (torch.nan_to_num(scores) - mean.float()).masked_fill_(~known, 0).square_().sum(dim=0)
        sd = (square / (count - 1).clamp_min(1)).sqrt()
    else:
        sd, mean = torch.std_mean(scores, dim=0)
    sd, mean = sd.float().clamp_min(_NO_SPREAD), mean.float()
    parts = [_highest((part - mean).div_(sd)) for part in torch.split(scores, _ROWS)]
    return np.sort(torch.cat(parts).double().numpy()), mean, sd


_ROWS = 256


def _highest(z: torch.Tensor) -> torch.Tensor:
    return torch.nan_to_num_(z, nan=float("-inf")).amax(dim=1)


def _nothing(concepts: int) -> _Moments:
    return np.zeros(0), torch.zeros(concepts), torch.ones(concepts)


def _chance(found: Sequence[_Moments]) -> NullDistribution:
    return NullDistribution(
        [one[0] for one in found], torch.stack([one[1] for one in found]), torch.stack([one[2] for one in found])
    )
