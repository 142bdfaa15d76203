"""``mcd compare`` of two models: one real small run each, from the command line to the tables."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
import torch
from tests.conftest import Outcome
from tests.signing import signed

import mcd
from mcd.cli.compare_text import print_comparison
from mcd.comparison import Comparison, ComparisonSettings, compare, describe
from mcd.comparison.changes import MAY_BE_CHANCE, chance_rule, may_be_chance
from mcd.errors import DataError, UsageError
from mcd.runs.loading import load
from mcd.runs.rescore import rescore
from mcd.scoring.calibration.null import Drawn
from mcd.scoring.kept_nulls import KeptNulls
from mcd.scoring.rungs import RUNGS
from mcd.study.calibration import Calibration

MODULE = """
import torch
from torch import nn
from mcd_plugins.phantom.loader import PhantomMammo

def tuned() -> nn.Module:
    network = PhantomMammo(PhantomMammo.Options()).load().module
    draws = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for weight in network.stages[3].parameters():
            if weight.ndim > 1:
                weight.add_(weight.std() * torch.randn(weight.shape, generator=draws))
    return network
"""

STUDY = """
models:
  - {plugin: phantom-mammo, layers: [stages.2, stages.3, head]}
  - plugin: module
    options: {factory: "FILE:tuned", height: 320, width: 192, channels: 1, mean: [0.21], std: [0.23]}
    name: tuned
    layers: [stages.2, stages.3, head]
  - {plugin: phantom-clip, layers: [stages.3], name: tower}
