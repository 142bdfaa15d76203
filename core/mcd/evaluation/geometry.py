"""Of which kind the images are that a neuron responds to most, by their embeddings; labels play no part.

Source: Dreyer et al., "Mechanistic understanding and validation of large AI models with SemanticLens", Nature Machine
Intelligence 2025: clarity, polysemanticity, redundancy.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as functional
from numpy.typing import NDArray

__all__ = ["COLUMNS", "TOP", "Geometry", "clarity_of_all", "geometry"]

Values = NDArray[np.float64]

COLUMNS = ("layer", "neuron", "clarity", "polysemanticity", "redundancy", "nearest")
TOP = 20
"""Top images of a neuron whose embeddings are compared."""
_ROUNDS = 20
"""Steps of 2-means; it is there after a few."""
_HELD = 2**25
"""Floats that are held at once: 128 MiB."""


@dataclass(frozen=True)
class Geometry:
    """What is measured of each neuron, ``(neurons,)``.

    Parameters
    ----------
    clarity
        The mean cosine of two of its images: ``(|mean e|² - 1/n) · n / (n - 1)`` of normalised embeddings e.
    polysemanticity
        One minus the clarity of two means: 1 - the cosine of the centres of its images' two clusters (2-means).
    redundancy
        The largest cosine of its mean embedding and that of another neuron; NaN where there is no other.
    nearest
        Which neuron that is, by its place; -1 where there is none.
    """

    clarity: Values
    polysemanticity: Values
    redundancy: Values
    nearest: NDArray[np.int64]


def geometry(embeddings: torch.Tensor, top: torch.Tensor) -> Geometry:
    """Return what the images of each neuron have in common.

    Parameters
    ----------
    embeddings
        ``(images, D)`` float32, normalised.
    top
        ``(n, neurons)`` int64: the images of each neuron.
    """
    n, neurons = top.shape
    clarity, poly = torch.full((neurons,), float("nan")), torch.full((neurons,), float("nan"))
    means = torch.empty(neurons, embeddings.shape[1])
    step = max(1, _HELD // max(1, n * embeddings.shape[1]))
    for at in range(0, neurons, step):
        own = embeddings[top[:, at : at + step].T]
        means[at : at + step] = own.mean(dim=1)
        gram = (own @ own.transpose(1, 2)).double()
        if n > 1:
            clarity[at : at + step] = ((gram.mean(dim=(1, 2)) - 1 / n) * n / (n - 1)).float()
            poly[at : at + step] = (1 - _between_centres(gram)).float()
    redundancy, nearest = _most_similar(functional.normalize(means, dim=1))
    return Geometry(clarity.double().numpy(), poly.double().numpy(), redundancy, nearest)


def clarity_of_all(embeddings: torch.Tensor) -> float:
    """Return the clarity that images drawn at random have on average: the mean cosine of two of all."""
    n = len(embeddings)
    return float((embeddings.mean(dim=0).square().sum() - 1 / n) * n / (n - 1)) if n > 1 else float("nan")


def _between_centres(gram: torch.Tensor) -> torch.Tensor:
    """Return the cosine of the two centres of each group's images by 2-means, given ``(groups, n, n)`` cosines.

    It begins with the two sides of the main axis: nothing is drawn. Where all images are the same, there is one centre.
    """
    row = gram.mean(dim=2, keepdim=True)
    centred = gram - row - row.transpose(1, 2) + gram.mean(dim=(1, 2), keepdim=True)
    second = torch.linalg.eigh(centred).eigenvectors[:, :, -1] > 0
    for _ in range(_ROUNDS):
        share = torch.stack([~second, second], dim=1).double()
        share = share / share.sum(dim=2, keepdim=True).clamp(min=1)  # (groups, 2, n): each row averages a cluster
        to_centre, size = share @ gram, ((share @ gram) * share).sum(dim=2, keepdim=True)
        distance = size - 2 * to_centre  # up to |e|², which is the same for both
        moved = distance[:, 1] < distance[:, 0]
        kept = moved.any(dim=1) & ~moved.all(dim=1)
        moved = torch.where(kept[:, None], moved, second)  # no cluster is emptied
        if bool((moved == second).all()):
            break
        second = moved
    share = torch.stack([~second, second], dim=1).double()
    share = share / share.sum(dim=2, keepdim=True).clamp(min=1)
    products = share @ gram @ share.transpose(1, 2)
    size = products.diagonal(dim1=1, dim2=2).clamp(min=0).sqrt()
    cosine = products[:, 0, 1] / (size[:, 0] * size[:, 1])
    one = ~second.any(dim=1) | second.all(dim=1)
    return torch.where(one | ~torch.isfinite(cosine), torch.ones_like(cosine), cosine).clamp(-1, 1)


def _most_similar(means: torch.Tensor) -> tuple[Values, NDArray[np.int64]]:
    neurons = len(means)
    highest, nearest = np.full(neurons, np.nan), np.full(neurons, -1, dtype=np.int64)
    if neurons < 2:
        return highest, nearest
    step = max(1, _HELD // neurons)
    for at in range(0, neurons, step):
        cosines = means[at : at + step] @ means.T
        own = torch.arange(at, min(at + step, neurons))
        cosines[torch.arange(len(own)), own] = float("-inf")
        found = cosines.max(dim=1)
        highest[at : at + step], nearest[at : at + step] = found.values.double().numpy(), found.indices.numpy()
    return highest, nearest
