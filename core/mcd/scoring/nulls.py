"""The null of a layer: random rankings for scorers of the top k images, permuted activations for all others."""

from __future__ import annotations

from functools import cached_property

import numpy as np
import torch

from mcd.api.ranking import Ties
from mcd.api.scorer import Scorer, TopKScorer
from mcd.scoring.activations import Activations
from mcd.scoring.calibration.dependence import drawn
from mcd.scoring.calibration.null import NullDistribution, PermutedColumns, Rankings, StratumNull
from mcd.scoring.calibration.permutation import PermutationUnits, Rows
from mcd.scoring.scores import all_scores, evidence, null_evidence
from mcd.scoring.similarity import FLOATS, Similarity
from mcd.study.calibration import Calibration

__all__ = ["Nulls"]

_GROUP = 250
"""Draws scored together where neurons do not depend on each other."""

_FEWEST = 100
"""Fewest draws that moments are taken from."""


class Nulls:
    """The null distributions of a scorer on a probe set; those of a layer are kept until the next one's are drawn.

    Parameters
    ----------
    scorer, similarity
        What is tested.
    units
        What is permuted.
    ties
        Of the scorer.
    settings
        Of significance.
    """

    def __init__(
        self, scorer: Scorer, similarity: Similarity, units: PermutationUnits, ties: Ties, settings: Calibration
    ) -> None:
        self._scorer, self._similarity, self._units, self._ties = scorer, similarity, units, ties
        self._seed = settings.null_seed
        self._moments = max(_FEWEST, settings.draws // 2)
        self._ranked: dict[bytes, StratumNull] = {}

    @cached_property
    def unconditional(self) -> torch.Tensor:
        """The evidence of random ordered k-subsets, ``(draws, concepts)``, whatever patients there are."""
        assert isinstance(self._scorer, TopKScorer)
        return null_evidence(self._scorer, self._similarity)

    def of_rankings(self, ranked: Rows, stratum: Rows, draws: int) -> NullDistribution:
        """Return the null of a layer of a scorer of the top k, given ``ranked`` ``(k, neurons)`` and their strata."""
        scorer = self._scorer
        assert isinstance(scorer, TopKScorer)
        at_once = max(_GROUP, FLOATS // max(1, scorer.top_k * self._similarity.concepts) // _GROUP * _GROUP)
        found: dict[int, StratumNull] = {}
        keys: set[bytes] = set()
        for number in np.unique(stratum).tolist():
            rankings = Rankings(self._units, ranked[:, stratum == number], self._seed)
            if rankings.key not in self._ranked:

                def statistic(start: int, stop: int, rankings: Rankings = rankings) -> torch.Tensor:
                    drawn = torch.from_numpy(np.ascontiguousarray(rankings.of(start, stop)))
                    return self._upwards(evidence(scorer, drawn, self._similarity))

                self._ranked[rankings.key] = StratumNull(statistic, self._moments, min(at_once, 4 * _GROUP))
            found[number] = self._ranked[rankings.key]
            keys.add(rankings.key)
        self._ranked = {key: self._ranked[key] for key in keys}  # other layers have the same, or none of them
        return drawn(found, draws, self._similarity.concepts, self._units.rarest)

    def of_columns(self, permuted: Activations, stratum: Rows) -> dict[int, StratumNull]:
        """Return the nulls of a layer of a scorer that uses all activations, by stratum, given what is permuted of it.

        Parameters
        ----------
        permuted
            Of the live neurons; see `mcd.api.scorer.Scorer.permuted`.
        stratum
            Of each neuron, ``(neurons,)``.
        """
        alone, neurons = self._scorer.depends_on != "layer", permuted.neurons
        # As many at once as the layer has neurons: a scorer that compares neurons then sees a layer like it.
        at_once = max(1, min(_GROUP, FLOATS // max(1, self._similarity.images))) if alone else neurons
        found: dict[int, StratumNull] = {}
        for number in np.unique(stratum).tolist():
            mine = permuted if (stratum == number).all() else permuted.of(np.flatnonzero(stratum == number))
            columns = PermutedColumns(self._units, mine, self._ties, self._seed)

            def statistic(start: int, stop: int, columns: PermutedColumns = columns) -> torch.Tensor:
                return self._upwards(all_scores(self._scorer, columns.of(start, stop), self._similarity))

            found[number] = StratumNull(statistic, self._moments, at_once)
        return found

    def _upwards(self, scores: torch.Tensor) -> torch.Tensor:
        return scores if self._scorer.higher_is_better else -scores
