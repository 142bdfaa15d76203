"""The dissector's embeddings of the concepts, kept by content."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType

import safetensors
import torch
from safetensors.torch import load, save

from mcd.api.base import digest
from mcd.api.concepts import Concept
from mcd.api.dissector import Dissector
from mcd.errors import DamagedError, amount
from mcd.events import Clock
from mcd.extraction.keys import text_key
from mcd.extraction.shared_store import Entry, SharedStore
from mcd.files import digest_of, read_regular, write_atomically
from mcd.networks.texts import averaged, encode
from mcd.study.digests import CheckedFiles, Sums
from mcd.study.wording import Wording

__all__ = ["EMBEDDINGS", "ConceptTexts", "KnownTexts", "TextEncoder", "sentences", "warn_of_long"]


EMBEDDINGS = "embeddings"
"""The folder of a run in which embedded texts lie."""
_LARGEST = 2**32
"""Bytes of the largest file of embedded texts."""


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


@dataclass(frozen=True)
class KnownTexts:
    """Embedded texts that lie outside of a run folder, so that each is embedded once.

    Parameters
    ----------
    shared
        The store that runs share; None for none.
    unidentified
        Keys of dissectors that cannot be identified: nothing of them is found again.
    files
        What this process has embedded: files by the names that run folders give them.
    """

    shared: SharedStore | None = None
    unidentified: frozenset[str] = frozenset()
    files: dict[str, bytes] = field(default_factory=dict)

    def entry(self, key: str, texts: Sequence[str]) -> Entry | None:
        """Return what the shared store keeps of texts that a dissector embeds; None where it has no part in it."""
        if self.shared is None or key in self.unidentified:
            return None
        return self.shared.entry("texts", text_key(key, digest(*texts)))

    def find(self, key: str, texts: Sequence[str]) -> bytes | None:
        """Return the file that a dissector's embeddings of texts make; None where there is none."""
        name = _name(key, texts)
        entry = self.entry(key, texts)
        found = entry.find(0) if entry is not None and name not in self.files else None
        if entry is not None and found is not None:
            try:
                data = read_regular(found[0], _LARGEST)
            except OSError:  # it has just been removed
                return None
            if digest_of(data) != found[1]:
                entry.drop(0)
                return None
            entry.took()
            self.files[name] = data
        return self.files.get(name)


class TextEncoder:
    """Embeds texts by the dissector of a run; what was embedded before is read from the run folder, or elsewhere.

    Parameters
    ----------
    folder
        The run folder.
    keys
        `mcd.networks.identity.Identity.key` of the dissectors whose embeddings may be read.
    dissector
        Returns a dissector and its key; called only when nobody has what it would encode.
    digests
        Those of the manifest, which stored embeddings are held against, besides those written beside them.
    damaged
        Hears of stored embeddings that are not what was written, and are made again; None refuses them.
    others
        Where else they may be found, and are left for others.

    Attributes
    ----------
    keys
        Those given, and that of the dissector once something was encoded.
    used
        Digests of the files that were read or written, by their paths in the run folder.
    """

    def __init__(
        self,
        folder: Path,
        keys: Sequence[str],
        dissector: Callable[[], tuple[Dissector, str]],
        device: torch.device,
        *,
        digests: Mapping[str, str] = MappingProxyType({}),
        damaged: Callable[[str], None] | None = None,
        others: KnownTexts | None = None,
    ) -> None:
        self.keys = list(keys)
        self.used: dict[str, str] = {}
        self._folder, self._dissector, self._device = folder, dissector, device
        self._digests, self._damaged, self._others = digests, damaged, others or KnownTexts()
        self._sums = Sums(folder / EMBEDDINGS)

    def texts(self, texts: Sequence[str]) -> torch.Tensor:
        """Return the embeddings of texts, ``(texts, D)`` float32, not normalised."""
        for key in self.keys:
            stored = self._stored(_name(key, texts))
            if stored is not None and len(stored) == len(texts):
                return stored
        known = next(((key, data) for key in self.keys if (data := self._others.find(key, texts)) is not None), None)
        return self._kept(texts, *(self._encoded(texts) if known is None else known))

    def _encoded(self, texts: Sequence[str]) -> tuple[str, bytes]:
        """Return the key of the dissector, and the file that its embeddings make, computed where nobody has it."""
        dissector, key = self._dissector()
        data = None if key in self.keys else self._others.find(key, texts)
        if data is None:
            made = save({"texts": encode(dissector, list(texts), self._device)})
            data = self._others.files[_name(key, texts)] = made
        return key, data

    def _kept(self, texts: Sequence[str], key: str, data: bytes) -> torch.Tensor:
        name = _name(key, texts)
        self._sums.add(name, digest_of(data))
        write_atomically(self._folder / EMBEDDINGS / name, data)
        entry = self._others.entry(key, texts)
        if entry is not None:
            entry.put(0, self._folder / EMBEDDINGS / name, digest_of(data))
        self.used[f"{EMBEDDINGS}/{name}"] = digest_of(data)
        if key not in self.keys:
            self.keys.append(key)
        found: torch.Tensor = load(data)["texts"]
        return found

    def _stored(self, name: str) -> torch.Tensor | None:
        """Return stored embeddings; None where there are none, or they are to be made again."""
        place = f"{EMBEDDINGS}/{name}"
        beside = {f"{EMBEDDINGS}/{one}": digest for one, digest in self._sums.read().items()}
        try:
            data = CheckedFiles(self._folder, {**beside, **self._digests}).read(place, _LARGEST)
            found: torch.Tensor = load(data)["texts"]
        except DamagedError:
            if self._damaged is None:
                raise
            self._damaged(f"stored embeddings of texts are damaged and are made again: {place}")
            return None
        except (OSError, KeyError, ValueError, safetensors.SafetensorError):
            return None  # missing, or cut short by a full disk: encode again
        if found.ndim != 2 or found.dtype != torch.float32 or not bool(torch.isfinite(found).all()):
            return None
        self.used[place] = digest_of(data)
        return found

    def concepts(self, concepts: Sequence[Concept], wording: Wording) -> ConceptTexts:
        """Return the embeddings of concepts, worded as a study asks; several texts of one name are `averaged`."""
        names = [(number, name) for number, concept in enumerate(concepts) for name in wording.names(concept)]
        encoded = self.texts([text for _, texts in names for text in texts])
        reference = self.texts([wording.reference])[0] if wording.reference else None
        found = averaged(encoded, [len(texts) for _, texts in names])
        return ConceptTexts(found, tuple(owner for owner, _ in names), reference)


def _name(key: str, texts: Sequence[str]) -> str:
    return f"texts-{digest(key, *texts)[:16]}.safetensors"


def sentences(concepts: Sequence[Concept], wording: Wording) -> list[str]:
    """Return every text that a dissector reads for these concepts."""
    found = [text for concept in concepts for name in wording.names(concept) for text in name]
    return [*found, wording.reference] if wording.reference else found


def warn_of_long(dissector: Dissector, prompts: Sequence[str], clock: Clock) -> None:
    """Say which prompts the dissector reads the start of only."""
    cut = dissector.too_long(prompts)
    if cut:
        shown = ", ".join(f"'{text[:60]}…'" for text in cut[:3]) + (" …" if len(cut) > 3 else "")
        those, are = amount(len(cut), "text"), "is" if len(cut) == 1 else "are"
        clock.warn(f"{those} {are} longer than {dissector.name} reads; only the start is read: {shown}")
