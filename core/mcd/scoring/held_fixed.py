"""The second rung: labels tested with how an image was taken, and its global statistics, held fixed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from numpy.typing import NDArray

from mcd.api.scorer import Scorer, TopKScorer
from mcd.scoring.activations import Activations, split
from mcd.scoring.calibration.nuisances import Nuisances
from mcd.scoring.calibration.own_null import DRAWS, FIRST_DRAWS, FUTILE, MOMENTS, own_null
from mcd.scoring.calibration.permutation import PermutationUnits, Rows
from mcd.scoring.calibration.strata import Strata
from mcd.scoring.scores import all_scores, evidence
from mcd.scoring.similarity import FLOATS, Similarity

__all__ = ["HeldFixed"]

Values = NDArray[np.float64]

_MOST_FIXED = 0.9
"""Share of the images that keep their place within strata beyond which nothing can be said."""
_FEW_MOVE = 0.25
"""Share of the images that keep their place from which that is said."""

_BLOCK = 50
"""Permutations drawn at once."""
_COPIES = 4
"""How many copies of columns there are at once."""
_AT_ONCE = 1024
"""Units, those of several draws, that are scored together."""


class _Residual(Similarity):
    """What of P the nuisances do not give."""

    def __init__(self, base: Similarity, nuisances: Nuisances) -> None:
        self._base, self._nuisances = base, nuisances
        self.images, self.concepts, self.device = base.images, base.concepts, base.device

    @cached_property
    def kept(self) -> torch.Tensor | None:
        return self.to(slice(0, self.concepts)) if self.images * self.concepts <= FLOATS else None

    def of(self, rows: torch.Tensor) -> torch.Tensor:
        return self.whole()[rows]

    def to(self, concepts: slice) -> torch.Tensor:
        return self._nuisances.residuals(self._base.to(concepts))


@dataclass(frozen=True)
class HeldFixed:
    """Tests first concepts with the nuisances of the images held fixed.

    What is scored and permuted are the residuals of A (Freedman & Lane 1983). A scorer that takes residuals is given
    those of P too. Any other needs P as it is: its images change places only within strata.

    Parameters
    ----------
    scorer, similarity, units
        As of the first rung.
    nuisances
        What is held fixed.
    seed
        Of the draws.
    """

    scorer: Scorer
    similarity: Similarity
    units: PermutationUnits
    nuisances: Nuisances
    seed: int

    @cached_property
    def _residual(self) -> bool:
        """Whether the scorer is given residuals of P: not where it takes none, or of some images P is not known."""
        kept = self.similarity.kept
        return self.scorer.takes_residuals and not (kept is not None and bool(kept.isnan().any()))

    @cached_property
    def _strata(self) -> Strata:
        return Strata(self.units, self.nuisances.cell, self.nuisances.appearance)

    @property
    def problem(self) -> str:
        """Why it cannot be said of this scorer, or an empty text."""
        if self._residual or self._strata.fixed <= _MOST_FIXED:
            return ""
        return f"{self._strata.fixed:.0%} of the images have no other like them to change places with"

    @property
    def caution(self) -> str:
        """What is to be said of it; mostly nothing: an empty text."""
        if self._residual or self.problem or self._strata.fixed <= _FEW_MOVE:
            return ""
        return (
            f"beyond nuisances: {self._strata.fixed:.0%} of the images have no other like them to change places with, "
            "so that few labels can pass; a scorer that takes residuals, such as pearson, has no such limit"
        )

    def test(self, live: Activations, chosen: Rows, first: torch.Tensor) -> tuple[Values, Values]:
        """Return z and p of the first concepts of some units, ``(chosen,)`` each; NaN where it cannot be tested.

        Parameters
        ----------
        live
            Activations of the live units of a layer.
        chosen, first
            ``(chosen,)``: which of the units, and the concept of each.
        """
        if not len(chosen):
            return np.zeros(0), np.zeros(0)
        testable = self._testable(first)
        z, p = self._compared(live, chosen, first, FIRST_DRAWS)
        left = np.flatnonzero((p < FUTILE) & testable)
        if len(left):
            z[left], p[left] = self._compared(live, chosen[left], first[torch.from_numpy(left)], DRAWS)
        return np.where(testable, z, np.nan), np.where(testable, p, np.nan)

    def _testable(self, concepts: torch.Tensor) -> NDArray[np.bool_]:
        """Say of concepts whether anything of them is left, ``(concepts,)``."""
        some = [
            self.nuisances.testable(self.similarity.columns(concepts[at].tolist()))
            for at in split(self.similarity.images, len(concepts), _COPIES)
        ]
        found: NDArray[np.bool_] = torch.cat(some).numpy()
        return found

    def _compared(self, live: Activations, chosen: Rows, first: torch.Tensor, draws: int) -> tuple[Values, Values]:
        """Return z and p of the first concepts, from so many draws."""
        if isinstance(self.scorer, TopKScorer):
            return self._against(*self._rankings(self.scorer, live, chosen, MOMENTS + draws), first)
        parts = []
        for at in split(live.images, len(chosen), _COPIES):
            parts.append(self._against(*self._columns(live, chosen[at], MOMENTS + draws), first[at]))
        z, p = (np.concatenate(some) for some in zip(*parts, strict=True))
        return z, p

    def _against(
        self, observed: torch.Tensor, drawn: Iterator[torch.Tensor], first: torch.Tensor
    ) -> tuple[Values, Values]:
        """Return z and p of the first concepts of units, each beside its own draws."""
        null = own_null(drawn, 0.0 if self._residual else self._strata.rarest)
        stratum = np.arange(len(first))
        z = null.z(observed.gather(1, first[:, None]), first[:, None], torch.from_numpy(stratum)).double().numpy()
        p = np.where(np.isnan(z), 1.0, null.p(np.nan_to_num(z, nan=-np.inf), stratum))
        return z[:, 0], p[:, 0]

    def _rankings(
        self, scorer: TopKScorer, live: Activations, chosen: Rows, draws: int
    ) -> tuple[torch.Tensor, Iterator[torch.Tensor]]:
        """Return the statistic of the chosen units and all concepts, and that of every draw."""
        tops = []
        for at in split(live.images, len(chosen), _COPIES):
            left = self.nuisances.residuals(live.columns(chosen[at]))
            tops.append(scorer.top_images(left, scorer.top_k))
        ranked = torch.cat(tops, dim=1)

        def of_rankings(rows: torch.Tensor) -> torch.Tensor:
            return evidence(scorer, rows, self.similarity)

        # the top images of A[moved] stand where those of A have gone
        return self._upwards(of_rankings(ranked)), self._drawn(
            of_rankings, lambda moved: torch.from_numpy(np.argsort(moved))[ranked], len(chosen), draws, scorer.top_k
        )

    def _columns(self, live: Activations, chosen: Rows, draws: int) -> tuple[torch.Tensor, Iterator[torch.Tensor]]:
        """Return the statistic of the chosen units and all concepts, and that of every draw."""
        scorer, held = self.scorer, self.nuisances
        whole = scorer.depends_on == "layer"
        left = held.residuals(live.held().values if whole else live.columns(chosen))
        similarity = _Residual(self.similarity, held) if self._residual else self.similarity

        def of_columns(values: torch.Tensor) -> torch.Tensor:
            scores = all_scores(scorer, values, similarity)
            return scores[torch.from_numpy(chosen)] if whole else scores

        def moved_columns(moved: Rows) -> torch.Tensor:
            values = left[torch.from_numpy(moved)]
            return held.residuals(values) if self._residual else values

        units = max(_AT_ONCE, len(chosen)) if whole else len(chosen)
        return self._upwards(of_columns(left)), self._drawn(of_columns, moved_columns, units, draws, live.images)

    def _drawn(
        self,
        statistic: Callable[[torch.Tensor], torch.Tensor],
        permuted: Callable[[Rows], torch.Tensor],
        units: int,
        draws: int,
        images: int,
    ) -> Iterator[torch.Tensor]:
        """Yield the statistic of every draw; several are computed at once where units are few, of so many images."""
        at_once = max(1, min(_AT_ONCE, FLOATS // images) // units)
        for start in range(0, draws, _BLOCK):
            rng = np.random.default_rng(np.random.SeedSequence([self.seed, start]))
            of = self.units if self._residual else self._strata
            block = of.permutations(min(_BLOCK, draws - start), rng)
            for at in range(0, len(block), at_once):
                some = [permuted(moved) for moved in block[at : at + at_once]]
                found = self._upwards(statistic(torch.cat(some, dim=1)))
                yield from found.view(len(some), -1, found.shape[1])

    def _upwards(self, scores: torch.Tensor) -> torch.Tensor:
        return scores if self.scorer.higher_is_better else -scores
