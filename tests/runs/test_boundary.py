"""Whatever a component raises is one message that names it, the file and the line, with exit code 3."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from tests.command_line import Outcome

_PLUGIN = """
import click, mcd, torch
from mcd.testing.material import TinyDissector, TinyImages, tiny_target

def fail(place):
    if place == PLACE:
        {}["a key"]

class Loader(mcd.ModelLoader):
    def load(self):
        fail("load")
        target = tiny_target()
        target.module.register_forward_hook(lambda *_: fail("forward"))
        return target

class Dissecting(TinyDissector):
    def __init__(self, options=None):
        fail("create")
        super().__init__(options)
    def load(self):
        fail("weights")
        super().load()
    def encode_images(self, batch):
        fail("images")
        return super().encode_images(batch)
    def encode_texts(self, texts):
        fail("texts")
        return super().encode_texts(texts)

class Images(TinyImages):
    def __len__(self):
        fail("len")
        return super().__len__()
    def scan(self):
        fail("scan")
        yield from super().scan()
    def examine(self, sample):
        fail("examine")
        return sample
    def remarks(self):
        fail("remarks")
        return []
    def read(self, sample):
        fail("read")
        return super().read(sample)

class Words(mcd.ConceptSource):
    def load(self):
        fail("words")
        return mcd.ConceptSet.from_words(["mass", "calcifications"])

class Recipe(mcd.Preprocessing):
    def picture(self, image):
        fail("picture")
        return image

class Scoring(mcd.Scorer):
    name = "acme"
    def for_probe(self, probe):
        fail("probe")
        return self
    def check(self, images):
        fail("check")
    def layer_problem(self, neurons):
        fail("problem")
        return ""
    def permuted(self, activations):
        fail("permuted")
        return activations
    def score(self, a, p):
        fail("score")
        return a.T @ p
    def explain(self, a, p):
        fail("explain")
        return ()

class Reporting(mcd.Reporter):
    def report(self, dissection, folder):
        fail("report")
        return []

@click.command()
def acme():
    "Fail."
    fail("command")

OFFERED = {
    "models": "Loader", "dissectors": "Dissecting", "datasets": "Images", "concept_sets": "Words",
    "preprocessings": "Recipe", "scorers": "Scoring", "reporters": "Reporting", "commands": "acme",
}
def offering(name):
    def register():
        return [mcd.Component("acme", "parts:" + name, "parts")]
    return register

for kind, name in OFFERED.items():
    function = offering(name)
    function.__name__ = "mcd_register_" + kind
    globals()[function.__name__] = mcd.hookimpl(function)
"""
_FLAGS = {
    "--plugin-file": "parts.py",
    "--model-plugin": "acme",
    "--layers": "0",
    "--dissector": "acme",
    "--dataset": "acme",
    "--concepts": "acme",
    "--recipe": "acme",
    "--scorer": "acme",
    "--reporter": "acme",
    "--draws": 100,
    "--device": "cpu",
    "--workers": 0,
    "--output": "run",
}
_COMPONENTS = (
    "load forward create weights images texts len scan examine remarks words probe check problem permuted score"
)


@pytest.mark.parametrize("place", [*_COMPONENTS.split(), "explain", "report"])
def test_what_a_component_raises_is_one_message(
    place: str, tmp_path: Path, mcd_command: Callable[..., Outcome]
) -> None:
    (tmp_path / "parts.py").write_text(_PLUGIN.replace("PLACE", repr(place)))
    done = mcd_command("dissect", *(part for pair in _FLAGS.items() for part in pair), cwd=tmp_path)
    said = [line for line in done.err.splitlines() if line.startswith("error: ")]
    assert "Traceback" not in done.err
    assert (done.code, len(said)) == (3, 1), done.err
    assert "KeyError: 'a key'" in said[0]
    assert "(parts.py, line " in said[0]


@pytest.mark.parametrize("place", ["read", "picture"])
def test_what_fails_for_an_image_is_a_matter_of_the_image(
    place: str, tmp_path: Path, mcd_command: Callable[..., Outcome]
) -> None:
    (tmp_path / "parts.py").write_text(_PLUGIN.replace("PLACE", repr(place)))
    flags = [part for pair in _FLAGS.items() for part in pair]
    done = mcd_command("dissect", *flags, cwd=tmp_path)
    assert done.code == 4
    assert "tiny-00: " in done.err
    assert "KeyError: 'a key'" in done.err
    assert "(parts.py, line " in done.err


def test_so_is_what_a_command_raises(tmp_path: Path, mcd_command: Callable[..., Outcome]) -> None:
    (tmp_path / "parts.py").write_text(_PLUGIN.replace("PLACE", "'command'"))
    done = mcd_command("acme", "--plugin-file", "parts.py", cwd=tmp_path)
    assert done.code == 3
    assert done.err.startswith(
        "error: command 'acme' of plugin 'parts' (file parts.py) failed: KeyError: 'a key' (parts"
    )
    assert (
        "Traceback (most recent call last)"
        in mcd_command("--debug", "acme", "--plugin-file", "parts.py", cwd=tmp_path).err
    )
