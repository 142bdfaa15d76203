"""Observers see every event in order; one that raises is reported once and left alone."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest

from mcd.events import Event, RunStarted, StageAdvanced, Warned

if TYPE_CHECKING:
    from tests.host.conftest import World

SEES = "seen = []\n@hookimpl{options}\ndef mcd_on_event({arguments}):\n    seen.append(event)\n"


@pytest.mark.parametrize("arguments", ["event", "event=None", "*, event", "*, event=None"])
def test_an_observer_sees_every_event_in_order(world: World, arguments: str) -> None:
    world.install("eye-dist", "eye", "toy_eye", SEES.format(options="", arguments=arguments))
    host = world.discover()
    events = [RunStarted("a run"), StageAdvanced("read"), StageAdvanced("read", 2)]
    for event in events:
        host.emit(event)
    assert sys.modules["toy_eye"].seen == events


def test_an_observer_may_leave_the_event_out(world: World) -> None:
    world.install("eye-dist", "eye", "toy_eye", "seen = []\n@hookimpl\ndef mcd_on_event():\n    seen.append(1)\n")
    world.discover().emit(RunStarted("a run"))
    assert sys.modules["toy_eye"].seen == [1]


def test_an_observer_that_raises_is_reported_once_and_then_ignored(world: World) -> None:
    raising = "calls = []\n@hookimpl\ndef mcd_on_event(event):\n    calls.append(event)\n    raise {}\n"
    world.install("bad-dist", "bad", "toy_bad", raising.format("ValueError('no screen')"))
    world.install("exit-dist", "exits", "toy_exits", raising.format("SystemExit(1)"))
    world.install("eye-dist", "eye", "toy_eye", SEES.format(options="", arguments="event"))
    host = world.discover()
    host.emit(RunStarted("a run"))
    host.emit(StageAdvanced("read"))
    said = "an observer of plugin '{} ({}-dist 1.0) failed and is not called again: {}"
    seen = sys.modules["toy_eye"].seen
    assert {event for event in seen if isinstance(event, Warned)} == {
        Warned(said.format("bad'", "bad", "ValueError: no screen")),
        Warned(said.format("exits'", "exit", "it called sys.exit(1)")),
    }
    assert [event for event in seen if not isinstance(event, Warned)] == [RunStarted("a run"), StageAdvanced("read")]
    assert len(seen) == 4
    assert sys.modules["toy_bad"].calls == [RunStarted("a run")]


def test_first_and_last_are_kept(world: World) -> None:
    code = "import toy_order\n@hookimpl{}\ndef mcd_on_event(event):\n    toy_order.calls.append(__name__[4:])\n"
    world.module("toy_order", "calls = []")
    world.install("a-dist", "a", "toy_last", code.format("(trylast=True)"))
    world.install("b-dist", "b", "toy_second", code.format(""))
    world.install("c-dist", "c", "toy_third", code.format(""))
    world.install("d-dist", "d", "toy_first", code.format("(tryfirst=True)"))
    world.discover().emit(Event())
    assert sys.modules["toy_order"].calls == ["first", "second", "third", "last"]
