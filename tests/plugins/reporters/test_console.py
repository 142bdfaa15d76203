"""What a run says on the terminal of the rungs, and of how right its labels are."""

from __future__ import annotations

from pathlib import Path

import pytest

import mcd
from mcd.scoring.rungs import NUISANCE, RIGHT, RungCount
from mcd_plugins.console.summary import ConsoleReporter


def said_of(run: mcd.Dissection, out: pytest.CaptureFixture[str], *, significant: int, testable: int) -> str:
    """Return what is said of a run whose layers have so many significant labels, of which so many can be tested."""
    count = RungCount(significant=min(1, significant), testable=testable)
    summary = [
        one.model_copy(update={"significant": significant, "rungs": {NUISANCE: count}}) for one in run.manifest.summary
    ]
    rungs = {NUISANCE: "", RIGHT: "nothing is annotated"}
    manifest = run.manifest.model_copy(update={"summary": summary, "rungs": rungs})
    ConsoleReporter().report(mcd.Dissection(run.folder, manifest, run.results), Path())
    return " ".join(out.readouterr().out.split())


def test_it_says_how_many_labels_get_how_far_and_how_many_could(
    phantom: mcd.Dissection, capsys: pytest.CaptureFixture[str]
) -> None:
    layers = len(phantom.manifest.summary)
    text = said_of(phantom, capsys, significant=3, testable=2)
    assert f"Of these, {layers} are beyond nuisances ({2 * layers} can be tested)." in text
    assert "Not available: right (nothing is annotated)." in text
    assert text.index("Of these") < text.index("Null:")  # these are those that are significant
    assert f"Of these, {layers} are beyond nuisances." in said_of(phantom, capsys, significant=3, testable=3)
    assert "Of these" not in said_of(phantom, capsys, significant=0, testable=0)


def test_it_says_how_right_labels_are_or_what_to_type(
    phantom: mcd.Dissection, judged: mcd.Dissection, capsys: pytest.CaptureFixture[str]
) -> None:
    ConsoleReporter().report(judged, Path())
    text = " ".join(capsys.readouterr().out.split())
    assert "Held against annotations of 12 held-out patients, first labels agree better than random labels" in text
    ConsoleReporter().report(phantom, Path())
    assert "Type: mcd evaluate RUN" in " ".join(capsys.readouterr().out.split())
