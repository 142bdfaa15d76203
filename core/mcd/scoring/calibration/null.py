"""The null distribution of scores, and z and p against it."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from mcd.api.ranking import Ties
from mcd.scoring.activations import Activations
from mcd.scoring.calibration.fdr import QValues
from mcd.scoring.calibration.permutation import PermutationUnits, Rows
from mcd.scoring.calibration.tail import ENOUGH, Tail
from mcd.study.calibration import Correction

__all__ = ["Discoveries", "Drawn", "NullDistribution", "PermutedColumns", "Rankings", "StratumNull", "discoveries"]

Values = NDArray[np.float64]
Bools = NDArray[np.bool_]

_FLOATS = 2**26
"""Floats that the draws in hand may take: 256 MiB."""

_SMALLEST = 1e-12
"""No p of a tail is smaller: so far out, a model is no evidence."""


@dataclass(frozen=True)
class NullDistribution:
    """The null distribution of a layer: statistics of permuted units.

    Each null stratum (see `PermutationUnits.null_stratum`) has a distribution of its own.

    Parameters
    ----------
    highest
        For each stratum the highest z over all concepts of each draw, sorted, ``(draws,)``. The maximum corrects
        for the search over concepts; z instead of the value keeps concepts with a large variance from dominating it.
    mean, sd
        Mean and standard deviation by concept, ``(strata, concepts)`` float32, of other draws than those.
    tails
        For each stratum what goes on beyond the draws; None where nothing fits.
    rarest
        The chance of a single permutation, below which no p can be.
    """

    highest: Sequence[Values]
    mean: torch.Tensor
    sd: torch.Tensor
    tails: Sequence[Tail | None] = ()
    rarest: float = 0.0

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
        """Return the p of each z, ``(neurons, labels)``, corrected for the search over all concepts.

        ``(1 + #{draws ≥ z}) / (draws + 1)`` where `ENOUGH` draws reach it, or where the draws have no tail that fits;
        elsewhere that of the tail. Source: Phipson & Smyth 2010, Stat. Appl. Genet. Mol. Biol. 9, equation 2; the
        maximum over standardised tests: Westfall & Young 1993; the tail: Knijnenburg et al. 2009.
        """
        p = (1 + self.exceeded(z, stratum)) / (1 + self.draws(stratum))
        beyond = self.by_tail(z, stratum)
        for number, tail in enumerate(self.tails):
            mine = beyond & (stratum == number)[:, None]
            if tail is not None and mine.any():
                p[mine] = np.clip(tail.p(z[mine]), self._least, self._edge(number))
        return p

    def by_tail(self, z: Values, stratum: Rows) -> Bools:
        """Say of each z whether its p is that of a tail, ``(neurons, labels)``."""
        fits = np.array([tail is not None for tail in self.tails] or [False] * len(self.highest), dtype=bool)
        found: Bools = fits[stratum][:, None] & (self.exceeded(z, stratum) < ENOUGH)
        return found

    def critical(self, p: float) -> Values:
        """Return the z that must be exceeded for a p of at most this, ``(strata,)``: infinite where none is enough."""
        return np.array([self._critical(number, p) for number in range(len(self.highest))], dtype=np.float64)

    def _critical(self, number: int, p: float) -> float:
        highest, tail = self.highest[number], self.tails[number] if self.tails else None
        allowed = int(np.floor(p * (len(highest) + 1) + 1e-9)) - 1  # (1 + exceeded) / (draws + 1) ≤ p
        if tail is not None and allowed < ENOUGH:
            if p < self._least:
                return np.inf
            reached = tail.reaching(p)
            return max(float(highest[-ENOUGH]), reached - _ROUNDING * abs(reached))
        if allowed < 0:
            return np.inf
        return float(highest[-allowed - 1]) if allowed < len(highest) else -np.inf

    @property
    def _least(self) -> float:
        return max(_SMALLEST, self.rarest)

    def _edge(self, number: int) -> float:
        """Return the p where counting begins: none of the tail is larger, so that p falls with z."""
        return max(self._least, (1 + ENOUGH) / (1 + len(self.highest[number])))

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


_ROUNDING = 1e-6
"""By what a z of float32 may differ from itself."""


@dataclass(frozen=True)
class Discoveries:
    """Which neurons would be significant if the draws were kind to them, and if they were not, ``(neurons,)`` each."""

    most: Bools
    least: Bools


def discoveries(exceeded: Values, draws: Values, q: float, correction: Correction) -> Discoveries:
    """Return what more draws could change.

    Each count of exceedances is moved two standard deviations down, then up. None in B draws may still be one in B/3
    (the rule of three).

    Parameters
    ----------
    exceeded, draws
        ``(neurons,)``: of the best score of each.
    """
    if not len(exceeded):
        return Discoveries(np.zeros(0, dtype=bool), np.zeros(0, dtype=bool))
    rate = exceeded / draws
    spread = 2 * np.sqrt(rate * (1 - rate) / draws)
    low = np.where(exceeded == 0, 0.0, np.maximum(0.0, rate - spread))
    high = np.where(exceeded == 0, 3 / draws, np.minimum(1.0, rate + spread))
    most, least = (QValues.of(one, correction)(one) <= q for one in (low, high))
    return Discoveries(most, least)


@dataclass
class Drawn:
    """What was drawn of a null so far.

    Parameters
    ----------
    mean, sd
        By concept, ``(concepts,)`` float32.
    highest
        The highest z over all concepts of each draw, in the order of draws, ``(draws,)``.
    """

    mean: torch.Tensor
    sd: torch.Tensor
    highest: Values

    @property
    def nbytes(self) -> int:
        """What it takes in memory."""
        return self.mean.nbytes + self.sd.nbytes + self.highest.nbytes


class StratumNull:
    """The null distribution of one stratum, drawn as far as it is asked for.

    Moments come from draws of their own. With those of the draws that are compared, a draw that reaches a rare value
    would widen what it is held against, and an observed one would not: few values, as those of overlaps, were too
    often significant.

    Parameters
    ----------
    statistic
        Returns the statistic ``(stop - start, concepts)``, the higher the better, of draws ``start`` to ``stop``,
        always the same.
    moments
        From how many draws mean and standard deviation are taken.
    at_once
        How many draws are asked for at once.
    drawn
        What was drawn of the same null before, which is gone on with; None for nothing.
    keep
        Is given what was drawn whenever it is more.
    """

    def __init__(
        self,
        statistic: Callable[[int, int], torch.Tensor],
        moments: int,
        at_once: int,
        drawn: Drawn | None = None,
        keep: Callable[[Drawn], None] = lambda drawn: None,
    ) -> None:
        self._statistic, self._moments, self._at_once, self._keep = statistic, moments, at_once, keep
        if drawn is None:
            parts = [statistic(start, min(moments, start + at_once)) for start in range(0, moments, at_once)]
            drawn = Drawn(*_moments(torch.cat(parts)), np.zeros(0))
            keep(drawn)
        self._drawn = drawn

    @property
    def mean(self) -> torch.Tensor:
        """The mean by concept, ``(concepts,)``."""
        return self._drawn.mean

    @property
    def sd(self) -> torch.Tensor:
        """The standard deviation by concept, ``(concepts,)``."""
        return self._drawn.sd

    def highest(self, draws: int) -> Values:
        """Return the highest z over all concepts of each draw, sorted, ``(draws,)``."""
        parts = [self._drawn.highest]
        for start in range(len(self._drawn.highest), draws, self._at_once):
            stop = min(draws, start + self._at_once)
            z = (self._statistic(self._moments + start, self._moments + stop) - self.mean) / self.sd
            parts.append(torch.nan_to_num_(z, nan=float("-inf")).amax(dim=1).double().numpy())
        if len(parts) > 1:
            self._drawn.highest = np.concatenate(parts)
            self._keep(self._drawn)
        return np.sort(self._drawn.highest[:draws])


NO_SPREAD = 1e-12
"""Smallest standard deviation of a concept under the null."""


def _moments(drawn: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Return mean and standard deviation by concept of draws ``(draws, concepts)``, those without a value left out."""
    known = ~torch.isnan(drawn)
    if known.all():
        sd, mean = torch.std_mean(drawn, dim=0)
    else:
        count = known.sum(dim=0).clamp_min(1)
        mean = (torch.nan_to_num(drawn).sum(dim=0, dtype=torch.float64) / count).float()
        square = (torch.nan_to_num(drawn) - mean).masked_fill_(~known, 0).square_().sum(dim=0)
        sd = (square / (count - 1).clamp_min(1)).sqrt()
    return mean, sd.clamp_min(NO_SPREAD)


def _seed(content: bytes, null_seed: int) -> list[int]:
    """Return the seed of a null: it follows from its content, never from where a layer or a neuron stands."""
    found = hashlib.blake2b(content, digest_size=16).digest()
    return [null_seed, int.from_bytes(found[:8], "little"), int.from_bytes(found[8:], "little")]


class Rankings:
    """Rankings drawn under the null, for a scorer of the top k images.

    Parameters
    ----------
    units
        What is permuted.
    templates
        Rankings of the neurons of one stratum, ``(k, neurons)``: permuted rankings cluster on patients as these do.
        Where patients do not matter, neither do they.
    null_seed
        With the content of the templates, it decides the draws.

    Attributes
    ----------
    key
        Nulls with equal keys are equal.
    """

    def __init__(self, units: PermutationUnits, templates: Rows, null_seed: int) -> None:
        self._units = units
        places = units.places[templates] if units.blocks else templates[:, :0]
        order = np.lexsort(places[::-1])  # by content: it does not matter where a neuron stands
        self._templates = templates[:, order]
        self.key = f"{len(templates)}:".encode() + np.ascontiguousarray(places[:, order]).tobytes()
        self._k, self._seed = len(templates), _seed(self.key, null_seed)

    def of(self, start: int, stop: int) -> Rows:
        """Return the rankings of draws ``start`` to ``stop``, ``(k, stop - start)``."""
        # Each block of draws has a stream of its own: going on gives what drawing all at once would have given.
        parts = []
        for block in range(start // _BLOCK, -(-stop // _BLOCK)):
            rng = np.random.default_rng(np.random.SeedSequence([*self._seed, block]))
            if self._units.blocks:
                parts.append(
                    self._units.permuted(self._templates[:, rng.integers(self._templates.shape[1], size=_BLOCK)], rng)
                )
            else:
                parts.append(self._units.permuted(np.zeros((self._k, _BLOCK), dtype=np.int64), rng))
        first = start - start // _BLOCK * _BLOCK
        return np.concatenate(parts, axis=1)[:, first : first + stop - start]


_BLOCK = 250


class PermutedColumns:
    """Activations of the neurons of one stratum with permuted images, which any scorer can score.

    Parameters
    ----------
    units
        What is permuted.
    activations
        Of the live neurons of the stratum.
    ties
        By which the content of neurons is known.
    null_seed
        With the content, it decides the draws.

    Attributes
    ----------
    key
        Nulls with equal keys are equal.
    """

    def __init__(self, units: PermutationUnits, activations: Activations, ties: Ties, null_seed: int) -> None:
        self._units, self._activations = units, activations
        digests = np.concatenate(activations.each(ties.digests))
        self._order = np.argsort(digests, kind="stable")  # by content: it does not matter where a neuron stands
        self.key = digests[self._order].tobytes()
        self._seed = _seed(self.key, null_seed)

    def of(self, start: int, stop: int) -> torch.Tensor:
        """Return draws ``start`` to ``stop``, ``(images, stop - start)``."""
        found = torch.empty(self._activations.images, stop - start)
        table = found.numpy()
        for block in range(start // _BLOCK, -(-stop // _BLOCK)):
            # As above: going on gives what drawing all at once would have given.
            rng = np.random.default_rng(np.random.SeedSequence([*self._seed, block]))
            chosen = torch.from_numpy(self._order[rng.integers(len(self._order), size=_BLOCK)])
            here = block * _BLOCK - start
            first, last = max(0, -here), min(_BLOCK, stop - start - here)
            held, which = self._activations.among(chosen[first:last])
            for draws, places, sources in self._units.moves(_BLOCK, rng, first, last):
                # A neuron's values side by side, so that what is read at random comes from the cache.
                columns = held.index_select(1, which[draws.start - first : draws.stop - first]).T.contiguous()
                moved = columns.gather(1, torch.from_numpy(sources)).T.contiguous()
                table[places, here + draws.start : here + draws.stop] = moved.numpy()
        return found
