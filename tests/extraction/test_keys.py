"""What is stored is found again when nothing has changed that decides it, and only then."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tests.extraction import keyed
from tests.extraction.keyed import SOURCE, changed, keys_of, parts

import mcd
from mcd.extraction import keys, machine
from mcd.extraction.cache import ImageCache
from mcd.extraction.probe import ProbeSet
from mcd.extraction.reading import Reader
from mcd.networks.identity import identity_of
from mcd.networks.layers import Layer
from mcd.networks.pooling import Pooling

ALL = {"image", "activations", "embeddings", "texts", "maps"}
READING = {"image", "activations", "embeddings", "maps"}
SWEEP = {"activations", "embeddings", "maps"}
TARGET = {"activations", "maps"}
DISSECTOR = {"embeddings", "texts"}


@pytest.fixture(scope="module")
def before() -> dict[str, str]:
    return keys_of(**parts())


CODE = [
    # the network
    ("return torch.relu(helper", "return torch.sin(helper", TARGET),
    ("def helper(x):\n    return F.leaky_relu(x", "def helper(x):\n    return F.softplus(x", TARGET),
    ("SLOPE = 0.1", "SLOPE = 0.2", TARGET),
    ('{"gain": [1.0, 2.0]}', '{"gain": [1.5, 2.0]}', TARGET),
    ("    power = 2", "    power = 3", TARGET),
    ("return x**self.power", "return x**self.power + 1", TARGET),
    ("torch.tanh, 2.0", "torch.sigmoid, 2.0", TARGET),
    ("torch.tanh, 2.0", "torch.tanh, 3.0", TARGET),
    ("self.plain = torch.tanh, 2.0, torch.ones(3)", "self.plain = torch.tanh, 2.0, torch.zeros(3)", TARGET),
    ("partial(scaled, by=3.0)", "partial(scaled, by=4.0)", TARGET),
    ("functools.partial(scaled, by=3.0)", "scaled", TARGET),
    ("return x * by", "return x / by", TARGET),
    ("closing(torch.ones(2))", "closing(torch.zeros(2))", TARGET),
    ("return x + weight", "return x - weight", TARGET),
    ("lambda x: x + 1", "lambda x: x + 2", TARGET),
    ("torch.arange(3.0), persistent", "torch.arange(3.0) + 1, persistent", TARGET),
    ("torch.manual_seed(0)", "torch.manual_seed(5)", TARGET),
    ("nn.Conv2d(1, 4, 3)", "nn.Conv2d(1, 4, 3, padding=1)", TARGET),
    ("nn.Dropout(0.5)", "nn.Identity()", TARGET),
    ("(image.pixels**self.gamma", "(image.pixels*self.gamma", READING),
    ("gamma: float = 1.0", "gamma: float = 2.0", READING),
    ("return batch - 0.5", "return batch - 0.4", SWEEP | {"texts"}),  # the dissector reads it when it is made
    # the dissector
    ("batch.mean((1, 2))", "batch.amax((1, 2))", DISSECTOR),
    ("1.0, 2.0] for text", "1.0, 3.0] for text", DISSECTOR),
    ("return len(text)", "return len(text.split())", DISSECTOR),
    ("Tokenizer(), 0.07", "Tokenizer(), 0.08", DISSECTOR),
    ("torch.manual_seed(1)", "torch.manual_seed(2)", DISSECTOR),
    # the data set
    ("self.gain * math.sqrt", "self.gain + math.sqrt", READING),
    ("gain=1.0", "gain=0.5", READING),
    ('decoders = ("numpy",)', 'decoders = ("numpy", "pillow")', READING),
    # nothing that computes
    ("def helper(x):", "# said of it\n\n\ndef helper(x):", set()),
    ("class Tokenizer:", "def unused(x):\n    return torch.cos(x)\n\nclass Tokenizer:", set()),
]


@pytest.mark.parametrize(("old", "new", "expected"), CODE)
def test_a_key_changes_with_the_code_under_it(before: dict[str, str], old: str, new: str, expected: set[str]) -> None:
    assert SOURCE.count(old) == 1
    assert changed(before, keys_of(**parts(SOURCE.replace(old, new)))) == expected


def patched(one: dict[str, Any]) -> None:
    one["target"].module.block.forward = lambda x: x * 2


def hooked(one: dict[str, Any]) -> None:
    one["target"].module.conv.register_forward_hook(lambda _module, _inputs, output: output * 2)


def pre_hooked(one: dict[str, Any]) -> None:
    one["target"].module.register_forward_pre_hook(lambda _module, inputs: (inputs[0] * 2,))


def replaced_in_its_class(one: dict[str, Any]) -> None:
    kind = type(one["target"].module)
    kind.forward = lambda self, x: self.conv(x)


def encodes_otherwise(one: dict[str, Any]) -> None:
    one["dissector"].encode_texts = lambda texts: torch.zeros(len(texts), 3)


def trained(one: dict[str, Any]) -> None:
    one["target"].module.train()
    one["target"].module.requires_grad_(False)
    one["target"].module.to(memory_format=torch.channels_last)


OTHER: list[tuple[str, object, set[str]]] = [
    ("probe", ProbeSet((mcd.Sample("0", "digest 0"), mcd.Sample("1", "other")), ("a", "b")), SWEEP),
    ("layers", [Layer("block", "Block", (4, 6, 6), "NCHW", 4)], TARGET),
    ("layers", [Layer("conv", "Conv2d", (4, 6, 6), "NHWC", 4)], TARGET),
    ("pooling", Pooling("max"), TARGET),
    ("pooling", Pooling("gem", 4.0), TARGET),
    ("device", torch.device("meta"), SWEEP),
    ("precision", "bf16", SWEEP),
    ("batch_size", 8, SWEEP),
    ("maps", 4, {"maps"}),
    ("recipe", None, READING),
]


@pytest.mark.parametrize(("name", "value", "expected"), OTHER)
def test_a_key_changes_with_the_settings_under_it(
    before: dict[str, str], name: str, value: object, expected: set[str]
) -> None:
    assert changed(before, keys_of(**parts() | {name: value})) == expected


def test_a_key_changes_with_the_targets_own_preprocessing_and_prefix_tokens(before: dict[str, str]) -> None:
    one = parts()
    target = one["target"]
    for other in (
        mcd.Target("net", target.module, type(target.preprocessing)(mean=(0.2,)), prefix_tokens=1),
        mcd.Target("net", target.module, target.preprocessing, prefix_tokens=2),
    ):
        assert changed(before, keys_of(**one | {"target": other})) == TARGET
    renamed = mcd.Target("another name", target.module, target.preprocessing, prefix_tokens=1)
    assert changed(before, keys_of(**one | {"target": renamed})) == set()


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (patched, TARGET),
        (hooked, TARGET),
        (pre_hooked, TARGET),
        (replaced_in_its_class, TARGET),
        (encodes_otherwise, DISSECTOR),
        (trained, set()),
    ],
)
def test_a_key_changes_with_what_was_done_to_an_object(
    before: dict[str, str], change: Callable[[dict[str, Any]], None], expected: set[str]
) -> None:
    one = parts()
    change(one)
    assert changed(before, keys_of(**one)) == expected


@pytest.mark.parametrize(
    ("place", "name", "expected"),
    [
        (keys, "STAGE_VERSION", SWEEP),
        (keys, "__version__", SWEEP),
        (torch, "__version__", SWEEP),
        (sys.modules[Reader.__module__], "__version__", READING),
    ],
)
def test_a_key_changes_with_the_versions_of_the_engine(
    before: dict[str, str], monkeypatch: pytest.MonkeyPatch, place: object, name: str, expected: set[str]
) -> None:
    monkeypatch.setattr(place, name, "another")
    assert changed(before, keys_of(**parts())) >= expected


def test_a_key_changes_with_the_version_of_what_decodes(
    before: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    one = parts(SOURCE.replace('("numpy",)', '("pylibjpeg",)'))
    at_first = keys_of(**one)
    monkeypatch.setattr("mcd.networks.identity.installed_version", lambda name: "99")
    assert changed(at_first, keys_of(**one)) == READING


def test_another_processor_finds_nothing_in_a_store_that_machines_share(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def found(model: int, mhz: float) -> str:
        cores = [f"processor\t: {at}\nvendor_id\t: Maker\nmodel\t\t: {model}\ncpu MHz\t\t: {mhz}\n" for at in (0, 1)]
        (tmp_path / "cpuinfo").write_text("\n".join(cores))
        return keys.arithmetic(torch.device("cpu"))

    monkeypatch.setattr(machine, "_CPUS", tmp_path / "cpuinfo")
    assert found(1, 2000.0) == found(1, 3000.0) != found(2, 2000.0)
    monkeypatch.setattr(machine, "_CPUS", tmp_path / "nowhere")
    assert keys.arithmetic(torch.device("cpu"))


def test_keys_are_the_same_in_another_process(before: dict[str, str]) -> None:
    done = subprocess.run(
        [sys.executable, keyed.__file__],
        capture_output=True,
        check=True,
        env={**os.environ, "PYTHONHASHSEED": "12345"},
    )
    assert json.loads(done.stdout) == before


def test_keys_are_the_same_for_what_is_built_twice_saved_and_loaded(before: dict[str, str]) -> None:
    one = parts()
    assert keys_of(**one) == keys_of(**parts()) == before
    one = parts(SOURCE.replace("self.each = [lambda x: x + 1]", "").replace("self.shift = closing", "closing"))
    net = one["target"].module
    file = io.BytesIO()
    torch.save(net, file)
    file.seek(0)
    assert identity_of(torch.load(file, weights_only=False)) == identity_of(net)
    other = type(net)()
    other.load_state_dict(net.state_dict())
    assert identity_of(other) == identity_of(net)


def test_a_pass_through_a_network_leaves_its_key(before: dict[str, str]) -> None:
    one = parts()
    one["target"].module(torch.zeros(1, 1, 8, 8))
    assert keys_of(**one) == before


class Unreadable:
    """Something whose content nobody can know."""

    def __init__(self) -> None:
        self.source = (at for at in range(3))


def test_what_cannot_be_identified_is_never_found_again_and_says_why(tmp_path: Path) -> None:
    one = parts()
    one["target"].module.block.source = Unreadable()
    first, second = identity_of(one["target"].module), identity_of(one["target"].module)
    assert first != second
    assert keys.not_reused("net", first) == (
        "nothing stored of net will be used again: it.block.source.source is a generator, whose content cannot be read"
    )
    one["dataset"].source = Unreadable()
    reader = Reader(one["dataset"], cache=ImageCache(tmp_path, 10**6))
    reader.image(one["probe"].samples[0], "displayed")
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


def test_compiled_functions_of_an_installed_package_are_identified() -> None:
    assert not identity_of(torch._C._nn.gelu).unknown  # the activation of every BERT; its module has no file
    assert identity_of(torch._C._nn.gelu) == identity_of(torch._C._nn.gelu) != identity_of(torch._C._nn.silu)


NET = """
import torch
from torch import nn

