"""What is stored is found again when nothing has changed that decides it, and only then."""

from __future__ import annotations

import functools
import io
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch
from torch import nn

import mcd
from mcd.extraction import keys
from mcd.extraction.cache import ImageCache
from mcd.extraction.map_store import MapStore
from mcd.extraction.probe import ProbeSet
from mcd.extraction.reading import Reader
from mcd.networks.identity import identity_of
from mcd.networks.layers import Layer
from mcd.networks.pooling import Pooling
from mcd.study.adapters import FunctionScorer

SOURCE = '''
"""A study in one file of the user's own."""

import functools
import math

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

import mcd

SLOPE = 0.1
TABLE = {"gain": [1.0, 2.0]}

def helper(x):
    return F.leaky_relu(x, SLOPE)

def scaled(x, by=1.5):
    return x * by

def closing(weight):
    def inner(x):
        return x + weight
    return inner

class Base(nn.Module):
    power = 2
    def squared(self, x):
        return x**self.power

class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.act, self.scale, self.plain = torch.tanh, 2.0, torch.ones(3)
        self.late = functools.partial(scaled, by=3.0)
        self.shift = closing(torch.ones(2))
        self.each = [lambda x: x + 1]
        self.register_buffer("grid", torch.arange(3.0), persistent=False)
    def forward(self, x):
        return self.act(x) * self.scale * TABLE["gain"][0]

class Net(Base):
    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.conv, self.block, self.drop = nn.Conv2d(1, 4, 3), Block(), nn.Dropout(0.5)
    def forward(self, x):
        return torch.relu(helper(self.block(self.squared(self.conv(x)))))

class Recipe(mcd.Preprocessing):
    gamma: float = 1.0
    def picture(self, image):
        return mcd.Image(image.pixels**self.gamma, image.maximum)

class Own(mcd.Preprocessing):
    def finalize(self, batch):
        return batch - 0.5

class Tokenizer:
    def __call__(self, text):
        return len(text)

class Reads(mcd.Dissector):
    def __init__(self):
        super().__init__()
        torch.manual_seed(1)
        self.name, self.module, self.preprocessing = "reads", nn.Linear(2, 3), Own()
        self.tokenizer, self.temperature = Tokenizer(), 0.07
    def encode_images(self, batch):
        return self.module(batch.mean((1, 2))[:, :2])
    def encode_texts(self, texts):
        return torch.tensor([[self.tokenizer(text), 1.0, 2.0] for text in texts])

class Images(mcd.Dataset):
    decoders = ("numpy",)
    def __init__(self, gain=1.0):
        super().__init__()
        self.gain = gain
    def __len__(self):
        return 2
    def scan(self):
        return iter([mcd.Sample(str(at), f"digest {at}") for at in range(2)])
    def read(self, sample):
        return mcd.Image(np.linspace(0, self.gain * math.sqrt(0.5), 64, dtype=np.float32).reshape(8, 8), 1.0)
'''

ALL = {"image", "activations", "embeddings", "texts", "maps"}
READING = {"image", "activations", "embeddings", "maps"}
SWEEP = {"activations", "embeddings", "maps"}
TARGET = {"activations", "maps"}
DISSECTOR = {"embeddings", "texts"}


def module(source: str) -> Any:
    """Return a module made of a source text, as the importer of the user's files makes one."""
    found = ModuleType("_users_file")
    sys.modules[found.__name__] = found
    exec(compile(source, "/users/file.py", "exec"), vars(found))
    return found


def parts(source: str = SOURCE) -> dict[str, Any]:
    """Return all ingredients of the keys."""
    own = module(source)
    samples = tuple(own.Images().scan())
    return {
        "dataset": own.Images(),
        "recipe": own.Recipe(),
        "probe": ProbeSet(samples, ("a", "b")),
        "target": mcd.Target("net", own.Net(), own.Own(mean=(0.1,)), prefix_tokens=1),
        "dissector": own.Reads(),
        "layers": [Layer("conv", "Conv2d", (4, 6, 6), "NCHW", 4)],
        "pooling": Pooling("gem", 3.0),
        "device": torch.device("cpu"),
        "precision": "fp32",
        "batch_size": 16,
        "maps": 9,
    }


def keys_of(**one: Any) -> dict[str, str]:
    """Return the keys that a run makes of its ingredients."""
    reader = Reader(one["dataset"], one["recipe"])
    network, dissector = identity_of(one["target"].module), identity_of(one["dissector"])
    images = keys.image_key(one["probe"], reader, one["device"], one["precision"], one["batch_size"])
    activations = keys.activation_key(images, network, one["target"], one["layers"], one["pooling"])
    return {
        "image": reader.fingerprint(),
        "activations": activations,
        "embeddings": keys.embedding_key(images, dissector, one["dissector"].preprocessing),
        "texts": dissector.key,
        "maps": MapStore.key_of(activations, one["maps"]),
    }


def changed(before: dict[str, str], after: dict[str, str]) -> set[str]:
    return {name for name in before if before[name] != after[name]}


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
    import acme  # type: ignore[import-not-found]

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


def test_keys_are_the_same_in_another_process(before: dict[str, str]) -> None:
    done = subprocess.run(
        [sys.executable, __file__],
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


if __name__ == "__main__":
    sys.stdout.write(json.dumps(keys_of(**parts())))
