"""Runs with little in them: two networks each, on few images, of which something is missing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

import mcd

__all__ = ["EVERY", "SHAPES", "Shape", "dissected"]

_NETWORKS = """
import torch
from torch import nn


def network(widths, seed, scale=1.0):
    draws = torch.Generator().manual_seed(seed)
    parts, last = [nn.AdaptiveAvgPool2d(4), nn.Flatten()], 16
    for width in widths:
        parts.append(nn.Linear(last, width))
        last = width
    found = nn.Sequential(*parts)
    with torch.no_grad():
        for one in found.parameters():
            one.copy_(torch.randn(one.shape, generator=draws))
        found[-1].weight.mul_(scale)
    return found


def before():
    return network([8, 6], 1)


def after():
    return network([8, 6], 2)


def one_before():
    return network([1], 1)


def one_after():
    return network([1], 2)


def dead_before():
    return network([4], 1, 0.0)


def dead_after():
    return network([4], 2, 0.0)


def half_before():
    return network([8, 5], 1, 0.0)


def half_after():
    return network([8, 5], 2)
"""

_WORDS = """
name: words
version: "1"
licence: CC0-1.0
broad_categories:
  Breast:
    Findings: [{term: mass}, {term: calcifications}]
    Side: [{term: left breast}, {term: right breast}]
  Controls:
    Things: [{term: table, mammographic: false}]
"""


@dataclass(frozen=True)
class Shape:
    """What a run is made of: layers of which networks, how many images, and settings of the study."""

    layers: tuple[str, ...] = ("2", "3")
    networks: str = ""
    images: int = 40
    settings: Mapping[str, object] | None = None
    calibration: Mapping[str, object] | None = None


SHAPES: dict[str, Shape] = {
    "no discovery": Shape(calibration={"q": 1e-9}),
    "few draws": Shape(calibration={"draws": 20, "most_draws": 20}),
    "one layer": Shape(("2",)),
    "one neuron": Shape(("2",), "one_"),
    "two images": Shape(images=2, settings={"controls": True}),
    "all dead": Shape(("2",), "dead_", settings={"controls": True}),
    "a dead layer": Shape(networks="half_"),
    "one concept": Shape(settings={"concepts": "one.txt"}),
    "no significance": Shape(calibration={"draws": 0}),
}

_AT_NIGHT = ("few draws", "one layer", "a dead layer")
"""Much like others: no discovery, one neuron, all dead."""
EVERY = [pytest.param(name, marks=pytest.mark.nightly) if name in _AT_NIGHT else name for name in SHAPES]


def dissected(name: str, folder: Path, **settings: object) -> tuple[mcd.Dissection, mcd.Dissection]:
    """Return two runs of a shape, in ``folder``: the one before and the one after."""
    shape = SHAPES[name]
    folder.mkdir(parents=True, exist_ok=True)
    code = folder / "networks.py"
    code.write_text(_NETWORKS)
    (folder / "words.yaml").write_text(_WORDS)
    (folder / "one.txt").write_text("mass\n")
    networks = [f"{shape.networks}{when}" for when in ("before", "after")]
    options = {"height": 320, "width": 192, "channels": 1, "mean": [0.21], "std": [0.23]}
    study = {
        "models": [
            {
                "plugin": "module",
                "name": one,
                "options": {"factory": f"{code}:{one}", **options},
                "layers": list(shape.layers),
            }
            for one in networks
        ],
        "dissectors": "phantom-clip",
        "dataset": {"plugin": "phantom", "options": {"patients": 25}},
        "concepts": str(folder / "words.yaml"),
        "limit": shape.images,
        "workers": 0,
        "scorer": {"plugin": "soft-wpmi", "options": {"top_k": max(1, shape.images // 4)}},
        **(shape.settings or {}),
        **settings,
        "calibration": {"draws": 200, "most_draws": 200, **(shape.calibration or {})},
    }
    if study["concepts"] == "one.txt":
        study["concepts"] = str(folder / "one.txt")
    before, after = mcd.run(study, output=folder / "runs")
    return before, after
