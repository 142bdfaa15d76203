"""The contract of dissectors: image–text models that give concepts meaning."""

from __future__ import annotations

import abc
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from mcd.api.base import Configured
from mcd.api.image import Preprocessing

if TYPE_CHECKING:
    import torch
    from torch import nn

__all__ = ["Dissector"]


class Dissector(Configured, abc.ABC):
    """Base of dissectors. Creating one only takes its options; `load` loads its weights.

    Attributes
    ----------
    name
        What tables call it.
    module
        All of its weights: moved to the run's device, put in eval mode, fingerprinted. Set by `load`.
    preprocessing
        How an image becomes the input of `encode_images`.
    image_tower
        The module inside `module` that `encode_images` calls once a batch with that same input, if there
        is one. Where it is also the target, one forward pass serves both.
    caution
        What a reader of its labels must know; said in every run that uses it, and kept in the manifest.
    revision
        Where fetched weights came from, ``OWNER/NAME@COMMIT`` on the hub; the manifest records it.
    """

    name: str
    module: nn.Module
    preprocessing: Preprocessing
    image_tower: nn.Module | None = None
    caution: str = ""
    revision: str = ""

    def load(self) -> None:
        """Load the weights, on the CPU, and set `module`, `name`, `preprocessing` and what else follows from them.

        The engine calls it once, before it uses anything else of the dissector; not where `module` is set already.
        The default does nothing.

        Raises
        ------
        mcd.errors.CheckpointError
            When the weights are missing or do not fit.
        """

    @abc.abstractmethod
    def encode_images(self, batch: torch.Tensor) -> torch.Tensor:
        """Return the image embeddings ``(B, D)`` of a batch ``(B, C, H, W)``, on its device. Need not be normalised."""

    @abc.abstractmethod
    def encode_texts(self, texts: Sequence[str]) -> torch.Tensor:
        """Return the text embeddings ``(len(texts), D)``, on the module's device. Need not be normalised."""

    def too_long(self, texts: Sequence[str]) -> list[str]:
        """Return those of the texts that are longer than what is read of them; the engine says so to the user."""
        return []

    def unknown(self, texts: Sequence[str]) -> Mapping[str, Sequence[str]] | None:
        """Return text → the words of it that the tokenizer does not know; None where that cannot be determined."""
        return None
