"""The contract of scorers: from activations and similarity to a score for every neuron and concept."""

from __future__ import annotations

import abc
from typing import TYPE_CHECKING, ClassVar, Literal

from mcd.api.base import Configured
from mcd.errors import DataError

if TYPE_CHECKING:
    import torch

__all__ = ["Scorer", "TopKScorer", "ordered_top_k"]


class Scorer(Configured, abc.ABC):
    """Base of scorers. The class attributes declare what a reader may do with the scores.

    Attributes
    ----------
    name
        What tables call it.
    score_range
        The smallest and the largest value a score can have.
    higher_is_better
        Whether the best concept has the largest score.
    comparable_across_layers
        Whether scores of different layers or targets may be compared as they are.
    null
        How chance looks to it: ``"top-k"`` when a neuron is seen only through its ordered top-k images,
        ``"permutation"`` when all activations take part.
    """

    name: str
    score_range: ClassVar[tuple[float, float]] = (float("-inf"), float("inf"))
    higher_is_better: ClassVar[bool] = True
    comparable_across_layers: ClassVar[bool] = False
    null: ClassVar[Literal["top-k", "permutation"]] = "permutation"

    def check(self, images: int) -> None:
        """Refuse a probe set of ``images`` images that is too small, before anything is computed.

        Raises
        ------
        mcd.errors.DataError
            Saying how many images are needed, with the setting that lowers the need as hint.
        """

    def unlabelled(self, neurons: int) -> str:
        """Return why a layer of ``neurons`` live neurons cannot be labelled, or an empty string."""
        return ""

    @abc.abstractmethod
    def score(self, activations: torch.Tensor, similarity: torch.Tensor) -> torch.Tensor:
        """Return the scores ``(neurons, concepts)``, float32.

        Parameters
        ----------
        activations
            A, ``(images, neurons)`` float32, finite, no constant column.
        similarity
            P, ``(images, concepts)`` float32, finite: the cosine of image and concept, rows as in A.

        A pair whose score is undefined is NaN; it never becomes a label.
        """


class TopKScorer(Scorer):
    """Base of scorers that see a neuron only through its k most activating images, in order."""

    null: ClassVar[Literal["top-k", "permutation"]] = "top-k"

    @property
    @abc.abstractmethod
    def top_k(self) -> int:
        """How many images a neuron is seen through."""

    @abc.abstractmethod
    def score_ranked(self, ranked: torch.Tensor, similarity: torch.Tensor) -> torch.Tensor:
        """Return the scores ``(neurons, concepts)`` given ``ranked`` ``(top_k, neurons)``: row numbers, best first."""

    def check(self, images: int) -> None:
        """Refuse fewer images than ``top_k``."""
        if images < self.top_k:
            raise DataError(
                f"{self.name} looks at the top {self.top_k} images of a neuron, but the probe set has {images}",
                f"use more images, or --scorer-arg top_k={max(1, images // 5)}",
            )

    def score(self, activations: torch.Tensor, similarity: torch.Tensor) -> torch.Tensor:
        """Rank the images by activation, then score the ranking."""
        return self.score_ranked(ordered_top_k(activations, self.top_k), similarity)


def ordered_top_k(activations: torch.Tensor, k: int) -> torch.Tensor:
    """Return the row numbers ``(k, neurons)`` of the k largest values a column, largest first.

    Ties go to the smaller row number on every device (``torch.topk`` leaves their order open).
    """
    return activations.sort(dim=0, descending=True, stable=True).indices[:k]
