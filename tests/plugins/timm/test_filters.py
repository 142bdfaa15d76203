"""Weights that timm itself reads are read: other sizes, other codes' names, grey from colours; and it is said."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import timm
import torch
import torchvision.models as models

import mcd
from mcd.errors import CheckpointError
from mcd.options import validate_options
from mcd_plugins.timm.loader import TimmLoader


def load(name: str, path: Path, **options: object) -> mcd.Target:
    settings = {"name": name, "checkpoint": path, **options}
    return TimmLoader(validate_options(TimmLoader.Options, settings, "timm")).load()


def made(name: str, **options: object) -> torch.nn.Module:
    torch.manual_seed(4)
    network = timm.create_model(name, **options)
    assert isinstance(network, torch.nn.Module)
    return network.eval()


def saved(content: object, folder: Path) -> Path:
    torch.save(content, folder / "w.pth")
    return folder / "w.pth"


def by_timm(name: str, state: dict[str, torch.Tensor], **options: object) -> torch.nn.Module:
    """What timm makes of the same state dict."""
    overlay = {"state_dict": dict(state), **{key: one for key, one in options.items() if key == "num_classes"}}
    return made(name, pretrained=True, pretrained_cfg_overlay=overlay, **options)


def same(target: mcd.Target, theirs: torch.nn.Module) -> None:
    for key, value in theirs.state_dict().items():
        torch.testing.assert_close(target.module.state_dict()[key], value, msg=key)


@pytest.mark.parametrize("name", ["test_vit", "test_vit3"])
def test_positional_embeddings_are_interpolated_as_by_timm(name: str, tmp_path: Path) -> None:
    state = made(name).state_dict()
    target = load(name, saved({"state_dict": state}, tmp_path), input_size=[96, 64])
    same(target, by_timm(name, state, img_size=(96, 64)))
    assert "interpolated by timm to the size of the input: pos_embed from" in target.caution
    assert load(name, tmp_path / "w.pth").caution == ""


@pytest.mark.parametrize("name", ["test_resnet", "test_vit", "test_efficientnet"])
def test_grey_input_is_summed_from_colours_and_back_is_refused_by_name(name: str, tmp_path: Path) -> None:
    state = made(name).state_dict()
    target = load(name, saved(state, tmp_path), in_chans=1)
    same(target, by_timm(name, state, in_chans=1))
    assert "summed over its colours, as timm does for in_chans=1" in target.caution
    grey = made(name, in_chans=1).state_dict()
    with pytest.raises(CheckpointError, match="of a network for one channel") as caught:
        load(name, saved(grey, tmp_path))
    assert caught.value.hint == "set in_chans=1"
    assert load(name, tmp_path / "w.pth", in_chans=1).caution == ""


def original_convnext(state: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Return timm's ConvNeXt under the names of the code that was released with the paper."""
    found = {}
    for key, value in state.items():
        name = re.sub(r"^stem\.", "downsample_layers.0.", key)
        name = re.sub(r"stages\.(\d)\.blocks\.", r"stages.\1.", name)
        name = re.sub(r"stages\.(\d)\.downsample\.", r"downsample_layers.\1.", name)
        name = name.replace("conv_dw", "dwconv").replace("mlp.fc", "pwconv")
        name = name.replace("head.norm", "norm").replace("head.fc", "head")
        found[name] = value
    return found


def test_the_original_names_of_convnext_are_known(tmp_path: Path) -> None:
    network = made("test_convnext")
    original = original_convnext(network.state_dict())
    assert not original.keys() & {"head.fc.weight", "stem.0.weight"}
    target = load("test_convnext", saved({"model": original}, tmp_path))
    same(target, network)
    assert target.caution == ""


def test_a_masked_autoencoder_is_read_without_its_decoder(tmp_path: Path) -> None:
    network = made("test_vit", num_classes=0)
    decoder = {
        "mask_token": torch.rand(1, 1, 8),
        "decoder_pos_embed": torch.rand(1, 9, 8),
        "decoder_embed.weight": torch.rand(8, 64),
        "decoder_blocks.0.norm1.weight": torch.rand(8),
        "decoder_pred.weight": torch.rand(3, 8),
    }
    path = saved({"model": {**network.state_dict(), **decoder}}, tmp_path)
    target = load("test_vit", path, num_classes=0)
    same(target, network)
    assert target.caution == "the decoder of a masked autoencoder is left out"
    with pytest.raises(CheckpointError, match=r"missing: head\.weight") as caught:
        load("test_vit", path)
    assert "num_classes" in caught.value.hint


@pytest.mark.slow
def test_torchvisions_densenet_is_read_as_timm_reads_it(tmp_path: Path) -> None:
    torch.manual_seed(0)
    state = models.densenet121(num_classes=2).state_dict()
    pattern = r"(denselayer\d+\.(?:norm|relu|conv))(\d\.)"  # as its files were before 2018, without counters
    older = {re.sub(pattern, r"\1.\2", key): value for key, value in state.items() if "num_batches" not in key}
    same(load("densenet121", saved(older, tmp_path), num_classes=2), by_timm("densenet121", older, num_classes=2))


def test_averaged_weights_of_a_timm_training_are_said_and_taken(tmp_path: Path) -> None:
    state = made("test_resnet").state_dict()
    ema = {key: value * 0.5 if value.is_floating_point() else value for key, value in state.items()}
    path = saved({"epoch": 9, "state_dict": state, "state_dict_ema": ema}, tmp_path)
    plain, averaged = load("test_resnet", path), load("test_resnet", path, ema="true")
    assert torch.equal(plain.module.state_dict()["conv1.0.weight"], state["conv1.0.weight"])
    assert torch.equal(averaged.module.state_dict()["conv1.0.weight"], ema["conv1.0.weight"])
    assert "state_dict_ema" in plain.caution
    assert averaged.caution == load("test_resnet", path, ema="false").caution == ""


def test_another_architecture_stays_refused(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="does not fit"):
        load("test_vit", saved(made("test_resnet").state_dict(), tmp_path))
