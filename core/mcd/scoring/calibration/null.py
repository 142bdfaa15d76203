"""The null distribution of scores, and z and p against it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from mcd.scoring.calibration.fdr import QValues
from mcd.scoring.calibration.permutation import PermutationUnits, Rows
from mcd.study.calibration import Correction

__all__ = ["NullDistribution", "PermutedColumns", "Rankings", "decided"]

Values = NDArray[np.float64]

_FLOATS = 2**26
"""Floats that the evidence of one null may take: 256 MiB. With very many concepts, draws end there."""


@dataclass(frozen=True)
class NullDistribution:
    """The null distribution of a layer: scores, or evidence, of permuted neurons.

    Each null stratum (see `PermutationUnits.null_stratum`) has a distribution of its own.

    Parameters
    ----------
    highest
        For each stratum the highest z over all concepts of each draw, sorted, ``(draws,)``. The maximum corrects
        for the search over concepts; z instead of the value keeps concepts with a large variance from dominating it.
    mean, sd
        Mean and standard deviation by concept, ``(strata, concepts)`` float32.
    """

    highest: Sequence[Values]
    mean: torch.Tensor
    sd: torch.Tensor

    def exceeded(self, z: Values, stratum: Rows) -> Values:
        """Return how many draws reach each z, ``(neurons, labels)``; NaN where there is none."""
        found = np.full(z.shape, np.nan)
        for number, highest in enumerate(self.highest):
            mine = stratum == number
            found[mine] = len(highest) - np.searchsorted(highest, z[mine], side="left")
        return np.where(np.isnan(z), np.nan, found)

    def draws(self, stratum: Rows) -> Values:
        """Return how many draws each neuron is compared with, ``(neurons, 1)``."""
        return np.array([len(one) for one in self.highest], dtype=np.float64)[stratum][:, None]

    def p(self, z: Values, stratum: Rows) -> Values:
        """Return ``(1 + #{draws ≥ z}) / (draws + 1)`` of each z, ``(neurons, labels)``.

        It is corrected for the search over all concepts; the smallest is ``1 / (draws + 1)``. Source: Phipson & Smyth
        2010, Stat. Appl. Genet. Mol. Biol. 9, equation 2; the maximum over standardised tests: Westfall & Young 1993.
        """
        return (1 + self.exceeded(z, stratum)) / (1 + self.draws(stratum))

    def z(self, measured: torch.Tensor, concepts: torch.Tensor, stratum: torch.Tensor) -> torch.Tensor:
        """Return each value as z, in standard deviations above its mean under the null.

        It is comparable across layers and models.

        Parameters
        ----------
        measured, concepts
            ``(neurons, labels)``: values, and which concepts they are of.
        stratum
            ``(neurons,)``.
        """
        mean, sd = self.mean[stratum[:, None], concepts], self.sd[stratum[:, None], concepts]
        return (measured - mean) / sd


def decided(exceeded: Values, draws: Values, q: float, correction: Correction) -> bool:
    """Say whether more draws could not change which neurons are significant.

    Each count of exceedances is moved two standard deviations down, then up; when the same neurons are
    significant in both, the layer is decided. None in B draws may still be one in B/3 (the rule of three).

    Parameters
    ----------
    exceeded, draws
        ``(neurons,)``: of the best score of each.
    """
    if not len(exceeded):
        return True
    rate = exceeded / draws
    spread = 2 * np.sqrt(rate * (1 - rate) / draws)
    low = np.where(exceeded == 0, 0.0, np.maximum(0.0, rate - spread))
    high = np.where(exceeded == 0, 3 / draws, np.minimum(1.0, rate + spread))
    optimistic, pessimistic = (QValues.of(one, correction)(one) <= q for one in (low, high))
    return bool(np.array_equal(optimistic, pessimistic))


class Rankings:
    """Rankings drawn under the null and their evidence, shared by all layers of a scorer of the top k images.

    Parameters
    ----------
    units
        What is permuted.
    evidence
        Returns the evidence ``(draws, concepts)`` of rankings ``(k, draws)``.
    templates
        Rankings of all neurons under study, ``(k, neurons)``: permuted rankings cluster on patients as these do.
    stratum
        Null stratum of each, ``(neurons,)``.
    seed
        Decides the draws.
    """

    def __init__(
        self,
        units: PermutationUnits,
        evidence: Callable[[Rows], torch.Tensor],
        templates: Rows,
        stratum: Rows,
        seed: int,
    ) -> None:
        self._units, self._evidence, self._seed = units, evidence, seed
        self._templates = [templates[:, stratum == number] for number in range(int(stratum.max(initial=0)) + 1)]
        self._drawn: list[torch.Tensor | None] = [None] * len(self._templates)

    def of(self, stratum: int, draws: int) -> torch.Tensor:
        """Return the evidence of ``draws`` rankings of one stratum, ``(draws, concepts)``; fewer where memory ends."""
        kept = self._drawn[stratum]
        have = 0 if kept is None else len(kept)
        if kept is not None:
            draws = min(draws, max(have, _FLOATS // max(1, kept.shape[1])))
        if have < draws:
            new = self._evidence(self._rankings(stratum, have, draws))
            kept = new if kept is None else torch.cat([kept, new])
            self._drawn[stratum] = kept
        assert kept is not None
        return kept[:draws]

    def _rankings(self, stratum: int, start: int, stop: int) -> Rows:
        # Each block of draws has a stream of its own: going on gives what drawing all at once would have given.
        mine = self._templates[stratum]
        parts = []
        for block in range(start // _BLOCK, -(-stop // _BLOCK)):
            rng = np.random.default_rng(np.random.SeedSequence([self._seed, stratum, block]))
            chosen = mine[:, rng.integers(mine.shape[1], size=_BLOCK)]
            parts.append(self._units.permuted(chosen, rng))
        drawn = np.concatenate(parts, axis=1)
        first = start - start // _BLOCK * _BLOCK
        return drawn[:, first : first + stop - start]


_BLOCK = 250


class PermutedColumns:
    """Activations of a layer's neurons with permuted images, which any scorer can score.

    Parameters
    ----------
    activations
        ``(images, neurons)`` float32: the layer's live neurons.
    stratum
        Null stratum of each, ``(neurons,)``.
    """

    def __init__(self, units: PermutationUnits, activations: torch.Tensor, stratum: Rows, seed: int) -> None:
        self._units, self._activations, self._stratum, self._seed = units, activations, stratum, seed

    def of(self, stratum: int, start: int, stop: int) -> torch.Tensor:
        """Return columns ``start`` to ``stop`` of the null of one stratum, ``(images, stop - start)``."""
        mine = np.flatnonzero(self._stratum == stratum)
        columns = []
        for block in range(start // _BLOCK, -(-stop // _BLOCK)):
            # As above: going on gives what drawing all at once would have given.
            rng = np.random.default_rng(np.random.SeedSequence([self._seed, stratum, block]))
            chosen = torch.from_numpy(mine[rng.integers(len(mine), size=_BLOCK)])
            moved = torch.from_numpy(self._units.permutations(_BLOCK, rng))
            first, last = max(start - block * _BLOCK, 0), min(stop - block * _BLOCK, _BLOCK)
            columns.append(self._activations[:, chosen[first:last]].gather(0, moved[first:last].T))
        return torch.cat(columns, dim=1)
