"""``mcd plugins`` as a user sees it, through a root command of its own."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING

import click
import pytest
from click.testing import CliRunner

from mcd.cli.plugins import plugins
from mcd.errors import MCDError
from mcd.testing import assert_light

if TYPE_CHECKING:
    from tests.host.conftest import World

    from mcd.host import PluginHost

NET = """
import mcd
from pydantic import Field

class Loader(mcd.ModelLoader):
    class Options(mcd.Options):
        width: int = Field(default=16, description="channels of the first layer; each later layer has twice as many")
        seed: int = Field(default=0, description="decides the weights")
    options: Options
    def load(self): ...

class Bare(mcd.Scorer):
    name = "bare"
    def score(self, activations, similarity): ...
"""
PLUGIN = """
@hookimpl
def mcd_register_models():
    return [Component("acme-net", "toy_acme_net:Loader", "ACME's mammography backbone", requires=("pluggy>=1",))]
@hookimpl
def mcd_register_scorers():
    return [Component("bare", "toy_acme_net:Bare"), Component("phantom", "toy_acme_net:Bare")]
"""


class Root:
    """Stands where ``ctx.obj`` of the real root stands."""

    def __init__(self, world: World, environ: dict[str, str]) -> None:
        self._world, self._environ = world, environ

    @property
    def host(self) -> PluginHost:
        return self._world.discover(**self._environ)


@pytest.fixture
def acme(world: World) -> World:
    world.module("toy_acme_net", NET)
    world.install("acme-dist", "acme", "toy_acme", PLUGIN)
    return world


def run(world: World, *arguments: str, **environ: str) -> tuple[int, str]:
    """Return the exit code and the output, errors shown as the real root shows them."""

    @click.group()
    def root() -> None: ...

    root.add_command(plugins)
    done = CliRunner().invoke(root, ["plugins", *arguments], obj=Root(world, environ), env={"COLUMNS": "80"})
    if isinstance(done.exception, MCDError):
        return done.exception.exit_code, f"{done.output}error: {done.exception}\n"
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    return done.exit_code, done.output


def test_list_shows_what_is_on_offer(acme: World) -> None:
    code, output = run(acme, "list")
    assert code == 0
    assert output.splitlines() == [
        "kind    name      plugin   summary",
        "model   acme-net  acme     ACME's mammography backbone",
        "model   phantom   builtin  a toy",
        "scorer  bare      acme",
        "scorer  phantom   acme",
    ]


def test_list_shows_what_did_not_load_and_why(acme: World) -> None:
    acme.install("boom-dist", "boom", "toy_boom", "import not_there_at_all_and_a_very_long_name_so_that_the_line_wraps")
    acme.install("typo-dist", "typo", "toy_typo", "@hookimpl\ndef mcd_register_model():\n    return []")
    needy = "@hookimpl\ndef mcd_register_models():\n    return [Component('needy', 'a:b', 'A net', requires=('gone',))]"
    acme.install("needy-dist", "needy", "toy_needy", needy)
    code, output = run(acme, "list", MCD_DISABLE_PLUGINS="acme, nobody")
    assert code == 0
    assert output.splitlines() == [
        "kind   name     plugin   summary",
        "model  needy    needy    A net (needs gone)",
        "model  phantom  builtin  a toy",
        "",
        "plugin  from           state     reason",
        "acme    acme-dist 1.0  disabled  disabled by MCD_DISABLE_PLUGINS",
        "boom    boom-dist 1.0  broken    ModuleNotFoundError: No module named 'not_there",
        " " * 33 + "_at_all_and_a_very_long_name_so_that_the_line_w",
        " " * 33 + "raps'",
        "note: plugin 'typo': unknown hook mcd_register_model, did you mean mcd_register_models?",
        "note: MCD_DISABLE_PLUGINS names 'nobody', which is neither a plugin nor a distribution with one",
        "see what is wrong with: mcd plugins check",
    ]


def test_list_as_json(acme: World) -> None:
    acme.install("boom-dist", "boom", "toy_boom", "import not_there_at_all")
    code, output = run(acme, "list", "--json")
    found = {one["name"]: one for one in json.loads(output)["plugins"]}
    assert code == 0
    assert found["acme"]["components"][0] == {
        "kind": "model",
        "name": "acme-net",
        "summary": "ACME's mammography backbone",
        "target": "toy_acme_net:Loader",
        "requires": ["pluggy>=1"],
        "files": [],
        "missing": [],
    }
    assert (found["boom"]["state"], found["boom"]["phase"]) == ("broken", "import")


def test_list_without_loading_imports_nothing(acme: World) -> None:
    acme.install("kill-dist", "kill", "toy_kill", "import os; os._exit(9)")
    code, output = run(acme, "list", "--no-load")
    assert code == 0
    assert "kill     kill-dist 1.0           found  toy_kill" in output.splitlines()
    assert not {"toy_acme", "toy_kill"} & set(sys.modules)


def test_show_has_the_settings(acme: World) -> None:
    code, output = run(acme, "show", "acme-net")
    assert code == 0
    assert output.splitlines() == [
        "model acme-net",
        "  ACME's mammography backbone",
        "  from    plugin 'acme' (acme-dist 1.0)",
        "  target  toy_acme_net:Loader",
        "  needs   pluggy>=1 (installed)",
        "",
        "setting  type  default  description",
        "width    int   16       channels of the first layer; each later layer has twice",
        "                        as many",
        "seed     int   0        decides the weights",
        "",
        "set with: --model-plugin acme-net --model-arg SETTING=VALUE",
        "or, for width, in short: --model-plugin acme-net:VALUE",
    ]


def test_show_of_a_component_without_settings(acme: World) -> None:
    assert run(acme, "show", "scorer", "bare")[1].endswith("\nIt has no settings.\n")


def test_show_asks_which_kind_is_meant(acme: World) -> None:
    code, output = run(acme, "show", "phantom")
    assert (code, output) == (
        2,
        "error: 'phantom' is the name of a model and of a scorer\nhint: say which one:\n"
        "mcd plugins show model phantom\nmcd plugins show scorer phantom\n",
    )
    acme.module("toy_builtin_net", NET)
    assert run(acme, "show", "models", "phantom")[0] == 0
    assert run(acme, "show", "acme/phantom")[0] == 0


def test_show_of_an_incomplete_component_says_what_to_install(world: World) -> None:
    needy = "@hookimpl\ndef mcd_register_models():\n    return [Component('needy', 'a:b', requires=('gone>=2',))]"
    world.install("needy-dist", "needy", "toy_needy", needy)
    code, output = run(world, "show", "needy")
    assert code == 0
    assert "  needs   gone>=2 (not installed)\n" in output
    assert output.endswith('  its settings can be shown once it is complete: pip install "gone>=2"\n')


def test_show_of_a_command_and_of_a_vocabulary_says_where_to_look(world: World) -> None:
    world.module("toy_cli", "import click\n@click.command()\ndef hello(): ...\n")
    (world.folder / "toy_words").mkdir()
    (world.folder / "toy_words" / "__init__.py").touch()
    (world.folder / "toy_words" / "words.yaml").touch()
    code = "@hookimpl\ndef mcd_register_commands():\n    return [Component('hello', 'toy_cli:hello')]\n"
    code += "@hookimpl\ndef mcd_register_concept_sets():\n    return [Component('words', 'toy_words:words.yaml')]\n"
    world.install("cli-dist", "cli", "toy_cli_plugin", code)
    assert run(world, "show", "hello")[1].endswith("  see     mcd hello --help\n")
    assert run(world, "show", "concept-set", "words")[1].endswith("toy_words/words.yaml\n")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("acme-nett",), "error: nothing is named 'acme-nett'\nhint: did you mean 'acme-net'? There is: acme-net, "),
        (
            ("modle", "x"),
            "error: no kind of component is called 'modle'\nhint: did you mean 'model'? There is: command",
        ),
        (("model", "x"), "error: no model named 'x'\nhint: There is: acme-net, phantom\n"),
        ((), "error: 'mcd plugins show' takes a name, not 0\nhint: mcd plugins show [KIND] NAME\n"),
    ],
)
def test_show_of_what_is_not_there(acme: World, words: tuple[str, ...], said: str) -> None:
    code, output = run(acme, "show", *words)
    assert code == 2
    assert output.startswith(said)


def test_check_is_silent_about_nothing(acme: World) -> None:
    code, output = run(acme, "check")
    assert (code, output.splitlines()) == (
        0,
        [
            "ok      plugin 'builtin' (mammo-clip-dissect 1.0)",
            "  ok      model phantom",
            "ok      plugin 'acme' (acme-dist 1.0)",
            "  ok      model acme-net",
            "  ok      scorer bare",
            "  ok      scorer phantom",
        ],
    )


def test_check_prints_the_traceback_of_what_is_broken(acme: World) -> None:
    acme.install("boom-dist", "boom", "toy_boom", "import not_there_at_all")
    acme.module("toy_builtin_net", "def helper():\n    return {}['weights']\nhelper()\n")
    code, output = run(acme, "check")
    assert code == 3
    assert "broken  plugin 'boom' (boom-dist 1.0)\n        import: ModuleNotFoundError: No module named" in output
    assert 'toy_boom.py", line 3, in <module>\n' in output
    assert "  broken  model phantom\n          model 'phantom' of plugin 'builtin' (mammo-clip-dissect 1.0)" in output
    assert 'toy_builtin_net.py", line 2, in helper\n' in output
    assert "  ok      model acme-net\n" in output


def test_check_of_one_plugin_leaves_the_others_alone(acme: World) -> None:
    acme.install("boom-dist", "boom", "toy_boom", "import not_there_at_all")
    needy = "@hookimpl\ndef mcd_register_models():\n    return [Component('needy', 'a:b', requires=('gone',))]"
    acme.install("needy-dist", "needy", "toy_needy", needy)
    assert run(acme, "check", "ACME_dist")[0] == 0
    assert run(acme, "check", "boom")[0] == 3
    code, output = run(acme, "check", "needy")
    assert (code, output.splitlines()[1]) == (0, "  missing model needy: pip install gone")
    code, output = run(acme, "check", "amce")
    assert (code, output.splitlines()[0]) == (2, "error: no plugin named 'amce'")
    code, output = run(acme, "check", "acme", MCD_DISABLE_PLUGINS="acme")
    assert (code, output) == (0, "plugin 'acme' (acme-dist 1.0) is not checked: disabled by MCD_DISABLE_PLUGINS\n")


def test_check_notes_what_users_will_stumble_over(acme: World) -> None:
    options = "    class Options(mcd.Options):\n        width: int = 3\n"
    acme.module("toy_bare_net", f"import mcd\nclass Loader(mcd.ModelLoader):\n{options}    def load(self): ...\n")
    hook = "@hookimpl\ndef mcd_register_models():\n    return [Component('acme-net', 'toy_bare_net:Loader')]"
    acme.install("bare-dist", "bare", "toy_bare", hook)
    code, output = run(acme, "check", "bare")
    assert code == 0
    said = " ".join(output.split())
    assert "plugin 'acme' (acme-dist 1.0) offers a model of this name too: users type bare/acme-net" in said
    assert 'note: setting width has no description: write Field(…, description="…")' in said


def test_listing_needs_nothing_heavy(acme: World) -> None:
    acme.module(
        "toy_listing",
        """
        from types import SimpleNamespace
        from mcd.cli.plugins import plugins
        from mcd.host import PluginHost
        plugins(["list"], obj=SimpleNamespace(host=PluginHost.discover(environ={})), standalone_mode=False)
        """,
    )
    assert_light("toy_listing")
