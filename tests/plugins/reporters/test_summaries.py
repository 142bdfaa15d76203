"""The reporters ``markdown`` and ``latex``: the run's numbers, what may not be concluded, nothing taken for markup."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pandas as pd
import pytest
from markdown_it import MarkdownIt
from tests.conftest import Outcome
from tests.plugins.explorer.conftest import HOSTILE

import mcd
from mcd.plugins import latex_text as in_latex
from mcd.runs.rescore import rescore
from mcd.scoring.verdicts import SIGNIFICANT
from mcd.study.study import Choice
from mcd.study.wording import Wording
from mcd_plugins.reporters.latex import LatexReporter
from mcd_plugins.reporters.markdown import MarkdownReporter
from mcd_plugins.reporters.markdown import escaped as in_markdown

Runs = mcd.Dissection | list[mcd.Dissection]


def written(runs: Runs, folder: Path, reporter: type[mcd.Reporter] = MarkdownReporter, **options: object) -> str:
    made = reporter(reporter.Options.model_validate(options))
    folder.mkdir(parents=True, exist_ok=True)
    (path,) = made.report_several(runs, folder) if isinstance(runs, list) else made.report(runs, folder)
    return path.read_text(encoding="utf-8")


class Rendered(HTMLParser):
    """Markdown as a reader sees it: elements, text, and tables by the heading above them."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: set[str] = set()
        self.text = ""
        self.tables: dict[str, list[list[str]]] = {}
        self._heading = ""
        self._inside = ""
        self.feed(MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"]).render(text))

    def handle_starttag(self, tag: str, attrs: object) -> None:
        self.elements.add(tag)
        self._inside = tag
        if tag in ("h1", "h2"):
            self._heading = ""
        if tag == "tr":
            self.tables.setdefault(self._heading, []).append([])
        if tag in ("td", "th"):
            self.tables[self._heading][-1].append("")

    def handle_endtag(self, tag: str) -> None:
        self._inside = ""

    def handle_data(self, data: str) -> None:
        data = data.replace("\u200b", "")
        self.text += data
        if self._inside in ("h1", "h2"):
            self._heading += data
        if self._inside in ("td", "th"):
            self.tables[self._heading][-1][-1] += data

    def table(self, heading: str) -> pd.DataFrame:
        header, *rows = self.tables[heading]
        return pd.DataFrame(rows, columns=header)


def first_above(run: mcd.Dissection) -> pd.DataFrame:
    labels = run.labels
    return labels[(labels["rank"] == 1) & labels["verdict"].isin(SIGNIFICANT)]


def shouted(run: mcd.Dissection) -> mcd.Dissection:
    """Return a run of which every first label is significant, so that all its names are shown."""
    labels = run.labels.assign(verdict=run.labels["verdict"].where(run.labels["verdict"] == "", "significant"))
    return mcd.Dissection(run.folder, run.manifest, replace(run.results, labels=labels))


def test_a_summary_counts_what_the_labels_say(phantom: mcd.Dissection, tmp_path: Path) -> None:
    page = Rendered(written(phantom, tmp_path))
    above = first_above(phantom)
    layers = page.table("Layers").set_index("layer")
    for record in phantom.manifest.layers:
        own = above[above["layer"] == record.name]
        row = layers.loc[record.name]
        assert row["neurons"] == str(record.neurons)
        assert row["significant"] == str(len(own))
        assert row["share"] == f"{len(own) / record.neurons:.0%}"
        best = own["concept"].value_counts()
        assert row["most frequent concepts"].startswith(f"{min(best.index[best == best.max()])} ({best.max()}), ")
    assert layers.loc["all layers", "significant"] == str(len(above))
    clearest = page.table("Clearest neurons")
    head = clearest[clearest["layer"] == "head"]
    expected = above[above["layer"] == "head"].sort_values("z", ascending=False).head(3)
    assert head["neuron"].tolist() == expected["neuron"].astype(str).tolist()
    assert head["concept"].tolist() == expected["concept"].tolist()


def test_how_far_labels_get_is_counted_and_what_is_not_available_says_why(
    phantom: mcd.Dissection, tmp_path: Path
) -> None:
    page = Rendered(written(phantom, tmp_path))
    shown = page.table("How far labels get").set_index("rung")
    first = first_above(phantom)
    assert shown.loc["depends on the image", "neurons"] == str(len(first))
    labels = phantom.labels[phantom.labels["rank"] == 1]
    for rung, column in (("beyond nuisances", "q_nuisance"), ("right", "q_right")):
        row = shown.loc[rung]
        if phantom.manifest.rungs[rung]:
            assert row["meaning"] == f"not available: {phantom.manifest.rungs[rung]}"
            continue
        assert row["neurons"] == str((labels[column] <= 0.05).sum())
        testable = int(first[column].notna().sum())
        if testable < len(first):
            assert f"{testable} of {len(first)} labels can be tested" in row["meaning"]
    manifest = phantom.manifest.model_copy(update={"rungs": {"right": "nothing is annotated"}})
    without = mcd.Dissection(phantom.folder, manifest, phantom.results)
    row = Rendered(written(without, tmp_path)).table("How far labels get").set_index("rung").loc["right"]
    assert row["neurons"] == "–"
    assert row["meaning"] == "not available: nothing is annotated"


def test_labels_that_are_not_mammographic_are_counted(phantom: mcd.Dissection, tmp_path: Path) -> None:
    above = first_above(phantom)
    foreign = above.index[above["layer"] == "stages.2"][:14]
    labels = phantom.labels.copy()
    labels.loc[foreign, "verdict"] = "not mammographic"
    changed = mcd.Dissection(phantom.folder, phantom.manifest, replace(phantom.results, labels=labels))
    page = Rendered(written(changed, tmp_path))
    shown = page.table("Layers").set_index("layer")["mammographic"]
    assert shown["stages.2"] == f"{1 - 14 / (above['layer'] == 'stages.2').sum():.0%}"
    assert shown["stages.3"] == "100%"
    assert "; 14 do not describe the breast." in page.text


def test_shares_of_categories_stand_beside_those_of_the_vocabulary(phantom: mcd.Dissection, tmp_path: Path) -> None:
    table = Rendered(written(phantom, tmp_path)).table("Broad categories").set_index("broad category")
    above = first_above(phantom)
    for name, row in table.iterrows():
        assert row["neurons"] == str((above["broad_category"] == name).sum())
    assert table["concepts"].astype(int).sum() == 43
    assert table.loc["Findings and characterisation", "of the vocabulary"] == f"{30 / 43:.0%}"


def test_what_a_run_rests_on_and_does_not_say_is_in_its_summary(
    phantom: mcd.Dissection, hostile: mcd.Dissection, tmp_path: Path
) -> None:
    text = Rendered(written(phantom, tmp_path / "a")).text
    for said in (
        "Probe set: phantom",
        "Images (n): 100",
        "Patients: 25",
        "Top images (k): 100",
        "Scorer: soft-wpmi",
        "patients permuted, ",
        "False discovery rate (q): 0.05",
        "never scores",
        phantom.manifest.warnings[0],
        f"torch {phantom.manifest.versions['torch']}",
    ):
        assert said in text
    assert "Only 100 images" not in text
    few = Rendered(written(hostile, tmp_path / "b")).text
    assert "Only 24 images" in few
    assert "Patients are not known" in few
    caption = written(hostile, tmp_path / "c", LatexReporter)
    assert "n = 24 images, patients not known." in caption
    assert "% Only 24 images" in caption


def test_controls_are_shown_where_they_were_run(phantom: mcd.Dissection, tmp_path: Path) -> None:
    assert "Negative controls" not in written(phantom, tmp_path)
    rows = [
        ["none", "a", 20, 20, 10, 10, 5, 4.0],
        ["none", "b", 20, 20, 10, 5, 5, 2.0],
        ["random weights", "a", 20, 20, 1, 1, 1, 1.0],
        ["random weights", "b", 20, 0, 0, 0, 0, None],
        ["random dissector", "a", 20, 0, 0, 0, 0, None],
    ]
    names = ["control", "layer", "neurons", "labelled", "significant", "mammographic", "concepts", "mean_z"]
    results = replace(phantom.results, controls=pd.DataFrame(rows, columns=names))
    controlled = mcd.Dissection(phantom.folder, phantom.manifest, results)
    table = Rendered(written(controlled, tmp_path)).table("Negative controls")
    assert table.iloc[0].tolist() == ["this run", "40", "20", "50%", "75%", "3.00"]
    assert table.iloc[1].tolist() == ["random weights", "40", "1", "2%", "100%", "1.00"]
    assert table.iloc[2].tolist() == ["random dissector", "20", "0", "0%", "–", "–"]  # no label, so no z
    assert "random weights & 40 & 1 & 2\\%" in written(controlled, tmp_path, LatexReporter)


@pytest.mark.parametrize(
    "text",
    [
        *HOSTILE,
        "a|b",
        "`rm -rf`",
        "**bold** _it_ ~~no~~",
        "[x](http://x.y)",
        "![x](y.png)",
        "# 1",
        "1. one",
        "- item",
        "---",
        "===",
        "$x^2$",
        "\\",
        "&lt;b&gt;",
        "<!-- gone -->",
        "layer_1.conv*2",
        "2.5",
        "-3",
        "&copy;",
    ],
)
def test_no_text_is_taken_for_markup(text: str) -> None:
    cell = Rendered(f"## t\n\n| a |\n|---|\n| {in_markdown(text)} |\n")
    assert cell.table("t").iloc[0, 0] == " ".join(text.split())
    assert cell.elements <= {"h2", "table", "thead", "tbody", "tr", "th", "td"}
    for place in (in_markdown(text), f"- {in_markdown(text)}"):
        shown = Rendered(place)
        assert shown.text.strip() == " ".join(text.split())
        assert shown.elements <= {"p", "ul", "li"}


def test_nobody_is_notified_and_nothing_linked() -> None:
    made = in_markdown("@octocat see #12, GH www.evil.example and https://evil.example")
    assert not re.search(r"@\w|#\d|www\.|[a-z]://", made.replace("&#8203;", "\u200b"))
    assert "\n" not in in_markdown("two\nlines\r\x00\u2028end")


def test_hostile_names_are_text_in_a_whole_summary(hostile: mcd.Dissection, tmp_path: Path) -> None:
    text = written(shouted(hostile), tmp_path)
    page = Rendered(text)
    assert page.elements <= {"h1", "h2", "p", "strong", "code", "table", "thead", "tbody", "tr", "th", "td", "ul", "li"}
    shown = set(page.table("Clearest neurons")["concept"])
    assert shown
    assert shown <= set(HOSTILE)
    assert "</script>" in page.table("Layers")["layer"].tolist()
    assert "Jane" not in text
    assert str(tmp_path.parent) not in text


@pytest.mark.parametrize(
    ("text", "set_as"),
    [
        ("50% of a_b & c#1", "50\\% of a\\_b \\& c\\#1"),
        ("\\input{/etc/passwd}", "\\textbackslash{}input\\{/etc/passwd\\}"),
        (
            '$x^2$ ~ "q" `t`',
            "\\$x\\textasciicircum{}2\\$ \\textasciitilde{} \\texttt{\\char34}q\\texttt{\\char34} "
            "\\textasciigrave{}t\\textasciigrave{}",
        ),
        ("a--b, c - d ---", "a-{}-b, c - d -{}-{}-"),
        ("[2pt] *", "{[}2pt{]} {*}"),
        ("<b>|", "\\textless{}b\\textgreater{}\\textbar{}"),
        ("one\nline % no comment", "one line \\% no comment"),
        ("−3 · 5–6", "$-$3 \\textperiodcentered{} 5--6"),
    ],
)
def test_latex_sets_a_text_as_it_is(text: str, set_as: str) -> None:
    assert in_latex(text) == set_as


def test_latex_tables_are_whole(hostile: mcd.Dissection, phantom: mcd.Dissection, tmp_path: Path) -> None:
    text = written(shouted(hostile), tmp_path, LatexReporter)
    code = "\n".join(line for line in text.splitlines() if not line.startswith("%"))
    plain = re.sub(r"\\[\\{}$&#_%]", "", code.replace("\\\\\n", "\n").replace("$\\leq$", ""))
    assert plain.count("{") == plain.count("}")
    assert not re.search(r"[$#%~^<>|\"`_]", plain)
    found = re.findall(r"\\begin\{tabular\}\{(.*?)\}\n\\toprule\n(.*?)\\bottomrule", code, re.DOTALL)
    assert len(found) == 4
    for columns, body in found:
        width = len(re.sub(r"p\{[\d.]+\\linewidth\}?", "p", columns))
        rows = [line for line in body.splitlines() if line != "\\midrule"]
        assert all(line.endswith((" \\\\", " \\tabularnewline")) for line in rows)
        assert {len(re.findall(r"(?<!\\)&", line)) for line in rows} == {width - 1}
    labels = re.findall(r"\\label\{(.*?)\}", text)
    assert labels == ["tab:mcd-layers", "tab:mcd-categories", "tab:mcd-rungs", "tab:mcd-neurons"]
    assert "\\documentclass" not in text
    tables = re.sub(r"\\ragged(left|right) ", "", written(phantom, tmp_path, LatexReporter))
    head = next(line for line in tables.splitlines() if line.startswith("head & "))
    own = first_above(phantom)
    assert head.startswith(f"head & 11 & {(own['layer'] == 'head').sum()} & ")


def test_two_models_stand_side_by_side_with_intervals(two_models: list[mcd.Dissection], tmp_path: Path) -> None:
    text = written(two_models, tmp_path, bootstrap=30)
    page = Rendered(text)
    layers = page.table("Layers")
    assert layers["run"].tolist() == ["A", "B"]
    counts = [len(first_above(run)) for run in two_models]
    assert layers["significant"].tolist() == [str(one) for one in counts]
    assert all(re.fullmatch(r"\d+% \(\d+ to \d+\)", one) for one in layers["share"])
    differences = page.table("Differences from A").set_index("measure")
    neurons = [run.manifest.layers[0].neurons for run in two_models]
    more = 100 * (counts[1] / neurons[1] - counts[0] / neurons[0])
    shown = differences.loc["significant", "difference"].replace("−", "-")
    assert re.fullmatch(r"[+-]\d+ \([+-]\d+ to [+-]\d+\)", shown)
    assert int(shown.split()[0]) == round(more)
    assert page.tables["What it rests on"][0] == ["", "A", "B"]
    assert "\\label{tab:mcd-differences}" in written(two_models, tmp_path, LatexReporter, bootstrap=0)


def test_runs_that_cannot_be_compared_say_why_and_name_no_folder(
    phantom: mcd.Dissection, two_models: list[mcd.Dissection], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = written([phantom, two_models[1]], tmp_path)
    page = Rendered(text)
    assert "A and B: Their scorers or scorer settings differ" in page.text
    assert "Differences were not computed" in page.text
    assert not any(heading.startswith("Differences") for heading in page.tables)
    assert str(phantom.folder) not in text
    assert "note: no differences" in capsys.readouterr().err
    assert set(page.table("Layers")["run"]) == {"A", "B"}


def test_other_words_for_the_same_concepts_are_a_caution_other_concepts_say_it_once(
    two_models: list[mcd.Dissection], tmp_path: Path
) -> None:
    other = two_models[1]
    worded = rescore(other, prompts=Wording(templates=("a drawing of {concept}",)), output=tmp_path / "worded")
    reworded = written([two_models[0], worded], tmp_path / "a")
    assert "due to the wording" in reworded
    assert "concept sets differ" not in reworded
    (tmp_path / "w.txt").write_text("mass\nbreast implant\n")
    fewer = rescore(other, concepts=[Choice(plugin=str(tmp_path / "w.txt"))], output=tmp_path / "fewer")
    text = written([two_models[0], fewer], tmp_path / "b")
    assert "concept sets differ" in text
    assert "due to the wording" not in text


def test_the_same_run_makes_the_same_bytes(phantom: mcd.Dissection, tmp_path: Path) -> None:
    for reporter in (MarkdownReporter, LatexReporter):
        assert written(phantom, tmp_path / "a", reporter) == written(phantom, tmp_path / "b", reporter)


def test_a_run_shared_without_private_still_has_a_summary(
    phantom: mcd.Dissection, tmp_path: Path, mcd_command: Callable[..., Outcome]
) -> None:
    shutil.copytree(phantom.folder, tmp_path / "run", ignore=shutil.ignore_patterns("private"))
    done = mcd_command(
        "report",
        tmp_path / "run",
        "--reporter",
        "markdown",
        "--reporter",
        "latex",
        "--reporter-arg",
        "markdown.neurons=0",
    )
    assert done.code == 0, done.err
    page = Rendered((tmp_path / "run" / "report" / "summary.md").read_text(encoding="utf-8"))
    assert "Patients: not known" in page.text
    assert "Clearest neurons" not in page.tables
    assert (tmp_path / "run" / "report" / "tables.tex").exists()
