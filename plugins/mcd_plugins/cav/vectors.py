"""Concept activation vectors: the direction of a layer's features in which a concept is present."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, get_args

import numpy as np
import torch
from numpy.typing import NDArray

from mcd.errors import DataError, UsageError

__all__ = ["METHODS", "Fitter", "Method", "contrast", "residual"]

Method = Literal["pattern", "ridge", "logistic"]
METHODS: tuple[Method, ...] = get_args(Method)
"""How a vector is fitted; the first is the default."""

Flags = NDArray[np.bool_]

_RANK = 1e-10
"""An axis of the features that varies less, as a share of the one that varies most, is rounding error."""
_NOTHING = 1e-6
"""A difference of means that is shorter, as a share of the features' spread, is rounding error."""
_LEAST = 1e-6
"""The penalty is not below this shrinkage: images that outnumber everything would leave none."""
_STEPS, _CLOSE = 500, 1e-6
"""Most steps of logistic regression, and the relative change of the vector at which it stops."""


def contrast(present: Flags, absent: Flags) -> torch.Tensor:
    """Return weights ``(n,)`` float64 by which images add to mean of present − mean of absent."""
    weights = present / max(1, present.sum()) - absent / max(1, absent.sum())
    return torch.from_numpy(weights)


class Fitter:
    """Fits vectors of one layer to any number of concept sets.

    All methods act on features as they are: none is standardised. A channel that hardly varies would otherwise be
    scaled up, and decide the direction. The same factor on all features changes no vector.

    ``pattern``
        Mean of present − mean of absent, which is cov(h, y) / var(y): what changes in the features when the concept
        does (Haufe et al. 2014, NeuroImage 87; for concepts Pahde et al. 2022, arXiv 2202.03482). Correlated noise does
        not turn it.
    ``ridge``
        ``((1 - ρ) C + ρ μ I)⁻¹`` times the pattern, with the covariance C of all known images and μ its mean
        eigenvalue: the weights of ridge regression of y on h with penalty ``n ρ μ / (1 - ρ)``, those of linear
        discriminant analysis. ρ is Ledoit & Wolf's (2004, J. Multivar. Anal. 88, equation 14): it needs no labels, no
        cross-validation and no scale, and works with more features than images.
    ``logistic``
        The weights of logistic regression with an intercept, and a quarter of the ridge's penalty: where the fit
        starts, its curvature is a quarter of that of squares.

    Parameters
    ----------
    features
        ``(n, d)`` float: of all images whose state is known.
    method
        One of `METHODS`.

    Raises
    ------
    DataError
        When features are not finite, or the same in all images.
    """

    def __init__(self, features: torch.Tensor, method: Method) -> None:
        if method not in METHODS:
            raise UsageError(f"there is no method '{method}'", f"take one of {', '.join(METHODS)}")
        if not torch.isfinite(features).all():
            raise DataError("some features are not finite", "leave out the layer, or the images that cause it")
        self.method = method
        whole = features.double()
        self._mean = whole.mean(dim=0)
        self._centred = whole - self._mean
        self.spread = float(self._centred.square().sum(dim=1).mean().sqrt())
        if not ((whole - whole[0]).abs() > _NOTHING * self._mean.abs()).any():
            raise DataError("the features are the same in all images", "take another layer")
        if method != "pattern":
            self._decompose()

    def _decompose(self) -> None:
        """Find principal axes ``(r, d)``, images along them ``(n, r)``, their variances, and the penalty."""
        x = self._centred
        n, d = x.shape
        if d <= n:
            values, axes = torch.linalg.eigh(x.T @ x / n)
            keep = values > _RANK * values[-1]
            self._variance, self._axes = values[keep], axes[:, keep].T
            self._along = x @ axes[:, keep]
        else:
            values, left = torch.linalg.eigh(x @ x.T / n)
            keep = values > _RANK * values[-1]
            self._variance = values[keep]
            scale = (n * self._variance).sqrt()
            self._along = left[:, keep] * scale
            self._axes = (left[:, keep].T @ x) / scale[:, None]
        mean = float(self._variance.sum()) / d
        share = max(_LEAST, self.shrinkage())
        # divided by 1 - ρ this is C + penalty · I; as it stands it may be shrunk entirely
        self._shrunk = (1 - share) * self._variance + share * mean
        self._penalty = share * mean / max(1 - share, _LEAST)

    def shrinkage(self) -> float:
        """Return Ledoit & Wolf's ρ, 0…1."""
        n, d = self._centred.shape
        mean, squared = float(self._variance.sum()) / d, float(self._variance.square().sum())
        apart = squared / d - mean**2
        noise = (float(self._centred.square().sum(dim=1).square().mean()) - squared) / (d * n)
        return min(noise, apart) / apart if apart > 0 and noise > 0 else 0.0

    def __call__(self, contrasts: torch.Tensor) -> torch.Tensor:
        """Return vectors ``(sets, d)`` float64, pointing to present; zero where the mean features do not differ.

        Their length is that of the difference or of the weights: with labels that say nothing it is that of chance.

        Parameters
        ----------
        contrasts
            ``(n, sets)`` float64: of each set what `contrast` gives; images with weight 0 are not in it.
        """
        if self.method == "logistic":
            found = self._logistic(contrasts).T @ self._axes
        elif self.method == "ridge":
            found = (contrasts.T @ self._along / self._shrunk) @ self._axes
        else:
            found = contrasts.T @ self._centred
        there = (contrasts.T @ self._centred).norm(dim=1) > _NOTHING * self.spread
        return torch.where(there[:, None], found, 0.0)

    def _logistic(self, contrasts: torch.Tensor) -> torch.Tensor:
        """Return weights ``(r, sets)``, fitted to all sets at once.

        By Newton's method with the bound of the Hessian that does not depend on the weights, hence is one for all sets
        (Böhning & Lindsay 1988, Ann. Inst. Stat. Math. 40), and momentum, restarted where it leads uphill (O'Donoghue &
        Candès 2015, Found. Comput. Math. 15).
        """
        member, present = (contrasts != 0).double(), (contrasts > 0).double()
        count = member.sum(dim=0).clamp_min(1)
        penalty = self._penalty / 4
        # images left out make the others' covariance larger, and lift the intercept's independence
        loose = torch.where(count < len(member), 2 * len(member) / count, 1.0)
        bound = loose * self._variance[:, None] / 4 + penalty
        weights = torch.zeros(len(self._variance), contrasts.shape[1], dtype=torch.float64)
        share = (present.sum(dim=0) / count).clamp(1e-9, 1 - 1e-9)
        bias = torch.logit(share)
        ahead, bias_ahead, momentum = weights, bias, torch.ones_like(bias)
        for _ in range(_STEPS):
            wrong = member * (torch.sigmoid(self._along @ ahead + bias_ahead) - present) / count
            downhill = (self._along.T @ wrong + penalty * ahead) / bound
            moved, shifted = ahead - downhill, bias_ahead - wrong.sum(dim=0) * 4 / loose
            step, turn = moved - weights, shifted - bias
            uphill = (bound * downhill * step).sum(dim=0) > 0
            later = torch.where(uphill, 1.0, (1 + (1 + 4 * momentum**2).sqrt()) / 2)
            pace = torch.where(uphill, 0.0, (momentum - 1) / later)
            ahead, bias_ahead = moved + pace * step, shifted + pace * turn
            weights, bias, momentum = moved, shifted, later
            if bool((step.norm(dim=0) <= _CLOSE * weights.norm(dim=0)).all()):
                break
        return weights


