"""Vectors of words, without example images: by a linear map from a layer's features to the dissector's space."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import stats

from mcd.errors import DataError
from mcd.plugins import PermutationUnits
from mcd_plugins.cav.exchange import Exchange
from mcd_plugins.cav.null import Draws, NullVectors

__all__ = ["TextMap", "text_map", "text_vectors"]

PENALTIES = tuple(10.0**exponent for exponent in range(-4, 4))
"""Of the ridge map, in units of the mean variance of a feature."""
_PARTS = 5
_FEWEST = 10
"""Patients that a map is fitted on and tried on."""


@dataclass(frozen=True, eq=False)
class TextMap:
    """A ridge map from a layer's features to the dissector's embeddings of the same images.

    Parameters
    ----------
    matrix
        ``(D, d)`` float32: embedding = matrix · (features − their mean) + mean embedding.
    held_out_r2
        The share of the embeddings' variance that the map explains in patients whom neither it nor its penalty has
        seen: ``1 − Σ ‖e − ê‖² / Σ ‖e − mean of training‖²``. At most 1; at 0 or below the mean does as well.
    held_out_low
        What R² is at least, with 95 % confidence, by the variance between held-out patients. Of features that say
        nothing of the embeddings, R² is above 0 half the time, if little; this is so once in twenty times.
    penalty
        One of `PENALTIES`, chosen by cross-validation over the training patients.
    training, held_out
        Patients that the held-out R² was fitted on, and measured on. The matrix is fitted on all.
    seed
        Of who is where.
    """

    matrix: torch.Tensor
    held_out_r2: float
    held_out_low: float
    penalty: float
    training: int
    held_out: int
    seed: int

    def direction(self, text: torch.Tensor, mean: torch.Tensor) -> torch.Tensor:
        """Return the direction in which features move when their image comes to look like a text: ``(d,)`` float32.

        It is ``matrixᵀ · (text − mean)``, of length 1.

        Parameters
        ----------
        text
            ``(D,)``, of length 1: its embedding.
        mean
            ``(D,)``: of the embeddings of all texts. What texts have in common leads to texts, not to a concept.

        Raises
        ------
        DataError
            When the map explains nothing in other patients beyond chance, so that no direction follows from it; or the
            text is the mean, or not finite.
        """
        if not self.held_out_low > 0:
            raise DataError(
                f"the map from features to the dissector's space explains nothing in other patients: R² "
                f"{self.held_out_r2:.2f}, at least {self.held_out_low:.2f} with 95 % confidence",
                "take another layer or dissector, more images, or vectors from labels",
            )
        found = self.matrix.double().T @ (text.double() - mean.double())
        length = float(found.norm())
        if not np.isfinite(length):
            raise DataError("the text's embedding is not finite", "take another text or dissector")
        if not length:
            raise DataError("the text is the mean of all texts: it has no direction", "give more than one concept")
        return (found / length).float()


def text_map(features: torch.Tensor, embeddings: torch.Tensor, patients: Sequence[str], seed: int) -> TextMap:
    """Fit the map.

    A fifth of the patients is held out. On the others the penalty is chosen by four-fold cross-validation, whole
    patients, and the map fitted whose R² the held-out ones tell. Then it is fitted on all with that penalty.

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
            f"there are {units.patients} patients: a map needs at least {_FEWEST}, of whom a fifth are held out",
            "take more patients",
        )
    x, y = features.double(), embeddings.double()
    dealt = np.random.default_rng(seed).permutation(units.patients) % _PARTS
    part = dealt[units.patient]
    chosen = np.flatnonzero(part)
    wrong = torch.zeros(len(PENALTIES), dtype=torch.float64)
    for own in range(1, _PARTS):
        tried, rest = (torch.from_numpy(np.flatnonzero(one)) for one in (part == own, (part != own) & (part > 0)))
        wrong += torch.stack([(y[tried] - said).square().sum() for said in Ridge(x[rest], y[rest]).each(x[tried])])
    best = int(wrong.argmin())
    penalty = PENALTIES[best]
    seen, unseen = torch.from_numpy(chosen), torch.from_numpy(np.flatnonzero(part == 0))
    fitted = Ridge(x[seen], y[seen])
    missed = (y[unseen] - fitted.said(x[unseen], penalty)).square().sum(dim=1)
    spread = (y[unseen] - y[seen].mean(dim=0)).square().sum(dim=1)
    r2, low = _r2(missed.numpy(), spread.numpy(), units.patient[unseen.numpy()])
    held_out = int((dealt == 0).sum())
    return TextMap(Ridge(x, y).matrix(penalty).float(), r2, low, penalty, units.patients - held_out, held_out, seed)


