"""``mcd.testing.assert_light``, and the modules of ours that must pass it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from mcd.testing import HEAVY, assert_light

if TYPE_CHECKING:
    from tests.host.conftest import World


@pytest.mark.parametrize("module", ["mcd", "mcd.host", "mcd.hookspecs", "mcd.cli.plugins", "mcd.testing"])
def test_the_way_to_a_listing_is_light(module: str) -> None:
    assert_light(module)


@pytest.mark.parametrize("package", HEAVY)
def test_a_heavy_import_is_caught_with_the_way_to_it(world: World, package: str) -> None:
    world.module("toy_way", "import toy_heavy")
    world.module("toy_heavy", f"import {package}.something")
    with pytest.raises(AssertionError) as caught:
        assert_light("toy_way")
    assert str(caught.value).startswith("toy_way is not light:\n")
    assert "toy_heavy.py" in str(caught.value)
    assert f"{package} is too heavy to import here" in str(caught.value)


def test_a_module_that_is_not_there_is_not_light() -> None:
    with pytest.raises(AssertionError, match="No module named 'toy_missing'"):
        assert_light("toy_missing")
