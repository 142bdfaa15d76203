"""fp32 means weights of 32 bits, whatever type they were saved in, and wherever the network comes from."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import timm
import torch
import transformers as hf
from tests.plugins.transformers.clips import TEXTS, dissector, features, saved_clip
from torch import nn

import mcd
from mcd.networks.running import at_work
from mcd.networks.trial import trial_pass
from mcd.options import Options, validate_options
from mcd_plugins.exported.loader import ExportLoader
from mcd_plugins.modules.loader import ModuleLoader
from mcd_plugins.open_clip.loader import OpenClipTower
from mcd_plugins.timm.loader import TimmLoader
from mcd_plugins.torchvision.loader import TorchvisionLoader
from mcd_plugins.transformers.loader import TransformersLoader

CPU = torch.device("cpu")
TYPES = (torch.float16, torch.bfloat16, torch.float64)


def net() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Linear(144, 2)).eval()


@pytest.mark.parametrize("kind", TYPES)
def test_a_network_of_another_type_computes_in_32_bits_and_comes_back_as_it_was(kind: torch.dtype) -> None:
    module, batch = net().to(kind), torch.rand(2, 3, 8, 8)
    held = list(module.state_dict(keep_vars=True).values())
    pointers = [one.data_ptr() for one in held]
    with at_work(module, CPU), torch.inference_mode():
        found = module(batch)
    again = net()
    again.load_state_dict(module.state_dict())
    with torch.inference_mode():
        torch.testing.assert_close(found, again(batch), atol=1e-6, rtol=1e-6)
    assert found.dtype == torch.float32
    now = list(module.state_dict(keep_vars=True).values())
    assert all(one is other for one, other in zip(now, held, strict=True))
    assert [one.data_ptr() for one in now] == pointers
    assert {one.dtype for one in now} == {kind, torch.int64}


class Inside(nn.Module):
    """Computes in bf16 whatever it is given."""

    def __init__(self) -> None:
        super().__init__()
        self.net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU())

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        with torch.autocast("cpu", dtype=torch.bfloat16):
            found: torch.Tensor = self.net(x)
        return found.float()


def test_a_network_that_computes_in_fewer_bits_by_itself_is_a_remark() -> None:
    recipe = mcd.Preprocessing(height=8, width=8, channels=3)
    remarks = trial_pass(mcd.Target("inside", Inside(), recipe)).remarks
    assert remarks == (
        "inside computes 3 of 3 layers in 16 bits by its own forward(), such as net, whatever the precision of the run",
    )
    assert trial_pass(mcd.Target("net", net().half(), recipe)).remarks == ()


def test_a_run_of_a_half_network_has_the_numbers_of_32_bits(tmp_path: Path) -> None:
    recipe = mcd.Preprocessing(height=8, width=8, channels=3)
    half = net().half()
    whole = net()
    whole.load_state_dict(half.state_dict())
    found = []
    for number, module in enumerate((half, whole)):
        done = mcd.dissect(
            mcd.Target("net", module, recipe),
            dissector="phantom-clip",
            layers="0",
            dataset="phantom:3",
            concepts="phantom",
            scorer="cosine",
            output=tmp_path / str(number),
            progress=False,
            workers=0,
            device="cpu",
        )
        found.append(done.activations("0"))
    assert torch.equal(torch.as_tensor(found[0]), torch.as_tensor(found[1]))


def test_a_dissector_saved_in_half_precision_embeds_in_32_bits(tmp_path: Path) -> None:
    saved_clip(tmp_path)
    hf.CLIPModel.from_pretrained(tmp_path).to(torch.float16).save_pretrained(tmp_path)
    made, theirs = dissector(tmp_path), hf.CLIPModel.from_pretrained(tmp_path, dtype=torch.float32).eval()
    batch = torch.rand(2, 3, 32, 32)
    with torch.inference_mode():
        assert torch.equal(made.encode_images(batch), features(theirs.get_image_features(pixel_values=batch)))
    assert made.encode_texts(TEXTS).dtype == torch.float32


def saved_transformer(place: Path) -> tuple[type[mcd.ModelLoader], dict[str, object]]:
    config = hf.ResNetConfig(embedding_size=8, hidden_sizes=[8, 16], depths=[1, 1], num_channels=3)
    hf.ResNetModel(config).to(torch.bfloat16).save_pretrained(place)
    hf.ConvNextImageProcessor(size={"shortest_edge": 32}, crop_pct=0.875).save_pretrained(place)
    return TransformersLoader, {"name": str(place)}


def saved_timm(place: Path) -> tuple[type[mcd.ModelLoader], dict[str, object]]:
    torch.save(timm.create_model("test_resnet").half().state_dict(), place / "w.pth")
    return TimmLoader, {"name": "test_resnet", "checkpoint": place / "w.pth"}


def saved_torchvision(place: Path) -> tuple[type[mcd.ModelLoader], dict[str, object]]:
    import torchvision.models as models

    torch.save(models.squeezenet1_1(num_classes=2).bfloat16().state_dict(), place / "w.pth")
    return TorchvisionLoader, {"name": "squeezenet1_1", "num_classes": 2, "checkpoint": place / "w.pth"}


def saved_program(place: Path) -> tuple[type[mcd.ModelLoader], dict[str, object]]:
    shapes = ({0: torch.export.Dim("batch")},)
    batch = torch.rand(2, 3, 8, 8).half()
    torch.export.save(torch.export.export(net().half(), (batch,), dynamic_shapes=shapes), place / "net.pt2")
    return ExportLoader, {"program": place / "net.pt2"}


def made_by_a_function(place: Path) -> tuple[type[mcd.ModelLoader], dict[str, object]]:
    (place / "net.py").write_text(
        "from torch import nn\ndef build():\n    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU()).bfloat16()\n"
    )
    return ModuleLoader, {"factory": f"{place / 'net.py'}:build", "channels": 3, "height": 8, "width": 8}


def of_open_clip(place: Path) -> tuple[type[mcd.ModelLoader], dict[str, object]]:
    return OpenClipTower, {"name": "RN50"}


@pytest.mark.parametrize(
    "saved",
    [
        saved_transformer,
        saved_timm,
        saved_torchvision,
        saved_program,
        made_by_a_function,
        pytest.param(of_open_clip, marks=pytest.mark.slow),
    ],
)
def test_every_loader_gives_a_network_that_works_in_32_bits(
    saved: Callable[[Path], tuple[type[mcd.ModelLoader], dict[str, object]]], tmp_path: Path
) -> None:
    kind, options = saved(tmp_path)
    settings: type[Options] = kind.Options
    target = kind(validate_options(settings, options, "x")).load()
    recipe = target.preprocessing
    batch = torch.rand(2, recipe.channels or 3, recipe.height or 8, recipe.width or 8)
    outputs: list[torch.dtype] = []
    for module in target.module.modules():
        module.register_forward_hook(
            lambda _module, _inputs, output: outputs.append(output.dtype) if isinstance(output, torch.Tensor) else None
        )
    with at_work(target.module, CPU), torch.inference_mode():
        target.module(batch)
        assert {one.dtype for one in target.module.parameters()} == {torch.float32}
    assert set(outputs) == {torch.float32}
