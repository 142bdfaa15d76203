"""Stand-ins for what pages say that a reader has: files of the right layout, with random weights."""

from __future__ import annotations

import json
from pathlib import Path

import open_clip
import timm
import torch
from safetensors.torch import save_file
from tests.plugins.mammo_clip.conftest import State, released
from transformers import BertConfig, BertModel

from mcd_plugins.mammo_clip.tower import empty_tower, released_names

__all__ = ["clip", "mammo_clip"]

_WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "no", "suspicious", "mass", "calcification"]


def mammo_clip(path: Path) -> None:
    """Write a checkpoint as Mammo-CLIP was released, of B2, which is a third of the work of B5; its words beside it."""
    torch.manual_seed(0)
    made = timm.create_model("tf_efficientnet_b2", num_classes=0).state_dict()
    state: State = {theirs: made[name] for name, theirs in released_names(empty_tower("b2")).items()}
    text = BertConfig(
        vocab_size=len(_WORDS), hidden_size=64, num_hidden_layers=1, num_attention_heads=1, intermediate_size=64
    )
    tensors = BertModel(text, add_pooling_layer=False).state_dict()
    state |= {f"text_encoder.text_encoder.{name}": tensor for name, tensor in tensors.items()}
    for name, width in (("image", 1408), ("text", 64)):
        projection = torch.nn.Linear(width, 512).state_dict()
        state |= {f"{name}_projection.projection.{part}": tensor for part, tensor in projection.items()}
    state["logit_scale"] = torch.tensor(1.0)
    released(state, path, encoder="tf_efficientnetv2-detect")
    path.with_name("vocab.txt").write_text("\n".join(_WORDS) + "\n")


def clip(folder: Path) -> None:
    """Write a small CLIP as a folder of open_clip."""
    folder.mkdir()
    tower = {"width": 32, "layers": 1}
    text = {**tower, "context_length": 16, "vocab_size": 49408, "heads": 2}
    vision = {**tower, "image_size": 32, "patch_size": 8, "head_width": 16}
    config = {
        "model_cfg": {"embed_dim": 24, "vision_cfg": vision, "text_cfg": text},
        "preprocess_cfg": {"mean": [0.5] * 3, "std": [0.25] * 3},
    }
    (folder / "open_clip_config.json").write_text(json.dumps(config))
    torch.manual_seed(0)
    network = open_clip.create_model(f"local-dir:{folder}", load_weights=False)
    save_file(network.state_dict(), folder / "open_clip_model.safetensors")
