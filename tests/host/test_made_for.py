"""A plugin that is made for another version of mcd is listed with that, and with what to do."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from mcd.version import __version__

if TYPE_CHECKING:
    from tests.host.conftest import World


def _requiring(world: World, *requirements: str) -> None:
    world.install("acme-dist", "acme", "toy_acme", offers="acme-net")
    metadata = world.folder / "acme_dist-1.0.dist-info" / "METADATA"
    metadata.write_text(metadata.read_text() + "".join(f"Requires-Dist: {one}\n" for one in requirements))


def test_one_for_another_version_is_loaded_with_a_note(world: World) -> None:
    _requiring(world, "torch", "Mammo_CLIP.dissect <0.1")
    record = world.record(world.discover(), "acme")
    assert record.state == "loaded"
    (note,) = record.notes
    assert note == f"made for mammo-clip-dissect<0.1, and this is {__version__}: look for a newer one with " + (
        "mcd install -U acme-dist"
    )


def test_one_that_breaks_has_the_note_too(world: World) -> None:
    _requiring(world, "mammo-clip-dissect>=99")
    world.module("toy_acme", "raise RuntimeError('no such name')")
    record = world.record(world.discover(), "acme")
    assert record.state == "broken"
    assert "made for mammo-clip-dissect>=99" in record.notes[0]


@pytest.mark.parametrize("text", ["mammo-clip-dissect", "mammo-clip-dissect>=0.2.0.dev0,<0.3", "torch<1", ">>"])
def test_one_for_this_version_has_none(world: World, text: str) -> None:
    _requiring(world, text)
    assert world.record(world.discover(), "acme").notes == ()
