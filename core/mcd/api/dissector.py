"""The contract of dissectors: image–text models that give concepts meaning."""

from __future__ import annotations

import abc
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from mcd.api.base import Configured
from mcd.api.image import Preprocessing

if TYPE_CHECKING:
    import torch
    from torch import nn

__all__ = ["Dissector", "check_templates", "templated"]


class Dissector(Configured, abc.ABC):
    """Base of dissectors. Creating one loads its weights, on the CPU; the engine moves `module`.

    Attributes
    ----------
    name
        What tables call it.
    module
        All of its weights: moved to the run's device, put in eval mode, fingerprinted.
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
        """Return text → the words of it that the tokenizer does not know; None where that cannot be told."""
        return None


def check_templates(templates: tuple[str, ...]) -> tuple[str, ...]:
    """Return prompt templates that each say once where the concept goes.

    Raises
    ------
    ValueError
        Naming the one that does not; made for a validator of options.
    """
    for template in templates:
        if template.count("{}") != 1:
            raise ValueError(f"template {template!r} must hold {{}} once, where the concept goes")
    return templates


def templated(
    texts: Sequence[str], templates: Sequence[str], encode: Callable[[Sequence[str]], torch.Tensor]
) -> torch.Tensor:
    """Return one embedding a text: its own without templates, else the mean of the normalised ones in each.

    Parameters
    ----------
    templates
        Sentences with ``{}`` where the text goes. Averaging: Radford et al. 2021, section 3.1.4.
    encode
        Returns the embeddings ``(len(texts), D)`` of sentences.
    """
    if not templates:
        return encode(texts)
    parts = [encode([template.replace("{}", text) for text in texts]) for template in templates]
    mean: torch.Tensor = parts[0] / parts[0].norm(dim=1, keepdim=True) / len(parts)
    for part in parts[1:]:
        mean += part / part.norm(dim=1, keepdim=True) / len(parts)
    return mean
