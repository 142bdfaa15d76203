"""The dissector ``open-clip``."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from typing import Protocol, cast

import open_clip
import torch
from open_clip.tokenizer import HFTokenizer, SimpleTokenizer

import mcd
from mcd.errors import CheckpointError, passes_through, said_by
from mcd.plugins import digest, hub_cache_only, hub_revision
from mcd_plugins.open_clip.building import (
    ClipOptions,
    built,
    context,
    library_name,
    quiet,
    recipe,
    repository,
    text_model,
)

__all__ = ["OpenClip"]


class _Clip(Protocol):
    """What all networks of open_clip can do."""

    def encode_image(self, image: torch.Tensor) -> torch.Tensor: ...

    def encode_text(self, text: torch.Tensor) -> torch.Tensor: ...


class _Tokenizer(Protocol):
    """What all its tokenizers can do."""

    context_length: int

    def __call__(self, texts: list[str]) -> torch.Tensor: ...


class OpenClip(mcd.Dissector):
    """Any CLIP that open_clip can build, with its own tokenizer, context length and image transform.

    Most have seen photographs of the world and their captions; what they make of mammograms is the question, not
    the answer.
    """

    class Options(ClipOptions):
        """Settings of the dissector."""

    options: Options

    def load(self) -> None:
        """Load the network and its tokenizer, fetched where they are not on this machine.

        Raises
        ------
        CheckpointError
            When weights or tokenizer are missing or do not fit.
        """
        own = self.options
        network, self.caution = built(own)
        folder = context(own)
        self.name = folder.resolve().name if folder else own.name
        self.module = network
        self.image_tower = network.get_submodule("visual")
        self.preprocessing = recipe(network, own.resize)
        if self.preprocessing.resize == "crop":
            crops = f"{self.name} sees the centre of images that are not square; resize=letterbox shows all"
            self.caution = "; ".join(filter(None, (crops, self.caution)))
        asked = repository(own)
        self.revision = hub_revision(asked) if asked else ""
        with contextlib.nullcontext() if asked else hub_cache_only():
            self._tokenizer = _tokenizer(library_name(own))
        self._network = cast("_Clip", network)

    def encode_images(self, batch: torch.Tensor) -> torch.Tensor:
        """Return the embeddings ``(B, D)``, not normalised."""
        return self._network.encode_image(batch)

    def encode_texts(self, texts: Sequence[str]) -> torch.Tensor:
        """Return the embeddings ``(len(texts), D)``, not normalised."""
        device = next(self.module.parameters()).device
        return self._network.encode_text(self._tokenizer(list(texts)).to(device))

    def too_long(self, texts: Sequence[str]) -> list[str]:
        """Return the texts that do not fit into the context."""
        return [text for text in texts if self._length(text) > self._tokenizer.context_length]

    def _length(self, text: str) -> int:
        if isinstance(self._tokenizer, SimpleTokenizer):
            return len(self._tokenizer.encode(text)) + 2  # it adds the start and the end itself
        if isinstance(self._tokenizer, HFTokenizer):
            return len(self._tokenizer.tokenizer(self._tokenizer.clean_fn(text))["input_ids"])
        return 0

    def fingerprint(self) -> str:
        """Return a digest of how texts are read; the engine adds the weights."""
        probe = self._tokenizer(["a probe: MASS, mass, microcalcifications 0.5 mm"])
        kind = type(self._tokenizer).__name__
        return digest("open-clip", open_clip.__version__, kind, str(probe.tolist()))


def _of_transformers(name: str) -> bool:
    settings = open_clip.get_model_config(name) or {}
    return bool(settings.get("text_cfg", {}).get("hf_tokenizer_name"))


def _tokenizer(name: str) -> _Tokenizer:
    try:
        with quiet():
            # The last word, whatever a configuration says; open_clip's own tokenizers have no such setting.
            never = {"trust_remote_code": False} if _of_transformers(name) else {}
            return cast("_Tokenizer", open_clip.get_tokenizer(name, **never))
    except BaseException as error:  # open_clip and the hub's clients raise whatever they come upon
        if passes_through(error):
            raise
        reason = said_by(error, named=False)
        folder = name.removeprefix("local-dir:")
        where = text_model(folder, "hf_tokenizer_name")
        beside = f" --local-dir {folder}" if folder != name else ""
        raise CheckpointError(
            f"the tokenizer of {folder} is not on this machine: {reason}",
            f"fetch it: hf download {where} --include 'token*' --include 'vocab*'{beside}"
            if where
            else "put its files (tokenizer.json, tokenizer_config.json) into the model's folder and give that as name",
        ) from None
