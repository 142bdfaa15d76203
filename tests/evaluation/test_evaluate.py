"""Whole runs evaluated: what a user sees, what is stored, and runs that leave little to judge."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image
from tests.conftest import Outcome
from torch import nn

import mcd
from mcd.errors import DataError, UnknownNameError, UsageError
from mcd.evaluation.references import by_other
from mcd.evaluation.splitting import Split
from mcd.runs.evaluated import MEASURES
from mcd.runs.revived import StoredScores

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


def whole(found: mcd.Evaluation, against: str) -> pd.DataFrame:
    """Return the means of the whole run, a row a measure, a column a kind of label."""
    rows = found.summary[(found.summary["layer"] == "") & (found.summary["against"] == against)]
    return rows.pivot(index="measure", columns="labels", values="value")


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


def test_images_of_another_folder_are_others_whatever_their_names(tmp_path: Path) -> None:
    run = dissected(tmp_path / "one", 40)
    same, others = (
        dissected(tmp_path / str(seed), count, dissector="annotations", seed=seed) for seed, count in ((0, 30), (1, 40))
    )
    assert run.image_ids == others.image_ids
    with pytest.raises(DataError, match="has none of the held-out images"):
        mcd.evaluate(run, other=others, draws=0)
    split = Split(run, StoredScores(run), 0, 0)
    judge = by_other(run, same, split.concepts, split.held_out, split.units)
    assert (~np.isnan(judge.column(0))).sum() == 30


def test_held_out_images_that_were_named_by_under_another_patient_are_said(tmp_path: Path) -> None:
    table = pictures(tmp_path, 40)
    for number in range(10):
        shutil.copy(tmp_path / f"{number}.png", tmp_path / f"{number + 10}.png")
    rows = [f"{number}.png,{number % 2},p{number}" for number in range(40)]
    (tmp_path / "images.csv").write_text("\n".join(["path,mass,patient", *rows]) + "\n")
    run = mcd.dissect(
        "phantom-mammo",
        layers="head",
        dissector="annotations",
        concepts=["mass"],
        dataset={"plugin": table, "options": {"findings": ["mass"], "patient": "patient"}},
        calibration=FEW,
        device="cpu",
        workers=0,
        output=tmp_path / "run",
        progress=False,
    )
    held_out = Split(run, StoredScores(run), 0, 0).held_out
    names = [Path(entry["source"]).stem for entry in run.probe_map]
    half = dict(zip(map(int, names), held_out, strict=True))
    apart = sum(half[number] != half[number + 10] for number in range(10))
    assert apart
    assert mcd.evaluate(run, draws=0).record.notes[0].startswith(f"{apart} of 20 held-out images are equal to images")


def test_of_noise_no_label_is_better_than_chance(tmp_path: Path) -> None:
    run = mcd.dissect(
        mcd.Target("noise", Noise(), mcd.Preprocessing(height=32, width=32, channels=1)),
        layers="head",
        dissector="phantom-clip",
        dataset="phantom:24",
        concepts="phantom",
        scorer={"plugin": "soft-wpmi", "options": {"top_k": 15}},
        calibration=FEW,
        device="cpu",
        workers=0,
        output=tmp_path,
        progress=False,
    )
    found = mcd.evaluate(run, against=["annotations", "truth"], draws=20)
    means = whole(found, "annotations")["first"]
    assert means["auc (annotated positives)"] == pytest.approx(0.5, abs=0.05)
    assert means["pearson"] == pytest.approx(0, abs=0.07)
    assert whole(found, "truth").loc["recovered", "first"] < 0.2
    assert found.stability["share"].mean() < 0.6


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


def pictures(folder: Path, count: int, *, backwards: bool = False, seed: int = 0) -> str:
    """Write pictures of which every other is bright and a mass; return their table."""
    rng = np.random.default_rng(seed)
    folder.mkdir(exist_ok=True)
    rows = []
    for number in range(count):
        picture = 40 + 90 * (number % 2) + rng.integers(0, 60, size=(32, 32))
        Image.fromarray(picture.astype(np.uint8)).save(folder / f"{number}.png")
        rows.append(f"{number}.png,{number % 2}")
    rows = ["path,mass", *(rows[::-1] if backwards else rows)]
    (folder / "images.csv").write_text("\n".join(rows) + "\n")
    return f"csv:{folder / 'images.csv'}"


class Noise(nn.Module):
    """A network whose layer has nothing to do with what an image shows, and yet the same for the same image."""

    def __init__(self) -> None:
        super().__init__()
        self.head = nn.Linear(64, 60, bias=False)
        generator = torch.Generator().manual_seed(0)
        self.head.weight.data = torch.randn(60, 64, generator=generator)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        pieces = nn.functional.adaptive_avg_pool2d(images, 8).flatten(1)
        return self.head(torch.sin(1e5 * pieces))


class Silent(nn.Module):
    """A network whose layer says nothing."""

    def __init__(self) -> None:
        super().__init__()
        self.head = nn.Conv2d(1, 4, 1, bias=False)
        nn.init.zeros_(self.head.weight)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.head(images)


def dissected(
    folder: Path,
    images: int,
    model: str | nn.Module = "phantom-mammo",
    dissector: str = "phantom-clip",
    draws: int = 0,
    untrained: int = 0,
    backwards: bool = False,
    seed: int = 0,
) -> mcd.Dissection:
    """Dissect a layer with pictures of no known patient."""
    return mcd.dissect(
        model,
        layers="head",
        dissector=dissector,
        concepts=["mass", "cyst", "skin"],
        scorer=None if dissector == "annotations" else "cosine",
        dataset={"plugin": pictures(folder, images, backwards=backwards, seed=seed), "options": {"findings": ["mass"]}},
        calibration={"draws": draws, "most_draws": max(1, draws)},
        untrained=untrained,
        device="cpu",
        workers=0,
        output=folder / "run",
        progress=False,
    )


def test_two_images_are_too_few(tmp_path: Path) -> None:
    run = dissected(tmp_path, 2)
    with pytest.raises(DataError, match="too few images to hold out half") as caught:
        mcd.evaluate(run)
    assert "at least" in caught.value.hint


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


def test_where_no_patient_is_known_images_are_held_out(tmp_path: Path) -> None:
    found = mcd.evaluate(dissected(tmp_path, 40, dissector="annotations"), draws=10)
    assert (found.record.held_out_patients, found.record.held_out_images) == (None, 20)
    assert found.record.against == ["annotations"]
    # of one concept that can be judged, there is no other to draw
    assert set(found.summary["labels"]) == {"first", "constant", "first - constant"}
    assert (found.summary["units"] == 20).all()


def test_the_order_of_images_plays_no_part(tmp_path: Path) -> None:
    one, other = (
        mcd.evaluate(dissected(tmp_path / str(backwards), 40, backwards=backwards), against="held-out", draws=10)
        for backwards in (False, True)
    )
    pd.testing.assert_frame_equal(one.summary, other.summary, atol=1e-4)
    pd.testing.assert_frame_equal(one.stability, other.stability)
    pd.testing.assert_frame_equal(one.geometry, other.geometry, atol=1e-4)


def test_labels_that_nothing_annotates_are_not_judged_and_it_is_said(tmp_path: Path) -> None:
    run = dissected(tmp_path, 40)
    found = mcd.evaluate(run, draws=0)
    assert not len(found.summary)
    assert "no label by half of the patients is a concept that can be judged against annotations" in found.problems


def test_a_run_in_which_no_neuron_responds_has_nothing_to_judge(
    tmp_path: Path, mcd_command: Callable[..., Outcome]
) -> None:
    run = dissected(tmp_path, 24, Silent())
    done = mcd_command("evaluate", run.folder, "--draws", 5)
    assert done.code == 0, done.err
    assert "names no neuron: there are no labels to judge" in " ".join(done.out.split())


@pytest.mark.slow
def test_the_random_networks_of_a_run_stand_beside_it(tmp_path: Path) -> None:
    run = dissected(tmp_path, 40, draws=20, untrained=10)
    found = mcd.evaluate(run, against="held-out", draws=5)
    assert not any("random network" in one for one in found.problems)
    table = found.summary[found.summary["layer"] == ""].set_index(["measure", "labels"])
    first, beside = (table.loc[("pearson", kind), "value"] for kind in ("first", "untrained"))
    assert table.loc[("pearson", "first - untrained"), "value"] == pytest.approx(first - beside)
    neurons = {one.name: one.neurons for one in run.manifest.layers}["head"]
    assert neurons < table.loc[("pearson", "untrained"), "neurons"] <= 10 * neurons


def test_a_folder_that_is_copied_is_evaluated_as_the_first(run: mcd.Dissection, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(run.folder, tmp_path / "copy"))
    shutil.rmtree(copy / "evaluation", ignore_errors=True)
    found = mcd.evaluate(copy, against="truth", draws=0)
    assert (copy / "evaluation" / "summary.csv").exists()
    assert len(found.summary)
