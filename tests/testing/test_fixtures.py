"""The fixtures that every test of a plugin has once mcd is installed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import mcd
from mcd.components import Kind
from mcd.plugins import PluginHost

_PLUGIN = """
import mcd

@mcd.hookimpl
def mcd_register_models():
    return [mcd.Component("acme-net", "plugin_of_a_test:Acme", "a backbone")]

class Acme(mcd.ModelLoader):
    def load(self):
        raise NotImplementedError
"""


def test_a_host_knows_nothing_but_the_plugins_of_the_test(
    plugin_host: Callable[..., PluginHost], tmp_plugin: Callable[..., Path]
) -> None:
    host = plugin_host(tmp_plugin(_PLUGIN))
    assert [offer.component.name for kind in Kind for offer in host.offers(kind)] == ["acme-net"]
    assert [offer for kind in Kind for offer in plugin_host().offers(kind)] == []


def test_there_are_a_tiny_probe_set_target_dissector_and_run(
    tiny_images: mcd.Dataset,
    tiny_target: mcd.Target,
    tiny_dissector: mcd.Dissector,
    tiny_dissection: mcd.Dissection,
) -> None:
    assert len(tiny_images) == tiny_dissection.manifest.images == 24
    assert tiny_target.name == tiny_dissection.manifest.target
    assert tiny_dissector.name == tiny_dissection.manifest.dissector
    assert set(tiny_dissection.labels["layer"]) == {"0", "2"}
