"""Networks, scripts and functions: two are the same only if they compute the same."""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import nn

import mcd
from mcd.networks.identity import attributes_of, identity_of
from mcd.study.adapters import FunctionScorer


def installed(folder: Path, version: str, monkeypatch: pytest.MonkeyPatch) -> nn.Module:
    """Install a package with a network of an older or a newer version; return one."""
    (folder / "acme").mkdir(parents=True)
    (folder / "acme" / "__init__.py").write_text(
        "from torch import nn\nclass Net(nn.Module):\n    def forward(self, x):\n        return x.relu()\n"
    )
    metadata = folder / f"acme-{version}.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text(f"Metadata-Version: 2.1\nName: acme\nVersion: {version}\n")
    (metadata / "RECORD").write_text("acme/__init__.py,,\n")
    monkeypatch.syspath_prepend(folder)
    monkeypatch.delitem(sys.modules, "acme", raising=False)
    import acme

    found = acme.Net()
    assert isinstance(found, nn.Module)
    return found


def test_of_an_installed_network_the_version_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    one, same, newer = (
        identity_of(installed(tmp_path / str(at), version, monkeypatch))
        for at, version in enumerate(("1.0", "1.0", "1.1"))
    )
    assert one == same
    assert newer.key != one.key
    assert newer.content == one.content  # runs of both are of the same network


def test_a_method_put_into_an_installed_class_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = installed(tmp_path, "1.0", monkeypatch)
    before = identity_of(made)
    monkeypatch.setattr(type(made), "forward", lambda self, x: x.sin())
    assert identity_of(made) != before


def script(scale: float) -> nn.Module:
    class Scaled(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.scale = scale

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return torch.relu(x) * self.scale

    return Scaled()


@pytest.mark.filterwarnings("ignore::FutureWarning")
def test_scripts_and_exported_programs_count_by_what_they_do() -> None:
    image = torch.ones(1, 1, 4, 4)
    for make in (
        lambda scale: torch.jit.trace(script(scale), image),
        lambda scale: torch.export.unflatten(torch.export.export(script(scale), (image,))),
        lambda scale: torch.fx.symbolic_trace(script(scale)),
    ):
        one, same, other = identity_of(make(2.0)), identity_of(make(2.0)), identity_of(make(3.0))
        assert one == same != other
        assert not one.unknown


def two(name: str) -> list[Callable[..., torch.Tensor]]:
    """Return two functions that differ in one thing."""
    ones, zeros = torch.ones(2), torch.zeros(2)

    def of(weight: torch.Tensor) -> Callable[..., torch.Tensor]:
        return lambda a, p: a.T @ p + weight

    def default(power: int) -> Callable[..., torch.Tensor]:
        def score(a: torch.Tensor, p: torch.Tensor, power: int = power) -> torch.Tensor:
            return a.T @ p**power

        return score

    class Score:
        def __init__(self, by: float) -> None:
            self.by = by

        def __call__(self, a: torch.Tensor, p: torch.Tensor) -> torch.Tensor:
            return a.T @ p * self.by

        def method(self, a: torch.Tensor, p: torch.Tensor) -> torch.Tensor:
            return a.T @ p + self.by

    return {
        "names": [lambda a, p: torch.relu(a).T @ p, lambda a, p: torch.exp(a).T @ p],
        "constants": [lambda a, p: a.T @ p * 2, lambda a, p: a.T @ p * 3],
        "inner": [lambda a, p: (lambda x: x + 1)(a).T @ p, lambda a, p: (lambda x: x + 2)(a).T @ p],
        "closure": [of(ones), of(zeros)],
        "default": [default(1), default(2)],
        "partial": [functools.partial(torch.einsum, "nk,nc->kc"), functools.partial(torch.einsum, "nk,nc->ck")],
        "object": [Score(1.0), Score(2.0)],
        "method": [Score(1.0).method, Score(2.0).method],
    }[name]


@pytest.mark.parametrize("name", ["names", "constants", "inner", "closure", "default", "partial", "object", "method"])
def test_a_function_scorer_is_known_by_all_that_it_computes(name: str) -> None:
    one, other = (FunctionScorer(found).fingerprint() for found in two(name))
    assert one != other
    assert [FunctionScorer(found).fingerprint() for found in two(name)] == [one, other]


class SlottedNet(nn.Module):
    __slots__ = ("factor",)
    factor: float


class SlottedScorer(mcd.Scorer):
    __slots__ = ("factor",)
    name = "slotted"
    factor: float

    def score(self, activations: torch.Tensor, similarity: torch.Tensor) -> torch.Tensor:
        return activations.T @ similarity

    def fingerprint(self) -> str:
        return "it says too little"


@pytest.mark.parametrize("made", [SlottedNet, SlottedScorer])
def test_what_is_held_in_slots_counts(made: type[SlottedNet] | type[SlottedScorer]) -> None:
    def key(factor: float | None) -> str:
        one = made()
        if factor is not None:
            one.factor = factor
        return identity_of(one, attributes_of(one)).key

    assert key(1.0) == key(1.0)
    assert len({key(None), key(1.0), key(2.0)}) == 3
