"""A component is found by name, imported on first use, and held to the contract of its kind."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click
import pytest

from mcd.components import Kind
from mcd.errors import AmbiguousNameError, MissingDependencyError, PluginLoadError, UnknownNameError

if TYPE_CHECKING:
    from tests.host.conftest import World

NET = "import mcd\nclass Loader(mcd.ModelLoader):\n    def load(self): ...\n"


def offer(kind: Kind, arguments: str) -> str:
    return f"@hookimpl\ndef {kind.hook}():\n    return [Component({arguments})]\n"


def test_a_component_is_imported_on_first_use(world: World) -> None:
    host = world.discover()
    assert "toy_builtin_net" not in sys.modules
    assert host.load(Kind.MODEL, "phantom") is sys.modules["toy_builtin_net"].Loader
    assert host.load(Kind.MODEL, "builtin/phantom") is host.load(Kind.MODEL, "phantom")


def test_two_plugins_with_one_name_are_told_apart(world: World) -> None:
    world.install("rival-dist", "rival", "toy_rival", offers="phantom")
    world.module("toy_rival_net", NET)
    host = world.discover()
    with pytest.raises(AmbiguousNameError) as caught:
        host.load(Kind.MODEL, "phantom")
    assert str(caught.value) == (
        "2 plugins offer a model named 'phantom'\nhint: say which one: builtin/phantom or rival/phantom"
    )
    assert host.load(Kind.MODEL, "rival/phantom") is sys.modules["toy_rival_net"].Loader


def test_an_unknown_name_gets_the_nearest_and_who_is_absent(world: World) -> None:
    world.install("boom-dist", "boom", "toy_boom", "import not_there_at_all")
    with pytest.raises(UnknownNameError) as caught:
        world.discover().find(Kind.MODEL, "phantm")
    assert str(caught.value) == (
        "no model named 'phantm'\n"
        "hint: did you mean 'phantom'? There is: phantom\n"
        "1 plugin did not load and may offer it: boom (ModuleNotFoundError: No module named 'not_there_at_all')\n"
        "see what is wrong with: mcd plugins check"
    )


def test_an_unknown_name_of_a_plugin_speaks_of_that_plugin(world: World) -> None:
    world.install("boom-dist", "boom", "toy_boom", "import not_there_at_all")
    host = world.discover()
    with pytest.raises(UnknownNameError) as caught:
        host.find(Kind.MODEL, "builtin/phantm")
    assert caught.value.hint == "did you mean 'builtin/phantom'? There is: builtin/phantom"
    with pytest.raises(UnknownNameError) as caught:
        host.find(Kind.MODEL, "Boom/net")
    assert "1 plugin did not load and may offer it: boom" in caught.value.hint


def test_a_name_of_another_kind_is_pointed_out(world: World) -> None:
    with pytest.raises(UnknownNameError) as caught:
        world.discover().find(Kind.CONCEPTS, "phantom")
    assert str(caught.value) == (
        "no concept set named 'phantom'\nhint: there is none to choose from\n'phantom' is the name of a model"
    )


@pytest.mark.parametrize(
    ("arguments", "needs", "command"),
    [
        ("requires=('not-there',)", "not-there", "pip install not-there"),
        ("requires=('pluggy>=1', 'pluggy>=99')", "pluggy>=99", 'pip install "pluggy>=99"'),
        ("requires=('a-b', 'c-d<2')", "a-b, c-d<2", 'pip install "a-b" "c-d<2"'),
        ("requires=('not-there',), extra='dicom'", "not-there", 'pip install "mammo-clip-dissect[dicom]"'),
        ("requires=('not-there; python_version<\"3\"', 'gone')", "gone", "pip install gone"),
    ],
)
def test_a_missing_requirement_comes_with_the_command(world: World, arguments: str, needs: str, command: str) -> None:
    world.install("acme-dist", "acme", "toy_acme", offer(Kind.MODEL, f"'net', 'toy_none:Loader', {arguments}"))
    with pytest.raises(MissingDependencyError) as caught:
        world.discover().load(Kind.MODEL, "net")
    assert str(caught.value) == (
        f"model 'net' of plugin 'acme' (acme-dist 1.0) needs {needs}, which is not installed\nhint: {command}"
    )


BREACHES = {
    "no module": ("toy_none:Loader", "", "ModuleNotFoundError: No module named 'toy_none'"),
    "raises at import": ("toy_net:Loader", "raise OSError('no disk')", "OSError: no disk"),
    "exits at import": ("toy_net:Loader", "raise SystemExit(1)", "it called sys.exit(1)"),
    "no attribute": ("toy_net:Loadr", NET, "toy_net has no 'Loadr'"),
    "no subclass": ("toy_net:Loader", "class Loader: ...", "toy_net:Loader is not a subclass of mcd.ModelLoader"),
    "no class": ("toy_net:Loader", "Loader = 3", "toy_net:Loader is not a subclass of mcd.ModelLoader"),
    "abstract": (
        "toy_net:Loader",
        "import mcd\nclass Loader(mcd.ModelLoader): ...",
        "toy_net:Loader does not implement load",
    ),
}


@pytest.mark.parametrize("case", BREACHES)
def test_a_target_that_breaks_its_contract_is_named(world: World, case: str) -> None:
    target, code, reason = BREACHES[case]
    world.module("toy_net", code)
    world.install("acme-dist", "acme", "toy_acme", offer(Kind.MODEL, f"'net', '{target}'"))
    host = world.discover()
    with pytest.raises(PluginLoadError) as caught:
        host.load(Kind.MODEL, "net")
    assert caught.value.message == f"model 'net' of plugin 'acme' (acme-dist 1.0) does not load: {reason}"
    if case == "no attribute":
        assert caught.value.hint == "did you mean 'Loader'? There is: Loader"
    else:
        assert caught.value.hint == f"its target is {target}; for the traceback: mcd plugins check acme"
    assert host.load(Kind.MODEL, "phantom")


def test_a_concept_set_can_be_a_data_file(world: World) -> None:
    world.install("words-dist", "words", "toy_words", offer(Kind.CONCEPTS, "'birads-toy', 'toy_vocabulary:set.yaml'"))
    package = world.folder / "toy_vocabulary"
    package.mkdir()
    package.joinpath("__init__.py").touch()
    host = world.discover()
    with pytest.raises(PluginLoadError) as caught:
        host.load(Kind.CONCEPTS, "birads-toy")
    assert f"there is no file {package / 'set.yaml'}" in caught.value.message
    package.joinpath("set.yaml").write_text("name: toy\n")
    file = host.load(Kind.CONCEPTS, "birads-toy")
    assert file == package / "set.yaml"


def test_a_command_must_be_a_click_command(world: World) -> None:
    world.module("toy_cli", "import click\n@click.command()\ndef hello(): ...\ndef plain(): ...\n")
    code = "@hookimpl\ndef mcd_register_commands():\n"
    code += "    return [Component('hello', 'toy_cli:hello'), Component('plain', 'toy_cli:plain')]\n"
    world.install("cli-dist", "cli", "toy_cli_plugin", code)
    host = world.discover()
    assert isinstance(host.load(Kind.COMMAND, "hello"), click.Command)
    with pytest.raises(PluginLoadError, match=r"toy_cli:plain is not a click\.Command"):
        host.load(Kind.COMMAND, "plain")


CLASSES = {
    Kind.MODEL: "ModelLoader",
    Kind.DISSECTOR: "Dissector",
    Kind.DATASET: "Dataset",
    Kind.UNITS: "UnitSource",
    Kind.SCORER: "Scorer",
    Kind.REPORTER: "Reporter",
    Kind.CONCEPTS: "ConceptSource",
}


@pytest.mark.parametrize("kind", CLASSES)
def test_every_kind_is_held_to_its_base_class(world: World, kind: Kind) -> None:
    base = CLASSES[kind]
    code = f"import mcd\nclass Good(mcd.{base}): ...\nclass Bad: ...\n"
    code += "Good.__abstractmethods__ = frozenset()\n"
    world.module("toy_kinds", code)
    pair = "[Component('good', 'toy_kinds:Good'), Component('bad', 'toy_kinds:Bad')]"
    world.install("kinds-dist", "kinds", "toy_plugin", f"@hookimpl\ndef {kind.hook}():\n    return {pair}\n")
    host = world.discover()
    assert "good" in [offer.component.name for offer in host.offers(kind)]
    assert host.load(kind, "good") is sys.modules["toy_kinds"].Good
    with pytest.raises(PluginLoadError, match=f"toy_kinds:Bad is not a subclass of mcd.{base}"):
        host.load(kind, "bad")


def test_an_installed_release_candidate_satisfies(world: World) -> None:
    world.distribution("toy-candidate", "", version="2.0rc1")
    world.install("acme-dist", "acme", "toy_acme", offer(Kind.MODEL, "'net', 'a:b', requires=('toy-candidate>=1',)"))
    assert world.discover().find(Kind.MODEL, "net").missing() == ()
