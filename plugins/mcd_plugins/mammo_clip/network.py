"""The whole network, built from what its checkpoint holds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

import torch
from torch import nn
from transformers import BertConfig, BertModel

from mcd.errors import CheckpointError
from mcd.plugins import averaged_beside, find_state_dict, fit_state_dict, read_checkpoint, unfilled
from mcd_plugins.mammo_clip.tower import HEAD, Network, empty_tower, fill_tower, network_of

__all__ = ["MammoClipNetwork", "Opened", "Pooling", "Projection", "build", "built_text", "open_checkpoint", "pooled"]

Pooling = Literal["eos", "bos", "mean"]
_ENCODERS: dict[str, Network] = {"tf_efficientnet_b5_ns-detect": "b5", "tf_efficientnetv2-detect": "b2"}
"""Names in the configuration. Both mislead: the one is no Noisy Student, the other no V2."""
_TEXT = "text_encoder.text_encoder."
_HEAD_WIDTH = 64
"""Dimensions of an attention head in every BERT in use; shapes alone do not determine it."""


@dataclass(frozen=True)
class Opened:
    """What a pre-training checkpoint says: its tensors, which network, how texts are pooled, what is not used."""

    path: Path
    state: Mapping[str, torch.Tensor]
    network: Network
    pooling: Pooling
    caution: str = ""


def open_checkpoint(path: Path) -> Opened:
    """Open a released ``.tar``; nothing of what it pickles is executed or imported.

    Raises
    ------
    CheckpointError
        When it is no checkpoint of Mammo-CLIP, or of an image or text model that this version does not build.
    """
    content = read_checkpoint(path)
    state = find_state_dict(content, path)
    model = _configured(content)
    written = str(_at(model, "image_encoder", "name") or "")
    if written and written not in _ENCODERS:
        raise CheckpointError(
            f"{path} says its image encoder is '{written}'; the released networks can be read: {', '.join(_ENCODERS)}",
            "give the whole checkpoint as it was released, or the loader that fits it; see: mcd plugins list",
        )
    if any(name.startswith(HEAD) for name in state):
        raise CheckpointError(f"{path} is a fine-tuned classifier", "use --model-plugin mammo-clip-classifier:FILE")
    network = network_of(state, path)
    if written and _ENCODERS[written] != network:
        raise CheckpointError(
            f"{path} says '{written}', but its tensors are those of {network.upper()}",
            "give the whole checkpoint as it was released, or the loader that fits it; see: mcd plugins list",
        )
    pooling = _at(model, "text_encoder", "pooling") or "eos"
    for known in get_args(Pooling):
        if pooling == known:
            return Opened(path, state, network, known, averaged_beside(content, state))
    raise CheckpointError(
        f"{path} pools its texts by '{pooling}'; known are: {', '.join(get_args(Pooling))}",
        "give the whole checkpoint as it was released, or the loader that fits it; see: mcd plugins list",
    )


def _configured(content: object) -> object:
    """Return the model's part of the configuration that training saved, if there is one."""
    return _at(content, "config", "model")


def _at(value: object, *keys: str) -> object:
    for key in keys:
        value = value.get(key) if isinstance(value, Mapping) else None
    return value


