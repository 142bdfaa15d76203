"""Annotations in place of similarities: what is not known of an image takes no part in the score of a concept."""

from __future__ import annotations

from collections.abc import Callable

import torch

from mcd.plugins import made_of

__all__ = ["annotated", "over_known"]

_Score = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]


def annotated(similarity: torch.Tensor) -> torch.Tensor:
    """Return which concepts are annotated, ``(concepts,)`` bool: those of which P holds 1, 0 and NaN only."""
    return ((similarity == 0) | (similarity == 1) | similarity.isnan()).all(dim=0)


def over_known(score: _Score, activations: torch.Tensor, similarity: torch.Tensor) -> torch.Tensor:
    """Return the scores ``(neurons, concepts)``, each over the images that the concept is known of.

    Parameters
    ----------
    score
        Scores A and P without unknown values; the score of a concept depends on no other concept.
    activations
        A, ``(images, neurons)`` float32.
    similarity
        P, ``(images, concepts)`` float32; NaN where it is not known.
    """
    if made_of(similarity, "known", lambda: not bool(similarity.isnan().any())):
        return score(activations, similarity)
    found = similarity.new_full((activations.shape[1], similarity.shape[1]), float("nan"))
    known = ~similarity.isnan()
    patterns, of = torch.unique(known, dim=1, return_inverse=True)  # concepts known of the same images go together
    for number, rows in enumerate(patterns.T):
        if bool(rows.any()):
            columns = (of == number).nonzero().flatten()
            found[:, columns] = score(activations[rows], similarity[rows][:, columns])
    return found