def residual(
    features: torch.Tensor, nuisances: Sequence[Sequence[str]], fitted_on: Flags | None = None
) -> torch.Tensor:
    """Return features ``(n, d)`` float64 without what nuisances explain, by linear regression.

    Of a concept that always comes with a nuisance nothing is left, and there is no direction. If it often does, p is
    right only if random concepts do too: give `ConceptSets` the same nuisances.

    Parameters
    ----------
    features
        ``(n, d)``.
    nuisances
        Columns of metadata, at least one, each ``(n,)``; a value is a category, and so is an empty one.
    fitted_on
        ``(n,)``: the images, such as those for training, that the regression is fitted on; None for all. A category
        that only others have changes nothing in them.
    """
    chosen = np.ones(len(features), dtype=bool) if fitted_on is None else fitted_on
    blocks = []
    for values in nuisances:
        own = np.array(values, dtype=np.str_)
        each = own[:, None] == np.unique(own[chosen])
        blocks.append(np.where(each.any(axis=1, keepdims=True), each - each[chosen].mean(axis=0), 0.0))
    design, whole = torch.from_numpy(np.concatenate(blocks, axis=1)), features.double()
    rows = torch.from_numpy(np.flatnonzero(chosen))
    centred = whole[rows] - whole[rows].mean(dim=0)
    explained: torch.Tensor = design @ (torch.linalg.pinv(design[rows]) @ centred)
    return whole - explained
