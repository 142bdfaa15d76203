"""torchvision's models with its own preprocessing; weights from files, wholly or not at all."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import PIL.Image
import pytest
import torch
import torchvision.models as models

import mcd
from mcd.errors import CheckpointError, UnknownNameError, UsageError
from mcd.options import validate_options
from mcd_plugins.torchvision.loader import TorchvisionLoader


def load(**options: object) -> mcd.Target:
    return TorchvisionLoader(validate_options(TorchvisionLoader.Options, options, "torchvision")).load()


def test_weights_from_a_file_give_torchvisions_own_numbers(tmp_path: Path) -> None:
    torch.manual_seed(3)
    network = models.resnet18(num_classes=4).eval()
    state = {f"model.backbone.{name}": one for name, one in network.state_dict().items()} | {"loss.w": torch.rand(3)}
    torch.save({"state_dict": state}, tmp_path / "lightning.ckpt")
    target = load(name="resnet18", checkpoint=tmp_path / "lightning.ckpt", prefix="model.backbone", num_classes="4")
    batch = torch.rand(2, 3, 64, 64)
    with torch.inference_mode():
        assert torch.equal(target.module.eval()(batch), network(batch))
    assert target.name == "resnet18"
    with pytest.raises(CheckpointError, match="does not fit"):
        load(name="resnet18", checkpoint=tmp_path / "lightning.ckpt", prefix="model.backbone")


@pytest.mark.parametrize("name", ["resnet50", "efficientnet_b2", "vit_b_16", "swin_t"])
@pytest.mark.parametrize("size", [(300, 400), (301, 217)])
def test_the_preprocessing_is_torchvisions(name: str, size: tuple[int, int]) -> None:
    y, x = np.mgrid[0 : size[0], 0 : size[1]]
    pixels = np.stack([y * 0.8, x * 0.6, 128 + 90 * np.sin(y) * np.cos(x / 2)], axis=2).astype(np.uint8)
    with torch.device("meta"):
        recipe = load(name=name, resize="crop").preprocessing
    ours = recipe.finalize(recipe.prepare(mcd.Image(pixels, 255.0))[None])[0]
    theirs = models.get_model_weights(name)["DEFAULT"].transforms()(PIL.Image.fromarray(pixels))
    assert ours.shape == theirs.shape
    assert (ours - theirs).abs().max() < 0.03  # theirs is rounded to 8 bit after resizing


def test_random_weights_are_seeded_and_the_name_says_so() -> None:
    first, again, other = load(name="resnet18"), load(name="resnet18"), load(name="resnet18", seed=1)
    name = "conv1.weight"
    assert first.name == "resnet18 (random weights)"
    assert torch.equal(first.module.state_dict()[name], again.module.state_dict()[name])
    assert not torch.equal(first.module.state_dict()[name], other.module.state_dict()[name])
    assert first.preprocessing.resize == "letterbox"
    assert load(name="resnet18", input_size=[152, 96]).preprocessing.width == 96


def test_offline_it_says_what_to_fetch_and_where_to_put_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    with pytest.raises(CheckpointError, match=r"offline, and resnet18-.*\.pth is not on this machine") as caught:
        load(name="resnet18", weights="DEFAULT")
    assert f"put it at {tmp_path / 'hub' / 'checkpoints' / 'resnet18-'}" in caught.value.hint


def test_mistakes_are_told_apart() -> None:
    with pytest.raises(UnknownNameError, match="torchvision has no model 'resnet51'") as caught:
        load(name="resnet51")
    assert "resnet5" in caught.value.hint
    with pytest.raises(UnknownNameError, match="resnet18 has no weights 'IMAGENET'"):
        load(name="resnet18", weights="IMAGENET")
    with pytest.raises(UsageError, match="choose one"):
        load(name="resnet18", weights="DEFAULT", checkpoint="x.pth")


def test_weights_on_this_machine_are_named_by_their_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    choice = models.get_model_weights("squeezenet1_1")["DEFAULT"]
    file = choice.url.rpartition("/")[2]
    network = models.squeezenet1_1()
    network.get_parameter("features.0.bias").data += 1
    (tmp_path / "hub" / "checkpoints").mkdir(parents=True)
    torch.save(network.state_dict(), tmp_path / "hub" / "checkpoints" / file)
    target = load(name="squeezenet1_1", weights="DEFAULT")
    assert torch.equal(target.module.state_dict()["features.0.bias"], network.state_dict()["features.0.bias"])
    assert target.revision == file
    assert load(name="squeezenet1_1").revision == ""
