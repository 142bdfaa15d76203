"""The null of a layer: random rankings for scorers of the top k images, permuted activations for all others."""

from __future__ import annotations

import copy
from collections.abc import Callable
from functools import cached_property, partial

import numpy as np
import torch

from mcd.api.base import digest
from mcd.api.ranking import Ties
from mcd.api.scorer import Scorer, TopKScorer
from mcd.networks.identity import Identity, attributes_of, identity_of
from mcd.networks.running import kind_of
from mcd.scoring.activations import Activations
from mcd.scoring.calibration.null import PermutedColumns, Rankings, StratumNull
from mcd.scoring.calibration.permutation import PermutationUnits, Rows
from mcd.scoring.kept_nulls import KeptNulls
from mcd.scoring.scores import all_scores, evidence, null_evidence
from mcd.scoring.similarity import FLOATS, Similarity
from mcd.study.calibration import Calibration
from mcd.version import __version__

__all__ = ["Nulls"]

_GROUP = 250
"""Draws scored together where neurons do not depend on each other."""

_FEWEST = 100
"""Fewest draws that moments are taken from."""

_VERSION = "nulls/1"
"""Raised when draws or what is computed of them changes, so that nulls of older versions are not used."""


class Nulls:
    """The null distributions of a scorer on a probe set; one that is kept is not drawn again.

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
    kept
        What others have drawn; None for a probe set that nobody else uses.
    """

    def __init__(
        self,
        scorer: Scorer,
        similarity: Similarity,
        units: PermutationUnits,
        ties: Ties,
        settings: Calibration,
        kept: KeptNulls | None = None,
    ) -> None:
        self._scorer, self._similarity, self._units, self._ties = scorer, similarity, units, ties
        self._seed, self._settings = settings.null_seed, settings
        self._moments = max(_FEWEST, settings.draws // 2)
        # At once: what a scorer makes for itself on the way is no part of what decides its nulls.
        identity = None if kept is None else _identity(scorer)
        shared = kept is not None and identity is not None and not identity.unknown
        self._kept = kept if kept is not None and shared else KeptNulls()
        self._of_scorer = identity.key if identity is not None and shared else ""

    @cached_property
    def _key(self) -> str:
        """Digest of what decides all nulls, besides what a layer brings; empty where nobody else has them."""
        if not self._of_scorer:
            return ""
        own, units = self._settings, self._units
        return digest(
            _VERSION,
            __version__,
            torch.__version__,
            np.__version__,
            identity_of(Nulls, StratumNull, Rankings, PermutedColumns, PermutationUnits, evidence, all_scores).key,
            self._of_scorer,
            identity_of(*self._similarity.content).key,
            *kind_of(self._similarity.device),
            self._ties.keys.tobytes(),
            units.patient.tobytes(),
            units.order.tobytes(),
            # With them the blocks of draws are the same, and so is what a scorer of whole layers computes.
            *map(str, (own.null_seed, own.draws, own.most_draws, self._moments)),
        )

    def _null(
        self, of_layer: tuple[str, bytes], statistic: Callable[[int, int], torch.Tensor], at_once: int
    ) -> StratumNull:
        key = digest(self._key, *of_layer, str(at_once))
        return StratumNull(statistic, self._moments, at_once, self._kept.find(key), partial(self._kept.put, key))

    @cached_property
    def unconditional(self) -> torch.Tensor:
        """The evidence of random ordered k-subsets, ``(draws, concepts)``, whatever patients there are."""
        scorer = self._scorer
        assert isinstance(scorer, TopKScorer)
        return self._kept.evidence(self._key, lambda: null_evidence(scorer, self._similarity))

    def of_rankings(self, ranked: Rows, stratum: Rows) -> dict[int, StratumNull]:
        """Return the nulls of a layer of a scorer of the top k, by stratum.

        Parameters
        ----------
        ranked
            Top images of each neuron, ``(k, neurons)``.
        stratum
            Of each neuron, ``(neurons,)``.
        """
        scorer = self._scorer
        assert isinstance(scorer, TopKScorer)
        at_once = max(_GROUP, FLOATS // max(1, scorer.top_k * self._similarity.concepts) // _GROUP * _GROUP)
        found: dict[int, StratumNull] = {}
        for number in np.unique(stratum).tolist():
            rankings = Rankings(self._units, ranked[:, stratum == number], self._seed)

            def statistic(start: int, stop: int, rankings: Rankings = rankings) -> torch.Tensor:
                rows = torch.from_numpy(np.ascontiguousarray(rankings.of(start, stop)))
                return self._upwards(evidence(scorer, rows, self._similarity))

            found[number] = self._null(("rankings", rankings.key), statistic, min(at_once, 4 * _GROUP))
        return found

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
        at_once = max(1, min(_GROUP, FLOATS // 4 // max(1, self._similarity.images))) if alone else neurons
        found: dict[int, StratumNull] = {}
        for number in np.unique(stratum).tolist():
            mine = permuted if (stratum == number).all() else permuted.of(np.flatnonzero(stratum == number))
            columns = PermutedColumns(self._units, mine, self._ties, self._seed)

            def statistic(start: int, stop: int, columns: PermutedColumns = columns) -> torch.Tensor:
                return self._upwards(all_scores(self._scorer, columns.of(start, stop), self._similarity))

            found[number] = self._null(("columns", columns.key), statistic, at_once)
        return found

    def _upwards(self, scores: torch.Tensor) -> torch.Tensor:
        return scores if self._scorer.higher_is_better else -scores


def _identity(scorer: Scorer) -> Identity:
    """Return what decides the numbers of a scorer and of all that it holds, ties left out."""
    held = {name: value for name, value in attributes_of(scorer).items() if name not in ("ties", "options")}
    bare = copy.copy(scorer)
    bare.ties = None
    return identity_of(bare, held)
