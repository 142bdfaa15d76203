"""P, the similarity of images and concepts: computed where it is needed, never held as a whole."""

from __future__ import annotations

import abc
from collections.abc import Iterator, Sequence

import torch

from mcd.errors import DataError

__all__ = ["FLOATS", "Cosines", "Matrix", "Similarity"]

FLOATS = 2**27
"""Floats that one piece of P or of A may take: 512 MiB."""


class Similarity(abc.ABC):
    """P, ``(images, concepts)`` float32, a piece at a time.

    Attributes
    ----------
    images, concepts
        How many there are.
    """

    images: int
    concepts: int

    @abc.abstractmethod
    def of(self, rows: torch.Tensor) -> torch.Tensor:
        """Return the similarity of some images, ``(len(rows), concepts)``."""

    @abc.abstractmethod
    def to(self, concepts: slice) -> torch.Tensor:
        """Return the similarity of all images to some concepts, ``(images, some concepts)``."""

    def whole(self) -> torch.Tensor:
        """Return P as a whole, ``(images, concepts)``."""
        return self.to(slice(0, self.concepts))

    def pieces(self) -> Iterator[tuple[slice, torch.Tensor]]:
        """Yield P by groups of concepts, each with where it belongs: ``(images, some concepts)``."""
        step = max(1, FLOATS // max(1, self.images))
        for start in range(0, self.concepts, step):
            part = slice(start, min(start + step, self.concepts))
            yield part, self.to(part)


class Matrix(Similarity):
    """P that is there already, ``(images, concepts)``."""

    def __init__(self, values: torch.Tensor) -> None:
        self._values = values
        self.images, self.concepts = values.shape

    def of(self, rows: torch.Tensor) -> torch.Tensor:
        """Return rows of it."""
        return self._values[rows]

    def to(self, concepts: slice) -> torch.Tensor:
        """Return columns of it."""
        return self._values[:, concepts]


class Cosines(Similarity):
    """The cosine of every image and concept.

    Parameters
    ----------
    images, texts
        Embeddings ``(images, D)`` and ``(concepts, D)``; need not be normalised.
    ids, terms
        What they are of, for messages.

    Raises
    ------
    DataError
        When an embedding is zero or not finite, naming the image or the concept.
    """

    def __init__(self, images: torch.Tensor, texts: torch.Tensor, ids: Sequence[str], terms: Sequence[str]) -> None:
        for embeddings, names, kind in ((images, ids, "image"), (texts, terms, "concept")):
            norms = embeddings.norm(dim=1)
            broken = (~torch.isfinite(norms) | (norms == 0)).nonzero().flatten().tolist()
            if broken:
                raise DataError(f"the dissector's embedding of {kind} '{names[broken[0]]}' is zero or not finite")
        self._images = torch.nn.functional.normalize(images, dim=1)
        self._texts = torch.nn.functional.normalize(texts, dim=1).T.contiguous()
        self.images, self.concepts = len(images), len(texts)

    def of(self, rows: torch.Tensor) -> torch.Tensor:
        """Return the cosines of some images."""
        return self._images[rows] @ self._texts

    def to(self, concepts: slice) -> torch.Tensor:
        """Return the cosines with some concepts."""
        return self._images @ self._texts[:, concepts]
