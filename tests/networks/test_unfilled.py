"""Networks that are built for weights of a file: all that a file does not hold is as it would have been."""

from __future__ import annotations

import random
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import timm
import torch
import torchvision.models
import transformers
from torch import nn

import mcd
from mcd.networks.process import random_states
from mcd.networks.unfilled import unfilled
from mcd_plugins.timm.loader import TimmLoader
from mcd_plugins.torchvision.loader import TorchvisionLoader


def seeded(build: Callable[[], nn.Module]) -> nn.Module:
    torch.manual_seed(3)
    np.random.seed(3)
    random.seed(3)
    return build()


def everything(network: nn.Module) -> dict[str, torch.Tensor]:
    """Return parameters and all buffers, those that no file holds too."""
    return {**dict(network.named_parameters()), **dict(network.named_buffers())}


def same(one: nn.Module, other: nn.Module) -> bool:
    first, second = everything(one), everything(other)
    return list(first) == list(second) and all(torch.equal(first[name], second[name]) for name in first)


def bert() -> nn.Module:
    config = transformers.BertConfig(vocab_size=50, hidden_size=64, num_hidden_layers=1, num_attention_heads=1)
    return transformers.BertModel(config, add_pooling_layer=False)


@pytest.mark.parametrize(
    "build",
    [
        *(
            partial(timm.create_model, name)
            for name in ("resnet18", "vit_tiny_patch16_224", "swin_tiny_patch4_window7_224", "convnext_atto")
        ),
        *(partial(torchvision.models.get_model, name) for name in ("resnet18", "mobilenet_v3_small", "swin_t")),
        bert,
    ],
)
def test_given_its_weights_a_network_is_the_one_that_was_built_with_random_ones(build: Callable[[], nn.Module]) -> None:
    ordinary, calls = seeded(build), []

    def counted() -> nn.Module:
        calls.append(build)
        return build()

    random.seed(5)
    before = random_states()
    network = unfilled(counted)
    assert random_states() == before
    assert len(calls) == 1
    assert all(bool(one.isnan().any()) for one in network.parameters() if one.ndim > 1)
    network.load_state_dict(ordinary.state_dict())
    assert same(network, ordinary)


class Drawing(nn.Module):
    """Draws something else than weights, in some way."""

    def __init__(self, way: str) -> None:
        super().__init__()
        self.layer = nn.Linear(4, 4)
        by = {
            "torch": lambda: torch.randperm(4),
            "in place": lambda: torch.zeros(4).normal_(),
            "rarely": lambda: torch.poisson(torch.ones(4)),
            "numpy": lambda: torch.from_numpy(np.random.rand(4)),
            "python": lambda: torch.tensor(random.sample(range(4), 4)),
        }
        self.register_buffer("mixed", by[way](), persistent=False)


class Keeping(nn.Module):
    """Keeps a parameter that is none of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.layer, self.kept = nn.Linear(4, 4), [nn.Linear(2, 2).weight]


@pytest.mark.parametrize("way", ["torch", "in place", "rarely", "numpy", "python"])
def test_where_more_is_drawn_than_weights_nothing_is_left_out(way: str) -> None:
    ordinary = seeded(partial(Drawing, way))
    network = seeded(lambda: unfilled(partial(Drawing, way)))
    assert same(network, ordinary)


class Deriving(nn.Module):
    """Makes something of the values of its weights, in some way."""

    def __init__(self, way: str) -> None:
        super().__init__()
        self.layer = nn.Linear(4, 4)
        weight = self.layer.weight.detach()
        by: dict[str, Callable[[], torch.Tensor]] = {
            "copy": lambda: weight.clone(),
            "copied into": lambda: torch.zeros(4, 4).copy_(weight),
            "indices": lambda: weight.argmax(dim=1),
            "number": lambda: torch.tensor(weight[0, 0].item()),
            "array": lambda: torch.tensor(np.asarray(weight).sum()),
            "decomposition": lambda: torch.linalg.svd(weight)[1],
            "condition": lambda: torch.tensor(int(bool((weight > 0).any()))),
        }
        self.register_buffer("derived", by[way](), persistent=False)


@pytest.mark.parametrize("way", ["copy", "copied into", "indices", "number", "array", "decomposition", "condition"])
def test_what_is_made_of_drawn_weights_is_as_it_would_have_been(way: str) -> None:
    ordinary = seeded(partial(Deriving, way))
    network = seeded(lambda: unfilled(partial(Deriving, way)))
    assert same(network, ordinary)


class Hiding(nn.Module):
    """Leaves a parameter out of its state dict."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(4, 4)
        self.register_state_dict_post_hook(_without_bias)


def _without_bias(module: nn.Module, state: dict[str, torch.Tensor], prefix: str, metadata: object) -> None:
    del state[f"{prefix}layer.bias"]


def test_parameters_that_no_state_dict_holds_have_their_values() -> None:
    assert same(seeded(lambda: unfilled(Hiding)), seeded(Hiding))


def test_parameters_beside_the_network_have_their_values() -> None:
    ordinary, network = seeded(Keeping), seeded(lambda: unfilled(Keeping))
    assert isinstance(ordinary, Keeping)
    assert isinstance(network, Keeping)
    assert torch.equal(network.kept[0], ordinary.kept[0])


def test_what_building_raises_is_raised() -> None:
    def build() -> nn.Module:
        raise RuntimeError("no such architecture")

    with pytest.raises(RuntimeError, match="no such architecture"):
        unfilled(build)


def test_loaders_give_the_networks_that_they_gave(tmp_path: Path) -> None:
    for name, loader, build in (
        ("vit_tiny_patch16_224", TimmLoader, timm.create_model),
        ("resnet18", TorchvisionLoader, torchvision.models.get_model),
    ):
        ordinary = seeded(partial(build, name))
        torch.save(ordinary.state_dict(), tmp_path / f"{name}.pt")
        target = loader(loader.Options(name=name, checkpoint=tmp_path / f"{name}.pt")).load()  # type: ignore[arg-type]  # a loader's own
        assert isinstance(target, mcd.Target)
        assert same(target.module, ordinary)
