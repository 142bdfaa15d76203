"""Layers that can be read in several ways: which output, which call, which order of axes, under which name."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import NamedTuple

import pytest
import torch
from tests.command_line import Outcome
from torch import nn

import mcd
from mcd.errors import UnknownNameError, UsageError
from mcd.networks.layers import Layer, inspect_layers
from mcd.networks.pooling import Pooling
from mcd.networks.recording import Recorder
from mcd.networks.selecting import select_layers
from mcd.networks.trial import trial_pass

BATCH = torch.rand(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))


@dataclass
class Record:
    fine: object
    coarse: object


class Named(NamedTuple):
    fine: object
    coarse: object


class Several(nn.Module):
    """Gives two maps, as feature pyramids and HRNet's stages do."""

    def __init__(self, wrap: Callable[[object, object], object]) -> None:
        super().__init__()
        self.fine, self.coarse, self.wrap = nn.Conv2d(3, 4, 3, 2, 1), nn.Conv2d(4, 7, 3, 2, 1), wrap

    def forward(self, x: torch.Tensor) -> object:
        fine = self.fine(x)
        return self.wrap(fine, self.coarse(fine))


def layers_of(module: nn.Module) -> list[Layer]:
    return inspect_layers(nn.Sequential(module).eval(), BATCH)


def recorded(module: nn.Module, *patterns: str) -> dict[str, torch.Tensor]:
    layers = select_layers(patterns, inspect_layers(module.eval(), BATCH), "net")
    with torch.inference_mode(), Recorder(module, layers, Pooling("avg")) as recorder:
        module(BATCH)
        return recorder.take()


@pytest.mark.parametrize(
    ("wrap", "names", "main"),
    [
        (lambda fine, coarse: [fine, coarse], ("0", "1"), "0"),
        (lambda fine, coarse: (fine, coarse), ("0", "1"), "0"),
        (Named, ("fine", "coarse"), "fine"),
        (Record, ("fine", "coarse"), None),
        (lambda fine, coarse: {"fine": fine, "coarse": coarse}, ("fine", "coarse"), None),
        (lambda fine, coarse: {"last_hidden_state": fine, "pool": coarse}, ("last_hidden_state", "pool"), None),
        (lambda fine, coarse: SimpleNamespace(fine=fine, coarse=coarse), ("fine", "coarse"), None),
        (lambda fine, coarse: ([fine, None], {"x": coarse}), ("0.0", "1.x"), None),
        (lambda fine, coarse: Record({"a": fine}, (coarse,)), ("fine.a", "coarse.0"), None),
    ],
)
def test_each_tensor_of_an_output_can_be_chosen_and_the_one_that_is_read_is_said(
    wrap: Callable[[object, object], object], names: tuple[str, str], main: str | None
) -> None:
    main = "last_hidden_state" if names[0] == "last_hidden_state" else main
    module = nn.Sequential(Several(wrap))
    layer = inspect_layers(module.eval(), BATCH)[0]
    assert [one.name for one in layer.choices] == [f"0:{name}" for name in names]
    if main is None:
        assert "no tensor stands for it" in layer.reason
        with pytest.raises(UsageError, match="cannot be dissected") as caught:
            select_layers(["0"], [layer], "net")
        assert all(f"0:{name}" in caught.value.hint for name in names)
    else:
        assert (layer.neurons, layer.remark) == (4, f"0:{main} (4×16×16) is read, one of 2 tensors in its output")
    found = recorded(module, *(f"0:{name}" for name in names))
    with torch.inference_mode():
        fine = module[0].fine(BATCH)
        true = [fine.mean((2, 3)), module[0].coarse(fine).mean((2, 3))]
    for values, expected in zip(found.values(), true, strict=True):
        torch.testing.assert_close(values, expected)


def test_a_record_with_one_tensor_is_that_tensor() -> None:
    for wrap in (lambda fine, _: Record(fine, None), lambda fine, _: {"x": fine}, lambda fine, _: [[fine]]):
        (layer, *_) = layers_of(Several(wrap))
        assert (layer.neurons, layer.remark, layer.choices) == (4, "", ())