dissectors: phantom-clip
dataset: {plugin: phantom, options: {patients: 25}}
concepts: [phantom, technical]
scorer: {plugin: soft-wpmi, options: {top_k: 30}}
calibration: {most_draws: 1000}
device: cpu
"""


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory, mcd_command: Callable[..., Outcome]) -> Path:
    """Runs of three models on the same phantoms, and one of another scorer."""
    place: Path = tmp_path_factory.mktemp("models")
    (place / "tuned.py").write_text(MODULE)
    (place / "study.yaml").write_text(STUDY.replace("FILE", str(place / "tuned.py")))
    done = mcd_command("run", place / "study.yaml", "-o", place / "x")
    assert done.code == 0, done.err
    return place / "x"


@pytest.fixture(scope="module")
def compared(runs: Path, mcd_command: Callable[..., Outcome]) -> tuple[Outcome, Path]:
    """Return what comparing a model with what it was made into says, and the folder of its tables."""
    out = runs.parent / "out"
    done = mcd_command("compare", runs / "phantom-mammo", runs / "tuned", "-o", out, "--bootstrap", 20)
    assert done.code == 0, done.err
    return done, out


def test_it_says_what_went_in_and_what_may_not_be_compared(compared: tuple[Outcome, Path]) -> None:
    text = compared[0].out
    assert "a: phantom-mammo (the reference)\nb: tuned" in text
    assert "probe set phantom: 100 images, 25 patients" in text
    assert "soft-wpmi (top 30 images)" in text
    assert "patients permuted" in text
    assert "q = 0.05" in text
    assert "scores may not be compared" not in text  # with a prior over random images they may
    assert max(len(line) for line in text.splitlines() if "all tables" not in line) <= 80
    assert "mean-score" not in text  # the threshold is there on request only


def test_tables_say_what_the_label_tables_say(runs: Path, compared: tuple[Outcome, Path]) -> None:
    out = compared[1]
    labels = pd.read_parquet(runs / "tuned" / "labels.parquet").query("rank == 1 and layer == 'stages.3'")
    above = labels[labels["q"] <= 0.05]
    layers = pd.read_csv(out / "layers.csv").set_index(["run", "layer"])
    row = layers.loc[("tuned", "stages.3")]
    assert row["significant"] == len(above) > 0
    assert row["neurons"] == 128
    assert row["mean_z"] == pytest.approx(labels["z"].mean(), abs=1e-4)
    assert row["share_low"] < row["share"] < row["share_high"]
    categories = pd.read_csv(out / "categories.csv").query("run == 'tuned' and layer == 'stages.3'")
    found = categories[categories["level"] == "category"].set_index("name")["neurons"]
    assert found[found > 0].to_dict() == above["category"].value_counts().to_dict()
    whole = layers.loc[("tuned", "(all)")]
    assert whole["significant"] == layers.drop(index=("tuned", "(all)")).loc["tuned", "significant"].sum()


def test_what_was_not_touched_has_not_changed(compared: tuple[Outcome, Path]) -> None:
    neurons = pd.read_csv(compared[1] / "changes_neurons.csv")
    untouched = neurons[neurons["place"] == "stages.2"]
    # Nulls are drawn for each run, so that a neuron at the border may fall on the other side of it.
    assert untouched["change"].isin({"kept concept", "neither"}).mean() > 0.9
    assert not untouched["change"].isin({"kept category", "re-purposed"}).any()
    assert (untouched["correlation"] > 0.999).all()
    assert neurons.loc[neurons["place"] == "stages.3", "change"].isin({"kept category", "re-purposed"}).any()
    assert neurons["correlation"].median() > 0.9
    differences = pd.read_csv(compared[1] / "differences.csv")
    same = differences.query("place == 'stages.2' and level == 'category'")
    assert (same["difference"].abs() < 0.05).all()


def test_carried_concepts_say_by_which_rung(runs: Path, compared: tuple[Outcome, Path]) -> None:
    table = pd.read_csv(compared[1] / "concepts.csv", keep_default_na=False).query("run == 'tuned'")
    labels = pd.read_parquet(runs / "tuned" / "labels.parquet").query("rank == 1")
    order = ["", *RUNGS]
    highest = labels.groupby("concept")["rung"].agg(lambda rungs: max(rungs, key=order.index))
    assert {one.concept: one.rung for one in table.itertuples()} == {
        term: highest.get(term, "") for term in table["concept"]
    }
    learned = pd.read_parquet(runs / "tuned" / "learned.parquet").set_index("concept")["rung"]
    assert {one.concept: one.learned for one in table.itertuples()} == {
        term: learned.get(term, "") for term in table["concept"]
    }
    carried = table[table["answer"] == "carried"]
    counts = [(carried["rung"] == rung).sum() for rung in order]
    row = next(line for line in compared[0].out.partition("by the highest rung")[2].splitlines() if line[:1] == "b")
    assert row.split()[1:6] == [str(count) for count in counts]
    assert sum(counts[1:]) > 0


def test_uncarried_concepts_are_told_from_those_that_could_not_be_shown(compared: tuple[Outcome, Path]) -> None:
    table = pd.read_csv(compared[1] / "concepts.csv")
    missing = table[table["carriers"] == 0]
    assert "letter" not in " ".join(table["category"].str.casefold())  # what is not about the breast is not missed
    shown = missing[missing["answer"] == "under-represented"]
    assert shown["detectable_auroc"].between(0.6, 1).all()
    assert (shown["positives"] > 0).all()
    assert (table.loc[table["answer"] == "carried", "carriers"] > 0).all()
    assert missing.loc[missing["answer"] == "could not be shown", "detectable_auroc"].isna().all()
    laterality = table[table["concept"] == "left breast"]
    assert (laterality["positives"] == 50).all()
    assert (laterality["patients"] == 25).all()


PLAIN = ComparisonSettings(resamples=0)


def asked(one: Path, other: Path, settings: ComparisonSettings = PLAIN) -> Comparison:
    return compare([load(one), load(other)], settings)


def test_other_architectures_are_aligned_by_a_map(runs: Path, mcd_command: Callable[..., Outcome]) -> None:
    done = mcd_command(
        "compare",
        runs / "phantom-mammo",
        runs / "tower",
        "--map",
        "stages.2=stages.3",
        "--json",
        "--bootstrap",
        0,
        "--threshold",
        "global",
    )
    assert done.code == 0, done.err
    found = json.loads(done.out)
    compared = {(row["run"], row["layer"]): row for row in found["layers"] if row["place"] == "stages.2"}
    assert set(compared) == {("phantom-mammo", "stages.2"), ("tower", "stages.3")}
    assert compared["tower", "stages.3"]["share_low"] is None
    assert any("no intervals were asked for" in note for note in found["notes"])
    assert any("not equally wide" in note for note in found["notes"])
    assert "changes_neurons" not in found
    thresholds = {row["run"]: row for row in found["thresholds"]}
    assert thresholds["tower"]["threshold"] == max(row["mean_score"] for row in found["thresholds"])


def test_a_map_that_is_none_is_refused(runs: Path, mcd_command: Callable[..., Outcome]) -> None:
    both = (runs / "phantom-mammo", runs / "tuned")
    wrong = mcd_command("compare", *both, "--map", "stages.2")
    assert (wrong.code, "not two layers" in wrong.err) == (2, True)
    twice = mcd_command("compare", *both, "--map", "stages.2=stages.3", "--map", "stages.2=head")
    assert (twice.code, "is mapped already" in twice.err) == (2, True)


def test_a_whole_run_keeps_its_intervals_beside_one_that_was_shared(runs: Path, tmp_path: Path) -> None:
    shutil.copytree(runs / "tuned", tmp_path / "tuned", ignore=shutil.ignore_patterns("private"))
    found = compare([load(runs / "phantom-mammo"), load(tmp_path / "tuned")], ComparisonSettings(resamples=5))
    low = found.layers.groupby("run")["share_low"]
    assert low.apply(lambda one: one.notna().all()).to_dict() == {"phantom-mammo": True, "tuned": False}
    assert found.differences["difference_low"].isna().all()
    assert found.changes[0].neurons["correlation"].isna().all()
    assert any("no intervals: tuned was shared" in note for note in found.notes)


def test_the_mean_score_threshold_is_never_called_significance(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    print_comparison(asked(runs / "phantom-mammo", runs / "tuned", replace(PLAIN, threshold="local")))
    text = capsys.readouterr().out
    assert "The mean-score threshold of the paper (local)" in text
    assert "It is not a test of significance" in text


def test_matching_finds_neurons_that_respond_alike(runs: Path) -> None:
    matched, by_number = (
        asked(runs / "phantom-mammo", runs / "tuned", settings).changes[0].neurons
        for settings in (replace(PLAIN, match="hungarian"), PLAIN)
    )
    untouched = matched[matched["place"] == "stages.2"]
    assert (untouched["neuron"] == untouched["other_neuron"]).all()
    assert matched["correlation"].sum() >= by_number["correlation"].sum()


def test_three_runs_are_compared_with_the_first(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    names = ("phantom-mammo", "tuned", "tower")
    found = compare([load(runs / name) for name in names], ComparisonSettings(resamples=0))
    assert tuple(found.heading.runs["run"]) == names
    assert set(found.differences["run"]) == {"tuned", "tower"}
    assert [one.run for one in found.changes] == ["tuned"]
    # Each difference is over the layers that both runs have, though the reference has more.
    whole = found.differences.query("place == '(all)' and name == 'significant'").set_index("run")
    widths = found.layers.query("run == 'phantom-mammo'").set_index("layer")["neurons"]
    assert whole["reference_neurons"].to_dict() == {"tuned": widths["(all)"], "tower": widths["stages.3"]}
    print_comparison(found)
    finding = found.differences.query("place == '(all)' and level == 'broad_category' and run == 'tower'").iloc[0]
    told = capsys.readouterr().out.split("layers together: a and c")[1]
    count = finding["reference"] * finding["reference_neurons"]
    assert f"{count:.0f} ({finding['reference']:.0%})" in told
    tower = found.layers[found.layers["run"] == "tower"]
    assert tower["place"].tolist() == ["stages.3", "(all)"]  # by name: the tower was dissected there only


def test_a_shared_run_has_no_intervals_and_says_so(runs: Path, tmp_path: Path) -> None:
    for name in ("phantom-mammo", "tuned"):
        shutil.copytree(runs / name, tmp_path / name)
        shutil.rmtree(tmp_path / name / "private")
    pair = [load(tmp_path / name) for name in ("phantom-mammo", "tuned")]
    found = compare(pair, ComparisonSettings())
    assert any("no intervals" in note for note in found.notes)
    assert "patients are not known" in " ".join(found.heading.lines())
    assert found.layers["share_low"].isna().all()
    assert set(found.concepts["answer"]) <= {"carried", "not known"}
    whole = asked(runs / "phantom-mammo", runs / "tuned")
    assert found.layers["significant"].tolist() == whole.layers["significant"].tolist()
    with pytest.raises(UsageError, match="without its folder private"):
        compare(pair, ComparisonSettings(match="hungarian"))


def test_what_cannot_be_compared_is_refused(runs: Path, tmp_path: Path) -> None:
    tuned = load(runs / "tuned")
    rescore(tuned, output=tmp_path / "scorer", scorer_options={"top_k": 20})
    with pytest.raises(UsageError, match="they differ in scorer"):
        asked(runs / "phantom-mammo", tmp_path / "scorer")
    rescore(tuned, output=tmp_path / "q", calibration=Calibration(q=0.2, most_draws=1000))
    with pytest.raises(UsageError, match=r"calibration \(q\)"):
        asked(runs / "phantom-mammo", tmp_path / "q")
    mute = (tmp_path / "mute" / "phantom-mammo", tmp_path / "mute" / "tuned")
    for folder in mute:
        rescore(load(runs / folder.name), output=folder, calibration=Calibration(draws=0))
    with pytest.raises(UsageError, match="has no significance"):
        asked(*mute)


def test_a_run_is_not_compared_with_itself(runs: Path, mcd_command: Callable[..., Outcome]) -> None:
    done = mcd_command("compare", runs / "tuned", runs / "phantom-mammo" / ".." / "tuned")
    assert (done.code, done.out) == (2, "")
    assert "is given twice" in done.err


def test_a_scoring_that_was_saved_is_read_as_what_it_is(runs: Path, tmp_path: Path) -> None:
    scored = rescore(load(runs / "tuned"), output=tmp_path / "scored", scorer_options={"top_k": 20})
    saved = describe([load(scored.save(tmp_path / "saved"))], ComparisonSettings(resamples=0))
    assert saved.heading.runs["top_k"].tolist() == [20]  # that of its run is 30
    assert saved.tables().keys() == describe([scored], ComparisonSettings(resamples=0)).tables().keys()


def test_labels_that_are_not_the_runs_own_are_refused(runs: Path, tmp_path: Path) -> None:
    shutil.copytree(runs / "tuned", tmp_path / "tuned")
    path = tmp_path / "tuned" / "labels.parquet"
    labels = pd.read_parquet(path)
    first = (labels["rank"] == 1) & (labels["layer"] == "stages.3")
    labels.loc[first, "concept"] = labels.loc[first, "concept"].iloc[0]
    labels.to_parquet(path, index=False)
    with pytest.raises(DataError, match="is not what the run wrote"):
        asked(runs / "phantom-mammo", tmp_path / "tuned")
    with pytest.raises(DataError, match="not what its scorer gives now"):
        asked(runs / "phantom-mammo", signed(tmp_path / "tuned"))


def test_the_same_question_gets_the_same_tables(runs: Path, compared: tuple[Outcome, Path], tmp_path: Path) -> None:
    found = compare([load(runs / "phantom-mammo"), load(runs / "tuned")], ComparisonSettings(resamples=20)).tables()
    assert sorted(found) == sorted(file.stem for file in compared[1].glob("*.csv"))
    for name, table in found.items():
        text = (compared[1] / f"{name}.csv").read_text()
        assert text == table.to_csv(index=False, lineterminator="\n"), name
        assert "phantom-7-0" not in text  # no image, no patient


def test_console_and_figure_go_by_one_rule_for_what_may_be_chance(runs: Path, compared: tuple[Outcome, Path]) -> None:
    table = pd.read_csv(compared[1] / "changes_categories.csv")
    sure = (table["low"] > 0) | (table["high"] < 0)
    assert may_be_chance(table).tolist() == (~sure).tolist()
    assert may_be_chance(table.assign(low=float("nan"), high=float("nan"))).all()
    said = " ".join(compared[0].out.split())
    doubtful = int((~sure & (table["change"] != 0)).sum())
    assert f"Changes of {doubtful} categor" in said
    assert f"{chance_rule(intervals=True)}." in said
    for kind, rows in (("specialise", table[table["change"] > 0]), ("fade", table[table["change"] < 0])):
        assert (f"categories that {kind}" in said) == bool(sure[rows.index].any())

    data = mcd.figures.collect(
        [load(runs / name) for name in ("phantom-mammo", "tuned")], ComparisonSettings(resamples=20)
    )
    figure = mcd.figures.specialisation(data, top=1000)
    drawn = data.comparison.changes[0].categories
    coloured = [line for line in figure.axes[0].get_lines() if line.get_marker() == "o" and line.get_linewidth() > 1]
    assert len(coloured) == int((~may_be_chance(drawn)).sum())
    (legend,) = figure.legends
    assert [text.get_text() for text in legend.get_texts()] == ["gained", "lost", MAY_BE_CHANCE]


class Gathered:
    """A store that finds nothing, and gathers what it is given."""

    def __init__(self, kept: list[torch.Tensor]) -> None:
        self.kept = kept

    def find(self, key: str) -> Drawn | None:
        return None

    def put(self, key: str, drawn: Drawn) -> None:
        self.kept.append(torch.cat([drawn.mean, drawn.sd, torch.from_numpy(drawn.highest)]))


def test_defaults_that_a_caller_has_set_in_torch_reach_no_null(runs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kept: list[torch.Tensor] = []
    monkeypatch.setattr("mcd.comparison.loaded.kept_nulls", lambda shared, say: KeptNulls(Gathered(kept)))
    pair = [load(runs / name) for name in ("phantom-mammo", "tuned")]
    compare(pair, ComparisonSettings(resamples=0))
    expected, kept[:] = list(kept), []
    assert expected
    for one in (compare, describe):
        kept.clear()
        with torch.autocast("cpu"):
            one(pair, ComparisonSettings(resamples=0))
        assert all(torch.equal(mine, theirs) for mine, theirs in zip(kept, expected, strict=True))
