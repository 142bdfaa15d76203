"""What reports say of an evaluation: its numbers, and why there is none where there is none."""

from __future__ import annotations

import csv
import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
from tests.conftest import Outcome
from tests.evaluations import drawn_evaluation, drawn_faithfulness, judged_copy, with_evaluation
from tests.latex import amiss
from tests.plugins.reporters.test_summaries import Rendered, written

import mcd
from mcd.runs.evaluated import EVALUATION
from mcd_plugins.reporters.evaluations import evaluated
from mcd_plugins.reporters.files import CsvReporter, JsonReporter
from mcd_plugins.reporters.latex import LatexReporter

NONE = "No evaluation: how right these labels are was not judged. Type: mcd evaluate RUN"


@pytest.fixture
def copy(hostile: mcd.Dissection, tmp_path: Path) -> mcd.Dissection:
    """A small run of unknown patients, with hostile names."""
    return mcd.load(Path(shutil.copytree(hostile.folder, tmp_path / "copy")))


def cell(row: pd.Series, sign: str = "") -> str:
    value, low, high = (f"{row[name]:{sign}.2f}".replace("-", "−") for name in ("value", "low", "high"))
    return f"{value} ({low} to {high})"


def test_each_measure_stands_beside_every_baseline_with_its_interval(judged: mcd.Dissection, tmp_path: Path) -> None:
    page = Rendered(written(judged, tmp_path))
    found = judged.evaluation
    assert found is not None
    whole = found.summary[found.summary["layer"] == ""].set_index(["against", "measure", "labels"])
    for against in ("annotations", "held-out"):
        values = page.table(f"Evaluation against {against}").set_index("measure")
        gains = page.table(f"First labels less others, against {against}").set_index("measure")
        for name, measure in (("AUPRC", "auprc"), ("MAD (annotated positives)", "mad (annotated positives)")):
            for kind in ("first", "runner-up", "random", "constant", "untrained"):
                assert values.loc[name, kind] == cell(whole.loc[(against, measure, kind)])
                if kind != "first":
                    assert gains.loc[name, kind] == cell(whole.loc[(against, measure, f"first - {kind}")], "+")
        assert values["neurons"].tolist() == ["307"] * 3
    first, random = (whole.loc[("annotations", "auprc", kind)] for kind in ("first", "random"))
    assert (
        "Held against annotations of 12 held-out patients, first labels agree better than random labels of the same "
        f"category: AUPRC {cell(first)} against {random['value']:.2f}" in page.text
    )
    assert "Not shown to be better, by this measure, than: untrained." in page.text
    assert NONE not in page.text


def test_stability_and_images_are_counted_layer_by_layer(judged: mcd.Dissection, tmp_path: Path) -> None:
    page = Rendered(written(judged, tmp_path))
    found = judged.evaluation
    assert found is not None
    stability, images = page.table("Stability of labels"), page.table("Top images of neurons")
    for at, layer in enumerate([*judged.layers, ""]):
        own = found.stability[found.stability["layer"] == layer] if layer else found.stability
        row = stability.iloc[at]
        assert row["layer"] == (layer or "all layers")
        assert row["come back"] == str((own["share"] >= 0.95).sum())
        assert row["median size of set"] == f"{own['size'].median():g}"
        own = found.geometry[found.geometry["layer"] == layer] if layer else found.geometry
        assert images.iloc[at]["clarity"] == f"{own['clarity'].median():.2f}"
    assert "Evaluation: The other dissector judges nothing: no run of it was given." in page.text
    assert "The clarity of images drawn at random is 0.192." in page.text


def test_a_run_that_was_not_evaluated_says_what_to_type(phantom: mcd.Dissection, tmp_path: Path) -> None:
    page = Rendered(written(phantom, tmp_path))
    assert "held-out patients: mcd evaluate RUN" in page.text
    assert not any("valuat" in heading for heading in page.tables)
    assert "held-out patients (mcd evaluate RUN)" in written(phantom, tmp_path, LatexReporter)


