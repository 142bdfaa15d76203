"""A broken plugin is named with its reason and harms nothing else, on every pluggy."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest

from mcd.errors import PluginLoadError

if TYPE_CHECKING:
    from tests.host.conftest import World

OFFER = "@hookimpl\ndef mcd_register_models():\n    "
BROKEN = {
    "import error": ("import not_there_at_all", "import", "ModuleNotFoundError: No module named 'not_there_at_all'"),
    "exit at import": ("raise SystemExit(4)", "import", "it called sys.exit(4)"),
    "syntax error": ("def :", "import", "SyntaxError: invalid syntax (toy_boom.py, line 3)"),
    "wrong signature": ("@hookimpl\ndef mcd_register_models(settings): ...", "registration", "{'settings'}"),
    "keyword argument": (
        "@hookimpl\ndef mcd_on_event(*, extra): ...",
        "registration",
        "mcd_on_event(*, extra) does not fit its hook: missing a required",  # 3.13 says keyword-only argument
    ),
    "wrapper": (
        "@hookimpl(wrapper=True)\ndef mcd_register_models():\n    return (yield)",
        "registration",
        "mcd_register_models is a wrapper; mcd's hooks take plain functions only",
    ),
    "old wrapper": (
        "@hookimpl(hookwrapper=True)\ndef mcd_on_event(event):\n    yield",
        "registration",
        "mcd_on_event is a wrapper; mcd's hooks take plain functions only",
    ),
    "raising hook": (OFFER + "raise KeyError('weights')", "mcd_register_models", "KeyError: 'weights'"),
    "exit in hook": (OFFER + "raise SystemExit", "mcd_register_models", "it called sys.exit()"),
    "raising half way": (
        OFFER + "yield Component('early', 'a:b')\n    raise OSError('disk')",
        "mcd_register_models",
        "OSError: disk",
    ),
    "nothing returned": (
        OFFER + "pass",
        "mcd_register_models",
        "mcd_register_models returned None, not a list of mcd.Component",
    ),
    "text returned": (
        OFFER + "return 'timm'",
        "mcd_register_models",
        "mcd_register_models returned 'timm', not a list of mcd.Component",
    ),
    "no list": (
        OFFER + "return Component('one', 'a:b')",
        "mcd_register_models",
        "mcd_register_models returned Component(name='one', target='a:b', summary='', requires=()…, not a list of "
        "mcd.Component",
    ),
    "rubbish in the list": (
        OFFER + "return [('timm', 'a:b')]",
        "mcd_register_models",
        "mcd_register_models returned a list with ('timm', 'a:b') in it, which is not a mcd.Component",
    ),
    "bad name": (
        OFFER + "return [Component('My Net', 'a:b')]",
        "mcd_register_models",
        "ValueError: component name 'My Net': use lower-case words joined by hyphens",
    ),
    "one name twice": (
        OFFER + "return [Component('net', 'a:b'), Component('net', 'a:c')]",
        "mcd_register_models",
        "mcd_register_models offers 'net' twice",
    ),
    "requires as text": (
        OFFER + "return [Component('net', 'a:b', requires='timm')]",
        "mcd_register_models",
        "'net': requires is text; write requires=('timm',)",
    ),
    "files as text": (
        OFFER + "return [Component('net', 'a:b', files='*.csv')]",
        "mcd_register_models",
        "ValueError: component 'net': files is text; write files=('*.csv',)",
    ),
    "files that are no texts": (
        OFFER + "return [Component('net', 'a:b', files=(1,))]",
        "mcd_register_models",
        "ValueError: component 'net': files holds 1, which is no text",
    ),
    "bad requirement": (
        OFFER + "return [Component('net', 'a:b', requires=('timm>>1',))]",
        "mcd_register_models",
        "'net' requires 'timm>>1', which is not a requirement",
    ),
}


@pytest.mark.parametrize("case", BROKEN)
def test_a_broken_plugin_is_named_and_the_rest_goes_on(world: World, case: str) -> None:
    code, phase, reason = BROKEN[case]
    good = '@hookimpl\ndef mcd_register_scorers():\n    return [Component("fine", "a:b")]\n'
    bad = "" if case == "syntax error" else good  # what it offers besides must not be registered either
    world.install(
        "boom-dist",
        "boom",
        "toy_boom",
        bad + code,
    )
    world.install("acme-dist", "acme", "toy_acme", offers="acme-net")
    world.install("zulu-dist", "zulu", "toy_zulu", offers="zulu-net")

    host = world.discover()

    broken = world.record(host, "boom")
    assert (broken.state, broken.phase) == ("broken", phase)
    assert reason in broken.reason
    assert "\n" not in broken.reason
    assert (broken.distribution, broken.version) == ("boom-dist", "1.0")
    assert broken.error is not None
    assert not broken.components
    assert world.offered(host) == ["acme/acme-net", "builtin/phantom", "zulu/zulu-net"]
    assert [one.name for one in host.plugins] == ["builtin", "acme", "boom", "zulu"]


def test_a_broken_plugin_does_not_observe(world: World) -> None:
    code = "seen = []\n@hookimpl\ndef mcd_on_event(event):\n    seen.append(event)\n" + OFFER + "raise OSError"
    world.install("boom-dist", "boom", "toy_boom", code)
    from mcd.events import Warned

    world.discover().emit(Warned("hello"))

    assert sys.modules["toy_boom"].seen == []


def test_strict_mode_stops_at_the_first_broken_plugin(world: World) -> None:
    world.install("boom-dist", "boom", "toy_boom", "import not_there_at_all")
    with pytest.raises(PluginLoadError) as caught:
        world.discover(MCD_STRICT_PLUGINS="1")
    assert str(caught.value) == (
        "plugin 'boom' (boom-dist 1.0) is broken (import): ModuleNotFoundError: No module named 'not_there_at_all'\n"
        "hint: MCD_STRICT_PLUGINS is set; unset it to go on without this plugin"
    )
    assert isinstance(caught.value.__cause__, ModuleNotFoundError)
    assert world.record(world.discover(MCD_STRICT_PLUGINS="0"), "boom").state == "broken"


def test_an_interrupt_is_not_the_plugins_to_catch(world: World) -> None:
    world.install("boom-dist", "boom", "toy_boom", "raise KeyboardInterrupt")
    with pytest.raises(KeyboardInterrupt):
        world.discover()


def test_a_misspelt_hook_is_noted(world: World) -> None:
    world.install("typo-dist", "typo", "toy_typo", "@hookimpl\ndef mcd_register_model():\n    return []")
    record = world.record(world.discover(), "typo")
    assert record.state == "loaded"
    assert record.notes == ("unknown hook mcd_register_model, did you mean mcd_register_models?",)


def test_an_optional_hook_is_not_a_misspelt_one(world: World) -> None:
    world.install("new-dist", "new", "toy_new", "@hookimpl(optionalhook=True)\ndef mcd_of_the_future(): ...")
    assert world.record(world.discover(), "new").notes == ()


def test_a_hook_without_its_mark_is_noted(world: World) -> None:
    world.install("bare-dist", "bare", "toy_bare", "def mcd_register_models():\n    return []")
    assert world.record(world.discover(), "bare").notes == (
        "mcd_register_models is never called: it is not marked with @mcd.hookimpl",
    )


def test_a_plugin_without_hooks_is_noted(world: World) -> None:
    world.install("idle-dist", "idle", "toy_idle")
    assert world.record(world.discover(), "idle").notes == ("it has no hooks",)


def test_nobody_takes_the_name_of_what_is_built_in(world: World) -> None:
    world.install("aaa-rival", "builtin", "toy_rival", offers="rival-net")
    host = world.discover()
    assert [one.name for one in host.plugins] == ["builtin", "builtin@aaa-rival"]
    assert host.plugins[1].notes == ("renamed: 'builtin' is a plugin of mammo-clip-dissect",)
    assert world.offered(host) == ["builtin/phantom", "builtin@aaa-rival/rival-net"]
    disabled = world.discover(MCD_DISABLE_PLUGINS="mammo-clip-dissect")
    assert [one.name for one in disabled.plugins] == ["builtin", "builtin@aaa-rival"]


def test_one_plugin_under_two_names_is_registered_once(world: World) -> None:
    world.module(
        "toy_twice", "from mcd.hookspecs import hookimpl\n@hookimpl\ndef mcd_register_models():\n    return []"
    )
    world.distribution("twice-dist", "[mcd]\none = toy_twice\ntwo = toy_twice\n")
    host = world.discover()
    assert [one.name for one in host.plugins] == ["builtin", "one"]
    assert host.plugins[1].notes == ("also offered as 'two' by twice-dist 1.0",)


def test_looking_at_a_plugin_runs_none_of_it(world: World) -> None:
    """pluggy before 1.7 evaluates what ``dir`` lists, which imports what a plugin keeps for later."""
    code = """
    from types import SimpleNamespace
    touched = []
    class Plugin:
        @property
        def heavy(self):
            touched.append("heavy")
            raise ImportError("torch is not here")
        @hookimpl
        def mcd_register_models(self):
            return [Component("lazy-net", "a:b")]
    plugin = Plugin()
    def __dir__():
        return [*globals(), "lazy"]
    def __getattr__(name):
        touched.append(name)
        raise ImportError(name)
    """
    world.install("lazy-dist", "module", "toy_lazy", code)
    world.distribution("object-dist", "[mcd]\nobject = toy_lazy:plugin\n")
    host = world.discover()
    assert {one.state for one in host.plugins} == {"loaded"}
    assert world.offered(host) == ["object/lazy-net", "builtin/phantom"]
    assert [name for name in sys.modules["toy_lazy"].touched if not name.startswith("__")] == []


def test_a_plugin_that_equals_everything_hides_nothing(world: World) -> None:
    code = "class Same:\n    __hash__ = None\n    def __eq__(self, other):\n        return True\nplugin = Same()"
    world.module("toy_same", code)
    world.distribution("aaa-same", "[mcd]\nsame = toy_same:plugin\n")
    world.install("acme-dist", "acme", "toy_acme", offers="acme-net")
    assert world.offered(world.discover()) == ["acme/acme-net", "builtin/phantom"]


def test_a_malformed_entry_point_file_concerns_its_own_distribution(world: World) -> None:
    world.distribution("ruin-dist", "[mcd]\nno equals sign\n")
    world.distribution("alien-dist", "[console_scripts]\nno equals sign\n")
    host = world.discover()
    assert [(one.name, one.state) for one in host.plugins] == [("builtin", "loaded"), ("ruin-dist", "broken")]
    assert host.plugins[1].reason.startswith("its entry_points.txt cannot be read: TypeError")


def test_a_distribution_without_metadata_still_counts(world: World) -> None:
    world.install("bald-dist", "bald", "toy_bald", offers="bald-net")
    (world.folder / "bald_dist-1.0.dist-info" / "METADATA").unlink()
    assert world.offered(world.discover()) == ["bald/bald-net", "builtin/phantom"]