class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(1, 4, 3, stride=8)

    def forward(self, x):
        return torch.relu(self.conv(x))

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.block = Block()

    def forward(self, x):
        return self.block(x)
"""


def test_a_forward_that_was_edited_is_run_again(tmp_path: Path) -> None:
    def dissected(code: str, output: str) -> mcd.Dissection:
        (tmp_path / "net.py").write_text(code)
        return mcd.dissect(
            f"module:{tmp_path / 'net.py'}:Net",
            dissector="phantom-clip",
            layers="block",
            dataset={"plugin": "phantom", "options": {"patients": 20}},
            scorer="wpmi",
            calibration={"draws": 0},
            output=tmp_path / output,
            device="cpu",
            progress=False,
        )

    relu = dissected(NET, "run").activations("block")
    sine = dissected(NET.replace("relu", "sin"), "run")
    assert (relu >= 0).all()
    assert (sine.activations("block") < 0).any()
    assert torch.equal(sine.activations("block"), dissected(NET.replace("relu", "sin"), "fresh").activations("block"))


class Undigested(mcd.Dataset):
    """Images by no digest, which may be others the next time."""

    ids_are_public = True

    def __len__(self) -> int:
        return 12

    def scan(self) -> Iterator[mcd.Sample]:
        return iter([mcd.Sample(str(at), patient=str(at)) for at in range(12)])

    def examine(self, sample: mcd.Sample) -> mcd.Sample:
        return sample

    def read(self, sample: mcd.Sample) -> mcd.Image:
        first = int(os.environ["MCD_TEST_FIRST"])
        return mcd.Image(np.random.default_rng(first + int(sample.id)).random((32, 32), dtype=np.float32), 1.0)


def test_images_without_a_digest_are_read_again_in_the_same_folder_which_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    network, found = torch.nn.Sequential(torch.nn.Conv2d(1, 4, 3, 8)), []
    for first in ("0", "50"):
        monkeypatch.setenv("MCD_TEST_FIRST", first)
        run = mcd.dissect(
            mcd.Target("net", network, mcd.Preprocessing(height=32, width=32, channels=1)),
            dissector="phantom-clip",
            layers="0",
            dataset=Undigested(),
            concepts=["mass", "cyst"],
            scorer="pearson",
            calibration={"draws": 0},
            output=tmp_path / "run",
            device="cpu",
            workers=0,
            progress=False,
        )
        found.append(run.activations("0"))
        assert any("gives 12 images no digest" in said for said in run.manifest.warnings)
        assert not any("repeat the bytes" in said for said in run.manifest.warnings)
    assert not torch.allclose(*found)
