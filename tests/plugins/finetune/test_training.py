"""Training by processes of their own: killed, several together; and what fine-tuning of phantom-mammo reaches."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Callable
from importlib.resources import files
from pathlib import Path

import pytest
from tests.command_line import Outcome
from tests.plugins.finetune.test_finetune import table

Run = Callable[..., Outcome]
CALCIFICATION = ("finetune", "--model", "phantom-mammo", "--task", "calcification", "--device", "cpu", "--workers", "0")
KILLED = """
import sys
from pathlib import Path
from tests.plugins.finetune.test_finetune import trained
trained(Path(sys.argv[1]), Path(sys.argv[2]))
"""


def published() -> float:
    """Return the AUROC of phantom-calc for calcifications, as its model card says."""
    measured = json.loads((files("mcd_plugins.phantom") / "weights" / "phantom_calc.json").read_text())
    return float(measured["auroc"]["calcifications"]["present"])


@pytest.mark.slow
def test_fine_tuning_phantom_mammo_finds_calcifications(mcd_command: Run, tmp_path: Path) -> None:
    images = ("--dataset", "phantom:60", "--dataset-arg", "seed=1", "--cache", tmp_path / "cache")
    how = ("--train", "all", "--epochs", "2", "--learning-rate", "1e-3", "--batch-size", "16")
    done = mcd_command(*CALCIFICATION, *images, *how, "-o", tmp_path / "out", "--json")
    assert done.code == 0, done.err
    card = json.loads(done.out)
    assert card["measures"]["test"]["AUROC"]["value"] > 0.75
    assert "pass 2 of at most 2: loss" in done.err


@pytest.mark.nightly
def test_fine_tuning_phantom_mammo_reaches_what_phantom_calc_publishes(mcd_command: Run, tmp_path: Path) -> None:
    images = ("--dataset", "phantom:1000", "--dataset-arg", "seed=1", "--cache", tmp_path / "cache")
    how = ("--train", "all", "--epochs", "4", "--learning-rate", "2e-3", "--batch-size", "32", "--patience", "4")
    done = mcd_command(*CALCIFICATION, *images, *how, "-o", tmp_path / "out", "--json")
    assert done.code == 0, done.err
    reached = json.loads(done.out)["measures"]["test"]["AUROC"]["value"]
    assert reached == pytest.approx(published(), abs=0.02)


@pytest.mark.nightly
def test_a_training_that_is_killed_continues_and_ends_in_the_same_bytes(tmp_path: Path) -> None:
    stop = tmp_path / "stop"

    def run(name: str) -> int:
        done = subprocess.run([sys.executable, "-c", KILLED, tmp_path / name, stop], check=False)
        return done.returncode

    assert run("whole") == 0
    stop.write_text("kill")
    assert run("killed") == -signal.SIGKILL
    stop.unlink()
    assert run("killed") == 0
    for path in (tmp_path / "whole").rglob("*.*"):
        assert (tmp_path / "killed" / path.relative_to(tmp_path / "whole")).read_bytes() == path.read_bytes(), path.name


@pytest.mark.nightly
def test_two_processes_train_as_one_does(mcd_process: Run, tmp_path: Path) -> None:
    tiny = ("--model", "timm:test_vit", "--model-arg", "input_size=[32,32]", "--model-arg", "in_chans=1")
    how = ("--train", "all", "--epochs", "2", "--learning-rate", "1e-3", "--batch-size", "8", "--dataset", "phantom:40")
    asked = (
        "finetune",
        *tiny,
        *how,
        "--task",
        "mass",
        "--device",
        "cpu",
        "--workers",
        "0",
        "--cache",
        tmp_path / "cache",
    )
    done = mcd_process(*asked, "-o", tmp_path / "one")
    assert done.code == 0, done.err
    two = mcd_process(*asked, "-o", tmp_path / "two", "--devices", "2")
    assert two.code == 0, two.err
    assert two.out.replace(str(tmp_path / "two"), str(tmp_path / "one")) == done.out
    for one, other in zip(*(table(tmp_path / name / "history.csv") for name in ("one", "two")), strict=True):
        assert {key: float(value) for key, value in one.items()} == pytest.approx(
            {key: float(value) for key, value in other.items()}, rel=1e-4
        )
