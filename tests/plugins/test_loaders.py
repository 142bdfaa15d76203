"""The model loaders ``timm`` and ``module``."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from mcd.errors import CheckpointError, MCDError, UnknownNameError, UsageError
from mcd_plugins.modules.loader import ModuleLoader
from mcd_plugins.timm.loader import TimmLoader


def timm_target(**options: object):
    return TimmLoader(TimmLoader.Options.model_validate({"name": "resnet10t", **options})).load()


def module_target(factory: str, **options: object):
    return ModuleLoader(ModuleLoader.Options.model_validate({"factory": factory, **options})).load()


def test_random_weights_are_seeded_and_said() -> None:
    state = torch.get_rng_state()
    one, two, other = timm_target(), timm_target(), timm_target(seed=1)
    assert torch.equal(torch.get_rng_state(), state)
    assert one.name == "resnet10t (random weights)"
    first = [next(target.module.parameters()) for target in (one, two, other)]
    assert torch.equal(first[0], first[1])
    assert not torch.equal(first[0], first[2])


def test_the_preprocessing_is_what_timm_records() -> None:
    recipe = timm_target().preprocessing
    config = timm_target().module.pretrained_cfg
    assert (recipe.height, recipe.width) == config["input_size"][1:]
    assert recipe.mean == config["mean"]
    assert recipe.resize == "letterbox"
    assert timm_target(resize="crop").preprocessing.crop_fraction == config["crop_pct"]
    grey = timm_target(in_chans=1, input_size=[320, 192])
    assert (grey.preprocessing.channels, len(grey.preprocessing.mean)) == (1, 1)
    assert grey.module(torch.rand(1, 1, 320, 192)).shape == (1, 1000)


def test_numbers_from_the_command_line_fit_a_choice_of_numbers() -> None:
    assert TimmLoader.Options.model_validate({"name": "resnet10t", "in_chans": "1"}).in_chans == 1
    assert ModuleLoader.Options.model_validate({"factory": "a:b", "channels": "3"}).channels == 3
    with pytest.raises(ValueError, match="in_chans"):
        TimmLoader.Options.model_validate({"name": "resnet10t", "in_chans": "2"})


def test_a_head_of_another_size_gets_the_setting_that_helps(tmp_path: Path) -> None:
    torch.save(timm_target(num_classes=4).module.state_dict(), tmp_path / "four.pth")
    with pytest.raises(CheckpointError, match=r"fc.weight is 4×512 in the file, 1000×512") as caught:
        timm_target(checkpoint=tmp_path / "four.pth")
    assert "num_classes" in caught.value.hint
    loaded = timm_target(checkpoint=tmp_path / "four.pth", num_classes=4)
    assert loaded.name == "resnet10t"


def test_an_unknown_timm_model_names_the_nearest() -> None:
    with pytest.raises(UnknownNameError) as caught:
        timm_target(name="resnet10tt")
    assert "did you mean 'resnet10t'" in caught.value.hint


def test_pretrained_without_network_says_what_to_do(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("HF_HOME", str(tmp_path))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(CheckpointError) as caught:
        timm_target(pretrained=True)
    assert "checkpoint=FILE" in caught.value.hint


FILE = """
import torch
from torch import nn
import mcd

def build(width: int = 3) -> nn.Module:
    return nn.Sequential(nn.Conv2d(1, width, 3), nn.ReLU())

def target() -> mcd.Target:
    return mcd.Target("mine", build(), mcd.Preprocessing(height=8, width=8, channels=1))

def wrong() -> int:
    return 3

def diverged() -> nn.Module:
    made = build()
    made[0].bias.data[1] = float("nan")
    return made
"""


def test_a_function_in_a_file_makes_a_target(tmp_path: Path) -> None:
    path = tmp_path / "net.py"
    path.write_text(FILE)
    made = module_target(f"{path}:build", arguments={"width": 5}, height=8, width=8, channels=1, mean=[0.5], std=[0.1])
    assert made.module[0].out_channels == 5
    assert made.preprocessing.mean == (0.5,)
    assert module_target(f"{path}:target").name == "mine"
    again = module_target(f"{path}:build", arguments={"width": 5})
    assert torch.equal(made.module[0].weight, again.module[0].weight)


def test_a_function_of_an_installed_package_makes_a_target() -> None:
    assert module_target("torchvision.models:resnet18").name == "ResNet"


@pytest.mark.parametrize(
    ("factory", "error", "message"),
    [
        ("net", UsageError, "does not say which function"),
        ("nowhere.to.be.found:build", UsageError, "cannot be imported"),
        ("{}:biuld", UnknownNameError, "has no function 'biuld'"),
        ("{}:wrong", UsageError, "returned a int, not an nn.Module"),
        ("{}/none.py:build", UsageError, "there is no file"),
        ("{}:diverged", CheckpointError, r"0\.bias has NaN among its values"),
    ],
)
def test_a_factory_that_is_none_is_told(factory: str, error: type[MCDError], message: str, tmp_path: Path) -> None:
    (tmp_path / "net.py").write_text(FILE)
    place = tmp_path if "none.py" in factory else tmp_path / "net.py"
    with pytest.raises(error, match=message):
        module_target(factory.format(place))


def test_a_file_that_raises_is_named(tmp_path: Path) -> None:
    (tmp_path / "bad.py").write_text("1 / 0\n")
    with pytest.raises(UsageError, match=r"bad.py, line 1: ZeroDivisionError"):
        module_target(f"{tmp_path / 'bad.py'}:build")
