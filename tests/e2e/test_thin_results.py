"""Runs in which there is little or nothing to find: every figure and every reporter, alone and in a comparison."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.captions import faults
from tests.conftest import Outcome
from tests.latex import amiss
from tests.thin import EVERY, dissected

import mcd
from mcd.cli.compare_text import print_comparison
from mcd.components import Kind
from mcd.errors import UsageError
from mcd.figures import Drawn, caption, draw, figure_bytes
from mcd.host import PluginHost
from mcd.runs.rescore import rescore
from mcd.study.study import Choice

Pair = tuple[mcd.Dissection, mcd.Dissection]
Mcd = Callable[..., Outcome]
SETTINGS = mcd.ComparisonSettings(resamples=10, threshold="local")


@pytest.fixture(scope="module", params=EVERY)
def pair(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Pair:
    """Two runs of one shape."""
    return dissected(request.param, tmp_path_factory.mktemp("thin"))


def untested(pair: Pair) -> bool:
    """Say whether the runs have labels whose significance was not computed: they are not compared, which is said."""
    first = pair[0].manifest.summary
    if any(one.draws for one in first) or not any(one.labelled for one in first):
        return False
    hint = re.escape(f"mcd score {pair[0].folder} --draws 1000")
    with pytest.raises(UsageError, match=f"has no significance.*\n.*{hint}"):
        mcd.figures.collect(pair, SETTINGS)
    return True


def test_every_figure_is_drawn_or_says_in_words_why_not(pair: Pair) -> None:
    if untested(pair):
        return
    for runs in (pair[:1], pair):
        data = mcd.figures.collect(runs, SETTINGS)
        reasons = {}
        for one in draw(data):
            if isinstance(one, Drawn):
                assert faults(caption(one.figure)) == [], one.name
                assert len(runs) == 1 or figure_bytes(one.figure, dpi=20)  # what shows one alone is drawn there too
            else:
                assert not one.failed, one.reason
                reasons[one.name] = str(one.reason)
        if not data.comparison.layers["significant"].any():
            for name in ("emergence", "categories", *(["specialisation"] if len(runs) > 1 else [])):
                assert "nothing to show: no neuron of" in reasons[name]


def test_every_reporter_writes_about_it(pair: Pair, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    names = [offer.component.name for offer in PluginHost.discover([], {}).offers(Kind.REPORTER)]
    names.remove("cards")  # a reader study of so little is refused, which is said
    with pytest.raises(UsageError):
        mcd.report(pair[1], reporters="cards", output=tmp_path / "cards")
    written = mcd.report(pair[1], reporters=names, output=tmp_path / "alone")
    written += mcd.report(pair, reporters=["html", "markdown", "latex"], output=tmp_path / "both")
    assert all(path.stat().st_size for path in written)
    said = capfd.readouterr()
    commands = [
        line.strip() for line in said.out.splitlines() if line.startswith("  mcd ")
    ]  # in one line, to be copied
    assert all(str(pair[1].folder) in one or one.startswith("mcd dissect …") for one in commands), commands
    assert max(len(line) for line in said.out.splitlines() if line.strip() not in commands) <= 80
    for text in (said.out, *(path.read_text() for path in tmp_path.rglob("*.[mt][de]*"))):
        assert not re.search(r"\bnan\b", text, re.IGNORECASE)
    assert amiss(*(path.read_text() for path in tmp_path.rglob("*.tex"))) == []


def test_a_comparison_with_nothing_to_tell_is_one_sentence(pair: Pair, capfd: pytest.CaptureFixture[str]) -> None:
    if untested(pair):
        return
    found = mcd.compare(pair, resamples=10)
    capfd.readouterr()
    print_comparison(found)
    text = capfd.readouterr().out
    assert max(map(len, text.splitlines())) <= 80
    assert not re.search(r"\bnan\b", text, re.IGNORECASE)
    significant = [sum(one.significant or 0 for one in run.manifest.summary) for run in pair]
    neurons = [sum(one.neurons for one in run.manifest.summary) for run in pair]
    if any(significant):
        assert "1. Composition" in text
        return
    names = [run.manifest.target for run in pair]
    sentence = (
        f"There is nothing to compare: no neuron of {names[0]} (0 of {neurons[0]}) or {names[1]} (0 of {neurons[1]}) "
        "has a significant first label."
    )
    assert " ".join(text.split("\n\n")[1].split()) == sentence
    assert len(text.strip().split("\n\n")) == 2


def test_two_scorers_of_the_same_neurons_are_compared(
    pair: Pair, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    one = pair[1]
    other = rescore(one, scorer=Choice(plugin="cosine-cubed"), output=tmp_path / "other")
    capfd.readouterr()
    print_comparison(mcd.compare([one, other]))
    text = capfd.readouterr().out
    assert not re.search(r"\bnan\b", text, re.IGNORECASE)
    if not any(layer.labelled for layer in one.manifest.summary):
        assert text.endswith("There is nothing to compare: no neuron is labelled by both.\n")
    (path,) = mcd.report([one, other], reporters="markdown", output=tmp_path / "both")
    assert not re.search(r"\bnan\b", path.read_text(), re.IGNORECASE)


def test_a_neuron_that_responds_to_all_images_alike_has_no_top_images(tmp_path: Path) -> None:
    data = mcd.figures.collect(dissected("all dead", tmp_path, controls=False)[:1])
    with pytest.raises(UsageError, match="neuron 1 of 2 has no top images"):
        mcd.figures.top_images(data, [("2", 1)])


REPORTERS = """
import mcd


