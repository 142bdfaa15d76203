"""A plugin file: explicit, so whatever is wrong with it is an error."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from mcd.components import Kind
from mcd.errors import PluginLoadError

if TYPE_CHECKING:
    from tests.host.conftest import World

PLUGIN = """
import mcd

@mcd.hookimpl
def mcd_register_models():
    return [mcd.Component("mine", "my_plugin:Mine", "my own")]

@mcd.hookimpl
def mcd_register_concept_sets():
    return [mcd.Component("words", "my_plugin:words.yaml")]

class Mine(mcd.ModelLoader):
    def load(self):
        return "VERSION"
"""


def written(folder: Path, code: str, name: str = "my_plugin.py") -> Path:
    folder.mkdir(exist_ok=True)
    file = folder / name
    file.write_text(code)
    return file


def test_a_plugin_file_works(world: World, tmp_path: Path) -> None:
    file = written(tmp_path / "a", PLUGIN)
    (tmp_path / "a" / "words.yaml").write_text("name: words\n")
    host = world.discover(file)
    assert world.offered(host) == ["my_plugin/mine", "builtin/phantom"]
    assert str(world.record(host, "my_plugin")) == f"plugin 'my_plugin' (file {file})"
    loader = host.load(Kind.MODEL, "mine")
    assert isinstance(loader, type)
    assert loader().load() == "VERSION"
    assert pickle.loads(pickle.dumps(loader)) is loader
    assert world.offered(pickle.loads(pickle.dumps(host)))[0] == "my_plugin/mine"
    words = host.load(Kind.CONCEPTS, "words")
    assert isinstance(words, Path)
    assert words.read_text() == "name: words\n"


def test_two_files_of_one_name_keep_apart(world: World, tmp_path: Path) -> None:
    one = written(tmp_path / "a", PLUGIN.replace("VERSION", "one"))
    two = written(tmp_path / "b", PLUGIN.replace("VERSION", "two"))
    host = world.discover(one, two)
    loaded = {name: host.load(Kind.MODEL, f"{name}/mine") for name in ("my_plugin", f"my_plugin@{two}")}
    assert [loader().load() for loader in loaded.values() if isinstance(loader, type)] == ["one", "two"]


def test_an_edited_file_has_another_fingerprint_and_a_moved_one_the_same(world: World, tmp_path: Path) -> None:
    def fingerprint(file: Path) -> str:
        loader = world.discover(file).load(Kind.MODEL, "mine")
        assert isinstance(loader, type)
        found = loader().fingerprint()
        assert isinstance(found, str)
        return found

    first = fingerprint(written(tmp_path / "a", PLUGIN))
    assert fingerprint(written(tmp_path / "b", PLUGIN)) == first
    assert fingerprint(written(tmp_path / "a", PLUGIN.replace("VERSION", "EDITION"))) != first


def test_a_second_host_does_not_make_the_classes_anew(world: World, tmp_path: Path) -> None:
    file = written(tmp_path, PLUGIN)
    assert world.discover(file).load(Kind.MODEL, "mine") is world.discover(file).load(Kind.MODEL, "mine")


def test_the_environment_does_not_hold_a_file_back(world: World, tmp_path: Path) -> None:
    host = world.discover(written(tmp_path, PLUGIN), MCD_LOAD_PLUGINS="builtin", MCD_DISABLE_PLUGINS="my-plugin")
    assert world.offered(host) == ["my_plugin/mine", "builtin/phantom"]


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("x = 1\ndef :", ", line 2: SyntaxError: invalid syntax (my_plugin.py, line 2)"),
        ("\n\nimport not_there", ", line 3: ModuleNotFoundError: No module named 'not_there'"),
        (
            "import mcd\n@mcd.hookimpl\ndef mcd_register_models():\n    return 1 / 0",
            ", line 4 (mcd_register_models): ZeroDivisionError: division by zero",
        ),
        (
            "import mcd\n@mcd.hookimpl\ndef mcd_register_models(): ...",
            " (mcd_register_models): mcd_register_models returned None, not a list of mcd.Component",
        ),
    ],
)
def test_a_broken_file_is_one_clear_error(world: World, tmp_path: Path, code: str, said: str) -> None:
    file = written(tmp_path, code)
    with pytest.raises(PluginLoadError) as caught:
        world.discover(file)
    assert caught.value.message == f"plugin file {file}{said}"


def test_a_missing_file_is_one_clear_error(world: World, tmp_path: Path) -> None:
    with pytest.raises(PluginLoadError) as caught:
        world.discover(tmp_path / "gone.py")
    assert str(caught.value) == (
        f"plugin file {tmp_path / 'gone.py'} cannot be read: No such file or directory\n"
        "hint: give the path of a Python file"
    )
