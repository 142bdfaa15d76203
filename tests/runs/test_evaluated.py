"""An evaluation in a run folder: read back as written, refused where it is damaged or of other labels."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
from tests.conftest import Outcome

import mcd
from mcd.errors import DamagedError, StoreError, UsageError
from mcd.runs.evaluated import EVALUATION, Evaluation, EvaluationRecord, labels_digest

RUN = (
    *("--model-plugin", "phantom-mammo", "--layers", "head", "--dataset", "phantom:20"),
    *("--dissector", "phantom-clip", "--concepts", "phantom", "--scorer", "cosine", "--draws", "0"),
    *("--device", "cpu", "--workers", "0"),
)
SUMMARY = pd.DataFrame(
    {
        "against": ["annotations", "annotations"],
        "layer": ["", "head"],
        "measure": ["pearson", "pearson"],
        "labels": ["first", "first - random"],
        "value": [0.5, 0.25],
        "low": [0.25, float("nan")],
        "high": [0.75, float("nan")],
        "neurons": [3, 2],
        "units": [10, 10],
    }
)
STABILITY = pd.DataFrame(
    {
        "layer": ["head"],
        "neuron": [0],
        "concept": ["=mass"],
        "share": [0.75],
        "set": ["=mass; density"],
        "size": [2],
        "coverage": [1.0],
        "certain": [False],
    }
)


@pytest.fixture(scope="module")
def made(mcd_command: Callable[..., Outcome], tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder: Path = tmp_path_factory.mktemp("evaluated") / "run"
    done = mcd_command("dissect", *RUN, "--output", folder)
    assert done.code == 0, done.err
    return folder


@pytest.fixture
def run(made: Path, tmp_path: Path) -> mcd.Dissection:
    return mcd.load(Path(shutil.copytree(made, tmp_path / "run")))


def evaluation(run: mcd.Dissection, **tables: pd.DataFrame) -> Evaluation:
    record = EvaluationRecord(
        labels=labels_digest(run.folder, run.manifest), against=["annotations"], problems=["no patient is known"]
    )
    return Evaluation(record, **tables)


def written(run: mcd.Dissection, **tables: pd.DataFrame) -> Path:
    evaluation(run, **tables).write(run.folder / EVALUATION)
    return run.folder / EVALUATION


def test_a_run_that_was_not_evaluated_has_no_evaluation(run: mcd.Dissection) -> None:
    assert run.evaluation is None


def test_an_evaluation_is_read_back_as_it_was_written(run: mcd.Dissection) -> None:
    written(run, summary=SUMMARY, stability=STABILITY)
    found = mcd.load(run.folder).evaluation
    assert found is not None
    pd.testing.assert_frame_equal(found.summary, SUMMARY)
    pd.testing.assert_frame_equal(found.stability, STABILITY)
    assert found.problems == ["no patient is known"]
    assert found.record.against == ["annotations"]
    assert sorted(found.tables()) == ["stability", "summary"]
    assert len(found.geometry) == len(found.faithfulness) == 0


def test_no_text_of_its_csv_is_a_formula(run: mcd.Dissection) -> None:
    folder = written(run, stability=STABILITY)
    assert "'=mass; density" in (folder / "stability.csv").read_text()
    assert "\n=" not in (folder / "stability.csv").read_text()


def test_an_evaluation_of_other_labels_is_refused(run: mcd.Dissection) -> None:
    written(run, summary=SUMMARY)
    path = run.folder / EVALUATION / "evaluation.json"
    record = json.loads(path.read_text())
    path.write_text(json.dumps({**record, "labels": "0" * 64}))
    with pytest.raises(StoreError, match="labels that the run no longer has") as caught:
        _ = run.evaluation
    assert "mcd evaluate RUN" in caught.value.hint


def test_a_flipped_bit_is_found_and_its_file_named(run: mcd.Dissection) -> None:
    path = written(run, summary=SUMMARY) / "summary.parquet"
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    with pytest.raises(DamagedError, match=r"summary\.parquet") as caught:
        _ = run.evaluation
    assert "mcd evaluate RUN" in caught.value.hint


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        (SUMMARY.drop(columns="low"), "no column 'low'"),
        (SUMMARY.assign(layer=[None, "head"]), "'layer' holds something else than texts"),
        (SUMMARY.assign(layer="elsewhere"), "a layer that the run does not have"),
        (SUMMARY.assign(value="many"), "'value' holds something else than numbers"),
        (SUMMARY.assign(units=-1), "'units' holds a negative number"),
        (pd.concat([SUMMARY, SUMMARY]), "a row stands there twice"),
    ],
)
def test_a_table_that_no_evaluation_writes_is_named(run: mcd.Dissection, changed: pd.DataFrame, said: str) -> None:
    written(run, summary=changed)
    with pytest.raises(StoreError, match=said):
        _ = run.evaluation


def test_a_neuron_that_the_layer_does_not_have_is_refused(run: mcd.Dissection) -> None:
    written(run, stability=STABILITY.assign(neuron=10_000))
    with pytest.raises(StoreError, match="a neuron that its layer does not have"):
        _ = run.evaluation


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"schema": "mcd.evaluation/9"}', '{"schema": "mcd.study/1"}', "{"])
def test_a_record_that_is_none_is_one_sentence(run: mcd.Dissection, text: str) -> None:
    (run.folder / EVALUATION).mkdir()
    (run.folder / EVALUATION / "evaluation.json").write_text(text)
    with pytest.raises(StoreError, match=r"evaluation\.json"):
        _ = run.evaluation


def test_an_evaluation_with_fewer_tables_leaves_none_of_the_one_before(run: mcd.Dissection) -> None:
    folder = written(run, summary=SUMMARY, stability=STABILITY)
    (folder / "mine.csv").write_text("mine")
    written(run, summary=SUMMARY)
    assert sorted(path.name for path in folder.iterdir() if path.name[0] != ".") == [
        "evaluation.json",
        "mine.csv",
        "summary.csv",
        "summary.parquet",
    ]


def test_a_file_that_somebody_changed_is_not_replaced(run: mcd.Dissection) -> None:
    folder = written(run, summary=SUMMARY)
    (folder / "summary.csv").write_text("my notes")
    with pytest.raises(UsageError, match=r"summary\.csv is in the way"):
        written(run, summary=SUMMARY.assign(value=0.0))
    assert (folder / "summary.csv").read_text() == "my notes"


def test_verifying_a_run_looks_at_its_evaluation_too(run: mcd.Dissection, mcd_command: Callable[..., Outcome]) -> None:
    folder = written(run, summary=SUMMARY)
    assert mcd_command("runs", "verify", run.folder).code == 0
    (folder / "summary.csv").write_text("against\n")
    done = mcd_command("runs", "verify", run.folder)
    assert done.code == 4
    assert f"{folder / 'summary.csv'}: differs" in done.out
    (folder / "summary.csv").unlink()
    (folder / "evaluation.json").write_text("{}")
    done = mcd_command("runs", "verify", run.folder)
    assert done.code == 4
    assert "evaluation.json" in done.out
