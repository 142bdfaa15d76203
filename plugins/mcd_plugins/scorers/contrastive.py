"""Top images against look-alikes that do not activate the neuron."""

from __future__ import annotations

import copy
from collections.abc import Callable

import pydantic
import torch
import torch.nn.functional as functional

import mcd
from mcd_plugins.scorers.columns import refuse_unpaired, responds
from mcd_plugins.scorers.evidence import TopK
from mcd_plugins.scorers.ranks import counted

__all__ = ["Contrastive"]

TopImages = Callable[[torch.Tensor, int], torch.Tensor]
"""`mcd.Scorer.top_images`."""

_NEAR = 32
"""Nearest images of an image that are kept. By chance, half of them leave a neuron cold."""

_CHUNK = 2**24
"""Floats of similarity between images that are held at once: 64 MiB."""


class Contrastive(mcd.Scorer):
    """What a neuron's top images show that images much like them do not, to which it does not respond.

    With T the k most activating images, and l(i) the image nearest to i in the dissector's space among those whose
    activation is at most the neuron's quantile, none of them in T::

        S[c] = mean over T of (P[i, c] - P[l(i), c])

    Source: FALCON (Kalibhat et al., ICML 2023), which takes words away that are found on lowly activating look-alikes;
    here with one look-alike for each top image. What both have in common, breast, view and scanner, cancels out.

    Equal activations at the edge of T, and equally near images, are put in order by chance. A neuron that is the same
    on every image has no score (NaN).

    Between -2 and 2, higher is better; of the activations, only their order counts. Not comparable across layers: the
    level follows the spread of the dissector's cosines, and how near the look-alikes are. NeuronEval's sanity checks,
    which are about labels given, do not apply. The permutation null permutes the activations, and finds
    look-alikes anew for each draw.

    Examples
    --------
    >>> from mcd import Concept, Probe
    >>> images = torch.nn.functional.normalize(torch.tensor([[1.0, 0.1], [1.0, 0.0], [0.0, 1.0]]))
    >>> cosines = torch.tensor([[0.9, 0.5], [0.2, 0.5], [0.1, 0.1]])  # mass, breast
    >>> probe = Probe([Concept("mass", "", ""), Concept("breast", "", "")], images, torch.eye(2), None, None)
    >>> scorer = Contrastive(Contrastive.Options(top_k=1)).for_probe(probe)
    >>> scorer.score(torch.tensor([[1.0], [0.0], [0.0]]), cosines)
    tensor([[0.7000, 0.0000]])
    """

    class Options(mcd.Options):
        """Settings of the contrastive score."""

        top_k: TopK = 50
        quantile: float = pydantic.Field(
            default=0.5, gt=0, le=1, description="look-alikes activate the neuron at most as much as this share of all"
        )

    options: Options
    name = "contrastive"
    depends_on = "pair"
    score_range = (-2.0, 2.0)
    _neighbours: _Neighbours | None = None

    def for_probe(self, probe: mcd.Probe) -> Contrastive:
        """Return this scorer with the images of a probe set."""
        made = copy.copy(self)
        made._neighbours = _Neighbours(probe.embeddings)
        return made

    def check(self, images: int) -> None:
        """Refuse a probe set of which no image would be left to be a look-alike."""
        if images <= self.options.top_k:
            raise mcd.errors.DataError(
                f"{self.name} compares the top {self.options.top_k} images of a neuron with others, "
                f"but the probe set has {images}",
                f"use more images, or --scorer-arg top_k={max(1, images // 5)}",
            )

    def score(self, activations: torch.Tensor, similarity: torch.Tensor) -> torch.Tensor:
        """Return the scores ``(neurons, concepts)``."""
        refuse_unpaired(activations, similarity)
        activations, similarity = activations.cpu(), similarity.cpu()  # where the neighbours are
        self.check(len(activations))
        if self._neighbours is None:
            raise mcd.errors.UsageError(
                f"{self.name} needs the dissector's images", "call scorer.for_probe(probe) first"
            )
        top = self.top_images(activations, self.options.top_k)
        alike = self._neighbours.nearest(top, self._cold(activations, top), self.top_images)
        scores = _means(similarity, top) - _means(similarity, alike)
        return scores.masked_fill_(~responds(activations)[:, None], float("nan"))

    def _cold(self, activations: torch.Tensor, top: torch.Tensor) -> torch.Tensor:
        """Return which images may be look-alikes, ``(images, neurons)`` bool: never none."""
        least = counted(len(activations), self.options.quantile)
        edge = activations.kthvalue(max(1, least), dim=0).values
        return (activations <= edge).scatter_(0, top, False)


class _Neighbours:
    """For images of one probe set the nearest others; what was looked up is kept.

    Parameters
    ----------
    embeddings
        ``(images, D)`` float32, normalised.
    """

    def __init__(self, embeddings: torch.Tensor) -> None:
        self._embeddings = embeddings
        # Filled: what a scorer holds decides under which key its nulls are stored.
        self._near = torch.zeros(len(embeddings), min(_NEAR, len(embeddings) - 1), dtype=torch.int64)
        self._known = torch.zeros(len(embeddings), dtype=torch.bool)

    def nearest(self, images: torch.Tensor, allowed: torch.Tensor, ordered: TopImages) -> torch.Tensor:
        """Return for each of ``images`` ``(k, neurons)`` the nearest that is ``allowed`` ``(images, neurons)``."""
        near = self._near_to(images, ordered)
        free = allowed[near, torch.arange(images.shape[1])[:, None]]  # k × neurons × near
        first = free.to(torch.uint8).argmax(dim=2, keepdim=True)
        found = near.gather(2, first)[:, :, 0]
        lacking = ~free.any(dim=2)
        if lacking.any():
            rank, neuron = lacking.nonzero(as_tuple=True)
            found[rank, neuron] = self._among_all(images[rank, neuron], allowed, neuron)
        return found

    def _near_to(self, images: torch.Tensor, ordered: TopImages) -> torch.Tensor:
        """Return the nearest images of each, nearest first, ``(…, near)``."""
        wanted = torch.unique(images)
        new = wanted[~self._known[wanted]]
        for part in torch.split(new, max(1, _CHUNK // len(self._known))):
            cosines = self._cosines(part).T
            cosines[part, torch.arange(len(part))] = float("-inf")  # not itself
            self._near[part] = ordered(cosines, self._near.shape[1]).T
        self._known[new] = True
        return self._near[images]

    def _among_all(self, images: torch.Tensor, allowed: torch.Tensor, neuron: torch.Tensor) -> torch.Tensor:
        """Return the nearest allowed image of each pair of image and neuron, ``(pairs,)``, among all images."""
        found = torch.empty_like(images)
        for pairs in torch.split(images.argsort(stable=True), max(1, _CHUNK // len(self._known))):
            different, which = torch.unique(images[pairs], return_inverse=True)
            cosines = self._cosines(different)[which]
            found[pairs] = cosines.masked_fill_(~allowed.T[neuron[pairs]], float("-inf")).argmax(dim=1)
        return found

    def _cosines(self, images: torch.Tensor) -> torch.Tensor:
        # Rounded: of two pictures that are the same, the last digit would decide.
        return (self._embeddings[images] @ self._embeddings.T).round_(decimals=6)


def _means(similarity: torch.Tensor, images: torch.Tensor) -> torch.Tensor:
    """Return the mean similarity of each column of ``images`` ``(k, neurons)``, ``(neurons, concepts)``."""
    return functional.embedding_bag(images.T.contiguous(), similarity, mode="mean")
