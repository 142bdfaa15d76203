"""Less usual CLIP-likes of transformers: the numbers are the library's own, on random weights built here."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import PIL.Image
import pytest
import torch
import transformers as hf
from tests.plugins.transformers.clips import (
    TEXT,
    TEXTS,
    TOWER,
    VISION,
    dissector,
    features,
    saved_clip,
    saved_tokenizer,
    target,
)

import mcd
from mcd.networks.layers import inspect_layers

NAFLEX = {**TOWER, "num_patches": 16, "patch_size": 8}
ROBERTA = {
    **TOWER,
    "vocab_size": 7,
    "max_position_embeddings": 10,
    "pad_token_id": 0,
    "bos_token_id": 2,
    "eos_token_id": 3,
}
BERT = {**TOWER, "vocab_size": 7, "max_position_embeddings": 10, "pad_token_id": 0}


@pytest.fixture(scope="module")
def naflex(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("naflex")
    torch.manual_seed(0)
    text = {**TEXT, "projection_size": 32}
    hf.Siglip2Model(hf.Siglip2Config(text_config=text, vision_config=NAFLEX)).save_pretrained(place)
    hf.Siglip2ImageProcessor(patch_size=8, max_num_patches=27).save_pretrained(place)
    saved_tokenizer(place)
    return place


def picture(side: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 255, (side, side, 3)).astype(np.uint8)


def by_hand(place: Path, pixels: np.ndarray) -> tuple[hf.BatchFeature, torch.Tensor]:
    """What processor and network make of an image that has the fixed size already, padding patches and all."""
    inputs = hf.AutoImageProcessor.from_pretrained(place)(PIL.Image.fromarray(pixels), return_tensors="pt")
    with torch.inference_mode():
        return inputs, features(hf.AutoModel.from_pretrained(place).eval().get_image_features(**inputs))


def test_naflex_sees_the_largest_square_as_transformers_itself_does(naflex: Path) -> None:
    made, pixels = dissector(naflex), picture(40)
    recipe = made.preprocessing
    assert (recipe.height, recipe.width, recipe.resize) == (40, 40, "squash")  # 5 × 5 patches of 8; 27 are allowed
    batch = recipe.finalize(recipe.prepare(mcd.Image(pixels, 255.0))[None])
    inputs, theirs = by_hand(naflex, pixels)
    assert inputs["spatial_shapes"].tolist() == [[5, 5]]
    assert inputs["pixel_attention_mask"].sum() == 25
    with torch.inference_mode():
        torch.testing.assert_close(made.encode_images(batch), theirs)
        torch.testing.assert_close(made.encode_images(batch.repeat(3, 1, 1, 1))[2:], theirs)


def test_naflex_reads_texts_filled_up_to_the_context(naflex: Path) -> None:
    made, network = dissector(naflex), hf.AutoModel.from_pretrained(naflex).eval()
    tokens = hf.AutoTokenizer.from_pretrained(naflex)(TEXTS, padding="max_length", max_length=10, return_tensors="pt")
    tokens.pop("token_type_ids", None)
    with torch.inference_mode():
        assert torch.equal(made.encode_texts(TEXTS), features(network.get_text_features(**tokens)))


def test_the_tower_of_naflex_takes_images_and_its_layers_have_neurons(naflex: Path) -> None:
    made, loaded, pixels = dissector(naflex), target(naflex), picture(40)
    assert str(loaded.module) == str(made.image_tower)
    assert loaded.preprocessing.fingerprint() == made.preprocessing.fingerprint()
    inputs, _ = by_hand(naflex, pixels)
    network = hf.AutoModel.from_pretrained(naflex).eval()
    recorded: list[torch.Tensor] = []
    for module in (network.vision_model, loaded.module):
        module.get_submodule("encoder.layers.1").register_forward_hook(
            lambda _module, _inputs, output: recorded.append(output[0] if isinstance(output, tuple) else output)
        )
    recipe = loaded.preprocessing
    with torch.inference_mode():
        network.get_image_features(**inputs)
        loaded.module(recipe.finalize(recipe.prepare(mcd.Image(pixels, 255.0))[None]))
    torch.testing.assert_close(recorded[1], recorded[0][:, :25])
    layers = {layer.name: layer for layer in inspect_layers(loaded.module, torch.rand(2, 3, 40, 40))}
    assert (layers["encoder.layers.1"].layout, layers["encoder.layers.1"].neurons) == ("tokens", 32)
    assert layers["encoder.layers.1"].shape == (25, 32)


def test_a_classifier_with_naflex_keeps_its_head(tmp_path: Path) -> None:
    torch.manual_seed(0)
    config = hf.Siglip2Config(text_config=TEXT, vision_config={**NAFLEX, "vision_use_head": False}, num_labels=3)
    network = hf.Siglip2ForImageClassification(config).eval()
    network.save_pretrained(tmp_path)
    hf.Siglip2ImageProcessor(patch_size=8, max_num_patches=25).save_pretrained(tmp_path)
    pixels = picture(40)
    loaded = target(tmp_path, head=True)
    inputs = hf.AutoImageProcessor.from_pretrained(tmp_path)(PIL.Image.fromarray(pixels), return_tensors="pt")
    recipe = loaded.preprocessing
    batch = recipe.finalize(recipe.prepare(mcd.Image(pixels, 255.0))[None])
    with torch.inference_mode():
        torch.testing.assert_close(loaded.module(batch).logits, network(**inputs).logits)
    assert loaded.name == tmp_path.name


@pytest.mark.parametrize("kind", ["altclip", "bert and vit", "roberta and swin", "bert and clip"])
def test_others_embed_as_transformers_itself(kind: str, tmp_path: Path) -> None:
    torch.manual_seed(0)
    network = {
        "altclip": altclip,
        "bert and vit": bert_vit,
        "roberta and swin": roberta_swin,
        "bert and clip": bert_clip,
    }[kind]().eval()
    network.save_pretrained(tmp_path)
    hf.CLIPImageProcessor(size={"shortest_edge": 32}, crop_size={"height": 32, "width": 32}).save_pretrained(tmp_path)
    saved_tokenizer(tmp_path)
    made, batch = dissector(tmp_path), torch.rand(2, 3, 32, 32)
    tokens = hf.AutoTokenizer.from_pretrained(tmp_path)(TEXTS, padding=True, return_tensors="pt")
    tokens.pop("token_type_ids", None)
    with torch.inference_mode():
        torch.testing.assert_close(made.encode_images(batch), features(network.get_image_features(pixel_values=batch)))
        torch.testing.assert_close(made.encode_texts(TEXTS), features(network.get_text_features(**tokens)))
        reads = 9 if kind in ("altclip", "roberta and swin") else 10  # RoBERTa's positions start after the padding's
        longest = " ".join(["mass"] * (reads - 2))
        assert made.encode_texts([longest + " no"]).isfinite().all()
    assert made.too_long([longest, longest + " no"]) == [longest + " no"]
    loaded = target(tmp_path)
    assert str(loaded.module) == str(made.image_tower)
    assert sum(not layer.reason for layer in inspect_layers(loaded.module, batch)) > 5


def altclip() -> hf.PreTrainedModel:
    text = {**ROBERTA, "project_dim": 24}
    return hf.AltCLIPModel(hf.AltCLIPConfig(text_config=text, vision_config=VISION, projection_dim=20))


def bert_vit() -> hf.PreTrainedModel:
    return dual(hf.ViTConfig(**VISION), hf.BertConfig(**BERT))


def bert_clip() -> hf.PreTrainedModel:
    return dual(hf.CLIPVisionConfig(**VISION), hf.BertConfig(**BERT))


def roberta_swin() -> hf.PreTrainedModel:
    swin = hf.SwinConfig(image_size=32, patch_size=4, embed_dim=8, depths=[1, 1], num_heads=[1, 2], window_size=4)
    return dual(swin, hf.RobertaConfig(**ROBERTA))


def dual(vision: hf.PreTrainedConfig, text: hf.PreTrainedConfig) -> hf.PreTrainedModel:
    config = hf.VisionTextDualEncoderConfig.from_vision_text_configs(vision, text, projection_dim=20)
    return hf.VisionTextDualEncoderModel(config)


def test_a_processor_saved_as_a_whole_is_found(tmp_path: Path) -> None:
    saved_clip(tmp_path)
    before = dissector(tmp_path)
    processor = hf.CLIPProcessor(
        hf.AutoImageProcessor.from_pretrained(tmp_path), hf.AutoTokenizer.from_pretrained(tmp_path)
    )
    (tmp_path / "preprocessor_config.json").unlink()
    processor.save_pretrained(tmp_path)
    after = dissector(tmp_path)
    assert after.preprocessing == before.preprocessing
    assert after.fingerprint() == before.fingerprint()


def test_a_tokenizer_without_a_length_is_read_as_far_as_the_tower_goes(tmp_path: Path) -> None:
    saved_clip(tmp_path)
    settings = tmp_path / "tokenizer_config.json"
    settings.write_text(settings.read_text().replace('"model_max_length": 10', '"model_max_length": 1e30'))
    made = dissector(tmp_path)
    assert made.too_long(["mass " * 8, "mass " * 9]) == ["mass " * 9]
