"""What a scorer may know of the probe set besides activations and similarity."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, TypeVar

from mcd.api.concepts import Concept
from mcd.errors import DataError

if TYPE_CHECKING:
    import pandas as pd
    import torch

__all__ = ["FACTS", "Probe"]

FACTS = ("patient", "view", "laterality", "density", "assessment", "vendor", "implant", "split", "collection")
"""Columns that every table of facts has."""

ValueT = TypeVar("ValueT")


class Probe:
    """The probe set as the dissector sees it, and what is known about its images; rows are those of A and P.

    Parameters
    ----------
    concepts
        The columns of P.
    embeddings, texts
        ``(images, D)`` and ``(concepts, D)`` float32, normalised; None where only A and P are given.
    facts
        Returns a table, a row an image: the columns `FACTS` as texts, empty where not known; a column for each finding
        of the data set, ``yes``, ``no`` or empty; and one for each further label. A label hides no fact of its
        name.
    encode
        Returns the embeddings ``(texts, D)`` of texts by the dissector, not normalised; None where there is no
        dissector.
    """

    def __init__(
        self,
        concepts: Sequence[Concept],
        embeddings: torch.Tensor | None,
        texts: torch.Tensor | None,
        facts: Callable[[], pd.DataFrame],
        encode: Callable[[Sequence[str]], torch.Tensor] | None,
    ) -> None:
        self.concepts, self._embeddings, self._texts = tuple(concepts), embeddings, texts
        self._facts, self._encode = facts, encode

    def part(self, rows: Sequence[int]) -> Probe:
        """Return the probe set of some of its images, by row number."""
        embeddings = None if self._embeddings is None else self._embeddings[list(rows)]
        return Probe(self.concepts, embeddings, self._texts, lambda: self.facts.iloc[list(rows)], self._encode)

    @property
    def embeddings(self) -> torch.Tensor:
        """The embeddings of the images, ``(images, D)``.

        Raises
        ------
        DataError
            When there are only A and P; `texts`, `encoded` and `cosines` raise it too.
        """
        return _given(self._embeddings)

    @property
    def texts(self) -> torch.Tensor:
        """The embeddings of the concepts, ``(concepts, D)``."""
        return _given(self._texts)

    @cached_property
    def facts(self) -> pd.DataFrame:
        """What is known about each image."""
        return self._facts()

    @property
    def patients(self) -> list[str]:
        """The patient of each image; empty texts where unknown."""
        return [str(one) for one in self.facts["patient"]]

    def encoded(self, texts: Sequence[str]) -> torch.Tensor:
        """Return the embeddings of texts that are not concepts, ``(texts, D)`` float32, normalised."""
        import torch.nn.functional as functional

        return functional.normalize(_given(self._encode)(texts), dim=1)

    def cosines(self, texts: Sequence[str]) -> torch.Tensor:
        """Return the cosine of every image with texts that are not concepts, ``(images, texts)`` float32."""
        found: torch.Tensor = self.embeddings @ self.encoded(texts).T
        return found

    def known(self, name: str) -> list[str]:
        """Return one fact of every image.

        Raises
        ------
        DataError
            When the probe set does not have it; the hint names the facts it has.
        """
        if name not in self.facts or not any(self.facts[name]):
            available = [one for one in self.facts if any(self.facts[one]) and one != "patient"]
            raise DataError(
                f"the probe set has no '{name}' for any image",
                f"it has: {', '.join(map(str, available[:20]))}" if available else "it has no facts about its images",
            )
        return [str(one) for one in self.facts[name]]


def _given(value: ValueT | None) -> ValueT:
    if value is None:
        raise DataError(
            "this scorer reads embeddings of the dissector, but only activations and similarity are given",
            "choose a scorer that needs no more than these, or use mcd.dissect",
        )
    return value
