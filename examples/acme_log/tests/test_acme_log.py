"""What must hold of acme-log."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import acme_log
from mcd.events import StageAdvanced, StageFinished, StageStarted
from mcd.testing import assert_light, check_observer


@pytest.fixture
def log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv(acme_log.VARIABLE, str(tmp_path / "run.jsonl"))
    return tmp_path / "run.jsonl"


def test_listing_it_imports_nothing_heavy() -> None:
    assert_light("acme_log")


def test_it_takes_every_event(log: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    check_observer(acme_log.mcd_on_event)
    written = log.read_text(encoding="utf-8")
    monkeypatch.delenv(acme_log.VARIABLE)
    check_observer(acme_log.mcd_on_event)
    assert log.read_text(encoding="utf-8") == written


def test_each_event_is_a_line_but_for_the_steps_of_a_progress_bar(log: Path) -> None:
    for event in (StageStarted("sweep", 10, "images"), StageAdvanced("sweep", 10), StageFinished("sweep", 1.25)):
        acme_log.mcd_on_event(event)
    lines = [json.loads(line) for line in log.read_text(encoding="utf-8").splitlines()]
    assert [line["event"] for line in lines] == ["StageStarted", "StageFinished"]
    assert lines[1]["seconds"] == 1.25