def _r2(missed: NDArray[np.float64], spread: NDArray[np.float64], patient: NDArray[np.int64]) -> tuple[float, float]:
    """Return R² and its lower bound: a ratio of sums over patients, whose variance is linearised, by Student's t."""
    if not spread.any():
        return 0.0, 0.0
    number = np.unique(patient, return_inverse=True)[1]
    each, of = np.bincount(number, spread - missed), np.bincount(number, spread)
    r2, count = float(each.sum() / of.sum()), len(each)
    deviation = np.sqrt(np.square(each - r2 * of).sum() * count / (count - 1)) / of.sum()
    return r2, r2 - float(stats.t.ppf(0.95, count - 1) * deviation)


def text_vectors(
    features: torch.Tensor, similar: torch.Tensor, exchange: Exchange, penalty: float, seed: int, sets: int
) -> NullVectors:
    """Return the vector of a text, and those by maps to embeddings that are other patients'.

    The vector of a text through the map is that of a ridge regression of the images' similarity to the text on their
    features. Random ones come from the same regression after patients who are alike have exchanged their similarities:
    what they share with the text is chance.

    Parameters
    ----------
    features
        ``(n, d)``.
    similar
        ``(n,)``: of images to the text.
    exchange
        Which images may change places.
    penalty
        Of the map.
    seed, sets
        Of the exchanges, and how many there are.
    """
    values, moved = similar.double().numpy(), exchange.permutations(sets, np.random.default_rng([seed, 2]))
    targets = torch.from_numpy(np.concatenate([values[None], values[moved]]).T.copy())
    found = Ridge(features.double(), targets).matrix(penalty)
    return NullVectors(found[:, None], Draws(exchange.people, sets, 0, seed))


class Ridge:
    """Ridge regression of ``(n, D)`` on ``(n, d)``, both centred, at any penalty."""

    def __init__(self, x: torch.Tensor, y: torch.Tensor) -> None:
        self.mean, self.level = x.mean(dim=0), y.mean(dim=0)
        own = x - self.mean
        self.scale = float(own.square().sum()) / own.shape[1]
        wide = own.shape[1] > len(own)
        values, self.vectors = torch.linalg.eigh(own @ own.T if wide else own.T @ own)
        self.values = values.clamp_min(0)
        # of the smaller of both: (X'X + λ)⁻¹ X'y, or X' (X X' + λ)⁻¹ y
        self.left = own.T @ self.vectors if wide else self.vectors
        self.right = self.vectors.T @ (y - self.level if wide else own.T @ (y - self.level))

    def matrix(self, penalty: float) -> torch.Tensor:
        """Return ``(D, d)``."""
        found: torch.Tensor = (self.left @ (self.right / (self.values + penalty * self.scale)[:, None])).T
        return found

    def said(self, x: torch.Tensor, penalty: float) -> torch.Tensor:
        return (x - self.mean) @ self.matrix(penalty).T + self.level

    def each(self, x: torch.Tensor) -> Iterator[torch.Tensor]:
        """Yield what is said of ``(n, d)`` at each of `PENALTIES`."""
        along = (x - self.mean) @ self.left
        for penalty in PENALTIES:
            yield along @ (self.right / (self.values + penalty * self.scale)[:, None]) + self.level
