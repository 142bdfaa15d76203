"""Adaptive cosine."""

from __future__ import annotations

import copy

import pydantic
import torch

import mcd
from mcd.plugins import made_of
from mcd_plugins.scorers.columns import refuse_unpaired, responds
from mcd_plugins.scorers.ranks import top_labels

__all__ = ["AdaptiveCosine"]


class AdaptiveCosine(mcd.Scorer):
    """How much nearer a concept is to a neuron's representative images than concepts are on average.

    The representative images T of a neuron are as many as respond nearly as the strongest one does::

        T    = {i: a_i > max a - (1 - reach) (max a - min a)}, and the min_images most activating ones at least
        S[c] = mean over T of (P[i, c] - b_i)

    Source: WWW (Ahn et al., CVPR 2024) and MAMMI (MICCAI 2024), which has the adaptive T. In both, b_i is the cosine
    of the image and a prompt without a concept, which ``reference`` gives ("a mammogram"). Without one, b_i is the mean
    of P[i, ·] over all concepts: what an image has in common with all texts. For one neuron either is one number, so
    it does not change the order of its concepts, but it takes away that some images are near every text. The published
    rule then keeps every concept with at least 0.95 of the best score; here, labels are as many as asked for.

    Equal activations at the edge of min_images are put in order by chance. A neuron that is the same on every image
    has no score (NaN); without a reference, a concept that holds NaN leaves none to any, since the
    mean is over all.

    Between -2 and 2, higher is better; neither scale nor offset of the activations matters. Not comparable across
    layers: the level follows the spread of the dissector's cosines, and what chance reaches follows how many images a
    neuron is represented by. The permutation null is one for the whole layer, so a neuron with few images passes it
    more easily than one with many; a larger min_images makes them alike.

    Examples
    --------
    >>> scorer = AdaptiveCosine(AdaptiveCosine.Options(min_images=1))
    >>> neuron = torch.tensor([[1.0], [0.98], [0.1], [0.0]])
    >>> scorer.score(neuron, torch.tensor([[0.5, 0.1], [0.4, 0.2], [0.0, 0.3], [0.1, 0.4]])).round(decimals=2)
    tensor([[ 0.1500, -0.1500]])
    """

    class Options(mcd.Options):
        """Settings of the adaptive cosine."""

        reach: float = pydantic.Field(
            default=0.93, ge=0, lt=1, description="share of a neuron's range that a representative image exceeds"
        )
        min_images: int = pydantic.Field(
            default=10, ge=1, le=1_000_000, description="how many images represent a neuron at least"
        )
        reference: str = pydantic.Field(
            default="",
            description="a prompt without a concept ('a mammogram') whose cosine is subtracted; by default, the mean "
            "over all concepts is",
        )

    options: Options
    name = "adaptive-cosine"
    depends_on = "neuron"
    score_range = (-2.0, 2.0)
    _reference: torch.Tensor | None = None

    def for_probe(self, probe: mcd.Probe) -> AdaptiveCosine:
        """Return this scorer with the cosines of a probe set and the reference prompt, if there is one."""
        made = copy.copy(self)
        if self.options.reference:
            made._reference = probe.cosines([self.options.reference])
        return made

    def check(self, images: int) -> None:
        """Refuse a probe set of fewer than min_images images."""
        if images < self.options.min_images:
            raise mcd.errors.DataError(
                f"{self.name} represents a neuron by at least {self.options.min_images} images, "
                f"but the probe set has {images}",
                f"use more images, or --scorer-arg min_images={max(1, images // 5)}",
            )

    def score(self, activations: torch.Tensor, similarity: torch.Tensor) -> torch.Tensor:
        """Return the scores ``(neurons, concepts)``."""
        refuse_unpaired(activations, similarity)
        self.check(len(activations))
        chosen = self._representative(activations)
        weight = chosen / chosen.sum(dim=0)
        scores = weight.T @ similarity - weight.T @ self._common(similarity)
        return scores.masked_fill_(~responds(activations)[:, None], float("nan"))

    def _common(self, similarity: torch.Tensor) -> torch.Tensor:
        """Return b ``(images, 1)``."""
        if not self.options.reference:
            return made_of(similarity, "mean", lambda: similarity.mean(dim=1, keepdim=True))
        if self._reference is None:
            raise mcd.errors.UsageError(
                f"{self.name} with a reference prompt needs a dissector to read it",
                "call scorer.for_probe(probe) first",
            )
        return self._reference.to(similarity.device)

    def _representative(self, activations: torch.Tensor) -> torch.Tensor:
        """Return 1 for a neuron's representative images, 0 for the others, ``(images, neurons)`` float32."""
        low, high = activations.amin(dim=0), activations.amax(dim=0)
        edge = self.options.reach * high + (1 - self.options.reach) * low  # as the formula, without its overflow
        return top_labels(self, activations, self.options.min_images).maximum(
            (activations > edge).to(activations.dtype)
        )
