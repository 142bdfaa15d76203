"""A real plugin host with the built-in sets and toy ones, and the command line around it."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from mcd.cli.concepts import concepts
from mcd.errors import MCDError
from mcd.host import PluginHost

PAGE = Path(__file__).parents[3] / "docs/reference/concept-sets.md"
NAMES = ("birads", "birads-core", "birads-everyday", "everyday", "technical")

TOYS = """
import mcd
from mcd_concepts import mcd_register_concept_sets as built_in
from pydantic import Field


@mcd.hookimpl
def mcd_register_concept_sets():
    return [
        *built_in(),
        mcd.Component("good", "toys:good.yaml", "a good one"),
        mcd.Component("bad", "toys:bad.yaml", "a bad one"),
        mcd.Component("gone", "toys:gone.yaml", "not packed"),
        mcd.Component("from-list", "toys:FromList", "made by code"),
        mcd.Component("raises", "toys:Raises", "fails"),
        mcd.Component("wrong", "toys:Wrong", "no concept set"),
    ]


class FromList(mcd.ConceptSource):
    class Options(mcd.Options):
        words: str = Field(description="terms with commas between")
        name: str = Field(default="from-list", description="its name")

    def load(self):
        return mcd.ConceptSet.from_words(self.options.words.split(","), self.options.name)


class Raises(mcd.ConceptSource):
    def load(self):
        raise OSError("the server is away")


class Wrong(mcd.ConceptSource):
    def load(self):
        return ["mass"]
"""

GOOD = """\
name: good
version: 0.10
broad_categories:
  Findings:
    Mass: [mass, {term: cyst, synonyms: [simple cyst], prompt: a round cyst}]
    Skin: [skin fold]
  Controls:
    Letters: [{term: side marker, mammographic: false}]
"""


@pytest.fixture
def host(tmp_path: Path) -> Iterator[PluginHost]:
    folder = tmp_path / "plugin"
    folder.mkdir()
    (folder / "toys.py").write_text(TOYS)
    (folder / "good.yaml").write_text(GOOD)
    (folder / "bad.yaml").write_text("name: bad\nbroad_categories:\n  A:\n    B: [mass, Mass]\n")
    before = set(sys.modules)
    yield PluginHost.discover([folder / "toys.py"], {"MCD_LOAD_PLUGINS": ""})
    for name in set(sys.modules) - before:
        if name.startswith("mcd_file_"):
            del sys.modules[name]


@dataclass
class _State:
    host: PluginHost


Run = Callable[..., str]


@pytest.fixture
def run(host: PluginHost) -> Run:
    """Return what ``mcd concepts …`` prints; the error, if it ends with one, is raised."""

    @click.group()
    def root() -> None: ...

    root.add_command(concepts)

    def invoke(*arguments: str) -> str:
        result = CliRunner().invoke(root, ["concepts", *arguments], obj=_State(host))
        if isinstance(result.exception, MCDError):
            raise result.exception
        assert result.exit_code == 0, result.output
        return result.output

    return invoke


@pytest.fixture
def run_json(run: Run) -> Callable[..., object]:
    return lambda *arguments: json.loads(run(*arguments, "--json"))
