"""Zero-shot scores: how much more an image resembles one prompt than another."""

from __future__ import annotations

import fnmatch
from collections.abc import Sequence

import numpy as np
import pandas as pd
import torch
import torch.nn.functional as functional
from numpy.typing import NDArray

from mcd.errors import DataError, nearest
from mcd.extraction.embedding import Vectors

__all__ = ["auroc", "scores", "truth"]


def scores(vectors: Vectors, pairs: Sequence[tuple[str, str]], texts: torch.Tensor, scale: float = 1.0) -> pd.DataFrame:
    """Return a table in long form: id, negative, positive, cosine_negative, cosine_positive, probability.

    Parameters
    ----------
    vectors
        The images.
    pairs
        (negative, positive) prompts.
    texts
        Their embeddings ``(2 · pairs, D)``, in that order.
    scale
        Cosines are multiplied by it before the softmax; 1 as Mammo-CLIP's evaluation does. It changes
        probabilities, never their order.
    """
    cosines = functional.normalize(vectors.images, dim=1) @ functional.normalize(texts, dim=1).T
    tables = []
    for number, (negative, positive) in enumerate(pairs):
        both = cosines[:, 2 * number : 2 * number + 2]
        tables.append(
            pd.DataFrame(
                {
                    "id": list(vectors.ids),
                    "negative": negative,
                    "positive": positive,
                    "cosine_negative": both[:, 0].numpy(),
                    "cosine_positive": both[:, 1].numpy(),
                    "probability": torch.softmax(scale * both.double(), dim=1)[:, 1].numpy(),
                }
            )
        )
    return pd.concat(tables, ignore_index=True)


def truth(vectors: Vectors, finding: str) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Return which images have a finding, as the data set says, and for which it says so: two of ``(images,)``.

    ``*`` in its name stands for anything: one that is present will do, and all must be absent.

    Raises
    ------
    DataError
        When no image has it, or none is known not to.
    """
    has = np.zeros(len(vectors.samples), dtype=bool)
    labelled = np.zeros_like(has)
    for row, sample in enumerate(vectors.samples):
        states = [sample.findings[name] for name in fnmatch.filter(sample.findings, finding)]
        has[row], labelled[row] = any(states), bool(states)
    if not has.any():
        known = sorted({name for sample in vectors.samples for name, there in sample.findings.items() if there})
        raise DataError(
            f"no image of the data set has the finding '{finding}'",
            nearest(finding, known) if known else "it has no findings; leave out --finding",
        )
    if has[labelled].all():
        raise DataError(
            f"no image of the data set is known not to have the finding '{finding}'; there are no negatives",
            "give another --finding, or leave it out",
        )
    return has, labelled


def auroc(values: Sequence[float], positive: NDArray[np.bool_]) -> float:
    """Return the area under the ROC curve: the chance that a positive scores above a negative, ties a half."""
    ranks = pd.Series(values).rank().to_numpy()
    hits, misses = int(positive.sum()), int((~positive).sum())
    return float((ranks[positive].sum() - hits * (hits + 1) / 2) / (hits * misses))
