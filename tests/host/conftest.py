"""Toy distributions, made as a real installer leaves them: a dist-info folder and modules on sys.path."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from pathlib import Path
from textwrap import dedent

import pytest

from mcd.components import Kind
from mcd.host import PluginHost, PluginRecord

HEADER = "from mcd.components import Component\nfrom mcd.hookspecs import hookimpl\n"


class World:
    """A folder of toy distributions; its ``mammo-clip-dissect`` hides the real one."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.install("mammo-clip-dissect", "builtin", "toy_builtin", offers="phantom")
        self.module("toy_builtin_net", "import mcd\nclass Loader(mcd.ModelLoader):\n    def load(self): ...\n")

    def module(self, name: str, code: str) -> Path:
        """Write a module."""
        file = self.folder / f"{name}.py"
        file.write_text(dedent(code), encoding="utf-8")
        return file

    def distribution(self, name: str, entry_points: str, version: str = "1.0") -> Path:
        """Write a dist-info folder."""
        folder = self.folder / f"{name.replace('-', '_')}-{version}.dist-info"
        folder.mkdir()
        folder.joinpath("METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
        folder.joinpath("entry_points.txt").write_text(entry_points)
        return folder

    def install(self, distribution: str, plugin: str, module: str, code: str = "", *, offers: str = "") -> None:
        """Install a plugin with this code, or one that offers a model."""
        if offers:
            code = f"""
            @hookimpl
            def mcd_register_models():
                return [Component("{offers}", "{module}_net:Loader", "a toy")]
            """
        self.module(module, HEADER + dedent(code))
        self.distribution(distribution, f"[mcd]\n{plugin} = {module}\n")

    def discover(self, *files: Path, **environ: str) -> PluginHost:
        """Discover with nothing but ``environ`` in the environment."""
        importlib.invalidate_caches()
        return PluginHost.discover(files, environ)

    @staticmethod
    def record(host: PluginHost, name: str) -> PluginRecord:
        """Return the record of one plugin."""
        return next(one for one in host.plugins if one.name == name)

    @staticmethod
    def offered(host: PluginHost, kind: Kind = Kind.MODEL) -> list[str]:
        """Return the qualified names on offer."""
        return [offer.qualified for offer in host.offers(kind)]


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    before = set(sys.modules)
    folder = tmp_path / "site-packages"
    folder.mkdir()
    monkeypatch.syspath_prepend(str(folder))
    yield World(folder)
    for name in set(sys.modules) - before:
        if name.startswith(("toy_", "mcd_file_")):
            del sys.modules[name]
