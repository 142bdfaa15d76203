"""A small network, weights for it, and what it is like once they are loaded."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import nn

from mcd.networks.checkpoints import load_weights

State = dict[str, torch.Tensor]


def net() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4)), nn.Sequential(nn.Conv2d(4, 2, 1), nn.Flatten())
    )


def weights(seed: int = 1) -> State:
    torch.manual_seed(seed)
    return {name: torch.rand_like(value.float()).to(value.dtype) for name, value in net().state_dict().items()}


def loaded(path: Path, **options: object) -> tuple[nn.Module, str]:
    module = net()
    said = load_weights(module, path, **options)
    return module, said


def has(module: nn.Module, state: State) -> bool:
    return all(torch.equal(value, state[name]) for name, value in module.state_dict().items() if name in state)
