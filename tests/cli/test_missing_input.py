"""A file or folder that does not exist is refused at once: before torch is imported, which takes seconds."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable

import pytest
from tests.command_line import Outcome

WITHOUT_TORCH = """
import json, sys

class Blocked:
    def find_spec(self, name, path=None, target=None):
        if name == "torch":
            raise AssertionError("torch is imported")

sys.meta_path.insert(0, Blocked())
from mcd.cli import main

codes = []
for command in json.loads(sys.argv[1]):
    try:
        main(command)
    except SystemExit as end:
        codes.append(end.code)
print(json.dumps(codes))
"""
PROBE = ("--dissector", "phantom-clip", "--dataset", "images:NOWHERE")
COMMANDS = (
    ("dissect", "--model-plugin", "timm:resnet18", "--layers", "layer4", "--concepts", "phantom", *PROBE),
    ("run", "study.yaml"),
    ("run", "NOWHERE.yaml"),
    ("score", "NOWHERE", "--scorer", "cosine"),
    ("report", "NOWHERE"),
    ("compare", "NOWHERE", "NOWHERE"),
    ("evaluate", "NOWHERE"),
    ("figures", "NOWHERE", "-o", "x"),
    ("data", "check", "NOWHERE"),
    ("preprocess", "NOWHERE", "x", "--recipe", "mammo-clip"),
    ("layers", "--model-plugin", "timm:resnet18", "--check", "--dataset", "images:NOWHERE"),
    ("embed", *PROBE, "-o", "x.safetensors"),
    ("zero-shot", "--pair", "a", "b", *PROBE),
    ("concepts", "coverage", "birads", "--dataset", "vindr-mammo:NOWHERE"),
    ("cards", "score", "NOWHERE", "x.csv"),
)


@pytest.fixture(scope="module")
def said(tmp_path_factory: pytest.TempPathFactory) -> tuple[list[int], str]:
    """The exit codes of the commands, and what they print as errors."""
    folder = tmp_path_factory.mktemp("empty")
    (folder / "study.yaml").write_text(
        "models: [{plugin: timm, options: {name: resnet18}, layers: [layer4]}]\n"
        "dissectors: [{plugin: transformers, options: {path: MODEL}}]\ndataset: images:NOWHERE\nconcepts: phantom\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_TORCH, json.dumps(COMMANDS)],
        capture_output=True,
        text=True,
        cwd=folder,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1]), done.stderr


def test_no_command_imports_torch_first(said: tuple[list[int], str]) -> None:
    codes, errors = said
    assert "torch is imported" not in errors
    assert len(codes) == len(COMMANDS)
    assert not {0, 1} & set(codes)


def test_each_names_what_is_missing(said: tuple[list[int], str]) -> None:
    errors = [line for line in said[1].splitlines() if line.startswith("error: ")]
    assert len(errors) == len(COMMANDS)
    assert all("NOWHERE" in line for line in errors)


@pytest.mark.parametrize("command", ["merge", "import", "concepts import"])
def test_an_output_that_must_be_given_is_asked_for(command: str, mcd_command: Callable[..., Outcome]) -> None:
    done = mcd_command(*command.split(), ".")
    assert done.code == 2
    assert "Missing option '--output' / '-o'" in done.err