class Broken(mcd.Reporter):
    class Options(mcd.Options):
        "No settings."

    def report(self, dissection, folder):
        raise KeyError("a layer")


@mcd.hookimpl
def mcd_register_reporters():
    return [mcd.Component("broken", f"{__name__}:Broken", "Fails")]
"""


def test_what_fails_is_named_and_does_not_end_the_others(tmp_path: Path, mcd_command: Mcd) -> None:
    run = dissected("one layer", tmp_path)[0]
    (tmp_path / "broken.py").write_text(REPORTERS)
    out = tmp_path / "out"
    asked = ("--reporter", "broken", "--reporter", "markdown", "--plugin-file", tmp_path / "broken.py")
    done = mcd_command("report", run.folder, *asked, "-o", out)
    assert done.code == 3
    assert "error: reporter broken failed: KeyError: 'a layer'" in done.err
    assert len(list(out.glob("*.md"))) == 1
    assert "written: " in done.out

    again = mcd_command("score", run.folder, *asked, "-o", tmp_path / "again")
    assert again.code == 3
    assert len(list((tmp_path / "again" / "report").glob("*.md"))) == 1

    (run.folder / "evaluation").mkdir()
    (run.folder / "evaluation" / "evaluation.json").write_text("{}")  # damaged
    only = [part for name in ("null", "evaluation", "depth") for part in ("--only", name)]
    for asked_for in ((), only):
        drawn = mcd_command("figures", run.folder, "-o", tmp_path / f"figures{len(asked_for)}", *asked_for)
        assert drawn.code == 4, drawn.err
        assert "evaluation" in drawn.err
        names = {path.name for path in (tmp_path / f"figures{len(asked_for)}").glob("*.png")}
        assert {"null.png", "depth.png"} <= names


def test_next_steps_can_be_copied_and_are_left_out_on_request(tmp_path: Path, mcd_command: Mcd) -> None:
    folder = tmp_path / "a folder"
    study = ("--model-plugin", "phantom-mammo", "--layers", "head", "--dissector", "phantom-clip", "--dataset")
    study += ("phantom:25", "--limit", "8", "--concepts", "phantom", "--scorer-arg", "top_k=2", "--draws", "50")
    study += ("--workers", "0")
    done = mcd_command("dissect", *study, "-o", folder)
    assert done.code == 0, done.err
    steps = re.findall(r"^(?:next:|     ) (.+)$", done.out[done.out.index("next:") :], re.MULTILINE)
    commands = [shlex.split(one) for one in steps]
    assert [one[:2] for one in commands] == [["mcd", "report"], ["mcd", "evaluate"], ["mcd", "figures"]]
    assert all(one[2] == str(folder) for one in commands)
    assert mcd_command(*commands[0][1:]).code == 0
    quiet = mcd_command("dissect", *study, "-o", folder, "--quiet")
    assert quiet.out.splitlines() == [f"run folder: {folder}"]
    with_page = mcd_command("dissect", *study, "-o", folder, "--reporter", "html")
    assert f"next: open '{folder / 'report' / 'explorer.html'}'" in with_page.out


def test_next_steps_know_what_a_scorer_in_a_file_needs(
    tmp_path: Path, mcd_command: Mcd, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a scorer.py").write_text("def score(a, p):\n    return a.T @ p\n")
    (tmp_path / "a plugin.py").write_text("")
    study = ("--model-plugin", "phantom-mammo", "--layers", "head", "--dissector", "phantom-clip", "--dataset")
    study += ("phantom:25", "--limit", "8", "--concepts", "phantom", "--draws", "50", "--workers", "0")
    files = ("--plugin-file", tmp_path / "a plugin.py", "--scorer", f"{tmp_path / 'a scorer.py'}:score")
    done = mcd_command("dissect", *study, *files, "-o", tmp_path / "run")
    assert done.code == 0, done.err
    steps = re.findall(r"^ +(mcd .+)$", done.out[done.out.index("next:") :], re.MULTILINE)
    assert len(steps) == 2
    for one in steps:
        command = shlex.split(one)
        assert command[command.index("--plugin-file") + 1] == str(tmp_path / "a plugin.py")
        assert "if you trust this run" not in mcd_command(*command[1:]).err