def test_an_output_that_is_not_there_is_named_with_those_that_are() -> None:
    layers = layers_of(Several(lambda fine, coarse: [fine, coarse]))
    with pytest.raises(UnknownNameError, match="layer 0 has no ':2'") as caught:
        select_layers(["0:2"], layers, "net")
    assert "0:0, 0:1" in caught.value.hint
    with pytest.raises(UnknownNameError) as caught:
        select_layers(["0.fine:1"], layers, "net")
    assert "one way only" in caught.value.hint


class Shared(nn.Module):
    """Runs one module three times, each time on another map."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second, self.relu = nn.Conv2d(3, 4, 3, 2, 1), nn.Conv2d(4, 7, 3, 2, 1), nn.ReLU(inplace=True)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.relu(self.second(self.relu(self.first(x))))
        return self.relu(x.flatten(2).transpose(1, 2) - 0.1)


def test_each_call_of_a_module_can_be_chosen() -> None:
    module = Shared()
    found = recorded(module, "relu@2", "relu@1", "relu@3")
    assert list(found) == ["relu@2", "relu@1", "relu@3"]
    with torch.inference_mode():
        one = module.first(BATCH).relu()
        two = module.second(one).relu()
    torch.testing.assert_close(found["relu@1"], one.mean((2, 3)))
    torch.testing.assert_close(found["relu@2"], two.mean((2, 3)))
    torch.testing.assert_close(found["relu@3"], (two - 0.1).relu().mean((2, 3)))
    with pytest.raises(UsageError, match="it ran 3 times") as caught:
        recorded(module, "relu")
    assert caught.value.hint == "choose relu@1, relu@2, relu@3"
    assert list(recorded(module, "relu@*")) == ["relu@1", "relu@2", "relu@3"]


class Flattened(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.flatten(2)


@pytest.mark.parametrize("last", [nn.Conv1d(8, 8, 1), nn.BatchNorm1d(8), nn.Flatten(2), Flattened(), nn.Identity()])
def test_a_flattened_map_is_channels_by_positions(last: nn.Module) -> None:
    module = nn.Sequential(nn.Conv2d(3, 8, 3, 2, 1), Flattened(), last) if not isinstance(last, nn.Flatten) else None
    module = module or nn.Sequential(nn.Conv2d(3, 8, 3, 2, 1), last)
    name = str(len(module) - 1)
    layer = inspect_layers(module.eval(), BATCH)[-1]
    assert (layer.layout, layer.neurons) == ("NCL", 8)
    with torch.inference_mode():
        torch.testing.assert_close(recorded(module, name)[name], module(BATCH).mean(2))


def test_an_order_of_axes_that_cannot_be_known_is_asked_for() -> None:
    class Cube(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return torch.nn.functional.interpolate(x, (8, 8)).repeat(1, 3, 1, 1)[:, :8] * torch.arange(8.0)

    class Square(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return torch.rand(64, 16, generator=torch.Generator().manual_seed(1)).expand(len(x), -1, -1)

    for module, axes in ((Cube(), {"NCHW": (2, 3), "NHWC": (1, 2)}), (Square(), {"tokens": 1, "NCL": 2})):
        network = nn.Sequential(module)
        with pytest.raises(UsageError, match="could be") as caught:
            recorded(network, "0")
        assert all(f"0:{name}" in caught.value.hint for name in axes)
        output = module(BATCH)
        for name, reduced in axes.items():
            torch.testing.assert_close(recorded(network, f"0:{name}")[f"0:{name}"], output.mean(reduced))


def test_the_order_of_axes_can_be_set_where_it_was_read_otherwise() -> None:
    network = nn.Sequential(nn.Conv2d(3, 8, 3, 2, 1))
    with torch.inference_mode():
        true = network(BATCH).mean((1, 2))
    torch.testing.assert_close(recorded(network, "0:NHWC")["0:NHWC"], true)
    with pytest.raises(UnknownNameError, match="has no ':tokens'"):
        recorded(network, "0:tokens")


def test_a_module_is_found_by_each_of_its_names() -> None:
    network = nn.Module()
    network.stem, network.head = nn.Conv2d(3, 4, 3), nn.Sequential(nn.Conv2d(4, 4, 3), nn.ReLU())
    network.features = nn.Sequential(network.stem, network.head)
    network.forward = network.features.forward
    (stem, *_) = layers = inspect_layers(network.eval(), BATCH)
    assert stem.also == ("features.0",)
    names = [layer.name for layer in select_layers(["features.*"], layers, "net")]
    assert names == ["stem", "head"]
    assert [one.name for one in select_layers(["features.1.0"], layers, "net")] == ["head.0"]


class Quantised(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.quantize_per_tensor(x, 0.1, 0, torch.quint8)


@pytest.mark.parametrize(
    ("forward", "reason"),
    [
        (torch.fft.fft2, "complex"),
        (lambda x: torch.view_as_complex(torch.stack([x, x], -1)), "complex"),
        (lambda x: x.to_sparse(), "sparse"),
        (lambda x: torch.quantize_per_tensor(x, 0.1, 0, torch.quint8), "quantised"),
        (lambda x: torch.nested.nested_tensor([one.flatten(1) for one in x]), "nested"),
        (lambda x: x.to("meta"), "without values"),
        (lambda x: x.argmax(1), "whole numbers, as indices are"),
        (lambda x: (x * 9).to(torch.uint8), "whole numbers"),
    ],
)
@pytest.mark.filterwarnings("ignore:.*nested tensors")
def test_outputs_without_real_numbers_are_refused(forward: Callable[[torch.Tensor], torch.Tensor], reason: str) -> None:
    layer = nn.Module()
    layer.forward = forward
    (found,) = trial_pass(mcd.Target("net", nn.Sequential(layer), mcd.Preprocessing(height=32, width=32))).layers
    assert reason in found.reason


def test_of_values_and_their_places_only_the_values_are_read_and_a_mask_is() -> None:
    for forward, readable in ((lambda x: x.mean((2, 3)).topk(2), {"0:0"}), (lambda x: x > 0, {"0"})):
        layer = nn.Module()
        layer.forward = forward
        (found,) = trial_pass(mcd.Target("net", nn.Sequential(layer), mcd.Preprocessing(height=32, width=32))).layers
        assert {one.name for one in (found.choices or (found,)) if not one.reason} == readable


def test_axis_0_that_grows_otherwise_than_the_batch_is_refused() -> None:
    layer = nn.Module()
    layer.forward = lambda x: torch.ones(2, len(x), 5)
    (found,) = trial_pass(mcd.Target("net", nn.Sequential(layer), mcd.Preprocessing(height=32, width=32))).layers
    assert "is not the batch" in found.reason


def test_the_command_line_lists_choices_and_second_names(tmp_path: Path, mcd_command: Callable[..., Outcome]) -> None:
    file = tmp_path / "net.py"
    file.write_text(
        "from torch import nn\n"
        "class Two(nn.Module):\n"
        "    def __init__(self):\n"
        "        super().__init__()\n"
        "        self.a, self.act = nn.Conv2d(3, 4, 3), nn.ReLU()\n"
        "        self.again = nn.ModuleList([self.a])\n"
        "    def forward(self, x):\n"
        "        return [self.act(self.act(self.a(x))), x]\n"
        "def build(): return nn.Sequential(Two())\n"
    )
    arguments = ["layers", "--model-plugin", f"module:{file}:build"]
    arguments += [f"--model-arg={one}" for one in ("height=32", "width=32", "channels=3")]
    listed = mcd_command(*arguments).out
    names = [line.split()[0] for line in listed.splitlines()[2:-1]]
    assert names == ["0", "0:0", "0:1", "0.a", "0.act", "0.act@1", "0.act@2", "0.again"]
    assert "NCHW; 0:0 (4×30×30) is read, one of 2 tensors in its output" in listed
    assert "NCHW; also called 0.again.0" in listed
    found = json.loads(mcd_command(*arguments, "--layers", "0.again.0,0.act,0:1", "--json").out)
    assert [one["name"] for one in found] == ["0:1", "0.a", "0.act"]
    assert [one["name"] for one in found[2]["choices"]] == ["0.act@1", "0.act@2"]
