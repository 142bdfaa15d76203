"""P, the similarity of images and concepts: computed where it is needed, never held as a whole."""

from __future__ import annotations

import abc
import secrets
from collections.abc import Iterator, Sequence
from functools import cached_property
from itertools import pairwise
from typing import Literal

import torch
import torch.nn.functional as functional

from mcd.api.kept import lasting
from mcd.errors import DataError

__all__ = ["FLOATS", "Cosines", "Matrix", "Part", "Pooled", "Similarity"]

FLOATS = 2**27
"""Floats that one piece of P or of A may take: 512 MiB."""

_KEPT = 2**25
"""Floats up to which P is computed once and kept: 128 MiB."""

_ROWS = 2**9
"""Embeddings that the cache holds: 1 MiB of 512 each."""


class Similarity(abc.ABC):
    """P, ``(images, concepts)`` float32, a piece at a time.

    Attributes
    ----------
    images, concepts
        How many there are.
    device
        Where scorers compute with it: pieces of P and of A are copied there, and results come back.
    """

    images: int
    concepts: int
    device: torch.device = torch.device("cpu")

    @property
    def content(self) -> tuple[object, ...]:
        """All that decides the bytes of P; by default something random, so that nobody else has the same."""
        return (secrets.token_hex(32),)

    @property
    def kept(self) -> torch.Tensor | None:
        """P as a whole where it is held anyway; not to be written to."""
        return None

    @abc.abstractmethod
    def of(self, rows: torch.Tensor) -> torch.Tensor:
        """Return the similarity of some images, ``(len(rows), concepts)``."""

    @abc.abstractmethod
    def to(self, concepts: slice) -> torch.Tensor:
        """Return the similarity of all images to some concepts, ``(images, some concepts)``."""

    def columns(self, concepts: Sequence[int]) -> torch.Tensor:
        """Return the similarity of all images to concepts by number, ``(images, len(concepts))``."""
        which, back = torch.unique(torch.tensor(concepts, dtype=torch.int64), return_inverse=True)
        return torch.cat([self.to(slice(at, at + 1)) for at in which.tolist()], dim=1)[:, back]

    def whole(self) -> torch.Tensor:
        """Return P as a whole, ``(images, concepts)``."""
        return self.to(slice(0, self.concepts)) if self.kept is None else _held(self.kept)

    def pieces(self) -> Iterator[tuple[slice, torch.Tensor]]:
        """Yield P by groups of concepts, each with where it belongs: ``(images, some concepts)``.

        Where P is held and one piece, always the same tensor: what scorers make of it can be kept with it.
        """
        step = max(1, FLOATS // max(1, self.images))
        if self.kept is not None and self.concepts <= step:
            yield slice(0, self.concepts), _held(self.kept)
            return
        for start in range(0, self.concepts, step):
            part = slice(start, min(start + step, self.concepts))
            yield part, self.to(part)

    def embeddings(self, rows: torch.Tensor) -> torch.Tensor:
        """Return the normalised embeddings of some images, ``(len(rows), D)``.

        Raises
        ------
        DataError
            When there are only cosines.
        """
        raise DataError(
            "this scorer reads image embeddings, and there are only similarities",
            "use a scorer that reads similarities; see: mcd plugins list",
        )


def _held(kept: torch.Tensor) -> torch.Tensor:
    """Return P that is held: what scorers make of it is kept with it where that is no larger than what is kept of P."""
    return lasting(kept) if kept.numel() <= _KEPT else kept


class Matrix(Similarity):
    """P that is already computed, ``(images, concepts)``."""

    def __init__(self, values: torch.Tensor) -> None:
        self._values = values[:]  # a tensor of its own: what is kept with it goes when this does
        self.images, self.concepts = values.shape

    @property
    def content(self) -> tuple[object, ...]:
        """P."""
        return "matrix", self._values

    @property
    def kept(self) -> torch.Tensor:
        """P."""
        return self._values

    def of(self, rows: torch.Tensor) -> torch.Tensor:
        """Return rows of it."""
        return self._values[rows]

    def to(self, concepts: slice) -> torch.Tensor:
        """Return columns of it."""
        return self._values[:, concepts]


class Part(Similarity):
    """P of some of the images, ``(rows, concepts)``."""

    def __init__(self, base: Similarity, rows: torch.Tensor) -> None:
        self._base, self._rows = base, rows
        self.images, self.concepts, self.device = len(rows), base.concepts, base.device

    @property
    def content(self) -> tuple[object, ...]:
        """That of all images, and which these are."""
        return "part", *self._base.content, self._rows

    @cached_property
    def kept(self) -> torch.Tensor | None:
        """P of these images where that of all is held anyway."""
        return None if self._base.kept is None else self._base.kept[self._rows]

    def of(self, rows: torch.Tensor) -> torch.Tensor:
        """Return the similarity of some of these images."""
        return self._base.of(self._rows[rows])

    def to(self, concepts: slice) -> torch.Tensor:
        """Return the similarity of these images to some concepts."""
        return self._base.to(concepts)[self._rows]

    def columns(self, concepts: Sequence[int]) -> torch.Tensor:
        """Return the similarity of these images to concepts by number."""
        return self._base.columns(concepts)[self._rows]

    def embeddings(self, rows: torch.Tensor) -> torch.Tensor:
        """Return the normalised embeddings of some of these images."""
        return self._base.embeddings(self._rows[rows])


class Cosines(Similarity):
    """The cosine of every image and concept.

    Parameters
    ----------
    images, texts
        Embeddings ``(images, D)`` and ``(concepts, D)``; need not be normalised.
    ids, terms
        What they are of, for messages.
    reference
        ``(D,)``: a prompt without a concept; its cosine with the image is subtracted.

    Attributes
    ----------
    unit_images
        The normalised embeddings of the images, ``(images, D)``.

    Raises
    ------
    DataError
        When an embedding is zero or not finite, naming the image or the concept.
    """

    def __init__(
        self,
        images: torch.Tensor,
        texts: torch.Tensor,
        ids: Sequence[str],
        terms: Sequence[str],
        reference: torch.Tensor | None = None,
    ) -> None:
        for embeddings, names, kind in ((images, ids, "image"), (texts, terms, "concept")):
            norms = embeddings.norm(dim=1)
            broken = (~torch.isfinite(norms) | (norms == 0)).nonzero().flatten().tolist()
            if broken:
                raise DataError(
                    f"the dissector's embedding of {kind} '{names[broken[0]]}' is zero or not finite",
                    "use --precision fp32, or leave that one out",
                )
        self.unit_images = functional.normalize(images, dim=1)
        self._texts = functional.normalize(texts, dim=1).T.contiguous()
        self._reference = None if reference is None else self.unit_images @ functional.normalize(reference, dim=0)
        self.images, self.concepts = len(images), len(texts)

    @property
    def content(self) -> tuple[object, ...]:
        """The embeddings."""
        return "cosines", self.unit_images, self._texts, self._reference

    @cached_property
    def kept(self) -> torch.Tensor | None:
        """P as a whole where it is small, always the same tensor."""
        return self.to(slice(0, self.concepts)) if self.images * self.concepts <= _KEPT else None

    def of(self, rows: torch.Tensor) -> torch.Tensor:
        """Return the cosines of some images."""
        if self.kept is not None:
            return self.kept[rows]
        found = self.unit_images[rows] @ self._texts
        return found if self._reference is None else found.sub_(self._reference[rows, None])

    def to(self, concepts: slice) -> torch.Tensor:
        """Return the cosines with some concepts."""
        found = self.unit_images @ self._texts[:, concepts]
        return found if self._reference is None else found.sub_(self._reference[:, None])

    def columns(self, concepts: Sequence[int]) -> torch.Tensor:
        """Return the cosines with concepts by number: the same numbers as one by one, the embeddings read once."""
        which, back = torch.unique(torch.tensor(concepts, dtype=torch.int64), return_inverse=True)
        found = torch.empty(self.images, len(which))
        ends = [*range(_ROWS, self.images - _ROWS, _ROWS), self.images]
        for start, stop in pairwise([0, *ends]):
            for at, concept in enumerate(which.tolist()):
                found[start:stop, at : at + 1] = self.unit_images[start:stop] @ self._texts[:, concept : concept + 1]
        if self._reference is not None:
            found.sub_(self._reference[:, None])
        return found[:, back]

    def embeddings(self, rows: torch.Tensor) -> torch.Tensor:
        """Return the normalised embeddings of some images."""
        return self.unit_images[rows]


class Pooled(Similarity):
    """The similarity of images to concepts that have several names each: pooled before any scorer sees it.

    ``max`` takes the name that is nearest to the image, ``log-mean-exp`` is
    ``(1/s) log mean over names of exp(s · cosine)`` with sharpness s: the mean of the names' chances in a softmax of
    that temperature. The mean, not the sum, so that a concept gains nothing by having many names.

    Parameters
    ----------
    names
        The similarity to every name, ``(images, names)``.
    owner
        Which concept each name is of, ascending, none left out.
    """

    def __init__(
        self, names: Similarity, owner: Sequence[int], how: Literal["max", "log-mean-exp"], sharpness: float
    ) -> None:
        self._names, self._owner, self._how, self._sharpness = names, torch.tensor(owner), how, sharpness
        self._counts = torch.bincount(self._owner)
        self._ends = [0, *self._counts.cumsum(0).tolist()]
        self.images, self.concepts = names.images, len(self._counts)

    @property
    def content(self) -> tuple[object, ...]:
        """That of the names, and how they are pooled."""
        return "pooled", *self._names.content, self._owner, self._how, self._sharpness

    @cached_property
    def kept(self) -> torch.Tensor | None:
        """P as a whole where it is small, always the same tensor."""
        return self.to(slice(0, self.concepts)) if self.images * self.concepts <= _KEPT else None

    def of(self, rows: torch.Tensor) -> torch.Tensor:
        """Return the pooled similarity of some images."""
        if self.kept is not None:
            return self.kept[rows]
        return self._pooled(self._names.of(rows), slice(0, self.concepts))

    def to(self, concepts: slice) -> torch.Tensor:
        """Return the pooled similarity of all images to some concepts."""
        start, stop, _ = concepts.indices(self.concepts)
        return self._pooled(self._names.to(slice(self._ends[start], self._ends[stop])), slice(start, stop))

    def _pooled(self, names: torch.Tensor, concepts: slice) -> torch.Tensor:
        owner = self._owner[self._ends[concepts.start] : self._ends[concepts.stop]] - concepts.start
        where = owner.expand(len(names), -1)
        highest = names.new_full((len(names), concepts.stop - concepts.start), float("-inf"))
        highest.scatter_reduce_(1, where, names, "amax")
        if self._how == "max":
            return highest
        above = names.sub(highest.gather(1, where)).mul_(self._sharpness).exp_()
        mean = torch.zeros_like(highest).scatter_add_(1, where, above).div_(self._counts[concepts])
        return highest.add_(mean.log_().div_(self._sharpness))

    def embeddings(self, rows: torch.Tensor) -> torch.Tensor:
        """Return the normalised embeddings of some images."""
        return self._names.embeddings(rows)
