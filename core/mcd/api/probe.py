"""What a scorer may know of the probe set besides activations and similarity."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property
from typing import TYPE_CHECKING

from mcd.api.concepts import Concept
from mcd.errors import DataError

if TYPE_CHECKING:
    import pandas as pd
    import torch

__all__ = ["Probe"]


class Probe:
    """The probe set as the dissector sees it, and what is known about its images; rows are those of A and P.

    Parameters
    ----------
    concepts
        The columns of P.
    embeddings, texts
        ``(images, D)`` and ``(concepts, D)`` float32, normalised.
    facts
        Returns a table, a row an image: ``patient``, ``view``, ``laterality``, ``density``, ``assessment``, ``vendor``,
        ``implant``, ``split``, ``collection`` as texts, empty where not known; a column for each finding that the data
        set tells, ``yes``, ``no`` or empty; and one for each further label. A label hides no fact of its name.
    encode
        Returns the embeddings ``(texts, D)`` of texts by the dissector, not normalised.
    """

    def __init__(
        self,
        concepts: Sequence[Concept],
        embeddings: torch.Tensor,
        texts: torch.Tensor,
        facts: Callable[[], pd.DataFrame],
        encode: Callable[[Sequence[str]], torch.Tensor],
    ) -> None:
        self.concepts, self.embeddings, self.texts = tuple(concepts), embeddings, texts
        self._facts, self._encode = facts, encode

    @cached_property
    def facts(self) -> pd.DataFrame:
        """What is known about each image."""
        return self._facts()

    @property
    def patients(self) -> list[str]:
        """Whose each image is; empty texts where that is not known."""
        return [str(one) for one in self.facts["patient"]]

    def encoded(self, texts: Sequence[str]) -> torch.Tensor:
        """Return the embeddings of texts that are not concepts, ``(texts, D)`` float32, normalised."""
        import torch.nn.functional as functional

        return functional.normalize(self._encode(texts), dim=1)

    def cosines(self, texts: Sequence[str]) -> torch.Tensor:
        """Return the cosine of every image with texts that are not concepts, ``(images, texts)`` float32."""
        found: torch.Tensor = self.embeddings @ self.encoded(texts).T
        return found

    def known(self, name: str) -> list[str]:
        """Return one fact of every image.

        Raises
        ------
        DataError
            When the probe set does not tell it, with what it does tell as hint.
        """
        if name not in self.facts or not any(self.facts[name]):
            told = [one for one in self.facts if any(self.facts[one]) and one != "patient"]
            raise DataError(
                f"the probe set does not tell '{name}' of any image",
                f"it tells: {', '.join(map(str, told[:20]))}" if told else "it tells nothing but the images",
            )
        return [str(one) for one in self.facts[name]]