class Projection(nn.Module):
    """From a tower's vector to the common space: one layer, or two with a skip and a norm."""

    def __init__(self, inputs: int, outputs: int, deep: bool = False) -> None:
        super().__init__()
        self.projection = nn.Linear(inputs, outputs)
        self.fc = nn.Linear(outputs, outputs) if deep else None
        self.layer_norm = nn.LayerNorm(outputs) if deep else None

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return ``(B, outputs)``."""
        projected: torch.Tensor = self.projection(x)
        if self.fc is None or self.layer_norm is None:
            return projected
        mixed: torch.Tensor = self.layer_norm(self.fc(nn.functional.gelu(projected)) + projected)
        return mixed


class MammoClipNetwork(nn.Module):
    """Both towers and both heads."""

    def __init__(
        self, image_encoder: nn.Module, text_encoder: nn.Module, heads: tuple[Projection, Projection], pooling: Pooling
    ) -> None:
        super().__init__()
        self.image_encoder, self.text_encoder = image_encoder, text_encoder
        self.image_projection, self.text_projection = heads
        self.pooling = pooling

    def images(self, batch: torch.Tensor) -> torch.Tensor:
        """Return the embeddings ``(B, D)``, not normalised."""
        embedded: torch.Tensor = self.image_projection(self.image_encoder(batch))
        return embedded

    def texts(self, ids: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """Return the embeddings ``(B, D)`` of tokens, not normalised."""
        hidden = self.text_encoder(input_ids=ids, attention_mask=mask).last_hidden_state
        embedded: torch.Tensor = self.text_projection(pooled(hidden, mask, self.pooling))
        return embedded


def pooled(hidden: torch.Tensor, mask: torch.Tensor, pooling: Pooling) -> torch.Tensor:
    """Return ``(B, D)`` from ``(B, tokens, D)``: the last token ([SEP]), the first ([CLS]), or their mean."""
    if pooling == "bos":
        return hidden[:, 0]
    if pooling == "mean":
        weights = mask[..., None].to(hidden.dtype)
        return (hidden * weights).sum(dim=1) / weights.sum(dim=1).clamp_min(1e-9)
    return hidden[torch.arange(len(hidden), device=hidden.device), mask.sum(dim=1) - 1]


def build(opened: Opened) -> MammoClipNetwork:
    """Return the network with its weights.

    Raises
    ------
    CheckpointError
        When tensors are missing, left over or of other shapes.
    """
    path, state = opened.path, opened.state
    tower = empty_tower(opened.network)
    fill_tower(tower, state, path)
    text = built_text({name.removeprefix(_TEXT): one for name, one in state.items() if name.startswith(_TEXT)}, path)
    heads = _head("image_projection.", state, path), _head("text_projection.", state, path)
    known = ("image_encoder.", _TEXT, "image_projection.", "text_projection.", "logit_scale")
    left = [name for name in state if not name.startswith(known)]
    if left:
        raise CheckpointError(
            f"{path} holds tensors that are no part of Mammo-CLIP: {', '.join(left[:5])}",
            "give the whole checkpoint as it was released, or the loader that fits it; see: mcd plugins list",
        )
    return MammoClipNetwork(tower, text, heads, opened.pooling).eval()


def _head(prefix: str, state: Mapping[str, torch.Tensor], path: Path) -> Projection:
    own = {name.removeprefix(prefix): one for name, one in state.items() if name.startswith(prefix)}
    if "projection.weight" not in own or own["projection.weight"].ndim != 2:
        raise CheckpointError(
            f"{path} has no {prefix}projection.weight: the head that joins images and texts is missing",
            "give the whole checkpoint as it was released, or the loader that fits it; see: mcd plugins list",
        )
    outputs, inputs = own["projection.weight"].shape
    with torch.random.fork_rng(devices=[]):
        head = Projection(inputs, outputs, deep="fc.weight" in own)
    fit_state_dict(head, own, path)
    return head


def built_text(state: Mapping[str, torch.Tensor], path: Path) -> nn.Module:
    """Return a BERT whose sizes are those of the tensors; its unused pooler is left out.

    Raises
    ------
    CheckpointError
        When the tensors are not those of a BERT.
    """
    own = {
        name: one for name, one in state.items() if not name.startswith("pooler.") and name != "embeddings.position_ids"
    }
    try:
        words, hidden = own["embeddings.word_embeddings.weight"].shape
        config = BertConfig(
            vocab_size=words,
            hidden_size=hidden,
            num_hidden_layers=1 + max(int(name.split(".")[2]) for name in own if name.startswith("encoder.layer.")),
            num_attention_heads=hidden // _HEAD_WIDTH,
            intermediate_size=len(own["encoder.layer.0.intermediate.dense.weight"]),
            max_position_embeddings=len(own["embeddings.position_embeddings.weight"]),
            type_vocab_size=len(own["embeddings.token_type_embeddings.weight"]),
        )
        model: nn.Module = unfilled(lambda: BertModel(config, add_pooling_layer=False))
    except (KeyError, ValueError, IndexError, TypeError, ZeroDivisionError) as error:
        raise CheckpointError(
            f"the text model in {path} is no BERT: {error}",
            "give the whole checkpoint as it was released, or the loader that fits it; see: mcd plugins list",
        ) from None
    fit_state_dict(model, own, path)
    return model
