"""Labels of other tools as run folders: what their tables allow is shown, and what is missing is one sentence."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
from tests.conftest import Outcome

import mcd
from mcd.runs.verifying import verify

Run = Callable[..., Outcome]

LABELS = """layer,unit,description,similarity
  conv1,0,mass,0.5
conv1,1,Masses,0.25
conv1,2,=HYPERLINK("x"),0.75
head,0,cyst,nan
head,2,skin fold,0.1
"""


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory, mcd_command: Run) -> Path:
    folder = tmp_path_factory.mktemp("imported")
    (folder / "labels of Anna.csv").write_text(LABELS)
    done = mcd_command("import", "labels of Anna.csv", "--target", "net", "-o", "run", cwd=folder)
    assert done.code == 0, done.err
    return folder / "run"


def test_labels_and_scores_are_as_given(run: Path) -> None:
    found = mcd.load(run)
    first = found.labels[found.labels["rank"] == 1]
    assert first[["layer", "neuron", "concept"]].values.tolist() == [
        ["conv1", 0, "mass"],
        ["conv1", 1, "Masses"],
        ["conv1", 2, '=HYPERLINK("x")'],
        ["head", 0, "cyst"],
        ["head", 2, "skin fold"],
    ]
    assert first["score"].fillna(-1).tolist() == [0.5, 0.25, 0.75, -1, 0.1]
    assert found.labels[["z", "p", "q"]].isna().all(axis=None)
    assert "'=HYPERLINK" in (run / "labels.csv").read_text()  # no spreadsheet runs it
    assert all(one.sound for one in verify(run))


def test_a_neuron_that_no_row_labels_is_unscored(run: Path) -> None:
    found = mcd.load(run)
    assert found.labels.query("layer == 'head' and neuron == 1")["status"].tolist() == ["unscored"]
    assert "layer head: of neurons 0 to 2, 1 are in no row; it may be wider" in found.manifest.warnings
    assert "1 of 5 labels have no finite score" in found.manifest.warnings


def test_the_manifest_says_where_labels_come_from_and_no_path(run: Path) -> None:
    record = json.loads((run / "manifest.json").read_text())
    (file,) = record["imported"]["files"]
    assert (file["format"], file["rows"], len(file["sha256"])) == ("clip-dissect", 5, 64)
    assert record["imported"]["tool"] == "CLIP-Dissect"
    assert "Anna" not in (run / "manifest.json").read_text()


def test_labels_are_looked_up_in_a_concept_set(run: Path, tmp_path: Path, mcd_command: Run) -> None:
    (tmp_path / "words.yaml").write_text(
        "name: words\nbroad_categories: {B: {C: [{term: mass}, {term: wrinkle, synonyms: [skin fold, cysts]}, "
        "{term: bleb, synonyms: [cyst]}]}}\n"
    )
    table = run.parent / "labels of Anna.csv"
    done = mcd_command("import", table, "--concepts", "words.yaml", "-o", "run", cwd=tmp_path)
    assert done.code == 0, done.err
    found = mcd.load(tmp_path / "run")
    first = found.labels[found.labels["rank"] == 1]
    assert first["concept"].tolist() == ["mass", "mass", '=HYPERLINK("x")', "cyst", "wrinkle"]
    assert first["category"].tolist() == ["C", "C", "not in words", "not in words", "C"]
    assert any("cyst: wrinkle or bleb" in one for one in found.manifest.warnings)


def test_the_same_import_again_changes_nothing(run: Path, mcd_command: Run) -> None:
    before = {path.name: path.read_bytes() for path in run.iterdir() if path.is_file()}
    table = run.parent / "labels of Anna.csv"
    assert mcd_command("import", table, "--target", "net", "-o", run).code == 0
    assert {path.name: path.read_bytes() for path in run.iterdir() if path.is_file()} == before
    done = mcd_command("import", table, "--target", "other", "-o", run)
    assert done.code == 2
    assert "is not empty and holds another run or none" in done.err


@pytest.mark.parametrize(
    "command", [("evaluate",), ("score",), ("report", "--reporter", "cards"), ("figures", "--only", "null", "-o", "x")]
)
def test_what_needs_more_than_tables_is_one_message(run: Path, command: tuple[str, ...], mcd_command: Run) -> None:
    done = mcd_command(command[0], run, *command[1:], cwd=run.parent)
    assert done.code in (2, 4)
    assert "were imported" in done.err
    assert "mcd dissect" in done.err
    assert "Traceback" not in done.err


@pytest.mark.parametrize(
    "reporter", ["html", "markdown", "latex", "json", "csv", "csv:published", "console", "parquet"]
)
def test_reporters_show_what_tables_allow(run: Path, reporter: str, tmp_path: Path, mcd_command: Run) -> None:
    done = mcd_command("report", run, "--reporter", reporter, "-o", tmp_path / "out")
    assert done.code == 0, done.err
    said = done.out + "".join(
        path.read_text() for path in (tmp_path / "out").rglob("*") if path.suffix in (".html", ".md", ".tex", ".json")
    )
    assert "0 images" not in said
    assert "n = 0 images" not in said
    if reporter in ("html", "markdown", "latex", "console"):
        assert "labels were imported" in said


def test_a_notebook_shows_an_imported_run(run: Path, tmp_path: Path) -> None:
    found = mcd.load(run)
    assert "The labels were imported" in found._repr_html_()
    assert "0 images" not in found._repr_html_() + repr(found)
    with pytest.raises(mcd.errors.StoreError, match="were imported"):
        found.activations("conv1")
    with pytest.raises(mcd.errors.StoreError, match="were imported"):
        mcd.load(run, scorer="cosine")
    assert mcd.load(found.save(tmp_path / "copy")).labels.equals(found.labels)


def test_figures_of_labels_alone_are_drawn_and_say_so(run: Path, tmp_path: Path, mcd_command: Run) -> None:
    done = mcd_command("figures", run, "--captions", "-o", tmp_path / "out")
    assert done.code == 0, done.err
    assert sorted(path.name for path in (tmp_path / "out").glob("*.png")) == ["emergence.png"]
    caption = (tmp_path / "out" / "emergence.txt").read_text()
    assert "significant or not: they were imported" in caption
    assert "0 images" not in caption
    assert "Patients" not in caption
    assert "have no categories" in " ".join(done.out.split())


def test_equal_labels_are_the_same_beside_other_spellings_of_them(tmp_path: Path, mcd_command: Run) -> None:
    names = {"a": ["dogs", "dog", "cats", "sky"], "b": ["dogs", "dog", "cat", "red"], "c": ["dog", "dog", "cat", "sky"]}
    for name, labels in names.items():
        rows = "".join(f"l,{at},\"['{one}', 'tree']\",[0.5 0.25],[1]\n" for at, one in enumerate(labels))
        (tmp_path / f"{name}.csv").write_text(f"layer,unit,description,similarity,images\n{rows}")
        assert mcd_command("import", f"{name}.csv", "-o", name, cwd=tmp_path).code == 0
    done = mcd_command("compare", "a", "b", "c", "-o", "found", "--top", "2", cwd=tmp_path)
    assert done.code == 0, done.err
    found = pd.read_csv(tmp_path / "found" / "agreement_neurons.csv")
    assert len(found) == 12
    apart = found[~found["same"]]
    assert apart[["neuron", "concept_a", "concept_b"]].values.tolist() == [[3, "sky", "red"], [3, "red", "sky"]]
    assert found["overlap"].tolist() == [1.0 if same else 0.5 for same in found["same"]]


def test_what_may_be_misread_is_said(tmp_path: Path, mcd_command: Run) -> None:
    (tmp_path / "one.csv").write_text("unit,description,similarity\n1,mass,0.3\n2,skin,0.2\n")
    done = mcd_command("import", "one.csv", "--layer", "l", "-o", "one", cwd=tmp_path)
    assert "neurons are numbered 1 to 2: if the tool counts from 1, each is one too high here" in joined(done.out)
    row = "l,0,\"['mass', 'skin', 'sky']\",[0.1 0.3 nan],[1]\nl,1,\"['mass', 'sky']\",[0.3 0.3],[1]"
    (tmp_path / "two.csv").write_text(f"layer,unit,description,similarity,images\n{row}\n")
    done = mcd_command("import", "two.csv", "-o", "two", cwd=tmp_path)
    assert "of 1 neuron a later label has the higher score; ranks are those of the file" in joined(done.out)


def joined(text: str) -> str:
    """Return a text without the breaks of lines."""
    return " ".join(text.split())


def test_labels_are_compared_where_neurons_can_be_paired(run: Path, tmp_path: Path, mcd_command: Run) -> None:
    (tmp_path / "b.csv").write_text(
        "neuron,concept,concept_id,metric\n0,mass,n1,0.9\n1,mass,n1,0.8\n2,cyst,n2,0.7\n3,cyst,n2,0.7\n"
    )
    done = mcd_command("import", "b.csv", "--layer", "head", "-o", "b", cwd=tmp_path)
    assert done.code == 0, done.err
    done = mcd_command("compare", run, "b", "-o", "found", cwd=tmp_path)
    assert done.code == 0, done.err
    table = pd.read_csv(tmp_path / "found" / "agreement_neurons.csv").sort_values("neuron")
    assert table[["layer", "neuron", "concept_a", "concept_b", "same"]].values.tolist() == [
        ["head", 0, "cyst", "mass", False],
        ["head", 2, "skin fold", "cyst", False],
    ]
    notes = (tmp_path / "found" / "notes.txt").read_text()
    assert "layers of net that are compared with none: conv1" in notes
    assert "not known without activations" in notes
    done = mcd_command("compare", run, "b", "--match", "hungarian", cwd=tmp_path)
    assert done.code == 2
    assert "neurons are matched by their activations" in done.err


def test_no_run_is_made_in_an_imported_one(run: Path, mcd_command: Run) -> None:
    made = (
        "--model-plugin",
        "phantom-mammo",
        "--layers",
        "head",
        "--dissector",
        "phantom-clip",
        "--dataset",
        "phantom:1",
    )
    done = mcd_command("dissect", *made, "-o", run)
    assert done.code == 2
    assert "holds labels that were imported" in done.err


def test_files_of_several_layers_become_one_run(tmp_path: Path, mcd_command: Run) -> None:
    for name in ("a", "b"):
        (tmp_path / f"{name}.csv").write_text("neuron,concept,concept_id,metric\n0,mass,n1,0.9\n")
    files = ("import", "a.csv", "b.csv")
    assert mcd_command(*files, "--layer", "x", "--layer", "y", "-o", "run", cwd=tmp_path).code == 0
    assert mcd.load(tmp_path / "run").layers == ["x", "y"]
    done = mcd_command(*files, "--layer", "x", "--layer", "x", "-o", "other", cwd=tmp_path)
    assert (done.code, "layer x is in another of the files too" in done.err) == (4, True)
    done = mcd_command(*files, "--layer", "x", "-o", "other", cwd=tmp_path)
    assert (done.code, "give --layer once for each file" in done.err) == (2, True)


def test_a_folder_and_a_missing_layer_are_refused(tmp_path: Path, mcd_command: Run) -> None:
    done = mcd_command("import", tmp_path, "-o", tmp_path / "run")
    assert done.code == 4
    assert "it is a folder" in done.err
    (tmp_path / "a.csv").write_text("unit,description\n0,mass\n")
    done = mcd_command("import", "a.csv", "-o", "run", cwd=tmp_path)
    assert done.code == 2
    assert "--layer LAYER" in done.err
    (tmp_path / "a.csv").write_text("unit,description\n99999999,mass\n")
    done = mcd_command("import", "a.csv", "--layer", "x", "-o", "run", cwd=tmp_path)
    assert done.code == 4
    assert "would have 100,000,000 neurons" in done.err
    assert not (tmp_path / "run").exists()
