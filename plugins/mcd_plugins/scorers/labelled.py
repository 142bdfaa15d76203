"""What AUROC and AUPRC share: the images that a concept is said to be on."""

from __future__ import annotations

import abc

import torch

import mcd
from mcd.plugins import made_of
from mcd_plugins.scorers.columns import refuse_unpaired
from mcd_plugins.scorers.known import annotated, over_known
from mcd_plugins.scorers.ranks import Quantile, check_share, counted, top_labels

__all__ = ["LabelledScorer"]


class LabelledScorer(mcd.Scorer):
    """Base of scorers that ask how well a neuron ranks a concept's images.

    Those are the (1 - quantile) · n images of the highest similarity; of equal similarities at the edge the earlier
    images are taken, so that their number is the same for every concept. Of a concept that is annotated (P holds 1, 0
    and NaN only) they are those of which it is said, and an image of which nothing is known takes no part.
    """

    class Options(mcd.Options):
        """Settings of both."""

        quantile: Quantile = 0.95

    options: Options
    depends_on = "pair"
    score_range = (0.0, 1.0)
    comparable_across_layers = True
    takes_annotations = True

    def check(self, images: int) -> None:
        """Refuse a probe set of which no image, or every image, would be the concept's."""
        check_share(self.name, "quantile", self.options.quantile, images)

    def score(self, activations: torch.Tensor, similarity: torch.Tensor) -> torch.Tensor:
        """Return the scores ``(neurons, concepts)``."""
        refuse_unpaired(activations, similarity)
        return over_known(self.ranked, activations, self._labels(similarity))

    def _labels(self, similarity: torch.Tensor) -> torch.Tensor:
        """Return 1 for a concept's images, 0 for the others, NaN where that is not known, ``(images, concepts)``."""
        said = made_of(similarity, "annotated", lambda: annotated(similarity))
        if bool(said.all()):
            return similarity
        self.check(len(similarity))
        count = counted(len(similarity), 1 - self.options.quantile)
        return made_of(
            similarity,
            ("labels", type(self), count, self.ties),
            lambda: torch.where(said, similarity, top_labels(self, similarity, count)),
        )

    @abc.abstractmethod
    def ranked(self, activations: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        """Return the scores, given 1 for a concept's images and 0 for the others.

        Parameters
        ----------
        activations
            ``(images, neurons)`` float32.
        labels
            ``(images, concepts)`` float32.
        """
