"""When weights are loaded: by `load`, never when a component is created."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pytest
import torch
from torch import nn

import mcd
from mcd.api.base import Configured
from mcd.components import Kind
from mcd.errors import MCDError, PluginLoadError
from mcd.host import PluginHost
from mcd.study.preparer import Preparer
from mcd.study.resolve import created, resolve_options
from mcd.study.study import Choice


class Counted(mcd.Dissector):
    """Counts how often its weights are loaded; sets what it is asked to."""

    def __init__(self, leaves_out: str = "") -> None:
        super().__init__()
        self.loads, self._leaves_out = 0, leaves_out

    def load(self) -> None:
        self.loads += 1
        found = {"module": nn.Identity(), "name": "counted", "preprocessing": mcd.Preprocessing()}
        for name in found.keys() - {self._leaves_out}:
            setattr(self, name, found[name])

    def encode_images(self, batch: torch.Tensor) -> torch.Tensor:
        raise NotImplementedError

    def encode_texts(self, texts: Sequence[str]) -> torch.Tensor:
        raise NotImplementedError


@pytest.fixture(scope="module")
def host() -> PluginHost:
    return PluginHost.discover([], {})


def test_the_weights_of_a_dissector_are_loaded_once(host: PluginHost) -> None:
    dissector = Counted()
    assert dissector.loads == 0
    for _ in range(2):  # one object, two runs
        made, _ = Preparer(host).dissector(dissector)
        assert made is dissector
    assert dissector.loads == 1


@pytest.mark.parametrize("attribute", ["module", "name", "preprocessing"])
def test_a_dissector_that_is_not_whole_after_loading_is_refused(host: PluginHost, attribute: str) -> None:
    with pytest.raises(PluginLoadError, match=f"'Counted' has no {attribute} after load") as caught:
        Preparer(host).dissector(Counted(attribute))
    assert f"self.{attribute}" in caught.value.hint


GONE = "nowhere/weights.safetensors"


@pytest.mark.parametrize(
    ("kind", "name", "options"),
    [
        (Kind.DISSECTOR, "mammo-clip", {"checkpoint": GONE}),
        (Kind.DISSECTOR, "mammo-clip-random-heads", {"checkpoint": GONE, "text": GONE}),
        (Kind.DISSECTOR, "medclip", {"checkpoint": GONE}),
        (Kind.DISSECTOR, "open-clip", {"name": "./nowhere"}),
        (Kind.DISSECTOR, "transformers-clip", {"name": "./nowhere"}),
        (Kind.MODEL, "mammo-clip", {"checkpoint": GONE}),
        (Kind.MODEL, "mammo-clip-classifier", {"checkpoint": GONE}),
        (Kind.MODEL, "mammo-clip-imagenet", {"network": "b2", "checkpoint": GONE}),
        (Kind.MODEL, "medclip", {"checkpoint": GONE}),
        (Kind.MODEL, "module", {"factory": "torch.nn:Identity", "checkpoint": GONE}),
        (Kind.MODEL, "open-clip", {"name": "./nowhere"}),
        (Kind.MODEL, "timm", {"name": "resnet10t", "checkpoint": GONE}),
        (Kind.MODEL, "torch-export", {"program": GONE}),
        (Kind.MODEL, "torchvision", {"name": "resnet18", "checkpoint": GONE}),
        (Kind.MODEL, "transformers", {"name": "./nowhere"}),
    ],
)
def test_creating_a_component_does_not_open_its_weights(
    host: PluginHost, kind: Kind, name: str, options: Mapping[str, str]
) -> None:
    cls, validated = resolve_options(host, kind, Choice(plugin=name, options=dict(options)))
    made = created(cls, validated, Configured)
    assert isinstance(made, mcd.Dissector | mcd.ModelLoader)
    with pytest.raises(MCDError):
        made.load()
