"""Is a concept's score more than chance? Against the same score of random concepts.

The published test redraws negatives and compares the scores with those of random vectors by a t-test. All of a
concept's vectors share its positives, hence their sampling noise, so that a random concept is significant as soon as
there are enough vectors (``python -m benchmarks cav``). Here the positives are drawn too.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from numpy.typing import NDArray

from mcd.errors import DataError
from mcd.plugins import QValues
from mcd_plugins.cav.exchange import Exchange
from mcd_plugins.cav.scores import check_patients, magnitude, mean_sensitivity, tcav
from mcd_plugins.cav.vectors import Fitter, contrast

__all__ = ["ConceptSets", "Judged", "NullVectors", "q_values"]

Flags = NDArray[np.bool_]
Values = NDArray[np.float64]
Rows = NDArray[np.int64]

_TOGETHER = 2**22
"""Numbers in memory together: 32 MiB."""
_TIE = 1e-6
"""Statistics that differ by less, as a share of the largest, are equal."""
_CONSTANT = 1e-5
"""Gradients whose directions differ by less have one direction: what follows the layer is linear."""


@dataclass(frozen=True, eq=False)
class ConceptSets:
    """The concept as it is labelled, and random concepts: the labels of whole patients, given to others.

    A random concept exchanges the labels of patients who are alike, of the parts of each, and of the images of each
    part; see `Exchange`. It has as many images, of as many patients, as many of each, and negatives among them just as
    the real one. If a concept has nothing to do with the features (every assignment of its labels was equally likely),
    the real set and B random ones are B + 1 draws from one distribution, in random order. So are their statistics,
    whatever the layer, the class, the images of the class and the way vectors are fitted, and
    ``p = (1 + #{as extreme}) / (B + 1)`` is at most α with a chance of at most α (Phipson & Smyth 2010, Stat. Appl.
    Genet. Mol. Biol. 9). Where few patients can be exchanged p cannot be small: see `smallest` and `staying`.

    Labels that come by the breast need `parts`: of 1,000 random concepts in one breast of some patients, with half of
    the variance between patients' images that of breasts, a tenth had p ≤ .05 where images of both were shuffled. A
    concept that goes with a nuisance needs `nuisances`, and features without them (`residual`): one that occurs at one
    of two sites only, whose features vary twice as much, had p ≤ .05 in a tenth too.

    Parameters
    ----------
    patients
        Of each image, ``(n,)``; an image whose patient is not known ("") is a patient of its own.
    present, absent
        ``(n,)``: images in neither state are in no set.
    seed
        Of everything that is drawn.
    sets
        B, random concepts.
    parts, nuisances
        As in `Exchange`.

    Raises
    ------
    DataError
        When fewer than two patients have the concept, or lack it.
    """

    patients: Sequence[str]
    present: Flags
    absent: Flags
    seed: int
    sets: int = 1000
    parts: Sequence[str] | None = None
    nuisances: Sequence[Sequence[str]] = ()

    def __post_init__(self) -> None:
        check_patients(self._there, self._exchange.patient)

    @cached_property
    def known(self) -> Rows:
        """Row numbers of the images whose state is known."""
        return np.flatnonzero(self.present | self.absent)

    @cached_property
    def _there(self) -> Flags:
        return self.present[self.known]

    @cached_property
    def _exchange(self) -> Exchange:
        def known(column: Sequence[str]) -> list[str]:
            return [column[row] for row in self.known]

        parts = None if self.parts is None else known(self.parts)
        return Exchange(known(self.patients), parts, [known(one) for one in self.nuisances])

    @property
    def staying(self) -> float:
        """The share of images with the concept that keep their patient in a random set, on average, 0…1."""
        return self._exchange.staying(self._there)

    @property
    def smallest(self) -> float:
        """The chance that a random set is the real one, below which no p is: 1 over the number of different sets."""
        return self._exchange.smallest(self._there)

    def contrasts(self) -> Iterator[torch.Tensor]:
        """Yield weights ``(known, sets)`` float64 of some sets at a time; the real one comes first.

        What they mean is said at `contrast`.
        """
        rng, step = np.random.default_rng([self.seed, 0]), max(1, _TOGETHER // len(self.known))
        for start in range(0, self.sets, step):
            there = self._there[self._exchange.permutations(min(step, self.sets - start), rng)]
            own = there if start else np.concatenate([self._there[None], there])
            yield torch.stack([contrast(one, ~one) for one in own], dim=1)


@dataclass(frozen=True)
class Judged:
    """The scores of a concept for one class or later unit, and how often random concepts have as extreme ones.

    Parameters
    ----------
    tcav, magnitude, mean_sensitivity
        Of the concept, as the functions of these names.
    p_tcav
        ``(1 + #{|T_b - ½| ≥ |T - ½|}) / (B + 1)``; None where `linear`: T is 0 or 1 for every vector there is. It asks
        for the direction only. Where gradients, or features, have few directions, random concepts too have T near 0 or
        1, and no concept differs from them.
    p_sensitivity
        ``(1 + #{|A_b| ≥ |A|}) / (B + 1)``, where A is the mean product of the gradient with the vector as it was
        fitted, not of length 1: with ``pattern`` what the concept's coming changes in the output, to first order. A
        random concept's vector is as long as chance makes it.
    linear
        Whether the gradient has the same direction in all images: what follows the layer is linear, or grows with a
        linear score, as the sigmoid of one does. Of one image that cannot be said.
    images
        Those that were counted.
    silent
        Images left out because their gradient is zero.
    """

    tcav: float
    magnitude: float
    mean_sensitivity: float
    p_tcav: float | None
    p_sensitivity: float
    linear: bool
    images: int
    silent: int


@dataclass(frozen=True, eq=False)
class NullVectors:
    """The vectors of a concept and of random ones in one layer.

    Parameters
    ----------
    vectors
        ``(1 + B, d)`` float64, as they were fitted, not of length 1; the first is that of the concept itself.
    """

    vectors: torch.Tensor

    @classmethod
    def of(cls, fit: Fitter, sets: ConceptSets) -> NullVectors:
        """Fit the vectors.

        Parameters
        ----------
        fit
            Of the features of `ConceptSets.known`.
        sets
            The concept and random ones.

        Raises
        ------
        DataError
            When features do not differ between images with the concept and without.
        """
        found = torch.cat([fit(some) for some in sets.contrasts()])
        if not found[0].any():
            raise DataError(
                "the mean features of images with the concept and of those without are the same",
                "no direction follows from them; take another layer, or fewer nuisances",
            )
        return cls(found)

    def judged(self, gradients: torch.Tensor) -> Judged | None:
        """Return the scores and their p; None where every gradient is zero.

        Parameters
        ----------
        gradients
            ``(n_c, d)``: of the class logit, or of a later unit, in each image of the class, by the features that
            vectors were fitted to. Of maps pooled by their mean it is the sum over positions.

        Raises
        ------
        DataError
            When a gradient is not finite.
        """
        whole = _finite(gradients)
        length = whole.norm(dim=1)
        own, length = whole[length > 0], length[length > 0]
        if not len(own):
            return None
        shares, means = self._statistics(own)
        along = own @ (self.vectors[0] / self.vectors[0].norm())
        ways = own / length[:, None]
        linear = len(ways) > 1 and bool((ways - ways[0]).norm(dim=1).max() <= _CONSTANT)
        return Judged(
            tcav=float(shares[0]),
            magnitude=magnitude(along),
            mean_sensitivity=mean_sensitivity(along, own),
            p_tcav=None if linear else _p(np.abs(shares - 0.5)),
            p_sensitivity=_p(np.abs(means)),
            linear=linear,
            images=len(own),
            silent=len(whole) - len(own),
        )

    def _statistics(self, gradients: torch.Tensor) -> tuple[Values, Values]:
        """Return TCAV score and mean product of each set ``(1 + B,)``."""
        step = max(1, _TOGETHER // len(gradients))
        shares, means = [], []
        for start in range(0, len(self.vectors), step):
            products = gradients @ self.vectors[start : start + step].T
            shares.append(tcav(products))
            means.append(products.mean(dim=0))
        return torch.cat(shares).numpy(), torch.cat(means).numpy()

    def band(self, gradients: torch.Tensor) -> Values:
        """Return of each image ``(3, n)`` the sensitivity along the concept, and the null's 2.5 and 97.5 percentiles.

        The concept's vector has length 1. Those of random concepts are longer or shorter as they were fitted so.

        Parameters
        ----------
        gradients
            ``(n, d)``, as in `judged`.

        Raises
        ------
        DataError
            When a gradient is not finite.
        """
        vectors = self.vectors / self.vectors[0].norm()
        found = [np.empty((3, 0))]
        whole, step = _finite(gradients), max(1, _TOGETHER // len(vectors))
        for start in range(0, len(whole), step):
            sensitivities = (whole[start : start + step] @ vectors.T).numpy()
            low, high = np.percentile(sensitivities[:, 1:], [2.5, 97.5], axis=1)
            found.append(np.stack([sensitivities[:, 0], low, high]))
        return np.concatenate(found, axis=1)


def _finite(gradients: torch.Tensor) -> torch.Tensor:
    if not torch.isfinite(gradients).all():
        raise DataError("some gradients are not finite", "leave out the class, or the images that cause it")
    return gradients.detach().double()


def _p(extremity: Values) -> float:
    """Return the share of sets, the real one (the first) among them, that are as extreme as it is."""
    return float((extremity >= extremity[0] - _TIE * extremity.max()).mean())


def q_values(p: Values) -> Values:
    """Return q of a family of p, Benjamini & Hochberg's: all concepts × layers × classes. NaN stays, and counts not."""
    return QValues.of(p[~np.isnan(p)])(p)
