"""open_clip through mcd is open_clip by hand: the same numbers, its own tokenizer, transform and context."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import open_clip
import PIL.Image
import pytest
import torch
from safetensors.torch import save_file
from tests.conftest import Outcome
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import BertConfig, BertModel, PreTrainedTokenizerFast

import mcd
from mcd.errors import CheckpointError, UnknownNameError, UsageError
from mcd.options import validate_options
from mcd.testing import check_dissector, check_model_loader
from mcd_plugins.open_clip.building import recipe
from mcd_plugins.open_clip.dissector import OpenClip
from mcd_plugins.open_clip.loader import OpenClipTower

TEXTS = ["a spiculated mass", "No finding", "calcification"]


def small(name: str = "ViT-S-32-alt", **changes: object) -> torch.nn.Module:
    torch.manual_seed(0)
    network = open_clip.create_model(name, load_weights=False, **changes)
    assert isinstance(network, torch.nn.Module)
    return network.eval()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny CLIP as a folder, as ``local-dir:`` of open_clip takes it."""
    place = tmp_path_factory.mktemp("tiny-clip")
    text = {"context_length": 16, "vocab_size": 49408, "width": 32, "heads": 2, "layers": 2}
    vision = {"image_size": 32, "patch_size": 8, "width": 32, "head_width": 16, "layers": 2}
    config = {
        "model_cfg": {"embed_dim": 24, "vision_cfg": vision, "text_cfg": text},
        "preprocess_cfg": {
            "mean": [0.5, 0.4, 0.3],
            "std": [0.2, 0.3, 0.4],
            "resize_mode": "squash",
            "interpolation": "bicubic",
        },
    }
    (place / "open_clip_config.json").write_text(json.dumps(config))
    network = small(f"local-dir:{place}")
    save_file(network.state_dict(), place / "open_clip_model.safetensors")
    return place


def dissector(**options: object) -> OpenClip:
    made = OpenClip(validate_options(OpenClip.Options, options, "open-clip"))
    made.load()
    return made


def by_hand(folder: Path) -> tuple[torch.nn.Module, Callable[[PIL.Image.Image], torch.Tensor]]:
    network, transform = open_clip.create_model_from_pretrained(f"local-dir:{folder}")
    return network.eval(), transform


def test_images_and_texts_are_embedded_as_by_open_clip_itself(folder: Path) -> None:
    made = dissector(name=str(folder))
    network, _ = by_hand(folder)
    batch = torch.rand(3, 3, 32, 32)
    with torch.inference_mode():
        assert torch.equal(made.encode_images(batch), network.encode_image(batch))
        tokens = open_clip.get_tokenizer(f"local-dir:{folder}")(TEXTS)
        assert torch.equal(made.encode_texts(TEXTS), network.encode_text(tokens))
    assert made.name == folder.name


def test_an_image_is_transformed_as_by_open_clip_itself(folder: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 255, (96, 64, 3)).astype(np.uint8)
    made = dissector(name=str(folder))
    assert made.preprocessing.resize == "squash"
    recipe = made.preprocessing
    ours = recipe.finalize(recipe.prepare(mcd.Image(pixels, 255.0))[None])[0]
    theirs = by_hand(folder)[1](PIL.Image.fromarray(pixels))
    assert (ours - theirs).abs().max() < 0.03  # theirs is rounded to 8 bit after resizing


@pytest.mark.parametrize(
    ("own", "size"),
    [
        ({"size": 224, "interpolation": "bicubic"}, (300, 220)),
        ({"size": [30, 50], "interpolation": "bilinear"}, (97, 140)),  # resized bicubically all the same
        ({"size": 40, "resize_mode": "longest", "fill_color": 128, "interpolation": "bilinear"}, (97, 140)),
        ({"size": 40, "resize_mode": "longest", "interpolation": "random"}, (140, 97)),
        ({"size": [50, 30], "resize_mode": "squash", "mean": 0.4, "std": 0.2}, (97, 140)),
    ],
)
def test_every_setting_of_a_transform_is_open_clips(own: dict[str, object], size: tuple[int, int]) -> None:
    network = torch.nn.Identity()
    network.visual = torch.nn.Identity()
    config = open_clip.transform.PreprocessCfg(**own)
    open_clip.model.set_model_preprocess_cfg(network, dataclasses.asdict(config))
    pixels = np.random.default_rng(0).integers(80, 170, (*size, 3), dtype=np.uint8)
    made = recipe(network, "own")
    ours = made.finalize(made.prepare(mcd.Image(pixels, 255.0))[None])[0]
    theirs = open_clip.transform.image_transform_v2(config, is_train=False)(PIL.Image.fromarray(pixels))
    assert ours.shape == theirs.shape
    assert (ours - theirs).abs().mean() < 0.01  # theirs is rounded to 8 bit
    assert recipe(network, "squash").fill == ()


def test_texts_beyond_the_context_are_told(folder: Path) -> None:
    long = " ".join(["mass"] * 15)
    fits = " ".join(["mass"] * 14)
    assert dissector(name=str(folder)).too_long([long, fits]) == [long]