@pytest.mark.parametrize("wrong", ["other labels", "a flipped bit", "no record"])
def test_an_evaluation_that_cannot_be_read_is_said_and_the_rest_is_reported(
    copy: mcd.Dissection, tmp_path: Path, wrong: str, mcd_command: Callable[..., Outcome]
) -> None:
    with_evaluation(copy, drawn_evaluation(copy))
    folder = copy.folder / EVALUATION
    record = folder / "evaluation.json"
    if wrong == "other labels":
        record.write_text(json.dumps({**json.loads(record.read_text()), "labels": "0" * 64}))
    elif wrong == "a flipped bit":
        data = bytearray((folder / "summary.parquet").read_bytes())
        data[len(data) // 2] ^= 1
        (folder / "summary.parquet").write_bytes(data)
    else:
        record.write_text("{")
    reporters = [part for name in ("markdown", "latex", "csv", "json", "html") for part in ("--reporter", name)]
    done = mcd_command("report", copy.folder, *reporters, "-o", tmp_path / "out")
    assert done.code == 0, done.err
    assert "note: left out: the evaluation" in done.err
    text = (tmp_path / "out" / "summary.md").read_text(encoding="utf-8")
    page = Rendered(text)
    assert "No evaluation can be shown: RUN/evaluation" in page.text
    assert "Evaluate the run again: mcd evaluate RUN" in page.text
    assert len(page.table("Layers")) == 3
    for path in (tmp_path / "out").rglob("*"):  # no report names a folder
        assert path.is_dir() or str(tmp_path) not in path.read_text(encoding="utf-8"), path
    assert not (tmp_path / "out" / "evaluation.csv").exists()


def test_tables_of_an_evaluation_fit_a_page_with_and_without_numbers(
    copy: mcd.Dissection, judged: mcd.Dissection, tmp_path: Path
) -> None:
    full = replace(drawn_evaluation(copy), faithfulness=drawn_faithfulness(copy, "mass" * 40, "out/put_" * 9))
    texts = [written(with_evaluation(copy, full), tmp_path / "full", LatexReporter)]
    nothing = drawn_evaluation(copy, ["annotations"], known=False, patients=None)
    texts.append(written(with_evaluation(copy, nothing), tmp_path / "nothing", LatexReporter))
    texts.append(written([judged, mcd.load(copy.folder)], tmp_path / "several", LatexReporter, bootstrap=0))
    assert all("tab:mcd-evaluation" in one for one in texts)
    assert amiss(*texts) == []


def test_where_no_label_could_be_judged_no_number_is_made_up(copy: mcd.Dissection, tmp_path: Path) -> None:
    page = Rendered(written(with_evaluation(copy, drawn_evaluation(copy, ["annotations"], known=False)), tmp_path))
    assert "Held against annotations of 12 held-out patients: no label could be judged." in page.text
    values = page.table("Evaluation against annotations")
    assert set(values.drop(columns=["measure", "neurons"]).to_numpy().ravel()) == {"–"}


def test_one_measure_and_images_of_unknown_patients_are_enough(copy: mcd.Dissection, tmp_path: Path) -> None:
    drawn = drawn_evaluation(copy, ["truth"], ["recovered"], patients=None)
    bare = replace(
        drawn,
        summary=drawn.summary[drawn.summary["labels"] == "first"].assign(low=float("nan"), high=float("nan")),
        neurons=pd.DataFrame(),
        stability=pd.DataFrame(),
        geometry=pd.DataFrame(),
    )
    page = Rendered(written(with_evaluation(copy, bare), tmp_path))
    table = page.table("Evaluation against truth")
    assert list(table.columns) == ["measure", "first", "neurons"]
    assert "on 48 held-out images, first labels have truth recovered" in page.text
    assert "First labels less others, against truth" not in page.tables
    assert "Stability of labels" not in page.tables


@pytest.mark.parametrize(
    ("gain", "said"),
    [
        ((0.1, 0.02, 0.2), "agree better than random labels"),
        ((-0.1, -0.2, -0.02), "agree less than random labels"),
        ((0.1, -0.02, 0.2), "cannot be distinguished from random labels"),
        ((0.1, float("nan"), float("nan")), "; there is no interval."),
    ],
)
def test_the_sentence_claims_no_more_than_the_interval_shows(
    copy: mcd.Dissection, gain: tuple[float, float, float], said: str
) -> None:
    drawn = drawn_evaluation(copy, ["annotations"], ["auprc"])
    table = drawn.summary.copy()
    table.loc[table["labels"] == "first - random", ["value", "low", "high"]] = gain
    (judged,) = evaluated(with_evaluation(copy, replace(drawn, summary=table))).judged
    assert said in judged.finding
    assert ("better than random" in judged.finding) == (gain[1] > 0)


def test_names_that_no_evaluation_writes_are_text_and_nothing_else(copy: mcd.Dissection, tmp_path: Path) -> None:
    drawn = drawn_evaluation(copy, ["<script>x_1</script>"], ["\\input{x} | y"])
    odd = drawn_faithfulness(copy, "*a*", "<b>x")
    run = with_evaluation(copy, replace(drawn, faithfulness=odd))
    text = written(run, tmp_path)
    page = Rendered(text)
    assert not page.elements & {"script", "img", "b", "em"}
    assert page.table("Evaluation against <script>x_1</script>")["measure"].tolist() == ["\\input{x} | y"]
    assert page.table("Faithfulness")[["concept", "output"]].values.tolist() == [["*a*", "–"], ["*a*", "<b>x"]]
    tables = written(run, tmp_path, LatexReporter)
    assert "\\label{tab:mcd-evaluation-script-x-1-script}" in tables
    assert "\\input" not in "".join(line for line in tables.splitlines() if line[:1] != "%")
    assert "\\footnotesize" in tables


def test_an_ablated_group_stands_beside_random_groups(copy: mcd.Dissection, tmp_path: Path) -> None:
    table = drawn_faithfulness(copy)
    run = with_evaluation(copy, replace(drawn_evaluation(copy), faithfulness=table))
    moved, changed = Rendered(written(run, tmp_path)).table("Faithfulness").to_dict("records")
    assert (moved["concept"], moved["neurons"], moved["measure"]) == ("mass", "3", "moved, all outputs")
    assert moved["named"] == "0.50 (0.25 to 0.75)"
    assert moved["random"] == "0.10 (0.05 to 0.20)"
    assert (moved["p"], moved["q"]) == ("0.048", "0.25")
    assert (changed["named"], changed["q"]) == ("−0.50 (−0.25 to −0.75)", "–")
    many = [table.iloc[:1].assign(output=f"{at}", measure="moved", p=1 - at / 60) for at in range(60)]
    many = pd.concat([*many, table.iloc[:1]])
    run = with_evaluation(copy, replace(drawn_evaluation(copy), faithfulness=many))
    page = Rendered(written(run, tmp_path))
    shown = page.table("Faithfulness")
    assert shown["output"].tolist() == ["–", *(str(at) for at in range(59, 40, -1))]  # all outputs, then smallest p
    assert "41 more rows are in evaluation/faithfulness.csv of the run." in page.text


def test_labels_that_could_not_be_judged_are_counted(copy: mcd.Dissection) -> None:
    drawn = drawn_evaluation(copy, ["annotations"])
    count = int(drawn.summary["neurons"].iloc[0])
    record = drawn.record.model_copy(update={"labelled": count + 3})
    (judged,) = evaluated(with_evaluation(copy, replace(drawn, record=record))).judged
    assert judged.finding.endswith(f" {count} of {count + 3} labels could be judged.")
    (judged,) = evaluated(with_evaluation(copy, drawn)).judged
    assert "could be judged" not in judged.finding


def test_several_runs_stand_side_by_side_measure_by_measure(
    phantom: mcd.Dissection, judged: mcd.Dissection, tmp_path: Path
) -> None:
    other = judged_copy(phantom, tmp_path / "other", against=["annotations"])
    page = Rendered(written([judged, other, phantom], tmp_path, bootstrap=0))
    table = page.table("Evaluation against annotations")
    assert table[["run", "measure"]].values.tolist()[:3] == [
        ["A", "Pearson correlation"],
        ["B", "Pearson correlation"],
        ["A", "AUPRC"],
    ]
    assert set(page.table("Evaluation against held-out")["run"]) == {"A"}
    assert "held-out patients: mcd evaluate RUN" in page.text  # of C
    assert set(page.table("Stability of labels")["run"]) == {"A", "B"}


def test_csv_and_json_have_the_means_or_say_that_there_are_none(
    copy: mcd.Dissection, hostile: mcd.Dissection, tmp_path: Path
) -> None:
    found = drawn_evaluation(copy)
    judged = with_evaluation(copy, found)
    labels, means = CsvReporter(CsvReporter.Options()).report(judged, tmp_path)
    rows = list(csv.DictReader(means.read_text(encoding="utf-8").splitlines()))
    assert labels.name == "labels.csv"
    assert [float(row["value"]) for row in rows] == pytest.approx(found.summary["value"].tolist(), rel=1e-6)
    assert CsvReporter(CsvReporter.Options()).report(hostile, tmp_path) == [tmp_path / "labels.csv"]
    (path,) = JsonReporter(JsonReporter.Options()).report(judged, tmp_path)
    content = json.loads(path.read_text(encoding="utf-8"))["evaluation"]
    assert content["against"] == ["annotations", "held-out"]
    assert [one["value"] for one in content["means"]] == pytest.approx(found.summary["value"].tolist())
    assert content["problems"] == ["The other dissector judges nothing: no run of it was given."]
    (path,) = JsonReporter(JsonReporter.Options()).report(hostile, tmp_path)
    assert json.loads(path.read_text(encoding="utf-8"))["evaluation"] == {"missing": NONE}
