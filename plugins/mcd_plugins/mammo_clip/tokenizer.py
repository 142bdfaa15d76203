"""Where the tokenizer's vocabulary comes from, and the tokenizer that Mammo-CLIP was trained with."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from pathlib import Path

import huggingface_hub
import torch
from transformers import BertTokenizer

from mcd.errors import CheckpointError, passes_through, said_by
from mcd.plugins import hub_repository

__all__ = ["HUB_NAME", "LENGTH", "Tokenizer", "find_vocabulary"]

HUB_NAME = "emilyalsentzer/Bio_ClinicalBERT"
LENGTH = 256
"""Tokens of a text, [CLS] and [SEP] included; the rest is cut off, as in training."""
_FILE = "vocab.txt"


def find_vocabulary(choice: str | None, checkpoint: Path) -> Path:
    """Return the file of the vocabulary.

    Parameters
    ----------
    choice
        A ``vocab.txt``, a folder with one, or ``hub:OWNER/NAME``, a repository on the hub (which may use the network).
        None looks beside the checkpoint, then into the hub's cache on this machine; never into the network.
    checkpoint
        The weights file.

    Raises
    ------
    CheckpointError
        Saying which file to fetch and where to put it.
    """
    if choice is None:
        return _nearby(checkpoint)
    given = Path(choice)
    if given.is_file():
        return given
    if given.is_dir():
        if (given / _FILE).is_file():
            return given / _FILE
        raise CheckpointError(f"the tokenizer's folder {given} has no {_FILE}", _advice(given / _FILE))
    if repository := hub_repository(choice):
        return _fetched(repository, checkpoint)
    raise CheckpointError(f"there is no tokenizer {choice}", _advice(checkpoint.with_name(_FILE)))


def _nearby(checkpoint: Path) -> Path:
    beside = checkpoint.with_name(_FILE)
    if beside.is_file():
        return beside
    cached = huggingface_hub.try_to_load_from_cache(HUB_NAME, _FILE)
    if isinstance(cached, str):
        return Path(cached)
    raise CheckpointError(f"the vocabulary of {HUB_NAME} is not on this machine", _advice(beside))


def _fetched(name: str, checkpoint: Path) -> Path:
    try:
        repository, _, wanted = name.partition("@")
        return Path(huggingface_hub.hf_hub_download(repository, _FILE, revision=wanted or None))
    except BaseException as error:  # the hub's clients raise whatever they come upon
        if passes_through(error):
            raise
        reason = said_by(error, named=False)
        raise CheckpointError(
            f"the vocabulary of {name} could not be fetched: {reason}", _advice(checkpoint.with_name(_FILE))
        ) from None


def _advice(place: Path) -> str:
    return (
        f"fetch {_FILE} (213 kB) of {HUB_NAME} on any machine with network, and put it at {place.absolute()};\n"
        f"or set tokenizer to a folder that has it, to the file, or, with network, to hub:{HUB_NAME}"
    )


class Tokenizer:
    """BERT's WordPiece on a cased vocabulary with lower-casing on, as Mammo-CLIP was trained.

    The repository of its text model has no tokenizer configuration, so the default (lower-case) applied although
    the vocabulary is cased; words that the vocabulary has with a capital only are split into pieces. Texts are cut
    at ``limit`` tokens.
    """

    def __init__(self, vocabulary: Path, rows: int, limit: int = LENGTH) -> None:
        try:
            self.content = vocabulary.read_bytes()
            lines = self.content.decode("utf-8").splitlines()
        except (OSError, UnicodeDecodeError) as error:
            raise CheckpointError(
                f"the vocabulary {vocabulary} cannot be read: {error}",
                "give vocab.txt of Bio_ClinicalBERT as it was released",
            ) from None
        if len(lines) != rows or not {"[CLS]", "[SEP]", "[PAD]", "[UNK]"} <= set(lines):
            raise CheckpointError(
                f"{vocabulary} is not the vocabulary of this text model: {len(lines)} lines for {rows} tokens",
                f"take the one of {HUB_NAME}",
            )
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            self._tokenizer = BertTokenizer(str(vocabulary), do_lower_case=True)
        self.limit = limit

    def __call__(self, texts: Sequence[str]) -> tuple[torch.Tensor, torch.Tensor]:
        """Return token ids and attention mask, both int64 ``(len(texts), longest)``."""
        found = self._tokenizer(
            list(texts), max_length=self.limit, padding="longest", truncation=True, return_tensors="pt"
        )
        return found["input_ids"], found["attention_mask"]

    def length(self, text: str) -> int:
        """Return how many tokens a text has, nothing cut off."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return len(self._tokenizer(text, verbose=False)["input_ids"])

    def unknown(self, text: str) -> list[str]:
        """Return the words of a text that become [UNK]."""
        return [word for word in text.split() if "[UNK]" in self._tokenizer.tokenize(word)]
