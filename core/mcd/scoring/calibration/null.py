"""What scores look like by chance, and how far above that a label is."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from mcd.scoring.calibration.exchange import Exchange, Rows
from mcd.scoring.calibration.fdr import QValues
from mcd.study.calibration import Correction

__all__ = ["NullDistribution", "PermutedColumns", "Rankings", "decided"]

Values = NDArray[np.float64]

_FLOATS = 2**26
"""Floats that the evidence of one null may take: 256 MiB. With very many concepts, draws end there."""


@dataclass(frozen=True)
class NullDistribution:
    """What is measured of neurons that respond to nothing in particular: scores, or the evidence of their rankings.

    Neurons are of several kinds (see `Exchange.clustering`), each with a null of its own.

    Parameters
    ----------
    highest
        For each kind the highest z over all concepts of each draw, sorted, ``(draws,)``. Taking the highest pays for
        the search over concepts; z instead of the value keeps concepts that vary much from deciding for all others.
    mean, sd
        Mean and standard deviation by concept, ``(kinds, concepts)`` float32.
    """

    highest: Sequence[Values]
    mean: torch.Tensor
    sd: torch.Tensor

    def exceeded(self, z: Values, kind: Rows) -> Values:
        """Return how often chance reaches each z, ``(neurons, labels)``; NaN where there is none."""
        found = np.full(z.shape, np.nan)
        for number, highest in enumerate(self.highest):
            mine = kind == number
            found[mine] = len(highest) - np.searchsorted(highest, z[mine], side="left")
        return np.where(np.isnan(z), np.nan, found)

    def draws(self, kind: Rows) -> Values:
        """Return how many draws each neuron is compared with, ``(neurons, 1)``."""
        return np.array([len(one) for one in self.highest], dtype=np.float64)[kind][:, None]

    def p(self, z: Values, kind: Rows) -> Values:
        """Return ``(1 + #{chance ≥ z}) / (draws + 1)`` of each z, ``(neurons, labels)``.

        It holds for the search over all concepts, and cannot go below ``1 / (draws + 1)``. Source: Phipson & Smyth
        2010, Stat. Appl. Genet. Mol. Biol. 9, equation 2; the maximum over standardised tests: Westfall & Young 1993.
        """
        return (1 + self.exceeded(z, kind)) / (1 + self.draws(kind))

    def z(self, measured: torch.Tensor, concepts: torch.Tensor, kind: torch.Tensor) -> torch.Tensor:
        """Return each value as z, in standard deviations above its mean under the null.

        It is comparable across layers and models.

        Parameters
        ----------
        measured, concepts
            ``(neurons, labels)``: values, and which concepts they are of.
        kind
            ``(neurons,)``.
        """
        mean, sd = self.mean[kind[:, None], concepts], self.sd[kind[:, None], concepts]
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
    """Rankings drawn by chance and their evidence, shared by all layers that are seen through their top k images.

    Parameters
    ----------
    exchange
        What is exchanged.
    evidence
        Returns the evidence ``(draws, concepts)`` of rankings ``(k, draws)``.
    templates
        Rankings of all neurons under study, ``(k, neurons)``: what is exchanged crowds on patients as theirs do.
    kind
        Which null each of them shares, ``(neurons,)``.
    seed
        Decides the draws.
    """

    def __init__(
        self, exchange: Exchange, evidence: Callable[[Rows], torch.Tensor], templates: Rows, kind: Rows, seed: int
    ) -> None:
        self._exchange, self._evidence, self._seed = exchange, evidence, seed
        self._templates = [templates[:, kind == number] for number in range(int(kind.max(initial=0)) + 1)]
        self._drawn: list[torch.Tensor | None] = [None] * len(self._templates)

    def of(self, kind: int, draws: int) -> torch.Tensor:
        """Return the evidence of ``draws`` rankings of one kind, ``(draws, concepts)``; fewer where memory ends."""
        kept = self._drawn[kind]
        have = 0 if kept is None else len(kept)
        if kept is not None:
            draws = min(draws, max(have, _FLOATS // max(1, kept.shape[1])))
        if have < draws:
            new = self._evidence(self._rankings(kind, have, draws))
            kept = new if kept is None else torch.cat([kept, new])
            self._drawn[kind] = kept
        assert kept is not None
        return kept[:draws]

    def _rankings(self, kind: int, start: int, stop: int) -> Rows:
        # Each block of draws has a stream of its own: going on gives what drawing all at once would have given.
        mine = self._templates[kind]
        parts = []
        for block in range(start // _BLOCK, -(-stop // _BLOCK)):
            rng = np.random.default_rng(np.random.SeedSequence([self._seed, kind, block]))
            chosen = mine[:, rng.integers(mine.shape[1], size=_BLOCK)]
            parts.append(self._exchange.moved(chosen, rng))
        drawn = np.concatenate(parts, axis=1)
        first = start - start // _BLOCK * _BLOCK
        return drawn[:, first : first + stop - start]


_BLOCK = 250


class PermutedColumns:
    """Activations of a layer's neurons with their images exchanged: what any scorer can score.

    Parameters
    ----------
    activations
        ``(images, neurons)`` float32: the layer's live neurons.
    kind
        Which null each shares, ``(neurons,)``.
    """

    def __init__(self, exchange: Exchange, activations: torch.Tensor, kind: Rows, seed: int) -> None:
        self._exchange, self._activations, self._kind, self._seed = exchange, activations, kind, seed

    def of(self, kind: int, start: int, stop: int) -> torch.Tensor:
        """Return columns ``start`` to ``stop`` of the null of one kind, ``(images, stop - start)``."""
        mine = np.flatnonzero(self._kind == kind)
        columns = []
        for block in range(start // _BLOCK, -(-stop // _BLOCK)):
            # As above: going on gives what drawing all at once would have given.
            rng = np.random.default_rng(np.random.SeedSequence([self._seed, kind, block]))
            chosen = torch.from_numpy(mine[rng.integers(len(mine), size=_BLOCK)])
            moved = torch.from_numpy(self._exchange.permutations(_BLOCK, rng))
            first, last = max(start - block * _BLOCK, 0), min(stop - block * _BLOCK, _BLOCK)
            columns.append(self._activations[:, chosen[first:last]].gather(0, moved[first:last].T))
        return torch.cat(columns, dim=1)
