"""Faithfulness of stored runs: asked for by a flag, kept beside the other tables, and a sentence where it cannot be."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from tests.command_line import Outcome
from tests.runs.test_dissect import Patches, dissect
from tests.runs.test_run_target import Plain

import mcd
from mcd.errors import ConfigError, UnknownNameError
from mcd.evaluation.faithfulness import COLUMNS, FAITHFUL
from mcd.runs.evaluated import EVALUATION

FEW = ("--draws", "10", "--groups", "1", "--random-groups", "4", "--device", "cpu")


@pytest.fixture(scope="module")
def stored(tmp_path_factory: pytest.TempPathFactory) -> mcd.Dissection:
    return mcd.dissect(
        "phantom-mammo",
        layers="stages.3",
        dissector="phantom-clip",
        dataset={"plugin": "phantom", "options": {"patients": 24}},
        concepts=["mass", "implant", "dense breast"],
        scorer="pearson",
        calibration={"draws": 0},
        workers=0,
        device="cpu",
        progress=False,
        output=tmp_path_factory.mktemp("faithful") / "run",
    )


def test_the_command_keeps_a_table_that_the_run_has_then(
    stored: mcd.Dissection, mcd_command: Callable[..., Outcome]
) -> None:
    said = mcd_command("evaluate", str(stored.folder), "--faithfulness", *FEW)
    assert said.code == 0, said.err
    assert "all outputs" in said.out
    found = mcd.load(stored.folder).evaluation
    assert found is not None
    table = found.faithfulness
    assert list(table.columns) == list(COLUMNS)
    assert table["measure"].drop_duplicates().tolist() == [one for one in FAITHFUL if one in set(table["measure"])]
    outputs = set(table["output"]) - {""}
    assert {"mass", "implant"} <= outputs
    assert len(outputs) == 11
    lost = table[table["measure"] == "auroc lost"]
    assert (lost["output"] == lost["finding"]).all()
    assert table["p"].dropna().between(1 / 5, 1).all()
    assert set(table["random_groups"]) == {4}
    assert any("significant or not" in one for one in found.record.notes)  # the run has no significance
    assert (stored.folder / EVALUATION / "faithfulness.csv").is_file()
    assert found.record.settings["faithfulness"] == {
        "to": "mean",
        "groups": 1,
        "least": 3,
        "random": 4,
        "outcomes": {},
    }


def test_what_is_asked_for_wrongly_is_said_before_anything_runs(
    stored: mcd.Dissection, mcd_command: Callable[..., Outcome]
) -> None:
    for flags, said in (
        (("--groups", "2"), "add --faithfulness"),
        (("--faithfulness", "--outcome", "mass"), "write OUTPUT=CONCEPT"),
        (("--faithfulness", "--outcome", "mass=moss"), "has no concept 'moss'"),
    ):
        found = mcd_command("evaluate", str(stored.folder), *flags)
        assert found.code == 2
        assert said in found.err
    with pytest.raises(ConfigError, match="faithfulness: unknown setting 'grups'"):
        mcd.evaluate(stored, faithfulness={"grups": 1}, progress=False)
    with pytest.raises(UnknownNameError, match="no output 'moss'"):
        mcd.evaluate(stored, draws=0, faithfulness={"outcomes": {"moss": "mass"}}, device="cpu", progress=False)


def test_a_run_that_cannot_be_run_again_says_what_to_do_and_is_evaluated(tmp_path: Path) -> None:
    net, settings = Plain(), {"draws": 100, "most_draws": 100, "right": False, "nuisances": False}
    run = dissect(model=net, scorer="pearson", calibration=settings, output=tmp_path / "run")
    stored = mcd.load(run.folder)
    found = mcd.evaluate(stored, draws=0, faithfulness=True, progress=False)
    assert len(found.summary)
    assert found.faithfulness.empty
    (problem,) = [one for one in found.problems if "faithfulness" in one]
    assert problem == (
        f"faithfulness is not tested: the target of {run.folder} was given in Python; it has no name "
        "(give it again: mcd.load(RUN, model=…))"
    )
    given = {"random": 3, "least": 2, "to": "zero"}
    found = mcd.evaluate(run, draws=0, faithfulness=given, model=net, dataset=Patches(), device="cpu", progress=False)
    assert [one for one in found.problems if "faithfulness" in one] == []
    table = found.faithfulness
    assert set(table["layer"]) == {"conv"}  # the head has too few neurons
    assert set(table["concept"]) <= {"bright", "dark"}  # significant by half of the images
    assert table["neurons"].between(2, 5).all()


def test_layers_that_are_seen_through_units_are_left_out_and_their_neurons_are_not(tmp_path: Path) -> None:
    units = mcd.Units("mine", torch.nn.Linear(6, 4), 6, 4)
    few = {"groups": 1, "random": 2}
    found = {}
    for neurons in (True, False):
        run = dissect(
            model=Plain(), dataset=Patches(24), layers="conv", units=units, neurons=neurons, calibration={"draws": 0}
        )
        found[neurons] = mcd.evaluate(run, faithfulness=few, draws=2, progress=False)
    assert set(found[True].faithfulness["layer"]) == {"conv"}
    assert any("leaves out a layer that is seen through units" in one for one in found[True].record.notes)
    (problem,) = (one for one in found[False].record.problems if "faithfulness" in one)
    assert "all layers are seen through units" in problem
    assert "keep the neurons too: mcd dissect … --neurons" in problem
