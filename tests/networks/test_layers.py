"""Layers: how they are named, told apart and refused."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from mcd.errors import UsageError
from mcd.networks.layers import inspect_layers
from mcd.networks.selecting import select_layers


class Zoo(nn.Module):
    """One module of each behaviour that real networks have."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 8, 3, stride=2, padding=1)
        self.nhwc = Permute(0, 2, 3, 1)
        self.norm = nn.LayerNorm(8)
        self.back = Permute(0, 3, 1, 2)
        self.pair = Pair()
        self.as_dict, self.two, self.record = AsDict("x"), AsDict("x", "y"), AsDict("y", "last_hidden_state")
        self.twice = nn.ReLU()
        self.tokens = Tokens()
        self.never = nn.Linear(2, 2)
        self.swap = Permute(1, 0, 2)
        self.head = nn.Linear(8, 5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.back(self.norm(self.nhwc(self.conv(x))))
        x = self.pair(x)[0]
        x = self.record(self.two(self.as_dict(x)["x"])["x"])["last_hidden_state"]
        x = self.twice(self.twice(x))
        tokens = self.tokens(x)
        self.swap(tokens)
        out: torch.Tensor = self.head(tokens.mean(1))
        return out


class Permute(nn.Module):
    def __init__(self, *order: int) -> None:
        super().__init__()
        self.order = order

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.permute(self.order)


class Pair(nn.Module):
    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, None]:
        return x, None


class AsDict(nn.Module):
    def __init__(self, *names: str) -> None:
        super().__init__()
        self.names = names

    def forward(self, x: torch.Tensor) -> dict[str, torch.Tensor]:
        return dict.fromkeys(self.names, x)


class Tokens(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.flatten(2).transpose(1, 2)


def test_outputs_are_told_apart_or_refused_with_the_reason() -> None:
    found = {layer.name: layer for layer in inspect_layers(Zoo().eval(), torch.rand(2, 3, 32, 24))}
    assert {name: (layer.layout, layer.neurons) for name, layer in found.items() if not layer.reason} == {
        "conv": ("NCHW", 8),
        "nhwc": ("NHWC", 8),
        "norm": ("NHWC", 8),
        "back": ("NCHW", 8),
        "pair": ("NCHW", 8),
        "tokens": ("tokens", 8),
        "head": ("flat", 5),
        "as_dict": ("NCHW", 8),
        "record": ("NCHW", 8),
    }
    assert found["two"].reason == "its output is a dict, in which no tensor stands for it"
    assert found["twice"].reason == "it ran 2 times in one forward pass"
    assert found["never"].reason == "it did not run in a forward pass"
    assert "is not the batch" in found["swap"].reason


def test_an_ambiguous_map_is_refused_instead_of_guessed() -> None:
    class Cube(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.cube = nn.Identity()

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            out: torch.Tensor = self.cube(x.mean(1, keepdim=True).expand(-1, 16, -1, -1))
            return out

    (layer,) = inspect_layers(Cube().eval(), torch.rand(2, 3, 16, 16))
    assert layer.layout is None
    assert "either order of the axes fits" in layer.reason


class Turned(nn.Sequential):
    """A chain whose own ``forward`` turns the axes: what it ends in says nothing."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        out: torch.Tensor = super().forward(x)
        return out.permute(0, 2, 3, 1)


def test_a_chain_is_read_as_the_convolution_in_which_it_ends() -> None:
    """With as many channels as rows and columns, the geometry cannot tell."""

    def convolution(into: int) -> nn.Conv2d:
        return nn.Conv2d(into, 16, 1)

    model = nn.Sequential(
        nn.Sequential(convolution(3), nn.ReLU()),
        nn.Sequential(nn.Sequential(convolution(16), nn.BatchNorm2d(16)), nn.GELU(), nn.Dropout()),
        Turned(convolution(16), nn.ReLU()),
        nn.Sequential(nn.Linear(16, 16), nn.ReLU()),
        nn.Sequential(convolution(16), Permute(0, 2, 3, 1)),
    )
    layers = inspect_layers(model.eval(), torch.rand(2, 3, 16, 16))
    found = {layer.name: layer.layout for layer in layers}
    assert {name: found[name] for name in ("0", "1", "1.0")} == {"0": "NCHW", "1": "NCHW", "1.0": "NCHW"}
    assert {found[name] for name in ("2", "3", "4")} == {None}
    with pytest.raises(UsageError) as caught:
        select_layers(["2"], layers, "chain")
    assert caught.value.hint == "choose 2:NCHW, 2:NHWC, 2.0"


def test_inspection_leaves_no_hooks_even_when_the_model_raises() -> None:
    model = Zoo().eval()
    with pytest.raises(RuntimeError):
        inspect_layers(model, torch.rand(2, 7, 8, 8))
    assert all(not module._forward_hooks for module in model.modules())


def test_choosing_an_unfit_layer_says_why() -> None:
    layers = inspect_layers(Zoo().eval(), torch.rand(2, 3, 32, 24))
    with pytest.raises(UsageError, match=r"never \(Linear\): it did not run"):
        select_layers(["never", "conv"], layers, "zoo")
    with pytest.raises(UsageError, match="which layers of zoo"):
        select_layers([], layers, "zoo")
