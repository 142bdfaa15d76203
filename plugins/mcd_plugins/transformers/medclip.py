"""MedCLIP from its released checkpoints: the dissector ``medclip``, and its image tower as target."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import cast

import pydantic
import torch
import transformers
from torch import nn
from torchvision.models.resnet import Bottleneck, ResNet

import mcd
from mcd.errors import CheckpointError, passes_through, said_by
from mcd.plugins import NameOrPath, averaged_beside, digest, find_state_dict, fit_state_dict, read_checkpoint
from mcd_plugins.mammo_clip.network import built_text
from mcd_plugins.mammo_clip.tokenizer import Tokenizer, find_vocabulary
from mcd_plugins.transformers.sources import medclip_weights, quiet

__all__ = ["MedClip", "MedClipTower"]

State = Mapping[str, torch.Tensor]

_LENGTH = 77
"""Tokens of a text, [CLS] and [SEP] included; the rest is cut off, as in training."""
_IMAGE, _TEXT = "vision_model.model.", "text_model.model."
_KNOWN = (_IMAGE, "vision_model.projection_head.", _TEXT, "text_model.projection_head.", "logit_scale")
_TABLE = "relative_position_bias_table"
_INDEX = "relative_position_index"
"""Where each bias of a window stands; some versions of transformers save it, though it follows from the size."""


def _preprocessing() -> mcd.Preprocessing:
    """Return the released image processor's steps: a square padded with black, bicubic, the grey channel repeated."""
    return mcd.Preprocessing(
        height=224,
        width=224,
        resize="letterbox",
        interpolation="bicubic",
        channels=3,
        mean=(0.5862785803043838,),
        std=(0.27950088968644304,),
    )


