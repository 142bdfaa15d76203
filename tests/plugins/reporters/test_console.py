"""What a run says on the terminal: the page's cautions and answers, with commands that can be copied."""

from __future__ import annotations

from pathlib import Path

import pytest

import mcd
from mcd.scoring.rungs import NUISANCE, RIGHT
from mcd_plugins.console.summary import ConsoleReporter
from mcd_plugins.reporters.facts import facts_of
from mcd_plugins.reporters.first_screen import FirstScreen, first_screen
from mcd_plugins.reporters.latex import LatexReporter
from mcd_plugins.reporters.markdown import MarkdownReporter, escaped


def printed(run: mcd.Dissection, out: pytest.CaptureFixture[str]) -> str:
    ConsoleReporter().report(run, Path())
    return out.readouterr().out


def start_of(run: mcd.Dissection) -> FirstScreen:
    return first_screen([run], [facts_of(run)], resamples=0)


def test_all_reporters_answer_in_the_sentences_of_the_page(
    judged: mcd.Dissection, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    start = start_of(judged)
    terminal = " ".join(printed(judged, capsys).split())
    (summary,) = MarkdownReporter(MarkdownReporter.Options()).report(judged, tmp_path)
    (tables,) = LatexReporter(LatexReporter.Options()).report(judged, tmp_path)
    markdown, latex = summary.read_text(encoding="utf-8"), tables.read_text(encoding="utf-8")
    assert len(start.answers) == 3
    for answer in start.answers:
        assert answer.question in terminal
        for said in answer.sentences:
            assert said in terminal
            assert escaped(said) in markdown
            assert said in latex
    first, *others = [said for _, said in start.cautions]
    assert markdown.index(escaped(first)) < markdown.index(start.answers[0].question)
    assert terminal.index(first) < terminal.index(start.answers[0].question)
    assert all(escaped(one) in markdown for one in others)
    assert markdown.index(start.answers[2].question) < markdown.index(escaped(others[0]))
    assert judged.evaluation is not None
    assert "Held against annotations of 12 held-out patients, first labels agree better than random labels" in terminal


def test_commands_on_the_terminal_name_the_run_and_are_whole_and_nothing_is_wider_than_it(
    phantom: mcd.Dissection, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    lines = printed(phantom, capsys).splitlines()
    assert f"  mcd evaluate {phantom.folder}" in lines
    commands = [check.command for answer in start_of(phantom).answers for check in answer.checks]
    assert commands
    for one in commands:
        assert f"  {one.replace('RUN', str(phantom.folder))}" in lines
    assert max(len(line) for line in lines if not line.startswith("  mcd ")) <= 80


def test_rungs_that_are_not_available_say_why(phantom: mcd.Dissection, capsys: pytest.CaptureFixture[str]) -> None:
    manifest = phantom.manifest.model_copy(update={"rungs": {NUISANCE: "", RIGHT: "nothing is annotated"}})
    text = printed(mcd.Dissection(phantom.folder, manifest, phantom.results), capsys)
    assert "Not available: right (nothing is annotated)." in text
    assert f"Not available: {NUISANCE}" not in text
