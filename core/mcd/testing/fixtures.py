"""Fixtures for tests of plugins; pytest finds them by itself where ``mammo-clip-dissect`` is installed.

``plugin_host``
    Returns a host that knows nothing but the plugin files that it is given: ``plugin_host(path)``.
``tmp_plugin``
    Writes the text of a plugin into a file of the test and returns its path: ``tmp_plugin("import mcd …")``.
``tiny_images``
    A probe set of 24 drawn images of 12 patients.
``tiny_target``
    A network of two convolutions for them.
``tiny_dissector``
    An image–text model of random projections for them, loaded.
``tiny_dissection``
    A run of the three, made once a session; for reporters.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:  # every pytest of this environment imports this module
    from mcd.api.dataset import Dataset
    from mcd.api.dissector import Dissector
    from mcd.api.model import Target
    from mcd.host import PluginHost
    from mcd.runs.dissection import Dissection


@pytest.fixture
def plugin_host() -> Callable[..., PluginHost]:
    """Return what makes a host of the plugin files given, and of no installed plugin."""
    from mcd.host import PluginHost

    def of(*files: str | Path) -> PluginHost:
        return PluginHost.discover([Path(one) for one in files], {"MCD_LOAD_PLUGINS": ""})

    return of


@pytest.fixture
def tmp_plugin(tmp_path: Path) -> Callable[..., Path]:
    """Return what writes the text of a plugin into a file of the test and returns its path."""

    def write(text: str, name: str = "plugin_of_a_test.py") -> Path:
        path = tmp_path / name
        path.write_text(text, encoding="utf-8")
        return path

    return write


@pytest.fixture
def tiny_images() -> Dataset:
    """Return a probe set of 24 drawn images."""
    from mcd.testing.material import TinyImages

    return TinyImages()


@pytest.fixture
def tiny_target() -> Target:
    """Return a network of two convolutions."""
    from mcd.testing.material import tiny_target

    return tiny_target()


@pytest.fixture
def tiny_dissector() -> Dissector:
    """Return an image–text model of random projections, loaded."""
    from mcd.testing.material import TinyDissector

    made = TinyDissector()
    made.load()
    return made


@pytest.fixture(scope="session")
def tiny_dissection(tmp_path_factory: pytest.TempPathFactory) -> Dissection:
    """Return a run of the tiny target, dissector and images, made once a session."""
    import mcd
    from mcd.testing.material import TinyDissector, TinyImages, tiny_target

    dissector = TinyDissector()
    dissector.load()
    with pytest.MonkeyPatch.context() as patch:
        for name in ("MCD_STORE", "MCD_DIGESTS"):
            patch.setitem(os.environ, name, "off")
        return mcd.dissect(
            tiny_target(),
            layers=["0", "2"],
            dataset=TinyImages(),
            dissector=dissector,
            concepts=["mass", "calcifications", "dense breast"],
            scorer={"plugin": "soft-wpmi", "options": {"top_k": 6}},
            calibration={"draws": 100},
            workers=0,
            output=tmp_path_factory.mktemp("tiny") / "run",
            progress=False,
        )