class _Texts(nn.Module):
    """The text tower and its projection, as the one or the other version of the released code has them.

    The projection without a bias takes the mean of the hidden states 1, 2 and last, over the tokens. The released
    code averages over the padding too, so that an embedding depends on the longest text of its batch; here it is
    over a text's own tokens, which is what the released code gives for a text alone. The projection with a bias,
    of an older version, takes BERT's pooled first token.
    """

    def __init__(self, state: State, path: Path) -> None:
        super().__init__()
        bert = _under(_TEXT, state)
        self.model = built_text(bert, path)
        self.projection_head = _linear(state, "text_model.projection_head", path)
        self.pooler = None if self.projection_head.bias is None else _linear(bert, "pooler.dense", path)

    def forward(self, ids: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """Return the embeddings ``(B, D)`` of tokens, not normalised."""
        states = self.model(input_ids=ids, attention_mask=mask, output_hidden_states=True).hidden_states
        if self.pooler is not None:
            embedded: torch.Tensor = self.projection_head(torch.tanh(self.pooler(states[-1][:, 0])))
            return embedded
        weights = mask[..., None].to(states[-1].dtype)
        tokens = (states[1] + states[2] + states[-1]) / 3
        averaged: torch.Tensor = self.projection_head((tokens * weights).sum(dim=1) / weights.sum(dim=1))
        return averaged


class _Images(nn.Module):
    """The image tower, and the projection where that is no part of it."""

    def __init__(self, state: State, path: Path) -> None:
        super().__init__()
        own = _under(_IMAGE, state)
        self.projection_head: nn.Module | None = None
        if "fc.weight" in own:
            self.model, self.kind = _resnet(own, path), "ResNet"
        else:
            self.model, self.kind = _swin(own, path), "Swin"
            self.projection_head = _linear(state, "vision_model.projection_head", path)

    def forward(self, batch: torch.Tensor) -> torch.Tensor:
        """Return the embeddings ``(B, D)`` of images ``(B, 3, 224, 224)``, not normalised."""
        found = self.model(batch)
        embedded: torch.Tensor = found if self.projection_head is None else self.projection_head(found.pooler_output)
        return embedded


def _opened(given: Path) -> tuple[State, Path, str]:
    """Return the tensors of a checkpoint, its file, and what must be known of it; nothing that it pickles is run."""
    path = (medclip_weights(given) or given / "pytorch_model.bin") if given.is_dir() else given
    content = read_checkpoint(path)
    state = find_state_dict(content, path)
    if not any(name.startswith(_IMAGE) for name in state):
        some = ", ".join(sorted({name.split(".")[0] for name in state})[:5])
        raise CheckpointError(
            f"{path} is no checkpoint of MedCLIP: its tensors are called {some} …",
            "give the folder of a released MedCLIP checkpoint with pytorch_model.bin",
        )
    left = [name for name in state if not name.startswith(_KNOWN)]
    if left:
        raise CheckpointError(
            f"{path} holds tensors that are no part of MedCLIP: {', '.join(left[:5])}",
            "give the folder of a released MedCLIP checkpoint with pytorch_model.bin",
        )
    return state, path, averaged_beside(content, state)


def _under(prefix: str, state: State) -> dict[str, torch.Tensor]:
    return {name.removeprefix(prefix): one for name, one in state.items() if name.startswith(prefix)}


def _linear(state: State, name: str, path: Path) -> nn.Linear:
    own = _under(f"{name}.", state)
    if "weight" not in own or own["weight"].ndim != 2:
        raise CheckpointError(
            f"{path} has no {name}.weight", "give the folder of a released MedCLIP checkpoint with pytorch_model.bin"
        )
    outputs, inputs = own["weight"].shape
    with torch.random.fork_rng(devices=[]):
        layer = nn.Linear(inputs, outputs, bias="bias" in own)
    fit_state_dict(layer, own, path)
    return layer


def _resnet(state: State, path: Path) -> nn.Module:
    """Return torchvision's ResNet (50 as released) with as many blocks as the tensors have; ``fc`` projects."""
    blocks = [_count(rf"layer{stage}\.(\d+)\.", state) for stage in (1, 2, 3, 4)]
    with torch.random.fork_rng(devices=[]):
        network: nn.Module = ResNet(Bottleneck, blocks)
        width = len(network.get_parameter("fc.weight")[0])
        network.fc = nn.Linear(width, len(state["fc.weight"]), bias="fc.bias" in state)
    fit_state_dict(network, state, path)
    return network


def _swin(state: State, path: Path) -> nn.Module:
    """Return the Swin of transformers (tiny as released) whose sizes are those of the tensors.

    transformers itself loads it: it knows the names that its earlier versions gave to the same layers.
    """
    try:
        config = _swin_config(state)
        own = {name: one for name, one in state.items() if not name.endswith(_INDEX)}
        with quiet(), torch.random.fork_rng(devices=[]):
            loaded = transformers.SwinModel.from_pretrained(
                None, config=config, state_dict=own, output_loading_info=True
            )
    except BaseException as error:  # transformers raises whatever it comes upon
        if passes_through(error):
            raise
        reason = said_by(error, named=False)
        raise CheckpointError(
            f"the image tower in {path} is no Swin that can be built: {reason}",
            "give the folder of a released MedCLIP checkpoint with pytorch_model.bin",
        ) from None
    network, report = cast("tuple[nn.Module, Mapping[str, Iterable[str | tuple[str, ...]]]]", loaded)
    listed = [one for part in ("missing_keys", "unexpected_keys", "mismatched_keys") for one in report[part]]
    odd = sorted(name for name in map(str, listed) if not name.endswith(_INDEX))
    if odd:
        raise CheckpointError(
            f"the image tower in {path} is no whole Swin: {', '.join(odd[:5])} do not fit",
            "give the folder of a released MedCLIP checkpoint with pytorch_model.bin",
        )
    return network


def _swin_config(state: State) -> transformers.SwinConfig:
    patches = state["embeddings.patch_embeddings.projection.weight"]
    stages = range(_count(r"encoder\.layers\.(\d+)\.", state))
    tables = [_one(rf"encoder\.layers\.{stage}\.blocks\.0\..*{_TABLE}", state) for stage in stages]
    wide = _one(r"encoder\.layers\.0\.blocks\.0\.(intermediate\.dense|mlp\.fc1)\.weight", state)
    return transformers.SwinConfig(
        image_size=224,
        num_channels=patches.shape[1],
        patch_size=patches.shape[2],
        embed_dim=patches.shape[0],
        depths=[_count(rf"encoder\.layers\.{stage}\.blocks\.(\d+)\.", state) for stage in stages],
        num_heads=[table.shape[1] for table in tables],
        window_size=(math.isqrt(len(tables[0])) + 1) // 2,  # (2·window - 1)² places in each other's sight
        mlp_ratio=wide.shape[0] / wide.shape[1],
    )


def _count(pattern: str, state: State) -> int:
    """Return how many parts are numbered by the group of a pattern."""
    return 1 + max((int(found[1]) for name in state if (found := re.match(pattern, name))), default=-1)


def _one(pattern: str, state: State) -> torch.Tensor:
    return next(tensor for name, tensor in state.items() if re.fullmatch(pattern, name))


class MedClip(mcd.Dissector):
    """MedCLIP (chest radiographs and reports; Wang et al. 2022) from a released checkpoint, Swin or ResNet.

    A folder with ``pytorch_model.bin``, or that file. Network and sizes are seen from the tensors; the heads of
    BERT are 64 wide, which they do not record. Only the tokenizer's vocabulary is needed besides.
    """

    class Options(mcd.Options):
        """Settings of the dissector."""

        checkpoint: Path = pydantic.Field(description="the folder with pytorch_model.bin, or that file")
        tokenizer: NameOrPath | None = pydantic.Field(
            default=None,
            description="vocab.txt of Bio_ClinicalBERT, a folder with it, or hub:OWNER/NAME; by default the "
            "vocab.txt beside the checkpoint",
        )

    options: Options

    def load(self) -> None:
        """Load both towers and the vocabulary.

        Raises
        ------
        CheckpointError
            When a file is missing, or holds no MedCLIP.
        """
        state, path, self.caution = _opened(self.options.checkpoint)
        vocabulary = find_vocabulary(self.options.tokenizer, path)
        self._images, self._texts = _Images(state, path), _Texts(state, path)
        self.name = f"MedCLIP {self._images.kind}"
        self.module = nn.ModuleDict({"vision_model": self._images, "text_model": self._texts}).eval()
        self.image_tower = self._images.model
        self.preprocessing = _preprocessing()
        rows = self._texts.get_parameter("model.embeddings.word_embeddings.weight")
        self._tokenizer = Tokenizer(vocabulary, len(rows), _LENGTH)

    def encode_images(self, batch: torch.Tensor) -> torch.Tensor:
        """Return the embeddings ``(B, D)`` of a batch ``(B, 3, 224, 224)``, not normalised."""
        embedded: torch.Tensor = self._images(batch)
        return embedded

    def encode_texts(self, texts: Sequence[str]) -> torch.Tensor:
        """Return the embeddings ``(len(texts), D)``, not normalised."""
        device = next(self.module.parameters()).device
        ids, mask = self._tokenizer(texts)
        embedded: torch.Tensor = self._texts(ids.to(device), mask.to(device))
        return embedded

    def too_long(self, texts: Sequence[str]) -> list[str]:
        """Return the texts of more than 77 tokens."""
        return [text for text in texts if self._tokenizer.length(text) > _LENGTH]

    def fingerprint(self) -> str:
        """Return a digest of how texts are read; the engine adds the weights. Names of files do not count."""
        return digest("medclip", self._tokenizer.content)


class MedClipTower(mcd.ModelLoader):
    """The image tower of a MedCLIP checkpoint. With the dissector of the same file, one forward pass serves both."""

    class Options(mcd.Options):
        """Settings of the loader."""

        checkpoint: Path = pydantic.Field(description="the folder with pytorch_model.bin, or that file")

    options: Options

    def load(self) -> mcd.Target:
        """Return the target."""
        state, path, caution = _opened(self.options.checkpoint)
        images = _Images(state, path)
        return mcd.Target(f"MedCLIP {images.kind} tower", images.model, _preprocessing(), caution=caution)
