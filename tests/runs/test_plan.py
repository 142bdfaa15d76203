"""The plan: every run that a study makes, named before anything is computed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from mcd.errors import UsageError
from mcd.runs.plan import plan_of
from mcd.study.study import Study

OUT = Path("runs/x")


def study(models: int = 1, dissectors: int = 1, **settings: object) -> Study:
    return Study.model_validate(
        {
            "models": [{"plugin": f"timm:m{one}", "layers": [f"blocks.{one}"]} for one in range(models)],
            "dissectors": [{"plugin": "open-clip", "name": f"clip{one}"} for one in range(dissectors)],
            "dataset": "phantom",
            **settings,
        }
    )


def test_one_model_and_one_dissector_share_the_output_folder() -> None:
    (run,) = plan_of(study(), OUT, ["m"], ["clip"])
    assert (run.target, run.by, run.layers, run.folder, run.control) == ("m", "clip", ("blocks.0",), OUT, "")


def test_several_models_and_dissectors_have_a_folder_each_in_the_order_of_the_study() -> None:
    plan = plan_of(study(2, 2), OUT, ["a", "b c"], ["x", "y"])
    folders = [OUT / "a" / "x", OUT / "a" / "y", OUT / "b-c" / "x", OUT / "b-c" / "y"]
    assert [run.folder for run in plan] == folders
    assert [run.layers for run in plan] == [("blocks.0",)] * 2 + [("blocks.1",)] * 2
    assert plan.controls == ((),) * 4


def test_controls_are_runs_of_the_plan_by_name_and_belong_to_their_run() -> None:
    plan = plan_of(study(2, controls=True), OUT, ["a", "b"], ["clip"])
    for run, controls in zip(plan.runs, plan.controls, strict=True):
        assert [one.control for one in controls] == ["random dissector", "random weights"]
        assert {one.folder.parent for one in controls} == {run.folder / "controls"}
    everything = [(run.target, run.control) for run in plan]
    assert everything[:2] == [("a", ""), ("b", "")]
    assert len(everything) == len(set(everything)) == 6


def test_random_units_are_a_control_of_models_with_units() -> None:
    models = [{"plugin": "timm:m", "layers": "a", "units": "x=directions:FILE"}, {"plugin": "timm:n", "layers": "a"}]
    plan = plan_of(
        Study.model_validate({**study(controls=True).settings(), "models": models}), OUT, ["a", "b"], ["clip"]
    )
    assert [[one.control for one in controls] for controls in plan.controls] == [
        ["random dissector", "random units", "random weights"],
        ["random dissector", "random weights"],
    ]


def test_two_models_of_one_name_cannot_share_a_folder() -> None:
    with pytest.raises(UsageError, match="two models are called 'm-1'"):
        plan_of(study(2), OUT, ["m 1", "m/1"], ["clip"])


def test_dry_run_prints_the_plan_above_a_study_file_that_can_be_run(
    mcd_command: Callable,
    tmp_path: Path,
) -> None:
    done = mcd_command(
        "dissect",
        "--model",
        "timm:no-such-network",
        "--layers",
        "blocks.*",
        "--dataset",
        "phantom",
        "--dissector",
        "phantom-clip",
        "--controls",
        "--output",
        "runs/x",
        "--dry-run",
        cwd=tmp_path,
    )
    assert done.code == 0, done.err
    plan = [line for line in done.out.splitlines() if line.startswith("# ")]
    assert [line for line in plan if "control: random weights" in line]
    assert "#    runs/x/controls/random-weights" in plan
    assert yaml.safe_load(done.out)["controls"] is True
    assert not (tmp_path / "runs").exists()
