"""The check of unit sources: what it lets pass, and what it refuses with what to change."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from tests.testing.refusing import refused
from torch import nn

import mcd
from mcd.testing import check_unit_source


class _Mean(nn.Module):
    """Each neuron less the mean of its position, and of more where asked for."""

    def __init__(self, axes: tuple[int, ...] = (-1,)) -> None:
        super().__init__()
        self.axes = axes

    def forward(self, values: torch.Tensor) -> torch.Tensor:
        return values - values.mean(dim=self.axes, keepdim=True)


class _Turned(mcd.UnitSource):
    """A sound source, which those below spoil."""

    def module(self) -> nn.Module:
        return _Mean()

    def random(self, seed: int) -> nn.Module:
        drawn = nn.Linear(5, 5)
        with torch.no_grad():
            drawn.weight.copy_(torch.randn(5, 5, generator=torch.Generator().manual_seed(seed)))
            drawn.bias.zero_()
        return drawn

    def load(self) -> mcd.Units:
        return mcd.Units("turned", self.module(), 5, 5, random=self.random)


class _OfTheBatch(_Turned):
    def module(self) -> nn.Module:
        return _Mean((0, -1))


class _OfPlaces(_Turned):
    def module(self) -> nn.Module:
        return _WithoutLast()


class _WithoutLast(nn.Module):
    def forward(self, values: torch.Tensor) -> torch.Tensor:
        found = values.clone()
        if values.ndim > 2:
            found[:, -1] = 0
        return found


class _Logarithm(nn.Module):
    def forward(self, values: torch.Tensor) -> torch.Tensor:
        return values.log()


class _NotFinite(_Turned):
    def module(self) -> nn.Module:
        return _Logarithm()


class _ByChance(_Turned):
    def module(self) -> nn.Module:
        return nn.Linear(5, 5)


class _Counting(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.calls = 0

    def forward(self, values: torch.Tensor) -> torch.Tensor:
        self.calls += 1
        return values


class _Remembers(_Turned):
    def module(self) -> nn.Module:
        return _Counting()


class _Narrow(_Turned):
    def module(self) -> nn.Module:
        return nn.Identity()

    def load(self) -> mcd.Units:
        return mcd.Units("narrow", self.module(), 5, 4)


class _Raises(_Turned):
    def load(self) -> mcd.Units:
        raise ValueError("no such file")


class _RandomByChance(_Turned):
    def random(self, seed: int) -> nn.Module:
        return nn.Linear(5, 5)


class _RandomRaises(_Turned):
    def random(self, seed: int) -> nn.Module:
        raise ValueError("no luck")


class _RandomOfOthers(_Turned):
    def random(self, seed: int) -> nn.Module:
        return nn.Linear(5, 4, bias=False).requires_grad_(False).apply(lambda one: one.weight.data.zero_())


@pytest.mark.parametrize(
    ("source", "said"),
    [
        (_OfTheBatch, "give an image other values beside other images"),
        (_OfPlaces, "give a position other values beside other positions"),
        (_NotFinite, "give NaN or infinity"),
        (_ByChance, "returns other units the second time"),
        (_Remembers, "are others once they have been used"),
        (_Narrow, "made torch.float32 of"),
        (_Raises, "_Raises.load() raised ValueError: no such file"),
        (_RandomByChance, "the random units of _RandomByChance are others when they are drawn from the same seed"),
        (_RandomRaises, "no luck"),
        (_RandomOfOthers, "made torch.float32 of"),
    ],
)
def test_a_unit_source_that_breaks_its_contract_is_refused(source: type[mcd.UnitSource], said: str) -> None:
    check: Callable[[object], None] = check_unit_source  # type: ignore[assignment]  # it says what is none
    assert said in refused(check, source)


def test_a_unit_source_that_keeps_it_passes() -> None:
    check_unit_source(_Turned)
