"""MedCLIP's checkpoints: both image towers, both text poolings, as the released code computes them by hand."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import PIL.Image
import pytest
import torch
import transformers as hf
from safetensors.torch import load_file
from tests.conftest import Outcome
from tests.plugins.transformers.clips import dissector as clip
from torch import nn
from torchvision.models.resnet import Bottleneck, ResNet

import mcd
from mcd.errors import CheckpointError
from mcd.networks.layers import inspect_layers
from mcd.options import validate_options
from mcd.testing import check_dissector, check_model_loader
from mcd_plugins.transformers.medclip import MedClip, MedClipTower

State = dict[str, torch.Tensor]
WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "no", "mass", "calcification", "in", "the", "left", "breast"]
TEXTS = ["no mass", "calcification in the left breast", "mass"]
WIDTH = 16


class Released:
    """The parts of a checkpoint, and what the released code makes of them."""

    def __init__(self, images: nn.Module, text: hf.BertModel, heads: dict[str, nn.Linear]) -> None:
        self.images, self.text, self.heads = images.eval(), text.eval(), heads

    def image(self, batch: torch.Tensor) -> torch.Tensor:
        found = self.images(batch)
        return found if "vision" not in self.heads else self.heads["vision"](found["pooler_output"])

    def words(self, text: str) -> torch.Tensor:
        ids = torch.tensor([[2, *(WORDS.index(word) for word in text.split()), 3]])
        output = self.text(ids, torch.ones_like(ids), output_hidden_states=True)
        if self.heads["text"].bias is not None:
            return self.heads["text"](output["pooler_output"])[0]
        states = output["hidden_states"]
        return self.heads["text"](torch.stack([states[1], states[2], states[-1]]).mean(dim=(0, 2)))[0]


def on_disk(network: hf.PreTrainedModel, scratch: Path) -> State:
    """The names under which transformers has always stored a network, whatever it calls its layers today."""
    network.save_pretrained(scratch)
    return load_file(scratch / "model.safetensors")


@pytest.fixture(scope="module", params=["swin", "resnet", "swin, older text"])
def released(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Released, Path]:
    scratch, folder = tmp_path_factory.mktemp("scratch"), tmp_path_factory.mktemp("medclip")
    torch.manual_seed(0)
    bert = hf.BertModel(
        hf.BertConfig(
            vocab_size=len(WORDS),
            hidden_size=64,
            num_hidden_layers=3,
            num_attention_heads=1,
            intermediate_size=32,
            max_position_embeddings=96,
        )
    )
    heads = {"text": nn.Linear(64, WIDTH, bias="older" in request.param)}
    state = {f"text_model.model.{name}": one for name, one in on_disk(bert, scratch / "bert").items()}
    state["text_model.model.embeddings.position_ids"] = torch.arange(96)[None]
    if "swin" in request.param:
        swin = hf.SwinModel(hf.SwinConfig(image_size=224, embed_dim=8, depths=[1, 2], num_heads=[1, 2], mlp_ratio=2.0))
        heads["vision"] = nn.Linear(16, WIDTH, bias=False)
        state |= {f"vision_model.model.{name}": one for name, one in on_disk(swin, scratch / "swin").items()}
        index = "encoder.layers.0.blocks.0.attention.self.relative_position_index"
        state[f"vision_model.model.{index}"] = torch.zeros(49, 49, dtype=torch.int64)
        images: nn.Module = swin
    else:
        images = ResNet(Bottleneck, [1, 1, 2, 1])
        images.fc = nn.Linear(2048, WIDTH, bias=False)
        state |= {f"vision_model.model.{name}": one for name, one in images.state_dict().items()}
    for name, head in heads.items():
        state |= {f"{name}_model.projection_head.{key}": one for key, one in head.state_dict().items()}
    torch.save({**state, "logit_scale": torch.tensor(2.6)}, folder / "pytorch_model.bin")
    (folder / "vocab.txt").write_text("\n".join(WORDS) + "\n")
    return Released(images, bert, heads), folder


def dissector(folder: Path, **options: object) -> MedClip:
    made = MedClip(validate_options(MedClip.Options, {"checkpoint": folder, **options}, "medclip"))
    made.load()
    return made


def target(folder: Path) -> mcd.Target:
    return MedClipTower(validate_options(MedClipTower.Options, {"checkpoint": folder}, "medclip")).load()


def test_images_and_texts_are_embedded_as_by_the_released_code(released: tuple[Released, Path]) -> None:
    theirs, folder = released
    made = dissector(folder)
    batch = torch.rand(2, 3, 224, 224)
    with torch.inference_mode():
        torch.testing.assert_close(made.encode_images(batch), theirs.image(batch))
        # Together: a text's embedding must not depend on how long the others are.
        torch.testing.assert_close(made.encode_texts(TEXTS), torch.stack([theirs.words(text) for text in TEXTS]))
        torch.testing.assert_close(made.encode_texts(["MASS"])[0], theirs.words("mass"))
    assert made.name == ("MedCLIP ResNet" if isinstance(theirs.images, ResNet) else "MedCLIP Swin")


def test_its_tower_is_a_target_with_layers_to_dissect(released: tuple[Released, Path]) -> None:
    _, folder = released
    made, loaded = dissector(folder), target(folder)
    assert loaded.preprocessing.fingerprint() == made.preprocessing.fingerprint()
    assert made.image_tower is not None
    assert str(loaded.module) == str(made.image_tower)
    layers = inspect_layers(loaded.module, torch.rand(2, 3, 224, 224))
    blocks = [layer.neurons for layer in layers if layer.name.endswith(("layer4", "encoder.layers.0.blocks.0"))]
    assert blocks == ([2048] if loaded.name == "MedCLIP ResNet tower" else [8])


def test_an_image_is_padded_scaled_and_normalised_as_by_the_released_processor(released: tuple[Released, Path]) -> None:
    y, x = np.mgrid[0:600, 0:400]
    pixels = (60 + 40 * np.sin(y / 40) + x * 0.3).astype(np.uint8)
    recipe = dissector(released[1]).preprocessing
    ours = recipe.finalize(recipe.prepare(mcd.Image(pixels, 255.0))[None])[0]
    square = PIL.Image.new("L", (600, 600), 0)
    square.paste(PIL.Image.fromarray(pixels), (100, 0))
    theirs = np.asarray(square.resize((224, 224), PIL.Image.Resampling.BICUBIC)) / 255
    theirs = (theirs - 0.5862785803043838) / 0.27950088968644304
    assert ours.shape == (3, 224, 224)
    assert np.abs(ours.numpy() - theirs[None]).mean() < 0.02  # theirs is rounded to 8 bit, and smooths the edges
    assert (ours[:, 5, 5] - (0 - 0.5862785803043838) / 0.27950088968644304).abs().max() < 1e-5


def test_texts_beyond_77_tokens_are_told(released: tuple[Released, Path]) -> None:
    made = dissector(released[1])
    assert made.too_long(["mass " * 76, "mass " * 75]) == ["mass " * 76]
    with torch.inference_mode():
        torch.testing.assert_close(made.encode_texts(["mass " * 90]), made.encode_texts(["mass " * 75]))


def test_the_vocabulary_may_lie_elsewhere(released: tuple[Released, Path], tmp_path: Path) -> None:
    folder = released[1]
    (tmp_path / "vocab.txt").write_bytes((folder / "vocab.txt").read_bytes())
    plain = dissector(folder / "pytorch_model.bin", tokenizer=str(tmp_path))
    assert plain.fingerprint() == dissector(folder).fingerprint()


def test_what_is_no_medclip_or_not_whole_is_refused(released: tuple[Released, Path], tmp_path: Path) -> None:
    folder = released[1]
    whole = mcd.plugins.read_state_dict(folder / "pytorch_model.bin")

    def refused(state: State, message: str) -> None:
        torch.save(state, tmp_path / "pytorch_model.bin")
        with pytest.raises(CheckpointError, match=message):
            dissector(tmp_path, tokenizer=str(folder))

    refused({"classifier.weight": torch.zeros(2, 2)}, "no checkpoint of MedCLIP: its tensors are called classifier")
    refused({**whole, "decoder.weight": torch.zeros(1)}, "no part of MedCLIP: decoder.weight")
    refused({name: one for name, one in whole.items() if "text_model.projection_head" not in name}, "projection_head")
    inner = ("vision_model.model.layernorm.weight", "vision_model.model.bn1.weight")
    refused({name: one for name, one in whole.items() if name not in inner}, "no whole Swin|does not fit ResNet")


def test_transformers_clip_says_which_dissector_reads_such_a_folder(released: tuple[Released, Path]) -> None:
    folder = released[1]
    with pytest.raises(CheckpointError, match="looks like MedCLIP") as caught:
        clip(folder)
    assert f"use --dissector medclip:{folder}" in caught.value.hint


@pytest.mark.parametrize("released", ["swin"], indirect=True)
def test_a_run_by_its_name(
    released: tuple[Released, Path], tmp_path: Path, mcd_command: Callable[..., Outcome]
) -> None:
    folder = released[1]
    (tmp_path / "words.txt").write_text("mass\ncalcification\nbreast\n")
    done = mcd_command(
        "dissect",
        "--model-plugin",
        f"medclip:{folder}",
        "--layers",
        "encoder.layers.*",
        "--dissector",
        f"medclip:{folder}",
        "--dataset",
        "phantom:4",
        "--scorer",
        "soft-wpmi:4",
        "--concepts",
        tmp_path / "words.txt",
        "--device",
        "cpu",
        "-o",
        tmp_path / "run",
    )
    assert done.code == 0, done.err
    found = mcd.load(tmp_path / "run")
    assert found.manifest.dissector == "MedCLIP Swin"
    assert found.manifest.fingerprints["target"]
    assert found.labels["neuron"].nunique() == 16


def test_model_and_dissector_pass_the_kit(released: tuple[Released, Path]) -> None:
    check_dissector(MedClip(MedClip.Options(checkpoint=released[1])))
    check_model_loader(MedClipTower(MedClipTower.Options(checkpoint=released[1])))
