"""Vectors of words, without example images: by a linear map from a layer's features to the dissector's space."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import stats

from mcd.errors import DataError, amount
from mcd.plugins import PermutationUnits
from mcd_plugins.cav.exchange import Exchange
from mcd_plugins.cav.null import NullVectors

__all__ = ["TextMap", "text_map", "text_vectors"]

PENALTIES = tuple(10.0**exponent for exponent in range(-4, 4))
"""Of the ridge map, in units of the mean variance of a feature."""
_PARTS = 5
_FEWEST = 10
"""Patients that a map is fitted on and tried on."""


@dataclass(frozen=True)
class TextMap:
    """How well a ridge map from a layer's features leads to the dissector's embeddings of the same images.

    Parameters
    ----------
    held_out_r2
        The share of the embeddings' variance that the map explains in patients whom neither it nor its penalty has
        seen: ``1 − Σ ‖e − ê‖² / Σ ‖e − mean of training‖²``. At most 1; at 0 or below the mean does as well.
    held_out_low
        What R² is at least, with 95 % confidence, by the variance between held-out patients. Of features that say
        nothing of the embeddings, R² is above 0 half the time, if little; this is so once in twenty times. Where it is
        not above 0, no direction of a text follows from the map.
    penalty
        One of `PENALTIES`, chosen by cross-validation over the training patients.
    """

    held_out_r2: float
    held_out_low: float
    penalty: float


def text_map(features: torch.Tensor, embeddings: torch.Tensor, patients: Sequence[str], seed: int) -> TextMap:
    """Choose the penalty of the map, and measure the map on patients whom it has not seen.

    A fifth of the patients is held out. On the others the penalty is chosen by four-fold cross-validation, whole
    patients, and the map is fitted; R² is that of the held-out ones.

    Parameters
    ----------
    features
        ``(n, d)``.
    embeddings
        ``(n, D)``: of the same images by the dissector, of length 1.
    patients
        Of each image; an image whose patient is not known ("") is a patient of its own.
    seed
        Who is held out.

    Raises
    ------
    DataError
        When there are fewer than ten patients, or something is not finite, or the same in all images.
    """
    for name, values in (("features", features), ("embeddings", embeddings)):
        if not torch.isfinite(values).all():
            raise DataError(f"some {name} are not finite", "leave out the layer, or the images that cause it")
        if bool((values == values[0]).all()):
            raise DataError(f"the {name} are the same in all images", "take another layer, or other images")
    units = PermutationUnits.of(list(patients), "patient")
    if units.patients < _FEWEST:
        raise DataError(
            f"{amount(units.patients, 'patient')}: a map needs at least {_FEWEST}, a fifth of them held out",
            "take more patients",
        )
    x, y = features.double(), embeddings.double()
    part = (np.random.default_rng(seed).permutation(units.patients) % _PARTS)[units.patient]
    errors = torch.zeros(len(PENALTIES), dtype=torch.float64)
    for own in range(1, _PARTS):
        tried, rest = (torch.from_numpy(np.flatnonzero(one)) for one in (part == own, (part != own) & (part > 0)))
        ridge = Ridge(x[rest])
        for at, penalty in enumerate(PENALTIES):
            errors[at] += (y[tried] - ridge.predicted(y[rest], penalty, x[tried])).square().sum()
    penalty = PENALTIES[int(errors.argmin())]
    seen, unseen = (torch.from_numpy(np.flatnonzero(one)) for one in (part > 0, part == 0))
    left = (y[unseen] - Ridge(x[seen]).predicted(y[seen], penalty, x[unseen])).square().sum(dim=1)
    whole = (y[unseen] - y[seen].mean(dim=0)).square().sum(dim=1)
    return TextMap(*_r2(left.numpy(), whole.numpy(), units.patient[unseen.numpy()]), penalty)


def _r2(left: NDArray[np.float64], whole: NDArray[np.float64], patient: NDArray[np.int64]) -> tuple[float, float]:
    """Return R² and its lower bound: a ratio of sums over patients, whose variance is linearised, by Student's t."""
    if not whole.any():
        return 0.0, 0.0
    number = np.unique(patient, return_inverse=True)[1]
    each, of = np.bincount(number, whole - left), np.bincount(number, whole)
    r2, count = float(each.sum() / of.sum()), len(each)
    deviation = np.sqrt(np.square(each - r2 * of).sum() * count / (count - 1)) / of.sum()
    return r2, r2 - float(stats.t.ppf(0.95, count - 1) * deviation)


def text_vectors(
    features: torch.Tensor, similar: torch.Tensor, exchange: Exchange, penalty: float, seed: int, sets: int
) -> Iterator[NullVectors]:
    """Yield the vector of each text, and those by maps to embeddings that are other patients'.

    The vector of a text through the map is that of a ridge regression of the images' similarity to the text on their
    features. Random ones come from the same regression after patients who are alike have exchanged their similarities:
    what they share with the text is chance.

    Parameters
    ----------
    features
        ``(n, d)``.
    similar
        ``(n, texts)``: of images to texts.
    exchange
        Which images may change places.
    penalty
        Of the map.
    seed, sets
        Of the exchanges, and how many there are; all texts have the same.
    """
    ridge, moved = Ridge(features.double()), exchange.permutations(sets, np.random.default_rng([seed, 2]))
    rows = torch.from_numpy(np.concatenate([np.arange(len(features))[None], moved]))
    for own in similar.double().T:
        yield NullVectors(ridge.matrix(own[rows].T, penalty))


class Ridge:
    """Ridge regression of any ``(n, D)`` on ``(n, d)``, both centred, at any penalty."""

    def __init__(self, x: torch.Tensor) -> None:
        self._mean = x.mean(dim=0)
        own = x - self._mean
        self._scale = float(own.square().sum()) / own.shape[1]
        # of the smaller of both: (X'X + λ)⁻¹ X'y, or X' (X X' + λ)⁻¹ y
        wide = own.shape[1] > len(own)
        values, vectors = torch.linalg.eigh(own @ own.T if wide else own.T @ own)
        self._values = values.clamp_min(0)
        self._left, self._right = (own.T @ vectors, vectors.T) if wide else (vectors, vectors.T @ own.T)

    def matrix(self, y: torch.Tensor, penalty: float) -> torch.Tensor:
        """Return ``(D, d)``."""
        along = self._right @ (y - y.mean(dim=0))
        found: torch.Tensor = (self._left @ (along / (self._values + penalty * self._scale)[:, None])).T
        return found

    def predicted(self, y: torch.Tensor, penalty: float, x: torch.Tensor) -> torch.Tensor:
        """Return ``(m, D)`` of ``(m, d)``."""
        return (x - self._mean) @ self.matrix(y, penalty).T + y.mean(dim=0)
