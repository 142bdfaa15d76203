"""Maps of where neurons respond: equal to a plain forward pass, computed once, never stale."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as functional
from tests.conftest import Outcome
from tests.runs.test_dissect import Brightness, Net, Patches, dissect
from torch import nn

import mcd
from mcd.errors import ConfigError, StoreError, UnknownNameError
from mcd.extraction.map_store import Maps


def wide(net: nn.Module | None = None) -> mcd.Target:
    return mcd.Target("wide", net or Net(), mcd.Preprocessing(height=40, width=24))


def whole(module: nn.Module, layer: str, images: torch.Tensor) -> torch.Tensor:
    caught: list[torch.Tensor] = []
    handle = module.get_submodule(layer).register_forward_hook(lambda _m, _i, output: caught.append(output))
    with torch.inference_mode():
        module.eval()(images)
    handle.remove()
    return caught[0]


def close(maps: Maps, expected: torch.Tensor) -> None:
    """Each map is that of its image, to half a step of its 255."""
    for neuron in range(len(maps.images)):
        for rank, row in enumerate(maps.images[neuron].tolist()):
            if row >= 0:
                mine = expected[row, neuron]
                low, high = maps.range[neuron, rank].tolist()
                np.testing.assert_allclose([low, high], [mine.min(), mine.max()], rtol=1e-5, atol=1e-6)
                step = (high - low) / 255
                assert (maps.restored(neuron, rank) - mine).abs().max() <= step / 2 + 1e-6


def test_maps_equal_a_plain_forward_pass_made_small() -> None:
    target = wide()
    found = dissect(model=target, maps=3)
    images = torch.stack([target.preprocessing.prepare(mcd.Image(one[0].numpy(), 1.0)) for one in Patches().images])
    output = whole(target.module, "conv", images)
    assert output.shape[2:] == (38, 22)
    maps = found.maps("conv")
    assert maps is not None
    assert maps.values.shape == (6, 3, 14, 8)  # in the proportions of the layer's output
    close(maps, functional.adaptive_avg_pool2d(output, (14, 8)))
    for neuron in (0, 1, 3, 4, 5):
        best = found.top_images("conv", neuron, 3)["image"].tolist()
        assert [found.image_ids[row] for row in maps.images[neuron].tolist()] == best
    assert maps.images[2].tolist() == [-1, -1, -1]  # it is dead


def test_small_maps_are_kept_as_they_are() -> None:
    net = Net()
    maps = dissect(model=net, maps=1).maps("conv")
    assert maps is not None
    assert maps.values.shape[2:] == (10, 10)
    close(maps, whole(net, "conv", Patches().images))


def test_a_layer_without_places_has_none_and_the_run_says_why() -> None:
    found = dissect(maps=2)
    assert found.maps("head") is None
    assert "layer head has no maps: its output has no places" in found.manifest.warnings
    with pytest.raises(UnknownNameError):
        found.maps("tail")


class Tokens(nn.Module):
    """Patches of 4×4 pixels as tokens, behind two that are none."""

    num_prefix_tokens = 2

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(3)
        self.patch = nn.Conv2d(1, 5, 4, 4)
        self.block = nn.Linear(5, 5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        tokens = self.patch(x).flatten(2).transpose(1, 2)
        out: torch.Tensor = self.block(torch.cat([torch.full_like(tokens[:, :2], 9.0), tokens], dim=1))
        return out[:, 0]


def test_tokens_are_laid_out_as_their_patches_without_the_first() -> None:
    net = Tokens()
    found = dissect(model=net, layers="block", maps=2)
    maps = found.maps("block")
    assert maps is not None
    expected = whole(net, "block", Patches().images)[:, 2:].transpose(1, 2).reshape(40, 5, 3, 3)
    close(maps, expected)


def test_tokens_of_an_unknown_beginning_have_none() -> None:
    net = Tokens()
    net.__class__ = type("Silent", (Tokens,), {"num_prefix_tokens": None})
    found = dissect(model=net, layers="block", maps=2)
    assert found.maps("block") is None
    assert any("class and register tokens" in one for one in found.manifest.warnings)


def test_no_maps_unless_asked_for(tmp_path: Path) -> None:
    found = dissect(output=tmp_path / "run")
    assert found.maps("conv") is None
    assert not (tmp_path / "run" / "maps.safetensors").exists()


def test_maps_are_not_computed_again_and_never_stale(tmp_path: Path) -> None:
    net = Net()
    first = dissect(model=net, output=tmp_path / "run").labels
    net.calls = 0
    found = dissect(model=net, output=tmp_path / "run", maps=2)  # maps may be asked for afterwards
    passes = net.calls - 1
    assert 1 <= passes <= 5
    assert found.labels.equals(first)
    net.calls = 0
    dissect(model=net, output=tmp_path / "run", maps=2)
    assert net.calls == 2  # the trial
    with torch.no_grad():
        net.conv.weight[0] *= -1
    (tmp_path / "run" / "labels.parquet").unlink()  # labels of another network would be refused
    changed = dissect(model=net, output=tmp_path / "run", maps=2).maps("conv")
    plain = dissect(model=net, maps=2).maps("conv")
    assert changed is not None
    assert plain is not None
    assert torch.equal(changed.values, plain.values)
    assert torch.equal(changed.images, plain.images)
    (tmp_path / "run" / "labels.parquet").unlink()  # and so would those of a network whose counter has moved
    dissect(model=net, output=tmp_path / "run")
    assert not (tmp_path / "run" / "maps.safetensors").exists()


def test_the_same_run_gives_the_same_maps_and_a_copy_has_them(tmp_path: Path) -> None:
    found = [dissect(output=tmp_path / name, maps=3) for name in "ab"]
    files = [(tmp_path / name / "maps.safetensors").read_bytes() for name in "ab"]
    assert files[0] == files[1]
    copied = mcd.load(found[0].save(tmp_path / "copy")).maps("conv")
    own = found[0].maps("conv")
    assert copied is not None
    assert own is not None
    assert torch.equal(copied.values, own.values)


def test_maps_of_another_run_are_refused(tmp_path: Path) -> None:
    found = dissect(output=tmp_path / "a", maps=1)
    dissect(output=tmp_path / "b", maps=2)
    (tmp_path / "a" / "maps.safetensors").write_bytes((tmp_path / "b" / "maps.safetensors").read_bytes())
    with pytest.raises(StoreError, match="is not what the run wrote"):
        found.maps("conv")
    (tmp_path / "a" / "maps.safetensors").unlink()
    with pytest.raises(StoreError, match="cannot read the maps"):
        found.maps("conv")


def test_a_target_that_is_the_dissectors_tower_has_maps_too() -> None:
    net = Net()
    maps, plain = dissect(model=net, dissector=Brightness(net), maps=2).maps("conv"), dissect(maps=2).maps("conv")
    assert maps is not None
    assert plain is not None
    assert torch.equal(maps.images, plain.images)
    torch.testing.assert_close(maps.range, plain.range)


def test_dissectors_of_one_target_share_its_maps(mcd_command: Callable[..., Outcome], tmp_path: Path) -> None:
    (tmp_path / "study.yaml").write_text(
        "models: [{plugin: phantom-mammo, layers: stages.3}]\ndataset: 'phantom:10'\nconcepts: phantom\nmaps: 2\n"
        "dissectors: [{plugin: phantom-clip, name: a}, {plugin: phantom-clip, name: b}]\nscorer: cosine\nworkers: 0\n"
    )
    done = mcd_command("run", "study.yaml", "-o", "runs", cwd=tmp_path)
    assert done.code == 0, done.err
    a, b = (mcd.load(tmp_path / "runs" / name).maps("stages.3") for name in "ab")
    assert a is not None
    assert b is not None
    assert torch.equal(a.values, b.values)


def test_a_number_that_makes_no_sense_is_refused(mcd_command: Callable[..., Outcome], tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="maps"):
        dissect(maps=-1)
    done = mcd_command("dissect", "--model-plugin", "phantom-mammo", "--layers", "head", "--maps", "-1", cwd=tmp_path)
    assert done.code == 2
    assert "--maps" in done.err


def test_the_command_line_keeps_maps_of_the_run_not_of_its_controls(
    mcd_command: Callable[..., Outcome], tmp_path: Path
) -> None:
    done = mcd_command(
        "dissect",
        "--model-plugin",
        "phantom-mammo",
        "--layers",
        "stages.3",
        "--layers",
        "head",
        "--dataset",
        "phantom",
        "--dataset-arg",
        "patients=10",
        "--dissector",
        "phantom-clip",
        "--concepts",
        "phantom",
        "--scorer-arg",
        "top_k=10",
        "--maps",
        "3",
        "--controls",
        "-o",
        "run",
        cwd=tmp_path,
    )
    assert done.code == 0, done.err
    run = mcd.load(tmp_path / "run")
    maps = run.maps("stages.3")
    assert maps is not None
    assert maps.images.shape == (128, 3)
    assert maps.values.dtype == torch.uint8
    assert run.maps("head") is None
    assert json.loads((tmp_path / "run" / "manifest.json").read_text())["study"]["maps"] == 3
    assert len(list((tmp_path / "run").rglob("maps.safetensors"))) == 1
