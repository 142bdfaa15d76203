"""The dissector's embeddings of the concepts, kept by content."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import safetensors
import torch
from safetensors.torch import save

from mcd.api.base import digest
from mcd.api.concepts import Concept
from mcd.api.dissector import Dissector
from mcd.events import Clock
from mcd.files import write_atomically
from mcd.networks.texts import averaged, encode
from mcd.study.wording import Wording

__all__ = ["ConceptTexts", "TextEncoder", "sentences", "warn_of_long"]


@dataclass(frozen=True)
class ConceptTexts:
    """A concept set as a dissector sees it.

    Parameters
    ----------
    names
        ``(names, D)`` float32, not normalised: of every concept, and of its synonyms where they take part.
    owner
        ``(names,)``: which concept each is of, in ascending order.
    reference
        ``(D,)``: the prompt without a concept, if there is one.
    """

    names: torch.Tensor
    owner: tuple[int, ...]
    reference: torch.Tensor | None = None


class TextEncoder:
    """Embeds texts by the dissector of a run; what was embedded before is read from the run folder.

    Parameters
    ----------
    folder
        The run folder.
    keys
        `mcd.networks.identity.Identity.key` of the dissectors whose embeddings may be read.
    dissector
        Returns a dissector and its key; called only when something must be encoded.

    Attributes
    ----------
    keys
        Those given, and that of the dissector once something was encoded.
    """

    def __init__(
        self, folder: Path, keys: Sequence[str], dissector: Callable[[], tuple[Dissector, str]], device: torch.device
    ) -> None:
        self.keys = list(keys)
        self._folder, self._dissector, self._device = folder, dissector, device

    def texts(self, texts: Sequence[str]) -> torch.Tensor:
        """Return the embeddings of texts, ``(texts, D)`` float32, not normalised."""
        for key in self.keys:
            try:
                with safetensors.safe_open(self._file(key, texts), framework="pt") as file:
                    stored: torch.Tensor = file.get_tensor("texts")
                if len(stored) == len(texts):
                    return stored
            except (OSError, safetensors.SafetensorError):
                pass  # missing, or cut short by a full disk: encode again
        dissector, key = self._dissector()
        encoded = encode(dissector, list(texts), self._device)
        write_atomically(self._file(key, texts), save({"texts": encoded}))
        if key not in self.keys:
            self.keys.append(key)
        return encoded

    def _file(self, key: str, texts: Sequence[str]) -> Path:
        return self._folder / "embeddings" / f"texts-{digest(key, *texts)[:16]}.safetensors"

    def concepts(self, concepts: Sequence[Concept], wording: Wording) -> ConceptTexts:
        """Return the embeddings of concepts, worded as a study asks; several texts of one name are `averaged`."""
        names = [(number, name) for number, concept in enumerate(concepts) for name in wording.names(concept)]
        encoded = self.texts([text for _, texts in names for text in texts])
        reference = self.texts([wording.reference])[0] if wording.reference else None
        found = averaged(encoded, [len(texts) for _, texts in names])
        return ConceptTexts(found, tuple(owner for owner, _ in names), reference)


def sentences(concepts: Sequence[Concept], wording: Wording) -> list[str]:
    """Return every text that a dissector reads for these concepts."""
    found = [text for concept in concepts for name in wording.names(concept) for text in name]
    return [*found, wording.reference] if wording.reference else found


def warn_of_long(dissector: Dissector, prompts: Sequence[str], clock: Clock) -> None:
    """Say which prompts the dissector reads the start of only."""
    cut = dissector.too_long(prompts)
    if cut:
        shown = ", ".join(f"'{text[:60]}…'" for text in cut[:3]) + (" …" if len(cut) > 3 else "")
        clock.warn(f"{len(cut)} texts are longer than {dissector.name} reads; it sees only their start: {shown}")
