"""The null of a layer: random rankings for scorers of the top k images, permuted activations for all others."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property

import numpy as np
import torch
from numpy.typing import NDArray

from mcd.api.scorer import Scorer, TopKScorer
from mcd.scoring.calibration.null import NullDistribution, PermutedColumns, Rankings
from mcd.scoring.calibration.permutation import PermutationUnits, Rows
from mcd.scoring.scores import Live, all_scores, evidence, null_evidence
from mcd.scoring.similarity import FLOATS, Similarity
from mcd.study.calibration import Calibration

__all__ = ["PermutationNull", "TopKNull"]


class TopKNull:
    """The null of a scorer of the top k images: drawn once for all layers."""

    def __init__(
        self,
        scorer: TopKScorer,
        similarity: Similarity,
        units: PermutationUnits,
        layers: Sequence[Live],
        settings: Calibration,
    ) -> None:
        self._scorer, self._similarity = scorer, similarity
        templates = np.concatenate(
            [one.ranked.numpy() for one in layers if one.ranked is not None] or [np.zeros((1, 0), dtype=np.int64)],
            axis=1,
        )
        stratum = units.null_stratum(templates)
        self._strata = sorted(set(stratum.tolist()))
        self._known: dict[int, NullDistribution] = {}
        self._rankings = Rankings(
            units,
            lambda drawn: evidence(scorer, torch.from_numpy(drawn), similarity),
            templates,
            stratum,
            settings.null_seed,
        )

    @cached_property
    def _unconditional(self) -> torch.Tensor:
        return null_evidence(self._scorer, self._similarity)

    def unconditional(self) -> torch.Tensor:
        """Return the evidence of random ordered k-subsets, ``(draws, concepts)``, whatever patients there are."""
        return self._unconditional

    def of(self, draws: int) -> NullDistribution:
        """Return the null of a number of draws, the same for every layer."""
        if draws not in self._known:
            found = []
            for stratum in range(max(self._strata, default=0) + 1):
                if stratum in self._strata:
                    null = self._rankings.of(stratum, draws)
                    found.append(_moments(null if self._scorer.higher_is_better else -null))
                else:
                    found.append(_nothing(self._similarity.concepts))
            self._known[draws] = _distribution(found)
        return self._known[draws]


class PermutationNull:
    """The null of a scorer that uses all activations: the layer's own neurons with permuted images."""

    def __init__(
        self, scorer: Scorer, similarity: Similarity, columns: PermutedColumns, stratum: Rows, neurons: int
    ) -> None:
        self._scorer, self._similarity, self._columns = scorer, similarity, columns
        # As many at once as the layer has neurons: a scorer that compares neurons then sees a layer like it.
        alone = scorer.depends_on != "layer"
        self._at_once = max(neurons, min(_GROUP, FLOATS // max(1, similarity.images))) if alone else neurons
        self._strata = sorted(set(stratum.tolist()))
        self._scores: dict[int, list[torch.Tensor]] = {one: [] for one in self._strata}

    def of(self, draws: int) -> NullDistribution:
        """Return the null of a number of draws; what was drawn before is kept."""
        found = []
        for stratum in range(max(self._strata, default=0) + 1):
            if stratum not in self._strata:
                found.append(_nothing(self._similarity.concepts))
                continue
            kept = self._scores[stratum]
            have = sum(map(len, kept))
            for start in range(have, draws, self._at_once):
                columns = self._columns.of(stratum, start, min(draws, start + self._at_once))
                kept.append(all_scores(self._scorer, columns, self._similarity))
            scores = torch.cat(kept)
            found.append(_moments(scores if self._scorer.higher_is_better else -scores))
        return _distribution(found)


_GROUP = 250
"""Draws scored together where neurons do not depend on each other."""

_NO_SPREAD = 1e-12
"""Smallest standard deviation of a concept under the null."""

_Moments = tuple[NDArray[np.float64], torch.Tensor, torch.Tensor]


def _moments(scores: torch.Tensor) -> _Moments:
    """Return the highest z of each draw, sorted, and mean and sd by concept, of null scores ``(draws, concepts)``."""
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


def _distribution(found: Sequence[_Moments]) -> NullDistribution:
    return NullDistribution(
        [one[0] for one in found], torch.stack([one[1] for one in found]), torch.stack([one[2] for one in found])
    )
