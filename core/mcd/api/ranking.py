"""Rankings of images by activation, and random ones to compare them with."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    import torch
    from numpy.typing import NDArray

__all__ = ["ordered_top_k", "random_rankings", "random_subsets", "rows_in"]


def random_subsets(rng: np.random.Generator, draws: int, k: int, size: int) -> NDArray[np.int64]:
    """Return ordered k-subsets of the numbers below ``size``, ``(draws, k)``, each as likely as any other.

    Where ``size`` is large, a number that came before is drawn again, and only then: rows end as if drawn in turn,
    and nothing of ``draws × size`` is held.
    """
    import numpy as np

    if size <= 8 * k:
        found: NDArray[np.int64] = np.argsort(rng.random((draws, size)), axis=1)[:, :k]
        return found
    drawn = rng.integers(size, size=(draws, k))
    while True:
        order = np.argsort(drawn, axis=1, kind="stable")
        ordered = np.take_along_axis(drawn, order, axis=1)
        again = np.zeros(drawn.shape, dtype=bool)
        np.put_along_axis(again, order[:, 1:], ordered[:, 1:] == ordered[:, :-1], axis=1)
        if not again.any():
            return drawn
        drawn[again] = rng.integers(size, size=int(again.sum()))


def random_rankings(images: int, k: int, draws: int = 1000) -> torch.Tensor:
    """Return random ordered k-subsets of the row numbers, ``(k, draws)`` int64: always the same ones."""
    import numpy as np
    import torch

    return torch.from_numpy(random_subsets(np.random.default_rng(0), draws, k, images)).T


def rows_in(ranked: torch.Tensor, images: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Return which of ``images`` rows occur in rankings, ascending, and the rankings as places among these.

    The result of ``torch.unique`` for numbers below ``images``, without sorting them.
    """
    import torch

    seen = torch.zeros(images, dtype=torch.bool, device=ranked.device)
    seen[ranked.reshape(-1)] = True
    place = seen.cumsum(0) - 1
    return seen.nonzero().flatten(), place[ranked]


def ordered_top_k(activations: torch.Tensor, k: int) -> torch.Tensor:
    """Return the row numbers ``(k, neurons)`` of the k largest values a column, largest first.

    Ties go to the smaller row number on every device. ``torch.topk`` leaves their order open, so the columns where
    it matters are sorted again.
    """
    images = len(activations)
    columns = activations.T.contiguous()  # a neuron's values side by side: the search then runs through the cache
    more = min(k + 1, images)
    values, rows = columns.topk(more, dim=1)
    ranked = rows[:, :k].T.contiguous()
    tied = (values[:, 1:] == values[:, :-1]).any(dim=1).nonzero().flatten()
    for column in tied.tolist():
        # All above the k-th value belong; of those equal to it, the first ones.
        candidates = (columns[column] >= values[column, min(k, images) - 1]).nonzero().flatten()
        order = columns[column, candidates].sort(descending=True, stable=True).indices[:k]
        ranked[:, column] = candidates[order]
    return ranked
