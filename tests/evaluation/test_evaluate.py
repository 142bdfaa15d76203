"""Whole runs evaluated: what a user sees, what is stored, and runs that leave little to judge."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
from tests.conftest import Outcome
from tests.evaluations import whole

import mcd
from mcd.errors import DataError, UnknownNameError, UsageError
from mcd.runs.evaluated import MEASURES

FEW = {"draws": 0}


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> mcd.Dissection:
    """Phantoms of 24 patients, 96 images."""
    return mcd.dissect(
        "phantom-mammo",
        layers=["stages.3", "head"],
        dissector="phantom-clip",
        dataset="phantom:24",
        concepts="phantom",
        scorer={"plugin": "soft-wpmi", "options": {"top_k": 15}},
        calibration=FEW,
        device="cpu",
        workers=0,
        output=tmp_path_factory.mktemp("evaluate") / "run",
        progress=False,
    )


@pytest.fixture(scope="module")
def found(run: mcd.Dissection) -> mcd.Evaluation:
    return mcd.evaluate(run, against=["annotations", "held-out", "truth"], draws=20)


def test_labels_of_phantoms_are_better_than_baselines_whatever_judges(found: mcd.Evaluation) -> None:
    for against in ("annotations", "held-out", "truth"):
        means = whole(found, against)
        assert (means["first"] > means["random"]).all()
        assert (means["first"] > means["constant"]).all()
    assert set(found.summary["measure"]) == set(MEASURES)
    assert (whole(found, "annotations")["first - random"] > 0).all()


def test_intervals_are_over_held_out_patients_and_surround_the_mean(found: mcd.Evaluation) -> None:
    table = found.summary
    assert (table["units"] == 12).all()
    assert (found.record.held_out_patients, found.record.held_out_images) == (12, 48)
    assert (table["low"] <= table["value"]).all()
    assert (table["value"] <= table["high"]).all()
    assert (table["high"] > table["low"]).mean() > 0.9


def test_the_summary_is_the_mean_of_its_neurons(found: mcd.Evaluation) -> None:
    own = found.neurons.groupby(["against", "layer", "measure", "labels"])["value"].agg(["mean", "size"])
    table = found.summary[(found.summary["layer"] != "") & ~found.summary["labels"].str.contains(" - ")]
    for row in table.itertuples():
        mean, size = own.loc[(row.against, row.layer, row.measure, row.labels)]
        assert (row.value, row.neurons) == (pytest.approx(mean, abs=1e-6), size)


def test_five_percent_of_the_units_tune_and_are_not_judged_by_it(found: mcd.Evaluation) -> None:
    first = found.neurons[(found.neurons["against"] == "held-out") & (found.neurons["labels"] == "first")]
    count = first.groupby("measure").size()
    assert count["f1"] == count["iou"] == count["pearson"] - round(0.05 * count["pearson"])


def test_it_is_stored_in_the_run_and_read_back(run: mcd.Dissection, found: mcd.Evaluation) -> None:
    again = mcd.load(run.folder).evaluation
    assert again is not None
    for name, table in found.tables().items():
        pd.testing.assert_frame_equal(again.tables()[name], table)
    assert again.record.against == ["annotations", "held-out", "truth"]


def test_the_same_seed_gives_the_same_bytes_and_another_one_other_halves(
    run: mcd.Dissection, found: mcd.Evaluation, tmp_path: Path
) -> None:
    again = mcd.evaluate(run.folder, against=["truth", "held-out", "annotations"], draws=20, output=tmp_path / "a")
    pd.testing.assert_frame_equal(again.summary, found.summary)
    other = mcd.evaluate(run, against="truth", draws=0, seed=1, output=tmp_path / "b")
    assert whole(other, "truth")["first"].tolist() != whole(found, "truth")["first"].tolist()


def test_stability_is_of_the_labels_of_the_run(run: mcd.Dissection, found: mcd.Evaluation) -> None:
    labels = run.labels[run.labels["rank"] == 1].set_index(["layer", "neuron"])["concept"]
    table = found.stability.set_index(["layer", "neuron"])
    assert table["concept"].to_dict() == labels.to_dict()
    assert table["share"].mean() > 0.3
    assert (table["coverage"] >= 0.95).all()
    assert (table["certain"] == ((table["size"] == 1) & (table["set"] == table["concept"]))).all()


def test_the_images_of_neurons_are_more_alike_than_images_drawn_at_random(found: mcd.Evaluation) -> None:
    said = float(found.record.notes[0].rsplit(" ", 1)[1])
    assert found.geometry["clarity"].mean() > said
    assert found.geometry["redundancy"].between(-1, 1 + 1e-6).all()


def test_without_draws_there_are_neither_intervals_nor_stability(run: mcd.Dissection, tmp_path: Path) -> None:
    found = mcd.evaluate(run, draws=0, output=tmp_path)
    assert found.summary[["low", "high"]].isna().all(axis=None)
    assert not len(found.stability)
    assert any("no draws" in one for one in found.problems)


def test_another_dissectors_run_judges_by_its_own_similarities(run: mcd.Dissection, tmp_path: Path) -> None:
    other = by_annotations(tmp_path / "other", "phantom")
    found = mcd.evaluate(run, against="other-dissector", other=other, draws=0, output=tmp_path / "out")
    assert found.record.against == ["other-dissector"]
    assert found.record.other == "annotations"
    means = whole(found, "other-dissector")
    assert means.loc["pearson", "first"] > means.loc["pearson", "random"]
    alone = mcd.evaluate(other, draws=0, output=tmp_path / "alone")
    assert any("annotations have none" in one for one in alone.problems)
    with pytest.raises(UsageError, match="reads annotations"):
        mcd.evaluate(other, against="held-out", draws=0)
    with pytest.raises(UsageError, match="has the dissector of"):
        mcd.evaluate(run, other=run, draws=0)
    fewer = by_annotations(tmp_path / "few", ["no such word", "mass"])
    with pytest.raises(DataError, match="has none of the concepts"):
        mcd.evaluate(fewer_named(run, tmp_path), other=fewer, draws=0)


def test_a_run_of_annotations_judges_no_concept_that_hardly_a_held_out_patient_has(
    run: mcd.Dissection, found: mcd.Evaluation, tmp_path: Path
) -> None:
    other = by_annotations(tmp_path / "other", "phantom")
    judged = mcd.evaluate(run, against="other-dissector", other=other, draws=0, output=tmp_path / "out").neurons
    own = found.neurons[found.neurons["against"] == "annotations"]
    assert set(judged["concept"]) <= set(own["concept"])


def by_annotations(folder: Path, concepts: str | list[str]) -> mcd.Dissection:
    """Return the head of the same model, named by what is annotated of the same phantoms."""
    return mcd.dissect(
        "phantom-mammo",
        layers="head",
        dissector="annotations",
        dataset="phantom:24",
        concepts=concepts,
        calibration=FEW,
        device="cpu",
        workers=0,
        output=folder,
        progress=False,
    )


def fewer_named(run: mcd.Dissection, folder: Path) -> mcd.Dissection:
    """Return the run with concepts that no other has."""
    return mcd.score(run, concepts=["a gull", "a lighthouse"], output=folder / "scored", device="cpu", progress=False)


def test_what_cannot_judge_says_why(run: mcd.Dissection, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="another dissector is missing"):
        mcd.evaluate(run, against="other-dissector")
    with pytest.raises(UnknownNameError, match="cannot be judged against 'anotations'"):
        mcd.evaluate(run, against="anotations")
    words = mcd.score(run, concepts=["a gull", "a lighthouse"], output=tmp_path / "w", device="cpu", progress=False)
    for against in ("annotations", "truth"):
        with pytest.raises(DataError):
            mcd.evaluate(words, against=against)
    found = mcd.evaluate(words, draws=0)
    assert found.record.against == ["held-out"]
    assert found.problems[0].startswith("not judged against annotations: the data set annotates no concept")


def test_of_three_truths_each_would_be_among_the_clearest(run: mcd.Dissection, tmp_path: Path) -> None:
    few = mcd.score(
        run, concepts=["mass", "calcifications", "asymmetry"], output=tmp_path / "few", device="cpu", progress=False
    )
    assert "truth" not in mcd.evaluate(few, draws=0).record.against
    with pytest.raises(DataError, match="more than 3 are needed"):
        mcd.evaluate(few, against="truth", draws=0)


def test_a_scorer_without_a_name_is_one_sentence(
    run: mcd.Dissection, tmp_path: Path, mcd_command: Callable[..., Outcome]
) -> None:
    mcd.score(run, scorer=lambda a, p: a.T @ p, output=tmp_path / "own", device="cpu", progress=False)
    done = mcd_command("evaluate", tmp_path / "own")
    assert done.code == 2
    assert "was given in Python; it has no name" in done.err
    assert not (tmp_path / "own" / "evaluation" / "evaluation.json").exists()


def test_a_scorer_of_somebody_else_is_not_run(
    run: mcd.Dissection, tmp_path: Path, mcd_command: Callable[..., Outcome]
) -> None:
    (tmp_path / "mine.py").write_text(
        "from pathlib import Path\n\ndef score(activations, similarity):\n"
        f"    Path({str(tmp_path / 'ran')!r}).touch()\n    return activations.T @ similarity\n"
    )
    mcd.score(run, scorer=f"{tmp_path / 'mine.py'}:score", output=tmp_path / "s", device="cpu", progress=False)
    (tmp_path / "ran").unlink()
    done = mcd_command("evaluate", tmp_path / "s", "--draws", 0)
    assert done.code == 4
    assert "--trust" in done.err
    assert not (tmp_path / "ran").exists()
    assert mcd_command("evaluate", tmp_path / "s", "--draws", 0, "--trust").code == 0
    assert (tmp_path / "ran").exists()


def test_the_terminal_fits_eighty_columns_and_says_what_is_missing(
    run: mcd.Dissection, tmp_path: Path, mcd_command: Callable[..., Outcome]
) -> None:
    done = mcd_command("evaluate", run.folder, "--draws", 10, "--layers", "-o", tmp_path / "out")
    assert done.code == 0, done.err
    lines = done.out.splitlines()
    assert max(map(len, lines[:-1])) <= 80
    assert "Judged on 48 held-out images of 12 patients" in lines[0]
    for said in ("Against annotations", "Against truth", "first", "runner-up", "constant", "stages.3", "Stability:"):
        assert said in done.out
    assert "no random network beside it" in done.out
    assert "First labels are above" in done.out
    record = json.loads((tmp_path / "out" / "evaluation.json").read_text())
    assert record["schema"] == "mcd.evaluation/1"


def test_top_images_that_half_of_the_run_does_not_have_are_the_same_share_of_it(
    run: mcd.Dissection, tmp_path: Path
) -> None:
    scored = mcd.score(run, scorer={"plugin": "soft-wpmi", "options": {"top_k": 90}}, output=tmp_path / "scored")
    found = mcd.evaluate(scored, against="held-out", draws=5)
    assert whole(found, "held-out").loc["pearson", "first"] > 0
    assert found.record.notes[:2] == [
        "the naming half has fewer images than the top 90 of the scorer: of its images it takes the same share, 45",
        "a resample has fewer images than the top 90 of the scorer: of its images it takes the same share, 56",
    ]
    assert len(found.stability)


def test_a_folder_that_is_copied_is_evaluated_as_the_first(run: mcd.Dissection, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(run.folder, tmp_path / "copy"))
    shutil.rmtree(copy / "evaluation", ignore_errors=True)
    found = mcd.evaluate(copy, against="truth", draws=0)
    assert (copy / "evaluation" / "summary.csv").exists()
    assert len(found.summary)
