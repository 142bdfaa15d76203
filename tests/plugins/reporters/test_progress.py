"""What a run says while it works, where there is no terminal."""

from __future__ import annotations

import pytest

import mcd
from mcd import events
from mcd_plugins.console.progress import Progress

HINT = "less with more --workers, or in later runs with --cache DIR"


@pytest.mark.parametrize(
    ("seconds", "waited", "expected"),
    [
        (41.2, 30.1, ["sweep: 480000 in 41.2 s; the models waited 30.1 s for images", HINT]),
        (41.2, 13.6, ["sweep: 480000 in 41.2 s; the models waited 13.6 s for images"]),  # less than a third
        (1.2, 1.1, ["sweep: 480000 in 1.2 s; the models waited 1.1 s for images"]),  # nothing to gain
        (41.2, 0.0, ["sweep: 480000 in 41.2 s"]),
        (123456.7, 98765.4, ["sweep: 480000 in 123456.7 s; the models waited 98765.4 s for images", HINT]),
    ],
)
def test_a_sweep_says_how_long_models_waited_and_what_would_help(
    seconds: float, waited: float, expected: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    progress = Progress()
    progress.show(events.StageStarted("sweep", 480_000, "images"))
    progress.show(events.StageFinished("sweep", seconds, waited))
    lines = capsys.readouterr().err.splitlines()
    assert [line.strip() for line in lines] == expected
    assert max(map(len, lines)) <= 80


def test_a_run_records_how_long_models_waited() -> None:
    found = mcd.dissect(
        "phantom-mammo",
        layers="stages.0",
        dissector="phantom-clip",
        dataset="phantom",
        scorer="cosine",
        limit=12,
        store="off",  # what a store gives is not waited for
        progress=False,
    )
    seconds = found.manifest.seconds
    assert 0 < seconds["wait for images"] < seconds["sweep"]


def test_the_summary_is_there_where_bars_are_not_wanted(capsys: pytest.CaptureFixture[str]) -> None:
    mcd.dissect(
        "phantom-mammo",
        layers="stages.0",
        dissector="phantom-clip",
        dataset="phantom",
        scorer="cosine",
        limit=8,
        reporters="console",
        progress=False,
    )
    said = capsys.readouterr()
    assert "phantom-mammo dissected by phantom-clip on 8 images" in said.out
    assert "sweep" not in said.err
