"""The dissector ``transformers-clip``."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Protocol, cast

import pydantic
import torch
import transformers
from torch import nn

import mcd
from mcd.errors import CheckpointError, PluginLoadError
from mcd.plugins import NameOrPath, digest
from mcd_plugins.transformers.building import built
from mcd_plugins.transformers.preprocessing import Resize, recipe
from mcd_plugins.transformers.sources import Source, quiet

__all__ = ["TransformersClip"]

_PADDED = ("siglip", "siglip2")
"""Kinds of model that were trained on texts filled up to the full context."""
_BEYOND_ANY = 10**9
"""Tokenizers without a configured length report 10³⁰."""


class _Clip(Protocol):
    """What all CLIP-likes of transformers can do."""

    def get_image_features(self, *, pixel_values: torch.Tensor) -> object: ...

    def get_text_features(self, **tokens: torch.Tensor) -> object: ...


class TransformersClip(mcd.Dissector):
    """A CLIP-like of transformers (CLIP, SigLIP, SigLIP 2, AltCLIP, dual encoders), with its tokenizer and processor.

    A PubMedCLIP folder is a CLIP and loads as such. A folder is read here; ``hub:OWNER/NAME`` is fetched. SigLIP 2 with
    NaFlex sees squares of the size that its number of patches allows.
    """

    class Options(mcd.Options):
        """Settings of the dissector."""

        name: NameOrPath = pydantic.Field(
            description="a folder with model, tokenizer and processor, or hub:OWNER/NAME, hub:OWNER/NAME@REVISION"
        )
        resize: Resize = pydantic.Field(
            default="own", description="own is the model's; where that crops, letterbox shows whole mammograms"
        )

    options: Options

    def load(self) -> None:
        """Load the network, its tokenizer and its processor, fetched where they are not on this machine.

        Raises
        ------
        CheckpointError
            When weights or tokenizer are missing, do not fit, or have no text tower.
        """
        own, source = self.options, Source(self.options.name)
        network = built(source, transformers.AutoModel)
        if not (hasattr(network, "get_image_features") and hasattr(network, "get_text_features")):
            raise CheckpointError(
                f"{own.name} ({type(network).__name__}) has no text tower; a dissector needs one",
                "as a target it can be used: --model-plugin transformers:NAME",
            )
        self.name, self.revision = source.title, source.revision
        self.module, self._network = network, cast("_Clip", network)
        self.image_tower = network.get_submodule("vision_model") if hasattr(network, "vision_model") else None
        self.preprocessing = recipe(source, own.resize)
        if self.preprocessing.resize == "crop":
            self.caution = f"{self.name} sees the centre of images that are not square; resize=letterbox shows all"
        self._tokenizer = _tokenizer(source)
        self._context = _context(network, self._tokenizer, own.name)
        kind = cast("transformers.PreTrainedConfig", network.config).model_type
        self._padding = "max_length" if kind in _PADDED else "longest"

    def encode_images(self, batch: torch.Tensor) -> torch.Tensor:
        """Return the embeddings ``(B, D)``, not normalised."""
        return _tensor(self._network.get_image_features(pixel_values=batch))

    def encode_texts(self, texts: Sequence[str]) -> torch.Tensor:
        """Return the embeddings ``(len(texts), D)``, not normalised."""
        tokens = self._tokenizer(
            list(texts), padding=self._padding, max_length=self._context, truncation=True, return_tensors="pt"
        )
        device = next(self.module.parameters()).device
        known = {name: tokens[name].to(device) for name in ("input_ids", "attention_mask") if name in tokens}
        return _tensor(self._network.get_text_features(**known))

    def too_long(self, texts: Sequence[str]) -> list[str]:
        """Return the texts that do not fit into the context."""
        with quiet():
            return [text for text in texts if len(self._tokenizer(text)["input_ids"]) > self._context]

    def fingerprint(self) -> str:
        """Return a digest of how texts are read; the engine adds the weights."""
        probe = self._tokenizer("a probe: MASS, mass, microcalcifications 0.5 mm")["input_ids"]
        return digest("transformers-clip", transformers.__version__, self._padding, str(self._context), str(probe))


def _tensor(output: object) -> torch.Tensor:
    """Return the features: versions before 5 return them as they are, later ones within a record."""
    found = output if isinstance(output, torch.Tensor) else getattr(output, "pooler_output", None)
    if not isinstance(found, torch.Tensor):
        raise PluginLoadError(
            f"transformers returned features as a {type(output).__name__}, which is not understood",
            "use the version of transformers that pyproject.toml allows",
        )
    return found


def _tokenizer(source: Source) -> transformers.PreTrainedTokenizerBase:
    found: transformers.PreTrainedTokenizerBase = source.read(transformers.AutoTokenizer.from_pretrained, "tokenizer")
    return found


def _context(network: nn.Module, tokenizer: transformers.PreTrainedTokenizerBase, name: str) -> int:
    """Return how many tokens of a text are read: as many as the tower has positions for and the tokenizer allows."""
    config = cast("transformers.PreTrainedConfig", network.config)
    said = getattr(getattr(config, "text_config", config), "max_position_embeddings", None)
    limits = [tokenizer.model_max_length, *([said] if isinstance(said, int) else [])]
    for place, module in network.named_modules():
        if isinstance(module, nn.Embedding) and re.fullmatch(r"text_model\..*position_embeddings?", place):
            # RoBERTa and its kin count from the number of the padding token on, which has no position of its own.
            limits.append(module.num_embeddings - (0 if module.padding_idx is None else module.padding_idx + 1))
    if min(limits) > _BEYOND_ANY:
        raise CheckpointError(
            f"{name} does not say how many tokens it reads", "set model_max_length in its tokenizer_config.json"
        )
    return min(limits)
