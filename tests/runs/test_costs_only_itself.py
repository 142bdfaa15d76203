"""Whatever is new in a second study costs only itself: counted by networks, through files and the command line."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.conftest import Outcome
from tests.runs.test_shared_store import kept

PLUGIN = '''
"""Networks that note what they are asked."""

import os
from pathlib import Path

import torch
from torch import nn

import mcd

SIZE = mcd.Preprocessing(height=24, width=24, channels=1)


def note(who, count):
    with Path(os.environ["MCD_TEST_NOTES"]).open("a") as file:
        file.write(f"{who} {count}\\n")


class Network(nn.Module):
    def __init__(self, name, seed):
        super().__init__()
        torch.manual_seed(seed)
        self.name, self.one, self.two = name, nn.Conv2d(1, 4, 5, 3), nn.Conv2d(4, 5, 3, 2)

    def forward(self, x):
        note(self.name, len(x))
        return self.two(torch.relu(self.one(x)))


class First(mcd.ModelLoader):
    def load(self):
        return mcd.Target("first", Network("first", 1), SIZE)


class Second(mcd.ModelLoader):
    def load(self):
        return mcd.Target("second", Network("second", 2), SIZE)


class Grey(mcd.Dissector):
    side = 4

    def load(self):
        self.name, self.module, self.preprocessing = type(self).__name__.lower(), nn.AdaptiveAvgPool2d(self.side), SIZE
        note(f"{self.name} loaded", 1)

    def encode_images(self, batch):
        note(self.name, len(batch))
        return self.module(batch).flatten(1)

    def encode_texts(self, texts):
        note(f"texts of {self.name}", len(texts))
        rows = [sum(map(ord, text)) for text in texts]
        return torch.stack([torch.rand(self.side**2, generator=torch.Generator().manual_seed(one)) for one in rows])


class Coarse(Grey):
    side = 3


@mcd.hookimpl
def mcd_register_models():
    return [mcd.Component(one.__name__.lower(), f"{__name__}:{one.__name__}", "counts") for one in (First, Second)]


@mcd.hookimpl
def mcd_register_dissectors():
    return [mcd.Component(one.__name__.lower(), f"{__name__}:{one.__name__}", "counts") for one in (Grey, Coarse)]
'''

IMAGES = 40
DATA = "phantom:10"
STUDY = {
    "models": [{"plugin": "first", "layers": ["one"]}],
    "dissectors": ["grey"],
    "dataset": {"plugin": DATA},
    "concepts": "a.txt",
    "scorer": "pearson",
    "calibration": {"draws": 20, "most_draws": 20, "right": False},
    "device": "cpu",
    "workers": 0,
    "reporters": [],
}
OFTEN = pytest.approx(IMAGES, abs=8)
"""All images once; a network is tried on a few of noise first."""


class Bench:
    """A folder with the plugin and two vocabularies, in which commands are run and what they ask is counted."""

    def __init__(self, folder: Path, command: Callable[..., Outcome]) -> None:
        self._folder, self._command = folder, command
        (folder / "counts.py").write_text(PLUGIN)
        (folder / "a.txt").write_text("mass\nright breast\nleft breast\n")
        (folder / "b.txt").write_text("mass\nright breast\ncyst\ncalcification\n")

    def asked(self, *arguments: str) -> Counter[str]:
        """Return on how many images and texts a command runs what."""
        notes = self._folder / "notes"
        notes.write_text("")
        done = self._command(*arguments, "--plugin-file", "counts.py", cwd=self._folder)
        assert done.code == 0, done.err
        found: Counter[str] = Counter()
        for who, count in (line.rsplit(" ", 1) for line in notes.read_text().splitlines()):
            found[who] += int(count)
        return found

    def study(self, name: str, **changed: object) -> Counter[str]:
        """Return what a study asks, leaving out the tries of networks on noise."""
        (self._folder / f"{name}.yaml").write_text(json.dumps({**STUDY, **changed}))
        found = self.asked("run", f"{name}.yaml", "-o", name)
        return Counter({who: count for who, count in found.items() if count >= IMAGES or who.startswith("texts")})


@pytest.fixture
def bench(tmp_path: Path, mcd_command: Callable[..., Outcome], monkeypatch: pytest.MonkeyPatch) -> Bench:
    monkeypatch.setenv("MCD_TEST_NOTES", str(tmp_path / "notes"))
    return Bench(tmp_path, mcd_command)


def test_a_new_layer_target_dissector_scorer_or_vocabulary_costs_only_itself(bench: Bench, tmp_path: Path) -> None:
    assert bench.study("first") == {"first": OFTEN, "grey": OFTEN, "texts of grey": 3}
    new: dict[str, tuple[dict[str, object], dict[str, object]]] = {
        "layer": ({"models": [{"plugin": "first", "layers": ["one", "two"]}]}, {"first": OFTEN}),
        "target": ({"models": [{"plugin": "second", "layers": ["one"]}]}, {"second": OFTEN}),
        "dissector": ({"dissectors": ["coarse"]}, {"coarse": OFTEN, "texts of coarse": 3}),
        "scorer": ({"scorer": "cosine"}, {}),
        "vocabulary": ({"concepts": "b.txt"}, {"texts of grey": 4}),
        "nothing": ({}, {}),
    }
    for name, (changed, cost) in new.items():
        assert bench.study(name, **changed) == cost, name
    alone = bench.study("alone", concepts="b.txt", store="off")
    assert alone == {"first": OFTEN, "grey": OFTEN, "texts of grey": 4}
    assert kept(tmp_path / "alone") == kept(tmp_path / "vocabulary")


def test_several_targets_and_dissectors_with_controls_read_each_text_once_and_nothing_a_second_time(
    bench: Bench,
) -> None:
    both = {
        "models": [{"plugin": "first", "layers": ["one"]}, {"plugin": "second", "layers": ["one"]}],
        "dissectors": ["grey", "coarse"],
        "controls": True,
        "untrained": 10,
    }
    found = bench.study("first", **both)
    assert {who: found[who] for who in ("texts of grey", "texts of coarse")} == {
        "texts of grey": 3,
        "texts of coarse": 3,
    }
    assert {who: found[who] for who in ("grey", "coarse")} == {"grey": OFTEN, "coarse": OFTEN}
    assert found["first"] >= 12 * IMAGES  # itself, its control, ten untrained
    assert bench.study("again", **both) == {}


def test_vectors_are_found_where_a_study_left_them_and_the_other_way_round(bench: Bench, tmp_path: Path) -> None:
    embed = ("embed", "--dissector", "grey", "--dataset", DATA, "--device", "cpu", "--concepts", "a.txt")
    zero_shot = ("zero-shot", *embed[1:-2], "--pair", "no mass", "mass")
    alone = bench.asked(*embed, "-o", "alone.safetensors", "--store", "off")
    assert alone == {"grey loaded": 1, "grey": OFTEN, "texts of grey": 4}  # and one to know the width
    first = bench.asked(*embed, "-o", "first.safetensors")
    assert first == alone
    assert bench.study("study") == {"first": OFTEN}
    assert bench.asked(*embed, "-o", "second.safetensors") == {"grey loaded": 1}
    assert bench.asked(*zero_shot, "-o", "z.csv") == {"grey loaded": 1, "texts of grey": 2}
    written = {path.read_bytes() for path in tmp_path.glob("*.safetensors")}
    assert len(written) == 1
    assert bench.asked(*embed, "-o", "third.safetensors", "--batch-size", "8")["grey"] == OFTEN
    assert list(tmp_path.glob(".*.parts")) == []


def test_a_run_is_scored_with_texts_that_another_has_embedded_and_loads_nothing_for_it(
    bench: Bench, tmp_path: Path
) -> None:
    score = ("--concepts", "b.txt", "--trust", "--device", "cpu", "-o")
    bench.study("first")
    bench.study("second", models=[{"plugin": "second", "layers": ["one"]}])
    bench.study("off", store="off")
    assert bench.asked("score", "off", *score, "scored-off") == {"grey loaded": 1, "texts of grey": 4}
    assert bench.asked("score", "first", *score, "scored", "--store", "off") == {"grey loaded": 1, "texts of grey": 4}
    third = bench.study("third", concepts="b.txt")
    assert third == {"texts of grey": 4}  # a run without a store leaves nothing in one, scored anew neither
    assert bench.asked("score", "second", *score, "scored-second") == {}
    assert bench.asked("score", "off", *score, "again", "--store", "off") == {}  # the run has them itself
    bench.study("fourth", models=[{"plugin": "first", "layers": ["two"]}])
    assert bench.asked("score", "fourth", *score, "scored-fourth") == {}
    alone = bench.asked("score", "off", *score, "scored-alone", "--template", "a {concept}")
    assert alone == {"grey loaded": 1, "texts of grey": 4}
