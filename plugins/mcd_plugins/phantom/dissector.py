"""The dissector ``phantom-clip``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch

import mcd
from mcd_plugins.phantom.network import PhantomClipNetwork
from mcd_plugins.phantom.shipped import PREPROCESSING, loaded

__all__ = ["PhantomClip"]


class PhantomClip(mcd.Dissector):
    """A small image–text model trained on phantoms and captions of what they show.

    It knows the factors of the phantoms (see MODEL_CARD.md), words for them, and nothing else; on real
    mammograms it shows that a run works, not what is in them.
    """

    caution = (
        "phantom-clip has seen drawn phantoms only: its labels are for demonstration and testing, not for real images"
    )

    def load(self) -> None:
        """Load the weights that come with the package."""
        network = loaded(PhantomClipNetwork(), "phantom_clip.safetensors")
        self.name = "phantom-clip"
        self.module = network
        self.preprocessing = PREPROCESSING
        self.image_tower = network.image_tower
        self._network = network

    def encode_images(self, batch: torch.Tensor) -> torch.Tensor:
        """Return the embeddings ``(B, 128)`` of a batch ``(B, 1, 320, 192)``."""
        embedded: torch.Tensor = self._network.image_tower(batch)
        return embedded

    def encode_texts(self, texts: Sequence[str]) -> torch.Tensor:
        """Return the embeddings ``(len(texts), 128)``."""
        embedded: torch.Tensor = self._network.text_tower(texts)
        return embedded

    def unknown(self, texts: Sequence[str]) -> Mapping[str, Sequence[str]]:
        """Return nothing: words are hashed, so every one has a place."""
        return {}
