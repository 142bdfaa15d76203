"""transformers through mcd is transformers by hand, on random weights built here."""

from __future__ import annotations

import json
import shutil
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
from mcd.errors import CheckpointError
from mcd.networks.layers import inspect_layers
from mcd.networks.patterns import match_layers


@pytest.fixture(scope="module", params=["clip", "siglip"])
def folder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    place: Path = tmp_path_factory.mktemp(request.param)
    if request.param == "clip":
        saved_clip(place)
        return place
    torch.manual_seed(0)
    hf.SiglipModel(hf.SiglipConfig(text_config=TEXT, vision_config=VISION)).save_pretrained(place)
    hf.SiglipImageProcessor(size={"height": 32, "width": 32}).save_pretrained(place)
    saved_tokenizer(place)
    return place


def test_images_and_texts_are_embedded_as_by_transformers_itself(folder: Path) -> None:
    made, network = dissector(folder), hf.AutoModel.from_pretrained(folder).eval()
    batch = torch.rand(3, 3, 32, 32)
    padding = "max_length" if folder.name.startswith("siglip") else True
    tokens = hf.AutoTokenizer.from_pretrained(folder)(
        TEXTS, padding=padding, max_length=10, truncation=True, return_tensors="pt"
    )
    tokens.pop("token_type_ids", None)
    with torch.inference_mode():
        assert torch.equal(made.encode_images(batch), features(network.get_image_features(pixel_values=batch)))
        assert torch.equal(made.encode_texts(TEXTS), features(network.get_text_features(**tokens)))


def test_an_image_is_transformed_as_by_its_own_processor(folder: Path) -> None:
    y, x = np.mgrid[0:64, 0:48]
    pixels = np.stack([4 * y, 5 * x, 2 * (x + y)], axis=2).astype(np.uint8)
    recipe = dissector(folder).preprocessing
    ours = recipe.finalize(recipe.prepare(mcd.Image(pixels, 255.0))[None])[0]
    processor = hf.AutoImageProcessor.from_pretrained(folder)
    theirs = processor(PIL.Image.fromarray(pixels), return_tensors="pt")["pixel_values"][0]
    assert (ours - theirs).abs().mean() < 0.01  # theirs is rounded to 8 bit after resizing
    assert dissector(folder, resize="letterbox").preprocessing.resize == "letterbox"


def test_texts_beyond_the_context_are_told(folder: Path) -> None:
    assert dissector(folder).too_long(["mass " * 9, "mass " * 8]) == ["mass " * 9]


def test_the_vision_tower_is_the_dissectors_own(folder: Path) -> None:
    made = dissector(folder)
    loaded = target(folder)
    assert loaded.name == f"{folder.name} image tower"
    assert str(loaded.module) == str(made.image_tower)
    layers = inspect_layers(loaded.module, torch.rand(2, 3, 32, 32))
    names = match_layers(["**.layers.*"], [layer.name for layer in layers])
    assert [layer.neurons for layer in layers if layer.name in names] == [32, 32]


@pytest.mark.parametrize(
    "config",
    [
        hf.ViTConfig(**TOWER, image_size=32, patch_size=8),
        hf.ResNetConfig(embedding_size=8, hidden_sizes=[8, 16], depths=[1, 1]),
        hf.SwinConfig(image_size=32, patch_size=4, embed_dim=12, depths=[1, 1], num_heads=[2, 2], window_size=4),
        hf.Dinov2Config(**TOWER, image_size=32, patch_size=8),
        hf.ConvNextConfig(hidden_sizes=[8, 16, 24, 32], depths=[1, 1, 1, 1]),
    ],
    ids=lambda config: config.model_type,
)
def test_vision_models_load_with_all_weights_or_not_at_all(config: hf.PreTrainedConfig, tmp_path: Path) -> None:
    torch.manual_seed(1)
    network = hf.AutoModelForImageClassification.from_config(config).eval()
    network.save_pretrained(tmp_path)
    hf.ViTImageProcessor(size={"height": 32, "width": 32}).save_pretrained(tmp_path)
    batch = torch.rand(2, 3, 32, 32)
    whole = target(tmp_path, head=True)
    with torch.inference_mode():
        assert torch.equal(whole.module(batch).logits, network(batch).logits)
    layers = inspect_layers(target(tmp_path).module, batch)
    assert sum(not layer.reason for layer in layers) > 3


def test_mistakes_are_told_apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(CheckpointError, match=r"there is no folder .*nowhere"):
        dissector(tmp_path / "nowhere")
    with pytest.raises(CheckpointError, match="cannot be used"):
        target(tmp_path)
    hf.ViTModel(hf.ViTConfig(**TOWER, image_size=32, patch_size=8)).save_pretrained(tmp_path)
    with pytest.raises(CheckpointError, match="image processor"):
        target(tmp_path)
    hf.ViTImageProcessor(size={"height": 32, "width": 32}).save_pretrained(tmp_path)
    with pytest.raises(CheckpointError, match="has no text tower"):
        dissector(tmp_path)
    with pytest.raises(CheckpointError, match=r"lacks weights, which would be random: classifier"):
        target(tmp_path, head=True)


def test_attention_that_a_configuration_takes_from_the_hub_is_refused(folder: Path, tmp_path: Path) -> None:
    shutil.copytree(folder, tmp_path / "copy")
    config = json.loads((tmp_path / "copy" / "config.json").read_text())
    config["attn_implementation"] = "owner/kernel"
    (tmp_path / "copy" / "config.json").write_text(json.dumps(config))
    with pytest.raises(CheckpointError, match="attention 'owner/kernel', which is code from elsewhere"):
        target(tmp_path / "copy")
