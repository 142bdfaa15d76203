"""The environment decides which installed plugins take part, before any of them is imported."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest

from mcd.components import Kind
from mcd.errors import UnknownNameError
from mcd.host import PluginHost

if TYPE_CHECKING:
    from tests.host.conftest import World


@pytest.fixture
def three(world: World) -> World:
    world.install("Acme_Dist", "acme.one", "toy_acme", offers="acme-net")
    world.install("zulu-dist", "zulu", "toy_zulu", offers="zulu-net")
    return world


@pytest.mark.parametrize("spelling", ["acme.one", " Acme_One ", "ACME-ONE,", ",,acme--one", "acme-dist", "acme.DIST"])
def test_a_disabled_plugin_is_not_imported(three: World, spelling: str) -> None:
    host = three.discover(MCD_DISABLE_PLUGINS=spelling)
    record = three.record(host, "acme.one")
    assert (record.state, record.reason) == ("disabled", "disabled by MCD_DISABLE_PLUGINS")
    assert "toy_acme" not in sys.modules
    assert three.offered(host) == ["builtin/phantom", "zulu/zulu-net"]
    assert host.warnings == ()


def test_an_allow_list_leaves_out_the_rest(three: World) -> None:
    host = three.discover(MCD_LOAD_PLUGINS="zulu-dist, builtin")
    assert three.offered(host) == ["builtin/phantom", "zulu/zulu-net"]
    assert three.record(host, "acme.one").reason == "not in MCD_LOAD_PLUGINS"


def test_an_empty_allow_list_allows_nothing(three: World) -> None:
    host = three.discover(MCD_LOAD_PLUGINS="")
    assert {one.state for one in host.plugins} == {"disabled"}
    assert three.offered(host) == []


def test_disabling_wins_over_allowing(three: World) -> None:
    host = three.discover(MCD_LOAD_PLUGINS="zulu", MCD_DISABLE_PLUGINS="zulu")
    assert three.record(host, "zulu").reason == "disabled by MCD_DISABLE_PLUGINS"


def test_what_is_built_in_can_be_disabled_too(three: World) -> None:
    assert three.offered(three.discover(MCD_DISABLE_PLUGINS="mammo-clip-dissect")) == [
        "acme.one/acme-net",
        "zulu/zulu-net",
    ]


def test_a_name_that_fits_nothing_is_said(three: World) -> None:
    host = three.discover(MCD_DISABLE_PLUGINS="zuul", MCD_LOAD_PLUGINS="acme_one,gone")
    assert host.warnings == (
        "MCD_LOAD_PLUGINS names 'gone', which is neither a plugin nor a distribution with one",
        "MCD_DISABLE_PLUGINS names 'zuul', which is neither a plugin nor a distribution with one",
    )


def test_a_disabled_plugin_is_named_when_its_component_is_missed(three: World) -> None:
    with pytest.raises(UnknownNameError) as caught:
        three.discover(MCD_DISABLE_PLUGINS="zulu").find(Kind.MODEL, "zulu-net")
    assert "1 plugin did not load and may offer it: zulu (disabled by MCD_DISABLE_PLUGINS)" in caught.value.hint
    assert "plugins check" not in caught.value.hint


def test_metadata_alone_imports_nothing(three: World) -> None:
    records = PluginHost.installed({"MCD_DISABLE_PLUGINS": "zulu"})
    assert [(one.name, one.state, one.module) for one in records] == [
        ("builtin", "found", "toy_builtin"),
        ("acme.one", "found", "toy_acme"),
        ("zulu", "disabled", "toy_zulu"),
    ]
    assert not {"toy_builtin", "toy_acme", "toy_zulu"} & set(sys.modules)
