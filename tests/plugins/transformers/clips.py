"""Small CLIP-likes of transformers with random weights, and what loads them."""

from __future__ import annotations

from pathlib import Path

import torch
import transformers as hf
from tokenizers import Tokenizer, models, pre_tokenizers, processors

import mcd
from mcd.options import validate_options
from mcd_plugins.transformers.dissector import TransformersClip
from mcd_plugins.transformers.loader import TransformersLoader

TEXTS = ["no mass", "calcification", "mass mass no"]
WORDS = ["<pad>", "<unk>", "<s>", "</s>", "mass", "calcification", "no"]
TOWER = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 48}


def saved_tokenizer(place: Path) -> None:
    made = Tokenizer(models.WordLevel({word: at for at, word in enumerate(WORDS)}, unk_token="<unk>"))
    made.pre_tokenizer = pre_tokenizers.Whitespace()
    made.post_processor = processors.TemplateProcessing("<s> $A </s>", special_tokens=[("<s>", 2), ("</s>", 3)])
    hf.PreTrainedTokenizerFast(
        tokenizer_object=made,
        pad_token="<pad>",
        unk_token="<unk>",
        bos_token="<s>",
        eos_token="</s>",
        model_max_length=10,
    ).save_pretrained(place)


TEXT = {
    **TOWER,
    "vocab_size": 7,
    "max_position_embeddings": 10,
    "bos_token_id": 2,
    "eos_token_id": 3,
    "pad_token_id": 0,
}
VISION = {**TOWER, "image_size": 32, "patch_size": 8}


def saved_clip(place: Path) -> None:
    torch.manual_seed(0)
    config = hf.CLIPConfig(text_config=TEXT, vision_config=VISION, projection_dim=24)
    hf.CLIPModel(config).save_pretrained(place)
    hf.CLIPImageProcessor(size={"shortest_edge": 36}, crop_size={"height": 32, "width": 32}).save_pretrained(place)
    saved_tokenizer(place)


def dissector(folder: Path | str, **options: object) -> TransformersClip:
    made = TransformersClip(validate_options(TransformersClip.Options, {"name": str(folder), **options}, "x"))
    made.load()
    return made


def target(folder: Path | str, **options: object) -> mcd.Target:
    return TransformersLoader(
        validate_options(TransformersLoader.Options, {"name": str(folder), **options}, "x")
    ).load()


def features(output: object) -> torch.Tensor:
    found = output if isinstance(output, torch.Tensor) else output.pooler_output
    assert isinstance(found, torch.Tensor)
    return found
