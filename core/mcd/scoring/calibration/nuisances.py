"""What is held fixed at the second rung: how an image was taken, and global statistics of its pixels.

Freedman and Lane (1983), in the form of Winkler et al. (NeuroImage 2014, section 2.4): activations and similarity are
replaced by their residuals on the nuisances, and what is permuted are the residuals of the activations, which are made
residuals again after every permutation.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray

__all__ = ["COMPONENTS", "FEWEST", "Nuisances", "cells_of", "nuisances_of"]

COMPONENTS = 5
"""How many principal components of the thumbnails are held fixed."""

FEWEST = 3
"""Images for each column of the design; with fewer the rung is not available."""

_AT_ONCE, _FEW = 4096, 2**16
"""Columns of which residuals are taken at once, of so many images; of more images, a sixteenth of as many numbers."""

_NOTHING = 1e-5
"""Share of the variance of a column that is rounding once the nuisances are taken out."""


@dataclass(frozen=True)
class Nuisances:
    """Nuisances of a probe set.

    Parameters
    ----------
    basis
        ``(images, columns)`` float64, orthonormal: its span is what is held fixed, the mean included.
    cell, appearance
        ``(images,)``: the number of the cell of view × side × vendor of each image, and the first principal component
        of its statistics, None where there are none: strata, for scorers that do not take residuals.
    names
        What is held fixed, for reports.
    """

    basis: NDArray[np.float64]
    cell: NDArray[np.int64]
    appearance: NDArray[np.float64] | None
    names: tuple[str, ...]

    def residuals(self, columns: torch.Tensor) -> torch.Tensor:
        """Return what of columns ``(images, n)`` the nuisances do not give, float32; zero where nothing is left."""
        step = _AT_ONCE if len(columns) <= _FEW else max(1, _FEW * _AT_ONCE // 16 // len(columns))
        if columns.shape[1] > step:  # float64 copies of a few columns only
            left = torch.empty(columns.shape)
            for part, place in zip(torch.split(columns, step, dim=1), torch.split(left, step, dim=1), strict=True):
                place.copy_(self.residuals(part))
            return left
        basis = torch.from_numpy(self.basis)
        given = columns.to(torch.float64, copy=True)
        found = given - basis @ (basis.T @ given)
        centred = given.sub_(given.mean(dim=0))
        left = found.square().sum(dim=0) > _NOTHING * centred.square().sum(dim=0)
        return torch.where(left, found, torch.zeros((), dtype=torch.float64)).float()

    def testable(self, similarity: torch.Tensor) -> torch.Tensor:
        """Return for each concept whether anything of its similarity ``(images, concepts)`` is left, ``(concepts,)``.

        A concept that is itself a nuisance, such as the view, is not testable at this rung. An image of which it is not
        known (NaN) takes no part.
        """
        known = ~similarity.isnan()
        found = self.residuals(similarity.nan_to_num()).ne(0).any(dim=0)
        for at in (~known.all(dim=0)).nonzero().flatten().tolist():
            rows = known[:, at]
            own = replace(self, basis=_basis(self.basis[rows.numpy()]))
            found[at] = own.residuals(similarity[rows, at][:, None]).ne(0).any()
        return found


def cells_of(facts: Sequence[Sequence[str]]) -> NDArray[np.int64]:
    """Return the number of the cell of each image, ``(images,)``, from facts such as view, side and vendor.

    What is not known is a value of its own. Cells are numbered in the order of their names.
    """
    rows = list(zip(*facts, strict=True))
    numbers = {cell: at for at, cell in enumerate(sorted(set(rows)))}
    return np.array([numbers[row] for row in rows], dtype=np.int64)


def nuisances_of(
    facts: dict[str, Sequence[str]], statistics: NDArray[np.float32] | None, named: Sequence[str] = ()
) -> Nuisances | str:
    """Return the nuisances of a probe set, or why there can be none.

    Parameters
    ----------
    facts
        Name → value of each image: what its cell is made of, all interactions included.
    statistics
        ``(images, n)``: of each image, those called ``named`` first, then the cells of its thumbnail; None where
        there are none.
    """
    cell = cells_of(list(facts.values()))
    known = [name for name, values in facts.items() if len(set(values)) > 1]
    images, cells = len(cell), len(np.unique(cell))
    if images < FEWEST * cells:
        return f"{images} images are too few to hold {cells} cells of {' × '.join(known)} fixed"
    columns = [np.equal.outer(cell, np.unique(cell)).astype(np.float64)]
    names = [" × ".join(known)] if known else []
    appearance = None
    if statistics is not None:
        values, thumbnail = np.split(statistics.astype(np.float64), [len(named)], axis=1)
        columns += [_standardised(values), _components(thumbnail, COMPONENTS)]
        first = _components(_standardised(statistics.astype(np.float64)), 1)
        appearance = first[:, 0] if first.shape[1] else None
        names += [*named, f"{COMPONENTS} components of the thumbnail"]
    basis = _basis(np.concatenate(columns, axis=1))
    held = basis.shape[1]
    if not names:
        return "nothing is known of its images that could be held fixed"
    if images < FEWEST * held:
        return f"{images} images are too few to hold {held} columns of nuisances fixed"
    return Nuisances(basis, cell, appearance, tuple(names))


def _standardised(values: NDArray[np.float64]) -> NDArray[np.float64]:
    centred = values - values.mean(axis=0)
    spread = centred.std(axis=0)
    found: NDArray[np.float64] = centred[:, spread > 0] / spread[spread > 0]
    return found


def _components(values: NDArray[np.float64], count: int) -> NDArray[np.float64]:
    """Return the first principal components, ``(images, count)`` or fewer; their largest loading is positive."""
    if not values.shape[1]:
        return values
    left, size, loadings = np.linalg.svd(values - values.mean(axis=0), full_matrices=False)
    kept = np.flatnonzero(size[:count] > 0)
    largest = np.abs(loadings[kept]).argmax(axis=1)
    found: NDArray[np.float64] = left[:, kept] * np.where(loadings[kept, largest] < 0, -1.0, 1.0)
    return found


def _basis(columns: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return an orthonormal basis of the span of columns and of the mean."""
    design = np.concatenate([np.ones((len(columns), 1)), columns], axis=1)
    left, size, _ = np.linalg.svd(design, full_matrices=False)
    found: NDArray[np.float64] = left[:, size > size[0] * len(design) * np.finfo(np.float64).eps]
    return found
