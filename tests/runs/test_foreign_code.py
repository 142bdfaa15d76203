"""Plugins and networks whose own code fails: one sentence that says whose it was."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from tests.command_line import Outcome

PLUGIN = """
import torch
from torch import nn
from mcd import Component, Dataset, Dissector, Image, ModelLoader, Preprocessing, Reporter, Sample, hookimpl


class Loader(ModelLoader):
    def load(self):
        return {}["weights"]


class Dissecting(Dissector):
    def load(self):
        self.name, self.module, self.preprocessing = "broken", nn.Identity(), Preprocessing(height=8, width=8)

    def encode_images(self, batch):
        return batch.mean((2, 3))

    def encode_texts(self, texts):
        return [][0]


class Unloadable(Dissecting):
    def load(self):
        raise OSError("no such weights")


class Uncreatable(Dissecting):
    def __init__(self, options=None):
        raise AttributeError("nothing here")


class Data(Dataset):
    def scan(self):
        yield from (Sample(name, name) for name in "abc")

    def __len__(self):
        return 3

    def read(self, sample):
        raise KeyError("pixels")


class Reporting(Reporter):
    def report(self, dissection, folder):
        raise ZeroDivisionError


def of(name, cls):
    return [Component(name, f"{__name__}:{cls.__name__}", "broken")]


@hookimpl
def mcd_register_models():
    return of("broken-model", Loader)


@hookimpl
def mcd_register_dissectors():
    return of("broken", Dissecting) + of("unloadable", Unloadable) + of("uncreatable", Uncreatable)


@hookimpl
def mcd_register_datasets():
    return of("broken-data", Data)


@hookimpl
def mcd_register_reporters():
    return of("broken-report", Reporting)
"""


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"--model-plugin": "broken-model"}, "model loader 'broken-model' failed: KeyError: 'weights'"),
        ({"--dissector": "broken"}, "dissector broken failed on 1 texts: IndexError"),
        ({"--dissector": "unloadable"}, "dissector 'unloadable' failed to load: OSError: no such weights"),
        ({"--dissector": "uncreatable"}, "dissector 'uncreatable' cannot be created: AttributeError: nothing here"),
        ({"--dataset": "broken-data"}, "KeyError: 'pixels'"),
        ({"--reporter": "broken-report"}, "reporter broken-report failed: ZeroDivisionError"),
    ],
)
def test_what_a_plugin_raises_is_one_sentence(
    changed: dict[str, str], said: str, tmp_path: Path, mcd_command: Callable[..., Outcome]
) -> None:
    plugin, words = tmp_path / "broken_parts.py", tmp_path / "words.txt"
    plugin.write_text(PLUGIN)
    words.write_text("mass\n")
    flags = {
        "--plugin-file": plugin,
        "--model-plugin": "phantom-mammo",
        "--layers": "stages.1",
        "--dissector": "phantom-clip",
        "--dataset": "phantom:3",
        "--concepts": words,
        "--draws": 0,
        "--scorer": "cosine",
        "--device": "cpu",
        "--workers": 0,
        "--output": tmp_path / "run",
    } | changed
    done = mcd_command("dissect", *(part for pair in flags.items() for part in pair))
    assert said in done.err
    assert done.code in (2, 3, 4)
    assert "Traceback" not in done.err
