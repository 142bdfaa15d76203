"""Weights that timm has on the hub: from its cache, with their commit; offline, with what to fetch."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import PIL.Image
import pytest
import timm
import torch
from safetensors.torch import save_file
from tests.conftest import Outcome
from tests.plugins.transformers.hub import COMMIT, cached
from timm.data import create_transform, resolve_model_data_config

import mcd
from mcd.errors import CheckpointError
from mcd.options import validate_options
from mcd_plugins.timm.loader import TimmLoader

CONFIGS = timm.models._registry._model_pretrained_cfgs
NAME = "test_resnet.r160_in1k"
HUB = f"timm/{NAME}"


def load(name: str = NAME, **options: object) -> mcd.Target:
    return TimmLoader(validate_options(TimmLoader.Options, {"name": name, **options}, "timm")).load()


@pytest.fixture
def network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> torch.nn.Module:
    """What the hub's cache holds under timm's own name of the smallest of its networks."""
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    torch.manual_seed(5)
    made = timm.create_model(NAME)
    (tmp_path / "files").mkdir()
    save_file(made.state_dict(), tmp_path / "files" / "model.safetensors")
    cached(tmp_path / "cache", HUB, tmp_path / "files")
    assert isinstance(made, torch.nn.Module)
    return made.eval()


def test_weights_of_the_hub_come_with_their_commit(network: torch.nn.Module) -> None:
    target, batch = load(pretrained=True), torch.rand(2, 3, 160, 160)
    with torch.inference_mode():
        assert torch.equal(target.module.eval()(batch), network(batch))
    assert (target.name, target.revision) == (NAME, f"{HUB}@{COMMIT}")
    assert load().revision == ""


@pytest.mark.slow
def test_a_run_records_the_commit(
    network: torch.nn.Module, tmp_path: Path, mcd_command: Callable[..., Outcome]
) -> None:
    done = mcd_command(
        "dissect",
        "--model-plugin",
        f"timm:{NAME}",
        "--model-arg",
        "pretrained=true",
        "--layers",
        "layer4",
        "--dissector",
        "phantom-clip",
        "--dataset",
        "phantom:4",
        "--scorer",
        "soft-wpmi:4",
        "--concepts",
        "phantom",
        "--device",
        "cpu",
        "-o",
        tmp_path / "run",
        "--offline",
    )
    assert done.code == 0, done.err
    assert json.loads((tmp_path / "run" / "manifest.json").read_text())["revisions"] == {"target": f"{HUB}@{COMMIT}"}


def test_offline_it_says_what_to_fetch(network: torch.nn.Module, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(CheckpointError, match=r"offline, and model.safetensors of timm/test_vit.r160_in1k") as absent:
        load("test_vit", pretrained=True)
    assert "hf download timm/test_vit.r160_in1k model.safetensors; then" in absent.value.hint


def test_weights_of_another_server_are_named_by_their_file(
    network: torch.nn.Module, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = "gcvit_xxtiny_224_nvidia-d1d86009.pth"
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    with pytest.raises(CheckpointError, match=f"offline, and {file} is not on this machine") as absent:
        load("gcvit_xxtiny.in1k", pretrained=True)
    assert f"put it at {tmp_path / 'hub' / 'checkpoints' / file}" in absent.value.hint


@pytest.mark.parametrize(
    ("mode", "percent", "interpolation", "size"),
    [
        ("center", 0.95, "bicubic", (301, 217)),
        ("squash", 0.9, "bilinear", (120, 201)),
        ("border", 1.0, "bicubic", (217, 300)),
        ("border", 0.9, "lanczos", (301, 300)),
    ],
)
def test_crop_is_timms_own_evaluation(
    mode: str, percent: float, interpolation: str, size: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    own = dataclasses.replace(CONFIGS[NAME], crop_mode=mode, crop_pct=percent, interpolation=interpolation)
    monkeypatch.setitem(CONFIGS, NAME, own)
    target = load(resize="crop")
    transform = create_transform(**resolve_model_data_config(target.module))
    pixels = np.random.default_rng(0).integers(80, 170, (*size, 3), dtype=np.uint8)
    recipe = target.preprocessing
    ours = recipe.finalize(recipe.prepare(mcd.Image(pixels, 255.0))[None])[0]
    assert (ours - transform(PIL.Image.fromarray(pixels))).abs().mean() < 0.01  # theirs is rounded to 8 bit