def test_an_architecture_takes_a_weights_file_and_says_when_it_crops(tmp_path: Path) -> None:
    network = small()
    torch.save({"state_dict": {f"module.{name}": one for name, one in network.state_dict().items()}}, tmp_path / "w.pt")
    made = dissector(name="ViT-S-32-alt", checkpoint=tmp_path / "w.pt")
    batch = torch.rand(2, 3, 224, 224)
    with torch.inference_mode():
        assert torch.equal(made.encode_images(batch), network.get_submodule("visual")(batch))
    assert made.preprocessing.resize == "crop"
    assert "sees the centre of images" in made.caution
    assert dissector(name="ViT-S-32-alt", checkpoint=tmp_path / "w.pt", resize="letterbox").caution == ""
    target = OpenClipTower(
        validate_options(OpenClipTower.Options, {"name": "ViT-S-32-alt", "checkpoint": tmp_path / "w.pt"}, "")
    )
    loaded = target.load()
    assert loaded.name == "ViT-S-32-alt image tower"
    with torch.inference_mode():
        assert torch.equal(loaded.module(batch), made.encode_images(batch))


def test_a_text_model_of_transformers_works_from_the_folder_alone(tmp_path: Path) -> None:
    words = {name: at for at, name in enumerate(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "mass", "calcification", "no"])}
    tokenizer = Tokenizer(models.WordLevel(words, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token="[PAD]", unk_token="[UNK]", cls_token="[CLS]", sep_token="[SEP]"
    ).save_pretrained(tmp_path)
    bert = BertConfig(
        vocab_size=7,
        hidden_size=32,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=32,
        max_position_embeddings=32,
    )
    BertModel(bert).save_pretrained(tmp_path)
    (tmp_path / "model.safetensors").unlink()
    text = {
        "hf_model_name": "somewhere/on-the-hub",
        "hf_tokenizer_name": "somewhere/on-the-hub",
        "hf_proj_type": "mlp",
        "hf_pooler_type": "cls_last_hidden_state_pooler",
        "context_length": 12,
    }
    vision = {"image_size": 32, "patch_size": 8, "width": 32, "head_width": 16, "layers": 1}
    config = {"model_cfg": {"embed_dim": 24, "vision_cfg": vision, "text_cfg": text}, "preprocess_cfg": {}}
    (tmp_path / "open_clip_config.json").write_text(json.dumps(config))
    local = {**text, "hf_model_name": str(tmp_path), "hf_model_pretrained": False}
    network = small(f"local-dir:{tmp_path}", pretrained_text=False, text_cfg=local)
    torch.save(network.state_dict(), tmp_path / "open_clip_pytorch_model.bin")
    made = dissector(name=str(tmp_path))
    with torch.inference_mode():
        ids = made._tokenizer(["no mass"])
        assert torch.equal(made.encode_texts(["no mass"]), network.encode_text(ids))
    assert ids[0, :2].tolist() == [6, 4]


def test_mistakes_are_told_apart(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    with pytest.raises(UnknownNameError, match="no architecture 'ViT-B-61'") as unknown:
        dissector(name="ViT-B-61")
    assert "did you mean 'ViT-B-16" in unknown.value.hint
    with pytest.raises(UsageError, match="needs weights for ViT-B-16") as bare:
        dissector(name="ViT-B-16")
    assert "pretrained=openai" in bare.value.hint
    with pytest.raises(CheckpointError, match="could not be fetched"):
        dissector(name="hf-hub:nobody/nothing")
    (tmp_path / "empty").mkdir()
    with pytest.raises(CheckpointError, match="config file missing"):
        dissector(name=str(tmp_path / "empty"))
    (tmp_path / "empty" / "open_clip_config.json").write_text((folder / "open_clip_config.json").read_text())
    with pytest.raises(CheckpointError, match="holds no weights"):
        dissector(name=str(tmp_path / "empty"))


def test_a_run_with_its_own_tower_as_target(folder: Path, tmp_path: Path, mcd_command: Callable[..., Outcome]) -> None:
    (tmp_path / "words.txt").write_text("mass\ncalcification\n" + " ".join(["breast"] * 40) + "\n")
    done = mcd_command(
        "dissect",
        "--model-plugin",
        f"open-clip:{folder}",
        "--layers",
        "transformer.resblocks.*",
        "--dataset",
        "phantom:5",
        "--dissector",
        f"open-clip:{folder}",
        "--concepts",
        tmp_path / "words.txt",
        "--scorer-arg",
        "top_k=5",
        "-o",
        tmp_path / "run",
        "--device",
        "cpu",
    )
    assert done.code == 0, done.err
    assert "1 text is longer than" in " ".join(done.err.split())
    found = mcd.load(tmp_path / "run")
    assert found.layers == ["transformer.resblocks.0", "transformer.resblocks.1"]
    assert found.labels["neuron"].nunique() == 32
    out = tmp_path / "words.safetensors"
    words = mcd_command("embed", "--dissector", f"open-clip:{folder}", "--texts", tmp_path / "words.txt", "-o", out)
    assert words.code == 0, words.err
    assert "1 text is longer than" in " ".join(words.err.split())


def test_model_and_dissector_pass_the_kit(folder: Path) -> None:
    check_dissector(OpenClip(OpenClip.Options(name=str(folder))))
    check_model_loader(OpenClipTower(OpenClipTower.Options(name=str(folder))))
